"""`kafka.KafkaConsumer` of kafka-python: `with deliver.consumer(KafkaConsumer, "orders") as consumer`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chaoskit.adapters.installed import library
from chaoskit.adapters.kafka_group import GroupConsumer
from chaoskit.adapters.kafka_positions import decoded, parts, size
from chaoskit.execution.consumer import Source
from chaoskit.values.event import Message

PACKAGE = "kafka-python"
CREATE_TIME = 0
"""When it was sent, and not when it was stored."""


def record_of(
    source: Source, message: Message, topic: str, key_deserializer: Any = None, value_deserializer: Any = None
) -> Any:
    """A `kafka.consumer.fetcher.ConsumerRecord`, with the fields that the installed version has."""
    key, value, headers, timestamp = parts(source, message)
    fields: dict[str, Any] = {
        "topic": topic, "partition": message.partition, "leader_epoch": 0, "offset": message.offset,
        "timestamp": timestamp, "timestamp_type": CREATE_TIME, "headers": headers, "checksum": None,
        "key": decoded(key_deserializer, key, topic), "serialized_key_size": size(key),
        "value": decoded(value_deserializer, value, topic), "serialized_value_size": size(value),
        "serialized_header_size": sum(len(name) + len(data) for name, data in headers) or -1,
    }  # fmt: skip
    kind = library("kafka.consumer.fetcher", PACKAGE).ConsumerRecord
    return kind(**{name: fields.get(name) for name in kind._fields})


class KafkaConsumer(GroupConsumer):
    """With `enable_auto_commit`, which is the default, a record is committed when the loop asks for the next one;
    without it by `commit` alone."""

    _stands_for = "kafka.KafkaConsumer"

    def __init__(self, source: Source, *topics: str, **config: Any) -> None:
        super().__init__(source, *topics, **config)
        self._library = library("kafka", PACKAGE)

    # Messages.

    def __iter__(self) -> KafkaConsumer:
        return self

    def __next__(self) -> Any:
        record = self._record()
        if record is None:
            raise StopIteration
        return record

    def poll(
        self, timeout_ms: int = 0, max_records: int | None = None, update_offsets: bool = True
    ) -> dict[Any, list[Any]]:
        """The next records by their partitions, up to so many in all; none when nothing is left."""
        records = self._records(max_records)
        if not records:
            self._source.idle()
        return self._by_partition(records, self._library.TopicPartition)

    def _record(self) -> Any:
        return next(iter(self._records(1)), None)

    def _records(self, most: int | None) -> list[Any]:
        for _ in self._joins():
            pass
        return [
            record_of(self._source, message, self._positions.topic(message), *self._deserializers)
            for message in self._positions.take_several(most or self._most)
        ]

    def close(self, autocommit: bool = True, timeout_ms: int | None = None) -> None:
        """It has nothing open. A listener is told, since the client does that (3.0)."""
        coordinator = library("kafka.coordinator.consumer", PACKAGE).ConsumerCoordinator
        if self._has_joined and self._listener is not None and hasattr(coordinator, "_on_close_prepare_async"):
            self._listener.on_partitions_revoked(self.assignment())
        self._has_joined = False

    def __enter__(self) -> KafkaConsumer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # Positions.

    def commit(self, offsets: Mapping[Any, Any] | None = None, timeout_ms: int | None = None) -> None:
        """Of these partitions up to these offsets, or of all that was handed out."""
        self._positions.commit(self._positions.meant(offsets))

    def commit_async(
        self, offsets: Mapping[Any, Any] | None = None, callback: Callable[[Any, Any], Any] | None = None
    ) -> Any:
        """The same. `callback` is called at once, with None for the broker's answer; the client's Future is done."""
        positions = self._positions.meant(offsets)
        self._positions.commit(positions)
        if callback is not None:
            callback(offsets or {self._library.TopicPartition(*each): _at(positions[each]) for each in positions}, None)
        return library("kafka.future", PACKAGE).Future().success(None)

    def committed(self, partition: Any, metadata: bool = False, timeout_ms: int | None = None) -> int | None:
        return self._positions.committed((partition.topic, partition.partition))

    def position(self, partition: Any, timeout_ms: int | None = None) -> int:
        return self._positions.next((partition.topic, partition.partition)) or 0

    # The group.

    def subscription(self) -> set[str]:
        return set(self._positions.topics)

    def assignment(self) -> set[Any]:
        """The partitions of which messages come."""
        return {self._library.TopicPartition(*each) for each in self._positions.assigned()}


def _at(offset: int) -> Any:
    """An `OffsetAndMetadata`, with the fields that the installed version has."""
    kind = library("kafka", PACKAGE).OffsetAndMetadata
    return kind(*({"offset": offset, "metadata": "", "leader_epoch": -1}[name] for name in kind._fields))
