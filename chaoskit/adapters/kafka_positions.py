"""The positions of a Kafka consumer, whichever the client: what it was given, and what it commits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaoskit.adapters.serializing import raw_headers, raw_key, raw_value
from chaoskit.execution.consumer import Source
from chaoskit.values.event import Message

Partition = tuple[str, int]
"""By its topic."""


class SoughtBack(Exception):
    """The loop has refused the record in hand, without raising."""


class Positions:
    """By topic and partition. `by_hand`: nothing is committed but by a call of the user's."""

    def __init__(self, source: Source, by_hand: bool) -> None:
        self._source, self._by_hand = source, by_hand
        self.topics: tuple[str, ...] = ()
        self._given: dict[Partition, list[Any]] = {}
        self._committed: dict[Partition, int] = {}
        self._in_hand: list[Any] = []
        self._gone_back: set[int] = set()

    def take(self) -> Message | None:
        return next(iter(self.take_several(1)), None)

    def take_several(self, most: int) -> list[Message]:
        """What comes in one call, up to so many; none when nothing is left."""
        messages = self._source.take_several(most)
        self._in_hand, self._gone_back = messages, set()
        for message in messages:
            self._given.setdefault(self._partition(message), []).append(message)
        return messages

    def _partition(self, message: Message) -> Partition:
        return self.topic(message), message.partition or 0

    def topic(self, message: Message) -> str:
        """As the user's code calls it, where it has subscribed to one."""
        one = len(self.topics) == 1 and not self.topics[0].startswith("^")
        return self.topics[0] if one else message.topic or "events"

    def assigned(self) -> list[Partition]:
        """The partitions of which messages come, of each topic that is read."""
        return [(topic, number) for topic in self.topics or ("events",) for number in self._source.assigned()]

    def next(self, partition: Partition) -> int | None:
        """The offset that is read next; None where nothing of this partition was given."""
        given = self._given.get(partition)
        return None if not given else int(given[-1].offset) + 1

    def committed(self, partition: Partition) -> int | None:
        return self._committed.get(partition)

    def all_next(self) -> dict[Partition, int]:
        """The positions of all partitions of which something was given."""
        return {partition: int(given[-1].offset) + 1 for partition, given in self._given.items() if given}

    def meant(self, offsets: Mapping[Any, Any] | None) -> dict[Partition, int]:
        """By partition, from what is given to `commit`: numbers or OffsetAndMetadata; all that was given where nothing
        is."""
        if offsets is None:
            return self.all_next()
        return {(each.topic, each.partition): int(getattr(at, "offset", at)) for each, at in offsets.items()}

    def seek(self, client: str, partition: Partition, offset: int) -> None:
        """To where it is; or back to a record in hand, which is refused by that and comes again, with those of its
        partition that came behind it in the same call. Raises a UsageError for any other place."""
        position = self.next(partition) or 0
        mine = {n: each.offset for n, each in enumerate(self._in_hand) if self._partition(each) == partition}
        if offset in mine.values():
            self._gone_back |= {n for n, at in mine.items() if at >= offset}
            self._given[partition] = [message for message in self._given[partition] if message.offset < offset]
            error = SoughtBack(f"the loop went back to offset {offset} of partition {partition[1]}")
            self._source.refused_some(error, sorted(self._gone_back), self._in_hand)
        elif offset != position:
            self._source.misused(
                f"seek to offset {offset} of partition {partition[1]}: the stand-in for {client} hands out what the "
                "schedule says. Back to a record in hand is a failed attempt, which comes again; an exception that "
                "leaves the loop ends its process, and what is not committed comes again"
            )

    def commit(self, positions: dict[Partition, int]) -> None:
        """Up to these, each the offset that is to be read next."""
        for partition, offset in positions.items():
            before = [message for message in self._given.get(partition, ()) if message.offset < offset]
            if before and self._by_hand:
                before[-1].commit()
            self._committed[partition] = offset


def parts(source: Source, message: Message) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes]], int]:
    """Key, value, headers and timestamp, in ms since the epoch, as the log has them. A value None is a tombstone."""
    value = None if message.value is None else raw_value(message.value, source.serializer)
    return raw_key(message.key), value, raw_headers(source.headers(message)), round(message.timestamp * 1000)


def decoded(deserializer: Any, data: bytes | None, topic: str = "") -> Any:
    """What a deserializer makes of it: a function of bytes, or an object with `deserialize`."""
    if deserializer is None or data is None:
        return data
    return deserializer.deserialize(topic, data) if hasattr(deserializer, "deserialize") else deserializer(data)


def size(data: bytes | None) -> int:
    """As the Java client says it: -1 of nothing."""
    return -1 if data is None else len(data)
