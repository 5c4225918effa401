"""`aiokafka.AIOKafkaConsumer`: `async with deliver.consumer(AIOKafkaConsumer, "orders") as consumer`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from chaoskit.adapters.installed import library
from chaoskit.adapters.kafka_group import GroupConsumer
from chaoskit.adapters.kafka_positions import decoded, parts, size
from chaoskit.execution.consumer import Source
from chaoskit.execution.stopped_task import StoppedTask
from chaoskit.values.event import Message

CREATE_TIME = 0
"""When it was sent, and not when it was stored."""


def record_of(
    source: Source, message: Message, topic: str, key_deserializer: Any = None, value_deserializer: Any = None
) -> Any:
    """An `aiokafka.ConsumerRecord`."""
    key, value, headers, timestamp = parts(source, message)
    return library("aiokafka", "aiokafka").ConsumerRecord(
        topic=topic, partition=message.partition, offset=message.offset,
        timestamp=timestamp, timestamp_type=CREATE_TIME, checksum=None, headers=tuple(headers),
        key=decoded(key_deserializer, key), serialized_key_size=size(key),
        value=decoded(value_deserializer, value), serialized_value_size=size(value),
    )  # fmt: skip


class AIOKafkaConsumer(GroupConsumer):
    """With `enable_auto_commit`, which is the default, a record is committed when the loop asks for the next one;
    without it by `commit` alone."""

    _stands_for = "aiokafka.AIOKafkaConsumer"

    def __init__(self, source: Source, *topics: str, **config: Any) -> None:
        super().__init__(source, *topics, **config)
        self._library = library("aiokafka", "aiokafka")

    # Messages.

    async def start(self) -> None:
        """It has no broker to connect to."""

    async def stop(self) -> None:
        """It has nothing open."""

    async def getone(self, *partitions: Any) -> Any:
        """The next record; when nothing is left, the task is cancelled."""
        record = await self._record()
        if record is None:
            raise StoppedTask
        return record

    async def getmany(
        self, *partitions: Any, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[Any, list[Any]]:
        """The next records by their partitions, up to so many in all; none when nothing is left."""
        records = await self._records(max_records)
        if not records:
            self._source.idle(StoppedTask)
        return self._by_partition(records, self._library.TopicPartition)

    def __aiter__(self) -> AIOKafkaConsumer:
        return self

    async def __anext__(self) -> Any:
        record = await self._record()
        if record is None:
            raise StopAsyncIteration
        return record

    async def __aenter__(self) -> AIOKafkaConsumer:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    async def _record(self) -> Any:
        return next(iter(await self._records(1)), None)

    async def _records(self, most: int | None) -> list[Any]:
        for result in self._joins():
            if inspect.isawaitable(result):
                await result
        return [
            record_of(self._source, message, self._positions.topic(message), *self._deserializers)
            for message in self._positions.take_several(most or self._most)
        ]

    # Positions.

    async def commit(self, offsets: Mapping[Any, Any] | None = None) -> None:
        """Of these partitions up to these offsets, or of all that was handed out."""
        self._positions.commit(self._positions.meant(offsets))

    async def committed(self, partition: Any) -> int | None:
        return self._positions.committed((partition.topic, partition.partition))

    async def position(self, partition: Any) -> int:
        return self._positions.next((partition.topic, partition.partition)) or 0

    # The group.

    def subscription(self) -> frozenset[str]:
        return frozenset(self._positions.topics)

    def assignment(self) -> frozenset[Any]:
        """The partitions of which messages come."""
        return frozenset(self._library.TopicPartition(*each) for each in self._positions.assigned())
