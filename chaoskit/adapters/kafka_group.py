"""What the consumers of aiokafka and kafka-python have in common, of which the one began as a copy of the other."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any

from chaoskit.adapters.kafka_positions import Positions
from chaoskit.adapters.stand_in import StandIn
from chaoskit.execution.consumer import ALL, Source


class GroupConsumer(StandIn):
    """A member of a consumer group. With `enable_auto_commit`, which is the default, a record is committed when the
    loop asks for the next one; without it by `commit` alone."""

    def __init__(
        self,
        source: Source,
        *topics: str,
        enable_auto_commit: bool = True,
        key_deserializer: Any = None,
        value_deserializer: Any = None,
        max_poll_records: int | None = None,
        **config: Any,
    ) -> None:
        super().__init__(source)
        self._most = max_poll_records or ALL
        self._deserializers = key_deserializer, value_deserializer
        self._positions = Positions(source, not enable_auto_commit)
        self._positions.topics = topics
        self._listener: Any = None
        self._has_joined = False

    @abstractmethod
    def assignment(self) -> Set[Any]:
        """The partitions of which messages come."""

    def _joins(self) -> Iterator[Any]:
        """What a listener returns, which is called before the first record: nothing was assigned until then."""
        if self._listener is not None and not self._has_joined:
            yield self._listener.on_partitions_revoked(set())
            yield self._listener.on_partitions_assigned(self.assignment())
        self._has_joined = True

    @staticmethod
    def _by_partition(records: Sequence[Any], partition: Callable[[str, int], Any]) -> dict[Any, list[Any]]:
        found: dict[Any, list[Any]] = {}
        for record in records:
            found.setdefault(partition(record.topic, record.partition), []).append(record)
        return found

    @staticmethod
    def settles_by_hand(*topics: str, enable_auto_commit: bool = True, **config: Any) -> bool:
        return not enable_auto_commit

    def seek(self, partition: Any, offset: int) -> None:
        """Back to the record in hand, which is refused by that; or to where it is."""
        self._positions.seek(self._stands_for, (partition.topic, partition.partition), offset)

    def subscribe(self, topics: Sequence[str] = (), pattern: str | None = None, listener: Any = None) -> None:
        """The listener is called before the first record."""
        self._positions.topics = tuple(topics)
        self._listener, self._has_joined = listener, False

    def unsubscribe(self) -> None:
        """Nothing comes of it: the schedule says what is handed out."""

    def assign(self, partitions: Sequence[Any]) -> None:
        self._positions.topics = tuple(dict.fromkeys(each.topic for each in partitions))

    def pause(self, *partitions: Any) -> None:
        """Nothing comes of it: what is paused may have been fetched already."""

    def resume(self, *partitions: Any) -> None:
        """Nothing comes of it."""
