"""`confluent_kafka.Consumer`: `with deliver.consumer(Consumer, {"group.id": "billing"}) as consumer`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chaoskit.adapters.installed import library
from chaoskit.adapters.kafka_positions import Partition, Positions, parts
from chaoskit.adapters.stand_in import StandIn
from chaoskit.execution.consumer import Source
from chaoskit.values.event import Message

Callback = Callable[[Any, list[Any]], Any]

CREATE_TIME = 1
"""confluent_kafka.TIMESTAMP_CREATE_TIME: when it was sent, and not when it was stored."""


def message_of(source: Source, message: Message, topic: str) -> Any:
    """A `confluent_kafka.Message`, of the library's own class as far as that can be made (since 2.13)."""
    key, value, headers, timestamp = parts(source, message)
    fields: dict[str, Any] = {
        "topic": topic, "partition": message.partition, "offset": message.offset, "key": key, "value": value,
        "headers": headers or None, "timestamp": (CREATE_TIME, timestamp), "leader_epoch": 0,
    }  # fmt: skip
    try:
        return library("confluent_kafka", "confluent-kafka").Message(**fields)
    except TypeError:
        return LookAlike(fields)


class LookAlike:
    """In the place of a message of a version whose class nobody can make."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = {"error": None, "latency": None, **fields}

    def __len__(self) -> int:
        return len(self._fields["value"] or b"")

    def __getattr__(self, name: str) -> Any:
        """Each field is asked for by a call: `message.offset()`."""
        if name not in self.__dict__.get("_fields", ()):
            raise AttributeError(name)
        return lambda: self._fields[name]

    def set_value(self, value: Any) -> None:
        self._fields["value"] = value

    def set_key(self, key: Any) -> None:
        self._fields["key"] = key

    def set_headers(self, headers: Any) -> None:
        self._fields["headers"] = headers


class Consumer(StandIn):
    """Settles as its configuration says. With `enable.auto.commit`, which is the default, a message is committed when
    the loop asks for the next one, or, without `enable.auto.offset.store`, by `store_offsets`. Without it nothing is
    committed but by `commit`: what is named, or what was handed out, or, without `enable.auto.offset.store`, what
    `store_offsets` has stored."""

    _stands_for = "confluent_kafka.Consumer"

    def __init__(self, source: Source, config: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        super().__init__(source)
        self._library = library("confluent_kafka", "confluent-kafka")
        self._stored: dict[Partition, int] | None = None if _is_on(config, "enable.auto.offset.store") else {}
        self._has_news = False
        """Something was stored, by the client or the loop, that no `commit` has taken."""
        self._commits_what_is_stored = _is_on(config, "enable.auto.commit")
        self._positions = Positions(source, self.settles_by_hand(config))
        self._on_assign: Callback | None = None
        self._on_revoke: Callback | None = None
        self._is_assigned = False

    @staticmethod
    def settles_by_hand(config: Mapping[str, Any] | None = None, /, **more: Any) -> bool:
        return not (_is_on(config, "enable.auto.commit") and _is_on(config, "enable.auto.offset.store"))

    # Messages.

    def poll(self, timeout: float = -1) -> Any:
        """The next message, which is never an error; None when nothing is left."""
        self._assign()
        message = self._positions.take()
        if message is None:
            self._source.idle()
            return None
        self._has_news |= self._stored is None
        return message_of(self._source, message, self._positions.topic(message))

    def consume(self, num_messages: int = 1, timeout: float = -1) -> list[Any]:
        """The next messages, up to so many; none when nothing is left."""
        self._assign()
        messages = self._positions.take_several(num_messages)
        if not messages:
            self._source.idle()
        self._has_news |= bool(messages) and self._stored is None
        return [message_of(self._source, message, self._positions.topic(message)) for message in messages]

    # Positions.

    def commit(self, message: Any = None, offsets: Sequence[Any] | None = None, asynchronous: bool = True) -> Any:
        """Of this message, of these offsets, or of all that is stored. Where nothing is stored that is not committed, a
        KafkaException for whoever waits for the answer."""
        positions = _named(message, offsets)
        if positions is None:
            positions = self._positions.all_next() if self._stored is None else self._stored
            if not self._has_news and not asynchronous:
                raise self._exception("_NO_OFFSET")
            self._has_news = False
        self._positions.commit(positions)
        return None if asynchronous else [self._partition(*each, offset) for each, offset in positions.items()]

    def store_offsets(self, message: Any = None, offsets: Sequence[Any] | None = None) -> None:
        """For the next `commit`; or, with `enable.auto.commit`, for the client, which commits in the background: it
        counts as committed. Raises a KafkaException where the client stores by itself."""
        if self._stored is None:
            raise self._exception("_INVALID_ARG")
        positions = _named(message, offsets)
        if positions is None:
            raise ValueError("expected either message or offsets")
        if self._commits_what_is_stored:
            self._positions.commit(positions)
        else:
            self._stored.update(positions)
            self._has_news = True

    def _exception(self, code: str) -> Exception:
        kind: type[Exception] = self._library.KafkaException
        return kind(self._library.KafkaError(getattr(self._library.KafkaError, code)))

    def position(self, partitions: Sequence[Any]) -> list[Any]:
        return [self._partition(*at, self._positions.next(at)) for at in map(_name, partitions)]

    def committed(self, partitions: Sequence[Any], timeout: float = -1) -> list[Any]:
        return [self._partition(*at, self._positions.committed(at)) for at in map(_name, partitions)]

    def seek(self, partition: Any) -> None:
        """Back to the record in hand, which is refused by that; or to where it is."""
        self._positions.seek(self._stands_for, _name(partition), partition.offset)

    # The group.

    def subscribe(
        self,
        topics: Sequence[str],
        on_assign: Callback | None = None,
        on_revoke: Callback | None = None,
        on_lost: Callback | None = None,
    ) -> None:
        """`on_assign` is called by the first poll, `on_revoke` when it is closed."""
        self._positions.topics = tuple(topics)
        self._on_assign, self._on_revoke = on_assign, on_revoke

    def unsubscribe(self) -> None:
        """Nothing comes of it: the schedule says what is handed out."""

    def assign(self, partitions: Sequence[Any]) -> None:
        self._positions.topics = tuple(dict.fromkeys(each.topic for each in partitions))

    incremental_assign = assign

    def unassign(self) -> None:
        """Nothing comes of it."""

    def assignment(self) -> list[Any]:
        """The partitions of which messages come."""
        return [self._partition(*each) for each in self._positions.assigned()]

    def pause(self, partitions: Sequence[Any]) -> None:
        """Nothing comes of it: what is paused may have been fetched already."""

    def resume(self, partitions: Sequence[Any]) -> None:
        """Nothing comes of it."""

    def close(self) -> None:
        if self._is_assigned and self._on_revoke is not None:
            self._on_revoke(self, self.assignment())
        self._is_assigned = False

    def __enter__(self) -> Consumer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _assign(self) -> None:
        if not self._is_assigned:
            self._is_assigned = True
            if self._on_assign is not None:
                self._on_assign(self, self.assignment())

    def _partition(self, topic: str, number: int, offset: int | None = None) -> Any:
        # As the client does, where there is none.
        offset = self._library.OFFSET_INVALID if offset is None else offset
        return self._library.TopicPartition(topic, number, offset)


def _named(message: Any, offsets: Sequence[Any] | None) -> dict[Partition, int] | None:
    """By partition the offset that is to be read next; None where neither is given."""
    if message is not None:
        return {(message.topic(), message.partition()): message.offset() + 1}
    return None if offsets is None else {(each.topic, each.partition): each.offset for each in offsets}


def _name(partition: Any) -> Partition:
    return partition.topic, partition.partition


def _is_on(config: Mapping[str, Any] | None, name: str) -> bool:
    return str((config or {}).get(name, True)).lower() not in ("false", "0", "f")
