"""Stage 1 of a log: route the events to partitions and send them, with the retries of a real producer."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal, NamedTuple

import attrs

from chaoskit.models.turns import Turn, sent_anew
from chaoskit.values.event import Event
from chaoskit.values.faults import BatchSwap, Fault, Rehash, Resend
from chaoskit.values.schedule import Raw

Home = Callable[[Any, int, int], int]
"""From a key, the event's position and the partition count to a partition."""


class Hold(NamedTuple):
    """A lane that stalls: `release` counts deliveries of other partitions, after `awaits` was delivered if set."""

    fault: Fault
    release: int
    awaits: int | None = None


Stamp = Literal["sender", "broker", "application"]
"""Who writes a message's timestamp, and so when a copy has a new one: the client that sends it, but not where it only
tries again; the broker, each time; or the application, once."""


Headers = Callable[[str, Raw, float], dict[str, Any]]
"""From the topic, a raw step of what was set aside and the epoch to the headers of that message."""


def sent_at(step: Raw, stamp: Stamp, retries_copy: bool, epoch: float) -> float:
    """The timestamp that the message of this raw step carries."""
    same = len(step) < 7 or _keeps_its_time(step, stamp, retries_copy)
    # Events are sent a second apart, and a copy halfway to the next one.
    return epoch + step[2] if same else epoch + step[6] + 0.5


def is_stamped_anew(step: Raw, stamp: Stamp, retries_copy: bool, last: int) -> bool:
    """Whether this copy has a time that only the whole run knows: it was sent behind the last event. Else it lies
    between two events that were sent in one second."""
    return step[6] == last and not _keeps_its_time(step, stamp, retries_copy)


def _keeps_its_time(step: Raw, stamp: Stamp, retries_copy: bool) -> bool:
    # Only copies have a seventh entry. A client's own retry is the same record, with its time; what was set aside
    # (step[8]) is published as a new one.
    return stamp == "application" or (stamp == "sender" and retries_copy and step[8] < 0)


_NOBODY: Turn = (0, 0, 0, (0, 0, 0, 0, 0))


class Logs:
    """What the producers wrote.

    `partitions[p]` lists the positions in the stream, in log order; `appended[p]` the append time of each record:
    the highest position up to it. `counts[i]` is the number of partitions when event i was sent. `holds` are the
    stalls that growth brings, by the position of the record that they keep back; `notes` says which fault put an
    event where it is; `copies` which faults sent an event again, in order.
    """

    __slots__ = ("_order", "_places", "appended", "copies", "counts", "holds", "notes", "partitions")

    def __init__(self, partitions: list[list[int]], appended: Sequence[Sequence[float]], counts: Sequence[int]) -> None:
        self.partitions, self.appended, self.counts = partitions, appended, counts
        self.holds: dict[int, list[Hold]] = {}
        self.notes: dict[int, Fault] = {}
        self.copies: dict[int, list[Fault]] = {}
        self._order: list[Turn] | None = None
        self._places: dict[int, tuple[int, int]] = {}

    def in_order(self, consumers: int) -> list[Turn]:
        """The deliveries of all records in the order of their append times, the first at the end of the list."""
        if self._order is None:
            # The same list, where nothing was sent otherwise: then positions are times.
            self._order = self._plain(consumers) if self.appended is self.partitions else self._swapped(consumers)
        # A copy, as each run takes turns off its end.
        return self._order[:]

    def _plain(self, consumers: int) -> list[Turn]:
        """Every record was appended when it was produced."""
        turns: list[Turn] = [_NOBODY] * len(self.counts)
        for lane, log in enumerate(self.partitions):
            if log:
                consumer = lane % consumers
                for offset, position in enumerate(log):
                    # Each position comes once and knows its place, so that nothing has to be sorted.
                    turns[-1 - position] = position, lane, offset, (0, consumer, position, lane, offset)
        return turns

    def _swapped(self, consumers: int) -> list[Turn]:
        turns: list[Turn] = []
        for lane, log in enumerate(self.partitions):
            seen: set[int] = set()
            for offset, (position, time) in enumerate(zip(log, self.appended[lane], strict=True)):
                step: Raw = (0, lane % consumers, position, lane, offset)
                # Times end in a half where the application sent again: the first record may lie in another partition.
                if position in seen or time % 1:
                    step = (*step, *sent_anew(time))
                seen.add(position)
                turns.append((time, lane, offset, step))
        turns.sort(reverse=True)
        return turns

    def place(self, position: int) -> tuple[int, int]:
        """The partition and the offset of an event's own record, the first of several."""
        # All at once, at the first question: most runs have no holds and ask for none.
        if position not in self._places:
            for lane, log in enumerate(self.partitions):
                for offset, record in enumerate(log):
                    self._places.setdefault(record, (lane, offset))
        return self._places[position]

    def hold(self, lane: int, position: int, growth: Rehash) -> None:
        """Keep back the last `backlog`+1 records that this partition got before the event that grew the topic."""
        log = self.partitions[lane]
        older = [offset for offset, record in enumerate(log) if record < position]
        # Backlog is counted in events: a second record of one is none of its own. Mostly there is none.
        if len(set(log)) < len(log):
            older = [offset for offset in older if log.index(log[offset]) == offset]
        if older:
            first = older[-(growth.backlog + 1) :][0]
            # The hold is here, even where a copy of this event lies in another partition.
            self._places[log[first]] = lane, first
            self.holds.setdefault(log[first], []).append(Hold(growth, growth.by, position))

    def inserted(self, lane: int, offset: int, position: int, time: float) -> Logs:
        """These logs with one more record; what lies at and behind `offset` moves up."""
        # The outer lists are copied and the lane is made anew: the calm logs are shared by all runs of a stream.
        partitions, appended = list(self.partitions), list(self.appended)
        partitions[lane] = [*partitions[lane][:offset], position, *partitions[lane][offset:]]
        appended[lane] = [*appended[lane][:offset], time, *appended[lane][offset:]]
        return Logs(partitions, appended, self.counts)


class Homes:
    """The partition of each event of one stream, by the number of partitions."""

    def __init__(self, events: Sequence[Event], home: Home) -> None:
        self._events, self._home = events, home
        self._at: dict[int, list[int]] = {}
        self._of_key: dict[Hashable, list[int]] = {}
        for position, event in enumerate(events):
            self._of_key.setdefault(event.key, []).append(position)

    def at(self, count: int) -> list[int]:
        # The same few counts come again in plan after plan.
        if count not in self._at:
            self._at[count] = [self._home(event.key, i, count) for i, event in enumerate(self._events)]
        return self._at[count]

    def has_key(self, position: int) -> bool:
        return self._events[position].key is not None

    def followers(self, position: int) -> list[int]:
        """The later events of the same key."""
        own = self._of_key[self._events[position].key]
        return own[bisect_right(own, position) :]


@attrs.frozen
class Producer:
    """How records are sent: `batch_size` records a batch, up to `max_in_flight` batches unanswered.

    `retries_copy`: a retry of what was written, but whose answer was lost, is written again, with all that was in
    flight; else only the application sends again, alone and to the end of the log.
    """

    home: Home
    partitions: int
    batch_size: int = 1
    max_in_flight: int = 1
    newest_first: bool = False
    retries_copy: bool = False

    def write(
        self,
        homes: Homes,
        rehashes: Sequence[tuple[int, Rehash]] = (),
        swaps: Sequence[tuple[int, BatchSwap | Resend]] = (),
    ) -> Logs:
        """Route and send the stream. Faults come with the position of their event, in the order of positions."""
        resends: list[tuple[int, Resend]] = []
        if not self.retries_copy:
            resends = [(position, fault) for position, fault in swaps if isinstance(fault, Resend)]
            swaps = [(position, fault) for position, fault in swaps if not isinstance(fault, Resend)]
        routes, counts, old_homes = _route(homes, self.partitions, rehashes)
        # An empty stream has no counts.
        partitions: list[list[int]] = [[] for _ in range(counts[-1] if counts else self.partitions)]
        for position, partition in enumerate(routes):
            partitions[partition].append(position)
        logs = self._sent(partitions, routes, counts, swaps) if swaps else Logs(partitions, partitions, counts)
        # After the batches, whose order decides where a later time falls in a log.
        if resends:
            logs = self._sent_again(logs, homes, resends)
        if old_homes:
            for position, fault in rehashes:
                if position in old_homes:
                    logs.notes[position] = fault
                    logs.hold(old_homes[position], position, fault)
        return logs

    def _sent(
        self,
        partitions: list[list[int]],
        routes: Sequence[int],
        counts: Sequence[int],
        swaps: Sequence[tuple[int, BatchSwap | Resend]],
    ) -> Logs:
        notes: dict[int, Fault] = {}
        copies: dict[int, list[Fault]] = {}
        appended: list[Sequence[float]] = list(partitions)
        # In any order: no partition depends on another one.
        for partition in {routes[position] for position, _ in swaps}:
            batches = _batches(partitions[partition], self.batch_size)
            failing = _failing(batches, swaps)
            again: dict[int, list[Fault]] = {}
            sent = send(batches, failing, self.max_in_flight, self.newest_first, again)
            partitions[partition] = [position for batch in sent for position in batches[batch]]
            appended[partition] = _append_times(partitions[partition])
            for batch in _displaced(sent):
                # A Resend puts copies behind later batches, but displaces nothing.
                swap = next((fault for fault in failing.get(batch, ()) if isinstance(fault, BatchSwap)), None)
                if swap is not None:
                    notes.update(dict.fromkeys(batches[batch], swap))
            copies |= {position: faults for batch, faults in again.items() for position in batches[batch]}
        logs = Logs(partitions, appended, counts)
        logs.notes.update(notes)
        logs.copies.update(copies)
        return logs

    def _sent_again(self, logs: Logs, homes: Homes, resends: Sequence[tuple[int, Resend]]) -> Logs:
        """The application sends events again, `after` events later, or at the end."""
        last = len(logs.counts) - 1
        # In the order of sending, as each insertion moves up what lies behind it.
        for sent, position, fault in sorted((min(last, p + fault.after), p, fault) for p, fault in resends):
            # Routed anew: by then the topic may have grown.
            lane, time = homes.at(logs.counts[sent])[position], sent + 0.5
            grown = logs.inserted(lane, bisect_right(logs.appended[lane], time), position, time)
            grown.notes, grown.copies = logs.notes, logs.copies
            grown.copies.setdefault(position, []).append(fault)
            logs = grown
        return logs


def _route(
    homes: Homes, count: int, rehashes: Sequence[tuple[int, Rehash]]
) -> tuple[list[int], list[int], dict[int, int]]:
    """The partition of each event, the count at each event, and the old home of each event whose key moved.

    Where the topic grows again at an event of the same key and moves it, an earlier lag ends.
    """
    routes = homes.at(count)
    size = len(routes)
    counts = [count] * size
    old_homes: dict[int, int] = {}
    if not rehashes:
        return routes, counts, old_homes
    # `homes` keeps its list for other plans.
    routes = routes[:]
    lagging: dict[int, int] = {}
    for position, fault in rehashes:
        before = homes.at(count)
        # Partitions are added to a topic, never taken away.
        count = max(count, fault.to)
        after = homes.at(count)
        routes[position:] = after[position:]
        counts[position:] = [count] * (size - position)
        # Without a key it is spread anyway, and has no home that could move.
        if homes.has_key(position) and before[position] != after[position]:
            old_homes[position] = before[position]
            followers = homes.followers(position)
            lagging = {later: old for later, old in lagging.items() if later != position and later not in followers}
            lagging.update((later, before[later]) for later in followers[: fault.lag])
    # Last, because each growth above reroutes all later events.
    for later, old in lagging.items():
        routes[later] = old
    return routes, counts, old_homes


Failing = dict[int, list[BatchSwap | Resend]]
"""What goes wrong with the attempts to send a batch, by its number."""


def _batches(log: list[int], size: int) -> list[list[int]]:
    return [log[i : i + size] for i in range(0, len(log), size)]


def _failing(batches: list[list[int]], swaps: Sequence[tuple[int, BatchSwap | Resend]]) -> Failing:
    batch_of = {position: number for number, batch in enumerate(batches) for position in batch}
    failing: Failing = {}
    for position, fault in swaps:
        # The others belong to other partitions.
        if position in batch_of:
            failing.setdefault(batch_of[position], []).append(fault)
    return failing


def send(
    batches: Sequence[object], failing: Failing, max_in_flight: int, newest_first: bool, again: dict[int, list[Fault]]
) -> list[int]:
    """The numbers of the batches of one partition in the order in which the broker accepts them.

    The oldest batch in flight is answered first. The k-th BatchSwap of a batch fails its k-th answered attempt,
    once the window behind it is filled to `over`+1 batches. A Resend loses the answer: the batch and the `after` in
    flight behind it are written, and sent `again`. Source: Kafka `RecordAccumulator.reenqueue` (Java puts
    a retried batch at the head of its queue), librdkafka `rd_kafka_msgq_insert_msgq` (in order of sequence).
    """
    queue = list(range(len(batches)))
    in_flight: list[int] = []
    accepted: list[int] = []
    # Copied, because the caller reads `failing` once more, for what moved a batch.
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
        _fill(in_flight, queue, min(_behind(fault), max_in_flight - 1))
        # Losing the connection fails every request on it; an error answers only one.
        returning = in_flight if isinstance(fault, Resend) or fault.lost else [oldest]
        if isinstance(fault, Resend):
            accepted += in_flight
            for batch in in_flight:
                again.setdefault(batch, []).append(fault)
        in_flight = [batch for batch in in_flight if batch not in returning]
        # Each in turn to the head, so that the newest ends up first.
        queue[:0] = reversed(returning)
        if not newest_first:
            queue.sort()
    return accepted


def _behind(fault: BatchSwap | Resend) -> int:
    """How many batches are sent behind the one that fails so, before that is answered."""
    return fault.after if isinstance(fault, Resend) else fault.over + 1


def _fill(in_flight: list[int], queue: list[int], behind: int) -> None:
    """Send until so many batches are in flight behind the oldest, which takes up a place of its own."""
    while queue and len(in_flight) - 1 < behind:
        in_flight.append(queue.pop(0))


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
