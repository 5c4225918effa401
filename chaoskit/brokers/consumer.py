"""Stage 2 of a log: one consumer group reads it. Owners, positions, commits, restarts, stalls and dead letters."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Literal

import attrs

from chaoskit.brokers.producer import Hold, Home, Logs
from chaoskit.event import Event
from chaoskit.faults import DeadLetter, Duplicate, Fault, Redeliver
from chaoskit.scenario import Steps
from chaoskit.schedule import Do, Raw

DELIVER, RESTART, PARK, PUT_BACK, SKIP, REFUSE = (int(do) for do in Do)

Notes = list[tuple[int, Fault]]
Caused = list[tuple[Raw, Fault | None]]
"""Steps, each with the fault that caused it."""


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


@attrs.define(eq=False)
class Plan:
    """The faults of one run, by the position of their event. Each fires once and is taken out as it fires."""

    duplicates: dict[int, list[Duplicate]] = attrs.field(factory=dict)
    redeliveries: dict[int, list[Redeliver]] = attrs.field(factory=dict)
    dead_letters: dict[int, list[DeadLetter]] = attrs.field(factory=dict)
    holds: dict[int, list[Hold]] = attrs.field(factory=dict)

    def anchors(self) -> set[int]:
        """Where something happens at a delivery."""
        return {*self.duplicates, *self.redeliveries, *self.dead_letters}


class _Stall:
    """A hold that has begun: its lane is not read until `release` deliveries of others, after `awaits`."""

    __slots__ = ("appended", "awaits", "fault", "overtaken", "release")

    def __init__(self, hold: Hold | None, appended: float) -> None:
        self.fault = hold.fault if hold else None
        self.release = hold.release if hold else 1
        self.awaits = hold.awaits if hold else None
        self.appended = appended
        self.overtaken = False

    def ends_with(self, position: int, appended: float) -> bool:
        """Another lane delivered this record. Whether that ends the stall."""
        if appended > self.appended:
            self.overtaken = True
        if self.awaits is None:
            self.release -= 1
        elif position == self.awaits:
            self.awaits = None
        return self.awaits is None and self.release <= 0


class _Armed:
    """A Redeliver whose message was delivered: it fires after `left` further deliveries of its consumer."""

    __slots__ = ("fault", "left")

    def __init__(self, fault: Redeliver) -> None:
        self.fault = fault
        self.left = fault.after


class Reader:
    """One run of one group over one set of logs.

    `_todo` is what is still to be read, next at the end: the unread heads in the order of their append times are
    just the unread records in that order. A stalled lane's records are put `_aside` as they come up. What a
    consumer has processed since its commit is `_uncommitted`; a restart puts it back into `_todo`.
    """

    def __init__(
        self, events: Sequence[Event], home: Home, reading: Reading, plan: Plan, logs: Logs
    ) -> None:
        self._events, self._home, self._reading, self._plan, self._logs = events, home, reading, plan, logs
        self._todo = logs.in_order(reading.consumers)
        self._stalled: dict[int, _Stall] = {}
        self._aside: dict[int, list[Raw]] = {}
        self._late: dict[int, Fault] = {}
        self._armed: dict[int, list[_Armed]] = {}
        self._uncommitted: dict[int, list[Raw]] = {}
        self._parked: list[tuple[int, int, DeadLetter]] = []
        self._attempts: dict[tuple[int, int], int] = {}
        self._given_up: list[int] = []
        self._last_chance: set[int] = set()
        self._deliveries = 0
        self._now = -1
        if plan.holds:
            for lane, log in enumerate(logs.partitions):
                self._becomes_head(lane, log, 0)

    def run(self, notes: Notes | None = None) -> Steps:
        """The steps. Send True for a delivery that was refused. `notes` collects (number of the step, fault)."""
        todo, stalled, plan = self._todo, self._stalled, self._plan
        anchors = plan.anchors()
        simple = self._reading.commit_every is None and not plan.holds
        number = 0
        while True:
            caused: Caused | None
            if not todo:
                caused = self._nothing_to_read()
                if caused is None:
                    return
            else:
                step = todo.pop()
                _, consumer, position, lane, _ = step
                if stalled and lane in stalled:
                    self._aside.setdefault(lane, []).append(step)
                    continue
                if position in anchors and plan.dead_letters.get(position):
                    caused = self._park(step)
                else:
                    if self._late:
                        self._note_late(notes, number, lane)
                    refused = yield step
                    number += 1
                    self._deliveries += 1
                    if position > self._now:
                        self._now = position
                    if simple and not (refused or stalled or self._armed or self._parked or position in anchors):
                        continue
                    self._others_delivered(step)
                    copies = plan.duplicates.pop(position, None)
                    while copies and not refused:
                        if notes is not None:
                            notes.append((number, copies[0]))
                        del copies[0]
                        refused = yield step
                        number += 1
                        self._deliveries += 1
                        self._others_delivered(step)
                    if copies:
                        plan.duplicates[position] = copies
                    caused = self._refused(step) if refused else self._accepted(step)
            for action, fault in caused:
                if notes is not None and fault is not None:
                    notes.append((number, fault))
                yield action
                number += 1

    def _note_late(self, notes: Notes | None, number: int, lane: int) -> None:
        fault = self._late.pop(lane, None)
        if notes is not None and fault is not None:
            notes.append((number, fault))

    def _nothing_to_read(self) -> Caused | None:
        """What happens when no lane can be read: a stall ends, a dead letter comes back, a consumer restarts."""
        if self._stalled:
            self._end_stall(min(self._stalled, key=lambda lane: (self._stalled[lane].appended, lane)))
            return []
        if self._parked:
            first = min(self._parked, key=lambda parked: parked[0])
            self._parked.remove(first)
            return [self._put_back(first[1], first[2])]
        waiting = [(armed.left, consumer) for consumer, several in self._armed.items() for armed in several]
        if waiting:
            return [self._fire(min(waiting)[1])]
        if self._given_up:
            position = self._given_up.pop(0)
            self._last_chance.add(position)
            return [self._put_back(position, None)]
        return None

    # After a delivery.

    def _others_delivered(self, step: Raw) -> None:
        """What waits for deliveries has seen one more."""
        _, consumer, position, lane, offset = step
        for armed in self._armed.get(consumer, ()):
            armed.left -= 1
        if self._stalled:
            appended = self._logs.appended[lane][offset]
            ended = [p for p, s in self._stalled.items() if p != lane and s.ends_with(position, appended)]
            for other in ended:
                self._end_stall(other)

    def _accepted(self, step: Raw) -> Caused:
        redeliveries = self._plan.redeliveries.get(step[2])
        if redeliveries:
            self._armed.setdefault(step[1], []).append(_Armed(redeliveries.pop(0)))
        return self._processed(step)

    def _processed(self, step: Raw) -> Caused:
        """The record is done: the position moves on, is committed if its turn has come, and what is due happens."""
        _, consumer, _, lane, offset = step
        if self._plan.holds:
            self._becomes_head(lane, self._logs.partitions[lane], offset + 1)
        caused: Caused = []
        armed = self._armed.get(consumer)
        every = self._reading.commit_every
        if armed or every is not None:
            uncommitted = self._uncommitted.setdefault(consumer, [])
            uncommitted.append(step)
            if armed and (min(a.left for a in armed) <= 0 or len(uncommitted) == every):
                caused.append(self._fire(consumer))
            elif not armed and len(uncommitted) == every:
                uncommitted.clear()
        if self._parked:
            due = [parked for parked in self._parked if parked[0] <= self._deliveries]
            for parked in due:
                self._parked.remove(parked)
                caused.append(self._put_back(parked[1], parked[2]))
        return caused

    # Redelivery: a restart brings back what was not committed.

    def _fire(self, consumer: int) -> tuple[Raw, Fault | None]:
        several = self._armed[consumer]
        first = min(several, key=lambda armed: armed.left)
        several.remove(first)
        if not several:
            del self._armed[consumer]
        return self._restart(consumer), first.fault

    def _restart(self, consumer: int) -> Raw:
        again = self._uncommitted.pop(consumer, [])
        self._back_to_read(again)
        if self._plan.holds:
            for lane in sorted({step[3] for step in again}):
                first = min(step[4] for step in again if step[3] == lane)
                self._becomes_head(lane, self._logs.partitions[lane], first)
        return RESTART, consumer, -1, -1, -1

    def _back_to_read(self, steps: list[Raw]) -> None:
        """Put records among those still to be read, where their append times say."""
        self._todo.extend(reversed(steps))
        appended = self._logs.appended
        self._todo.sort(key=lambda step: (appended[step[3]][step[4]], step[3]), reverse=True)

    # Stalls.

    def _becomes_head(self, lane: int, log: Sequence[int], offset: int) -> None:
        if offset < len(log) and lane not in self._stalled:
            holds = self._plan.holds.get(log[offset])
            if holds:
                self._stalled[lane] = _Stall(holds.pop(0), self._logs.appended[lane][offset])

    def _end_stall(self, lane: int) -> None:
        stall = self._stalled.pop(lane)
        if stall.overtaken and stall.fault is not None:
            self._late[lane] = stall.fault
        if waiting := self._aside.pop(lane, None):
            self._back_to_read(waiting)

    # Dead letters, and records that the handler refuses.

    def _park(self, step: Raw) -> Caused:
        _, consumer, position, lane, offset = step
        fault = self._plan.dead_letters[position].pop(0)
        self._parked.append((self._deliveries + fault.after + 1, position, fault))
        self._now = max(self._now, position)
        return [((PARK, consumer, position, lane, offset), fault), *self._processed(step)]

    def _put_back(self, position: int, fault: DeadLetter | None) -> tuple[Raw, Fault | None]:
        """Append the event anew, behind everything that was appended by now; what comes later moves up by one."""
        lane = self._home(self._events[position].key, position, self._logs.counts[self._now])
        appended = self._now + 0.5
        offset = bisect_right(self._logs.appended[lane], appended)
        self._logs = self._logs.inserted(lane, offset, position, appended)
        for steps in (self._todo, self._aside.get(lane, [])):
            for i, (do, consumer, later, at, place) in enumerate(steps):
                if at == lane and place >= offset:
                    steps[i] = (do, consumer, later, at, place + 1)
        consumer = lane % self._reading.consumers
        self._back_to_read([(DELIVER, consumer, position, lane, offset)])
        return (PUT_BACK, consumer, position, lane, offset), fault

    def _refused(self, step: Raw) -> Caused:
        _, consumer, position, lane, offset = step
        if self._reading.on_error == "skip":
            return [((SKIP, consumer, position, lane, offset), None), *self._processed(step)]
        record = (lane, offset)
        attempts = self._attempts[record] = self._attempts.get(record, 0) + 1
        if attempts < self._reading.max_attempts:
            return self._again(step)
        self._attempts[record] = 0
        do = REFUSE if position in self._last_chance else PARK
        if do == PARK:
            self._given_up.append(position)
        return [((do, consumer, position, lane, offset), None), *self._processed(step)]

    def _again(self, step: Raw) -> Caused:
        """The record is read again: by a new process, or after one delivery of another lane if there is one."""
        _, consumer, _, lane, offset = step
        if self._reading.on_error == "stop":
            self._todo.append(step)
            return [(self._restart(consumer), None)]
        if any(other[3] != lane for other in reversed(self._todo)):
            self._stalled[lane] = _Stall(None, self._logs.appended[lane][offset])
        self._todo.append(step)
        return []
