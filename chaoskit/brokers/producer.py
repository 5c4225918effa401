"""Stage 1 of a log: route the events to partitions and send them, with the retries of a real producer."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import attrs

from chaoskit.event import Event
from chaoskit.faults import BatchSwap, Fault, Rehash
from chaoskit.schedule import Raw

Home = Callable[[Any, int, int], int]
"""From a key, the event's position and the partition count to a partition."""


@attrs.frozen
class Hold:
    """A lane that stalls: `release` counts deliveries of other partitions, after `awaits` was delivered if set."""

    fault: Fault
    release: int
    awaits: int | None = None


@attrs.frozen
class Logs:
    """What the producers wrote.

    `partitions[p]` lists the positions in the stream, in log order; `appended[p]` the append time of each record:
    the highest position up to it. `counts[i]` is the number of partitions when event i was sent. `holds` are the
    stalls that growth brings, by the position of the record that they keep back; `notes` says which fault put an
    event where it is.
    """

    partitions: list[list[int]]
    appended: list[list[float]]
    counts: list[int]
    holds: dict[int, Hold] = attrs.field(factory=dict)
    notes: dict[int, Fault] = attrs.field(factory=dict)
    _order: dict[int, list[Raw]] = attrs.field(factory=dict)

    def in_order(self, consumers: int) -> list[Raw]:
        """The deliveries of all records in the order of their append times, the first at the end of the list."""
        steps = self._order.get(consumers)
        if steps is None:
            timed = [
                (time, lane, offset, position)
                for lane, log in enumerate(self.partitions)
                for offset, (position, time) in enumerate(zip(log, self.appended[lane], strict=True))
            ]
            timed.sort(reverse=True)
            steps = [(0, lane % consumers, position, lane, offset) for _, lane, offset, position in timed]
            self._order[consumers] = steps
        return steps[:]

    def inserted(self, lane: int, offset: int, position: int, time: float) -> Logs:
        """These logs with one more record; what lies at and behind `offset` moves up."""
        partitions, appended = list(self.partitions), list(self.appended)
        partitions[lane] = [*partitions[lane][:offset], position, *partitions[lane][offset:]]
        appended[lane] = [*appended[lane][:offset], time, *appended[lane][offset:]]
        return Logs(partitions, appended, self.counts)


def write(
    events: Sequence[Event],
    home: Home,
    count: int,
    *,
    rehashes: Sequence[tuple[int, Rehash]] = (),
    swaps: Sequence[tuple[int, BatchSwap]] = (),
    batch_size: int = 1,
    max_in_flight: int = 5,
    newest_first: bool = True,
) -> Logs:
    """Route and send the stream. Faults come with the position of their event, in the order of positions."""
    routes, counts, old_homes = _route(events, home, count, rehashes)
    partitions: list[list[int]] = [[] for _ in range(counts[-1] if counts else count)]
    for position, partition in enumerate(routes):
        partitions[partition].append(position)
    notes: dict[int, Fault] = {}
    for partition in sorted({routes[position] for position, _ in swaps}):
        batches = _batches(partitions[partition], batch_size)
        failing = _failing(batches, swaps)
        sent = send(batches, failing, max_in_flight, newest_first)
        partitions[partition] = [position for batch in sent for position in batches[batch]]
        for batch in _displaced(sent):
            if batch in failing:
                notes.update(dict.fromkeys(batches[batch], failing[batch][0]))
    holds = _holds(partitions, old_homes, rehashes)
    notes.update({position: fault for position, fault in rehashes if position in old_homes})
    return Logs(partitions, [_append_times(log) for log in partitions], counts, holds, notes)


def _route(
    events: Sequence[Event], home: Home, count: int, rehashes: Sequence[tuple[int, Rehash]]
) -> tuple[list[int], list[int], dict[int, int]]:
    """The partition of each event, the count at each event, and the old home of each event whose key moved."""
    growth: dict[int, list[Rehash]] = {}
    for position, fault in rehashes:
        growth.setdefault(position, []).append(fault)
    lagging: dict[Hashable, tuple[int, int]] = {}
    routes, counts, old_homes = [], [], {}
    for position, event in enumerate(events):
        key = event.key
        grown = growth.get(position, ())
        for fault in grown:
            before, count = count, max(count, fault.to)
            old = home(key, position, before)
            if key is not None and old != home(key, position, count):
                old_homes[position] = old
                lagging[key] = (fault.lag, before)
        left, old_count = lagging.get(key, (0, count))
        if left and not grown:
            lagging[key] = (left - 1, old_count)
            routes.append(home(key, position, old_count))
        else:
            routes.append(home(key, position, count))
        counts.append(count)
    return routes, counts, old_homes


def _batches(log: list[int], size: int) -> list[list[int]]:
    return [log[i : i + size] for i in range(0, len(log), size)]


def _failing(batches: list[list[int]], swaps: Sequence[tuple[int, BatchSwap]]) -> dict[int, list[BatchSwap]]:
    batch_of = {position: number for number, batch in enumerate(batches) for position in batch}
    failing: dict[int, list[BatchSwap]] = {}
    for position, fault in swaps:
        if position in batch_of:
            failing.setdefault(batch_of[position], []).append(fault)
    return failing


def send(
    batches: Sequence[object], failing: dict[int, list[BatchSwap]], max_in_flight: int, newest_first: bool
) -> list[int]:
    """The numbers of the batches of one partition in the order in which the broker accepts them.

    The oldest batch in flight is answered first. The k-th BatchSwap of a batch fails its k-th answered attempt,
    once the window behind it is filled to `over`+1 batches. Source: Kafka `RecordAccumulator.reenqueue` (Java puts
    a retried batch at the head of its queue), librdkafka `rd_kafka_msgq_insert_msgq` (in order of sequence).
    """
    queue, in_flight, accepted = list(range(len(batches))), [], []
    left = {batch: list(faults) for batch, faults in failing.items()}
    while queue or in_flight:
        if not in_flight:
            in_flight.append(queue.pop(0))
        oldest = in_flight[0]
        faults = left.get(oldest)
        if not faults:
            accepted.append(in_flight.pop(0))
            continue
        fault = faults.pop(0)
        while queue and len(in_flight) - 1 < min(fault.over + 1, max_in_flight - 1):
            in_flight.append(queue.pop(0))
        returning = in_flight if fault.lost else [oldest]
        in_flight = [batch for batch in in_flight if batch not in returning]
        queue[:0] = reversed(returning)
        if not newest_first:
            queue.sort()
    return accepted


def _displaced(sent: list[int]) -> list[int]:
    """The batches that stand behind one that was produced after them."""
    late, highest = [], -1
    for batch in sent:
        if batch < highest:
            late.append(batch)
        highest = max(highest, batch)
    return late


def _append_times(log: list[int]) -> list[float]:
    times: list[float] = []
    highest = -1
    for position in log:
        highest = max(highest, position)
        times.append(highest)
    return times


def _holds(
    partitions: list[list[int]], old_homes: dict[int, int], rehashes: Sequence[tuple[int, Rehash]]
) -> dict[int, Hold]:
    holds: dict[int, Hold] = {}
    for position, fault in rehashes:
        if position in old_homes:
            older = [record for record in partitions[old_homes[position]] if record < position]
            if older:
                first = older[-(fault.backlog + 1) :][0]
                holds.setdefault(first, Hold(fault, fault.by, position))
    return holds
