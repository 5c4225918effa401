"""A stream as stage 1 stores it without faults, and what could go wrong while it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from chaoskit.models.producer import Homes, Logs, Producer
from chaoskit.values.event import Event, EventId, Stream
from chaoskit.values.faults import BatchSwap, Fault, Rehash, Resend

Growth = Callable[[Any], Sequence[int]]
"""From a key to the numbers of partitions to which the topic may grow so that the key moves, the least first."""


class Stored:
    """One stream in the partitions, shards or queues of one broker."""

    def __init__(self, stream: Stream, producer: Producer, growth: Growth | None) -> None:
        self.stream = stream
        self.position: dict[EventId, int] = {id_: i for i, id_ in enumerate(stream.ids)}
        self.homes = Homes(stream.events, producer.home)
        # Once for all plans, most of which change nothing about how the stream is sent.
        self.calm = producer.write(self.homes)
        self.producer, self._growth = producer, growth
        self._lane_of = {i: p for p, log in enumerate(self.calm.partitions) for i in log}
        self.rank = {i: n for log in self.calm.partitions for n, i in enumerate(log)}

    def lane(self, position: int) -> list[int]:
        """The partition that holds this event."""
        return self.calm.partitions[self._lane_of[position]]

    def lanes(self) -> list[list[int]]:
        """The partitions as they are before any growth. Events without a key have no order: each is its own lane,
        unless there is one partition only."""
        lanes: list[list[int]] = []
        for log in self.calm.partitions:
            keyed: list[int] = []
            alone: list[list[int]] = []
            for i in log:
                if self.producer.partitions == 1 or self.has_home(self.stream[i]):
                    keyed.append(i)
                else:
                    alone.append([i])
            lanes += [keyed, *alone] if keyed else alone
        return lanes

    def has_home(self, event: Event) -> bool:
        home, count = self.producer.home, self.producer.partitions
        # Only what is spread goes by its position, and then neighbours differ.
        return home(event.key, 0, count) == home(event.key, 1, count)

    def batches_behind(self, position: int) -> int:
        """How many batches are sent to the partition of this event after its own."""
        size = self.producer.batch_size
        # Batches are in flight, not records.
        return (len(self.lane(position)) - 1) // size - self.rank[position] // size

    def growth(self, position: int) -> Sequence[int]:
        """The numbers of partitions to which the topic may grow so that this event's key moves, the least first."""
        event = self.stream[position]
        return self._growth(event.key) if self._growth is not None and self.has_home(event) else ()

    def written(self, faults: Iterable[Fault]) -> Logs:
        """The logs under the producer's faults among these."""
        rehashes: list[tuple[int, Rehash]] = []
        sends: list[tuple[int, BatchSwap | Resend]] = []
        for fault in faults:
            if isinstance(fault, Rehash):
                rehashes.append((self.position[fault.at], fault))
            elif isinstance(fault, (BatchSwap, Resend)):
                sends.append((self.position[fault.at], fault))
        if not rehashes and not sends:
            return self.calm
        return self.producer.write(self.homes, sorted(rehashes), sorted(sends, key=_sending_order))


def _sending_order(sent: tuple[int, BatchSwap | Resend]) -> tuple[int, bool, int]:
    position, fault = sent
    if isinstance(fault, Resend):
        return position, True, fault.after
    # `over` counts first, then `lost`: the mildest fails the first attempt.
    return position, False, 2 * fault.over + fault.lost
