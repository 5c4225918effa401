"""Stage 2 of a log: one consumer group reads it. Owners, positions, commits, restarts, stalls and dead letters."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from operator import itemgetter
from typing import Literal

import attrs

from chaoskit.brokers.producer import Hold, Home, Logs
from chaoskit.event import Event
from chaoskit.faults import DeadLetter, Duplicate, Fault, Redeliver
from chaoskit.scenario import Steps
from chaoskit.schedule import Do, Raw

DELIVER, RESTART, PARK, PUT_BACK, SKIP, REFUSE = (int(do) for do in Do)

NEVER = 1 << 60

Record = tuple[int, int]
"""Partition and offset."""

Caused = list[tuple[Raw, Fault | None]]
"""Steps, each with the fault that caused it."""

Anchored = dict[int, list[Duplicate | Redeliver | DeadLetter]]
"""What goes wrong at a delivery, by the position of its event, in the order in which it fires: dead letters, then
duplicates, then redeliveries."""


_NOTHING: Caused = []
_NONE: list[Raw] = []
_POSITION = itemgetter(2)


@attrs.frozen
class Reading:
    """How the group reads: partition p belongs to consumer p % `consumers`.

    `commit_every`: after each k-th record of a process; None: after every record, unless a redelivery is pending.
    `on_error`, `max_attempts`: what happens to a record whose handler raises.
    """

    consumers: int
    commit_every: int | None
    on_error: Literal["retry", "stop", "skip"]
    max_attempts: int


class _Stall:
    """A lane that is held: it is not read before `until` deliveries, nor while it `awaits` an event.

    A stalled lane delivers nothing, so that every delivery since it began was another lane's. Several holds of one
    record begin together and all have to end. `waiting` holds those that count from an event on.
    """

    __slots__ = ("appended", "fault", "until", "waiting")

    def __init__(self, holds: Sequence[Hold], appended: float, deliveries: int) -> None:
        self.fault: Fault | None = holds[0].fault if holds else None
        self.appended = appended
        self.until = deliveries + 1 if not holds else deliveries
        self.waiting: list[Hold] = []
        for hold in holds:
            if hold.awaits is None:
                self.until = max(self.until, deliveries + hold.release)
            else:
                self.waiting.append(hold)

    def see(self, position: int, deliveries: int) -> None:
        """An event was delivered: holds that await it count from here on."""
        for hold in [hold for hold in self.waiting if hold.awaits == position]:
            self.waiting.remove(hold)
            self.until = max(self.until, deliveries + hold.release)


class _Armed:
    """A Redeliver whose message was delivered: it fires after `after` further deliveries of its consumer."""

    __slots__ = ("consumer", "fault", "since")

    def __init__(self, fault: Redeliver, consumer: int, since: int) -> None:
        self.fault = fault
        self.consumer = consumer
        self.since = since

    def left(self, history: Sequence[Raw], consumers: int) -> int:
        if consumers == 1:
            return self.fault.after - len(history) + self.since
        return self.fault.after - sum(step[1] == self.consumer for step in history[self.since :])


class Reader:
    """One run of one group over one set of logs.

    `_todo` is what is still to be read, next at the end: the unread heads in the order of their append times are
    just the unread records in that order. A stalled lane's records are put `_aside` as they come up. `_history` is
    every delivery. Most steps only move a record from one to the other; `_touched` are the positions at which more
    may happen, and `_due` is the number of deliveries at which something that waits may be due.

    `cause` is the fault behind the step that was just made; `late` the faults that delay records.
    """

    cause: Fault | None = None
    _due = NEVER
    _latest_park = 0
    _moved = False
    """Whether append times are no longer just the positions in the stream."""
    _disordered = False
    """Whether lanes have stalled, so that records were not always read in the order of their append times."""
    _some_refused = False

    def __init__(
        self,
        events: Sequence[Event],
        home: Home,
        reading: Reading,
        logs: Logs,
        anchored: Anchored,
        holds: dict[int, list[Hold]],
    ) -> None:
        self._events, self._home, self._reading, self._logs = events, home, reading, logs
        self._consumers = reading.consumers
        self._anchored, self._holds = anchored, holds
        self._todo = logs.in_order(reading.consumers)
        self._history: list[Raw] = []
        self._touched: set[int] = set(anchored)
        self._armed: list[_Armed] = []
        self._stalled: dict[int, _Stall] = {}
        self._aside: dict[int, list[Raw]] = {}
        self._parked: list[tuple[int, int, DeadLetter]] = []
        self._parks: list[tuple[int, Raw]] = []
        self._begun = [0] * reading.consumers
        self._refusals = _Refusals()
        self.late: dict[Record, Fault] = {}
        if logs.appended is not logs.partitions:
            self._moved = True
        if reading.commit_every is not None:
            self._touched.update(range(len(events)))
            self._records = [0] * reading.consumers
        if holds:
            self._expect(holds)

    def run(self) -> Steps:
        """The steps. Send True for a delivery that was refused."""
        todo, history, stalled, touched = self._todo, self._history, self._stalled, self._touched
        take, keep, anchored = todo.pop, history.append, self._anchored
        while True:
            if not todo:
                more = self._nothing_to_read()
                if more is None:
                    return
                for step, self.cause in more:
                    yield step
                continue
            step = take()
            position = step[2]
            if stalled and step[3] in stalled:
                self._aside.setdefault(step[3], []).append(step)
                continue
            caused: Caused = _NOTHING
            if position not in touched:
                refused = yield step
                keep(step)
                if refused:
                    caused = self._refused(step)
            else:
                faults = anchored.get(position)
                if faults and isinstance(faults[0], DeadLetter):
                    caused = self._park(step, faults[0])
                    del faults[0]
                else:
                    refused = yield step
                    keep(step)
                    while faults and not refused and type(faults[0]) is Duplicate:
                        self.cause = faults.pop(0)
                        refused = yield step
                        keep(step)
                    if refused:
                        caused = self._refused(step)
                    else:
                        if faults and isinstance(faults[0], Redeliver):
                            self._arm(faults[0], step[1])
                            del faults[0]
                        caused = self._processed(step)
            if caused:
                for step, self.cause in caused:
                    yield step
            if len(history) >= self._due:
                caused = self._what_is_due()
                for step, self.cause in caused:
                    yield step

    def _nothing_to_read(self) -> Caused | None:
        """What happens when no lane can be read: a stall ends, a consumer restarts, a dead letter comes back."""
        if self._stalled:
            self._end_stall(min(self._stalled, key=lambda lane: (self._stalled[lane].appended, lane)))
            return []
        if self._armed:
            return [self._fire(self._armed)]
        if self._parked:
            first = min(self._parked, key=itemgetter(0))
            self._parked.remove(first)
            return [self._put_back(first[1], first[2])]
        position = self._refusals.next_chance()
        return None if position is None else [self._put_back(position, None)]

    # After a record.

    def _processed(self, step: Raw) -> Caused:
        """The record is done: the next of its lane becomes head, and a commit may be due."""
        _, consumer, position, lane, offset = step
        if self._holds:
            self._becomes_head(lane, offset + 1)
            for stall in self._stalled.values():
                if stall.waiting:
                    stall.see(position, len(self._history))
                    self._due = min(self._due, stall.until)
        every = self._reading.commit_every
        if every is None:
            return _NOTHING
        self._records[consumer] += 1
        if self._records[consumer] < every:
            return _NOTHING
        pending = [armed for armed in self._armed if armed.consumer == consumer]
        if pending:
            return [self._fire(pending)]
        self._commit(consumer)
        return _NOTHING

    def _what_is_due(self) -> Caused:
        """Stalls that end, the restart of a pending redelivery, dead letters that come back, in this order."""
        history = self._history
        count = len(history)
        caused: Caused = []
        if self._stalled:
            for lane in [p for p, stall in self._stalled.items() if not stall.waiting and stall.until <= count]:
                self._end_stall(lane)
        if self._armed:
            consumer = history[-1][1]
            ready = [a for a in self._armed if a.consumer == consumer and a.left(history, self._consumers) <= 0]
            if ready:
                caused = [self._fire(ready)]
        if self._parked:
            for parked in [parked for parked in self._parked if parked[0] <= count]:
                self._parked.remove(parked)
                caused.append(self._put_back(parked[1], parked[2]))
        self._look_ahead(count)
        return caused

    def _look_ahead(self, count: int) -> None:
        """The least number of deliveries at which something can be due; more than there are now."""
        due = NEVER
        for stall in self._stalled.values():
            if not stall.waiting and stall.until < due:
                due = stall.until
        for parked in self._parked:
            due = min(due, parked[0])
        for armed in self._armed:
            due = min(due, count + max(1, armed.left(self._history, self._consumers)))
        self._due = due

    # Redelivery: a restart brings back what was not committed.

    def _arm(self, fault: Redeliver, consumer: int) -> None:
        count = len(self._history)
        self._armed.append(_Armed(fault, consumer, count))
        self._due = min(self._due, count + fault.after)

    def _fire(self, pending: Sequence[_Armed]) -> tuple[Raw, Fault | None]:
        armed = pending[0]
        if len(pending) > 1:
            armed = min(pending, key=lambda armed: (armed.left(self._history, self._consumers), armed.consumer))
        self._armed.remove(armed)
        return self._restart(armed.consumer, armed), armed.fault

    def _restart(self, consumer: int, fired: _Armed | None = None) -> Raw:
        """Without `commit_every` everything is committed up to the first delivery whose redelivery is pending."""
        if self._reading.commit_every is None:
            since = fired.since if fired else len(self._history) + 1
            for armed in self._armed:
                if armed.consumer == consumer and armed.since < since:
                    since = armed.since
            first = self._start_of(since - 1)
            if first >= self._begun[consumer]:
                self._begun[consumer] = first
                if self._parks:
                    self._parks = [park for park in self._parks if park[0] > first or park[1][1] != consumer]
        again = self._uncommitted(consumer)
        self._commit(consumer)
        self._back_to_read(again)
        if self._holds:
            for lane in sorted({step[3] for step in again}):
                self._becomes_head(lane, min(step[4] for step in again if step[3] == lane))
        return RESTART, consumer, -1, -1, -1

    def _start_of(self, index: int) -> int:
        """Where the first copy of this delivery stands, if it was handed over several times in place."""
        history = self._history
        while 0 < index < len(history) and history[index - 1] == history[index]:
            index -= 1
        return index

    def _uncommitted(self, consumer: int) -> list[Raw]:
        """The records that this consumer has processed since its commit, each once."""
        steps = self._history[self._begun[consumer] :]
        if self._consumers > 1 or self._some_refused:
            steps = [step for step in steps if step[1] == consumer and step[0] == DELIVER]
        if self._parks:
            steps += [step for _, step in self._parks if step[1] == consumer]
            self._disordered = True
        return list(dict.fromkeys(steps))

    def _commit(self, consumer: int) -> None:
        """What the consumer has processed is committed, or was handed over to be read again."""
        self._begun[consumer] = len(self._history)
        if self._reading.commit_every is not None:
            self._records[consumer] = 0
        if self._parks:
            self._parks = [park for park in self._parks if park[1][1] != consumer]

    def _back_to_read(self, steps: list[Raw]) -> None:
        """Put records among those still to be read, where their append times say."""
        steps.reverse()
        self._todo += steps
        if not self._disordered:
            return
        self._todo.sort(key=self._turn if self._moved else _POSITION, reverse=True)

    def _turn(self, step: Raw) -> tuple[float, int, int]:
        """When a record is read: by its append time, and then in the order of its partition."""
        _, _, _, lane, offset = step
        return self._logs.appended[lane][offset], lane, offset

    # Stalls.

    def _expect(self, holds: dict[int, list[Hold]]) -> None:
        """A hold begins when the record before it in its lane is done, or at once if it is first."""
        for position, several in holds.items():
            self._touched.update(hold.awaits for hold in several if hold.awaits is not None)
            lane, offset = self._logs.place(position)
            if offset == 0:
                self._becomes_head(lane, 0)
            else:
                self._touched.add(self._logs.partitions[lane][offset - 1])

    def _becomes_head(self, lane: int, offset: int) -> None:
        """All holds of growth begin, and one Overtake: of several, one at each time that the record becomes head."""
        log = self._logs.partitions[lane]
        if offset < len(log) and lane not in self._stalled:
            holds = self._holds.get(log[offset])
            if holds:
                begin = [hold for hold in holds if hold.awaits is not None]
                begin += [hold for hold in holds if hold.awaits is None][:1]
                self._holds[log[offset]] = [hold for hold in holds if hold not in begin]
                self._stall(lane, offset, begin)

    def _stall(self, lane: int, offset: int, holds: Sequence[Hold]) -> None:
        self._disordered = True
        stall = self._stalled[lane] = _Stall(holds, self._logs.appended[lane][offset], len(self._history))
        if not stall.waiting:
            self._due = min(self._due, stall.until)

    def _end_stall(self, lane: int) -> None:
        stall = self._stalled.pop(lane)
        waiting = self._aside.pop(lane, None)
        if waiting:
            if stall.fault is not None:
                self.late[waiting[0][3], waiting[0][4]] = stall.fault
            self._back_to_read(waiting)

    # Dead letters, and records that the handler refuses.

    def _park(self, step: Raw, fault: DeadLetter) -> Caused:
        count = len(self._history)
        self._parked.append((count + fault.after + 1, step[2], fault))
        self._parks.append((count, step))
        self._latest_park = max(self._latest_park, step[2])
        self._due = min(self._due, count + fault.after + 1)
        return [((PARK, *step[1:]), fault), *self._processed(step)]

    def _put_back(self, position: int, fault: DeadLetter | None) -> tuple[Raw, Fault | None]:
        """Append the event anew, behind everything that was appended by now; what comes later moves up by one."""
        now = max(self._latest_park, max(map(_POSITION, self._history), default=0))
        lane = self._home(self._events[position].key, position, self._logs.counts[now])
        offset = bisect_right(self._logs.appended[lane], now + 0.5)
        self._logs = self._logs.inserted(lane, offset, position, now + 0.5)
        self._moved = True
        for steps in (self._todo, self._aside.get(lane, _NONE)):
            for i, step in enumerate(steps):
                if step[3] == lane and step[4] >= offset:
                    steps[i] = (*step[:4], step[4] + 1)
        consumer = lane % self._consumers
        turn, place = self._turn, len(self._todo)
        made = (DELIVER, consumer, position, lane, offset)
        while place and turn(self._todo[place - 1]) < turn(made):
            place -= 1
        self._todo.insert(place, made)
        if offset and self._holds.get(position):
            self._touched.add(self._logs.partitions[lane][offset - 1])
        return (PUT_BACK, consumer, position, lane, offset), fault

    def _refused(self, step: Raw) -> Caused:
        _, consumer, position, lane, offset = step
        if self._reading.on_error == "skip":
            return [((SKIP, consumer, position, lane, offset), None), *self._processed(step)]
        if self._refusals.count((lane, offset)) < self._reading.max_attempts:
            return self._again(step)
        do = PARK if self._refusals.give_up(position, (lane, offset)) else REFUSE
        return [((do, consumer, position, lane, offset), None), *self._processed(step)]

    def _again(self, step: Raw) -> Caused:
        """The record is read again: by a new process, or after one delivery of another lane if there is one."""
        _, consumer, _, lane, offset = step
        self._some_refused = True
        copy = len(self._history) - 1
        while copy >= 0 and self._history[copy] in (step, (REFUSE, *step[1:])):
            self._history[copy] = (REFUSE, *step[1:])
            copy -= 1
        if self._reading.on_error == "stop":
            self._todo.append(step)
            return [(self._restart(consumer), None)]
        if any(other[3] != lane for other in reversed(self._todo)):
            self._stall(lane, offset, ())
        self._todo.append(step)
        return []


class _Refusals:
    """How often each record was refused, and which events are put back once more."""

    def __init__(self) -> None:
        self._attempts: dict[Record, int] = {}
        self._given_up: list[int] = []
        self._last_chance: set[int] = set()

    def count(self, record: Record) -> int:
        attempts = self._attempts[record] = self._attempts.get(record, 0) + 1
        return attempts

    def give_up(self, position: int, record: Record) -> bool:
        """Whether the event gets another chance once nothing else is left."""
        self._attempts[record] = 0
        if position in self._last_chance:
            return False
        self._given_up.append(position)
        return True

    def next_chance(self) -> int | None:
        if not self._given_up:
            return None
        position = self._given_up.pop(0)
        self._last_chance.add(position)
        return position
