"""Stage 2 of a log: one consumer group reads it. Owners, positions, commits, restarts, stalls and dead letters."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from itertools import chain
from types import MappingProxyType
from typing import Literal

import attrs

from chaoskit.models.producer import Hold, Home, Logs
from chaoskit.models.refusals import Refusals
from chaoskit.models.turns import Caused, Record, Turn, moved_up, put_back_of, retries_of
from chaoskit.values.event import Event
from chaoskit.values.faults import DeadLetter, Duplicate, Fail, Fault, Lose, Overtake, Redeliver, Zombie
from chaoskit.values.scenario import Steps
from chaoskit.values.schedule import DELIVER, FAIL, LOSE, PARK, PUT_BACK, REFUSE, RESTART, SKIP, TAKE_OVER, Raw

NEVER = 1 << 60

AtHead = Duplicate | Redeliver | DeadLetter | Zombie | Fail | Lose
Anchored = dict[int, list[AtHead]]
"""What goes wrong at a delivery, by the position of its event, in the order in which it fires: losses, dead letters,
zombies, then failed attempts, then duplicates, then redeliveries."""

_FIRING = (Overtake, Lose, DeadLetter, Zombie, Fail, Duplicate, Redeliver)
_ORDER_OF_KINDS: dict[type, int] = {kind: place for place, kind in enumerate(_FIRING)}


def firing_order(fault: Hold | Fault) -> tuple[int, Hold | Fault]:
    """A key that sorts what is anchored at one event, and of one kind by its parameters."""
    return _ORDER_OF_KINDS[type(fault)], fault


_NOTHING: Caused = []
_NONE: list[Turn] = []


@attrs.frozen
class Reading:
    """How the group reads: partition p belongs to consumer p % `consumers`.

    `commit_every`: after each k-th record of a process; None: after every record, unless a redelivery is pending.
    `on_error`, `max_attempts`: what happens to a record whose handler raises. `blocks`: its partition waits for it
    ever after; else it is set aside after `max_attempts`, and put back when nothing else is left. `resets`: records
    are lost because a lost commit starts at the end of the log, and not because they are committed too early.
    `new_from`: partitions from this number on are new, and the first records of such a one can be lost, as the group
    learns of it late and begins at its end. None: no records are lost so.
    """

    consumers: int
    commit_every: int | None
    on_error: Literal["retry", "stop", "skip", "retry_topic"]
    max_attempts: int
    blocks: bool = False
    resets: bool = False
    new_from: int | None = None

    @property
    def drops_failed(self) -> bool:
        """What failed is lost: the consumer goes on without it."""
        return self.on_error == "skip"

    @property
    def passes_failed(self) -> bool:
        """Whether others may go before a record whose attempt failed that were behind it in its own order."""
        return self.on_error == "retry_topic"


class _Stall:
    """A lane that is held: it is not read before the holds of its head have ended.

    A stalled lane delivers nothing, so that every delivery since it began was another lane's. Several holds of one
    record begin together. `waiting` are those that count from an event on, `until` is when the others end.
    """

    __slots__ = ("appended", "fault", "lane", "until", "waiting")

    def __init__(self, lane: int, appended: float, holds: Sequence[Hold], deliveries: int) -> None:
        self.lane, self.appended = lane, appended
        self.fault: Fault | None = holds[0].fault if holds else None
        self.until = deliveries
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
        self.fault, self.consumer, self.since = fault, consumer, since

    def left(self, history: Sequence[Turn], consumers: int) -> int:
        if consumers == 1:
            return self.fault.after - len(history) + self.since
        return self.fault.after - sum(step[1] == self.consumer for _, _, _, step in history[self.since :])


class _Parked:
    """A dead letter that waits to be put back."""

    __slots__ = ("due", "fault", "step")

    def __init__(self, step: Raw, fault: DeadLetter | Fail | None, due: int) -> None:
        self.step, self.fault, self.due = step, fault, due


class _Undead:
    """What an owner that was taken for dead has fetched and still runs, the next first."""

    __slots__ = ("fault", "turns")

    def __init__(self, fault: Zombie, turns: list[Turn]) -> None:
        self.fault, self.turns = fault, turns


Waiting = _Stall | _Armed | _Parked | _Undead
_STALL, _FIRE, _RUN, _BACK = range(4)


class Reader:
    """One run of one group over one set of logs.

    `_todo` is what is still to be read, next at the end: the unread heads in the order of their append times are
    just the unread records in that order. A stalled lane's records are put `_aside` as they come up. `_history` is
    every delivery. Most steps only move a record from one to the other; `_touched` are the positions at which more
    may happen. What waits for deliveries has an alarm; `_due` is the number of deliveries at which one may ring.

    `cause` is the fault behind the step that was just made; `late` the faults that delay records; `armed` the
    redeliveries that are pending; `committed` the k-th records, after which was committed; `evicted` whom each new
    owner follows.
    """

    cause: Fault | None = None
    _due = NEVER
    _serial = 0
    _latest = 0.0
    _refusals: Refusals | None = None
    _parks: Sequence[tuple[int, Turn]] = ()
    _passed: Mapping[int, int] = MappingProxyType({})

    def __init__(
        self,
        events: Sequence[Event],
        home: Home,
        reading: Reading,
        logs: Logs,
        anchored: Anchored,
        holds: dict[int, list[Hold]],
    ) -> None:
        self._events, self._home, self.reading, self.logs = events, home, reading, logs
        self._consumers = reading.consumers
        self._owners = list(range(reading.consumers))
        self._anchored, self._holds = anchored, holds
        self._todo = logs.in_order(reading.consumers)
        self._history: list[Turn] = []
        self._touched: set[int] = set(anchored)
        self._alarms: list[tuple[int, int, int, Waiting]] = []
        self.armed: list[_Armed] = []
        self._parked: list[_Parked] = []
        self._undead: list[_Undead] = []
        self.evicted: dict[int, int] = {}
        self.committed: list[Record] = []
        self._stalled: dict[int, _Stall] = {}
        self._aside: dict[int, list[Turn]] = {}
        self._begun = [0] * reading.consumers
        self.late: dict[Record, Fault] = {}
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
                    if (yield step):
                        self._stops(step[1])
                continue
            turn = take()
            step = turn[3]
            position = step[2]
            if stalled and step[3] in stalled:
                self._aside.setdefault(step[3], []).append(turn)
                continue
            caused: Caused = _NOTHING
            if position not in touched:
                refused = yield step
                keep(turn)
                if refused:
                    caused = self._refused(turn, None)
            else:
                faults = anchored.get(position)
                if faults and isinstance(faults[0], (DeadLetter, Zombie, Lose)):
                    caused = self._not_shown(turn, faults.pop(0))
                elif faults and isinstance(fail := faults[0], Fail):
                    self.cause = faults.pop(0)
                    yield (FAIL, *step[1:])
                    keep(turn)
                    caused = self._refused(turn, fail)
                else:
                    refused = yield step
                    keep(turn)
                    while faults and not refused and type(faults[0]) is Duplicate:
                        self.cause = faults.pop(0)
                        refused = yield step
                        keep(turn)
                    if refused:
                        caused = self._refused(turn, None)
                    else:
                        if faults and isinstance(faults[0], Redeliver):
                            self._arm(faults[0], step[1])
                            del faults[0]
                        caused = self._processed(step)
            if caused:
                for step, self.cause in caused:
                    yield step
            if len(history) >= self._due:
                caused = self._ring()
                for step, self.cause in caused:
                    if (yield step):
                        self._stops(step[1])

    def _nothing_to_read(self) -> Caused | None:
        """What happens when no lane can be read: a stall ends, a consumer restarts, a dead letter comes back."""
        held = [stall for stall in self._stalled.values() if stall.until < NEVER] if self._stalled else []
        if held:
            self._end_stall(min(held, key=lambda stall: (stall.appended, stall.lane)))
            return []
        if self.armed:
            return [self._fire(self.armed)]
        if self._undead:
            return [self._run_on(self._undead[0])]
        if self._parked:
            return [self._back(min(self._parked, key=lambda parked: parked.due))]
        return self._try_again(self._refusals) if self._refusals else None

    def _try_again(self, refusals: Refusals) -> Caused | None:
        """A record that was given up, which may have waited for others; or the end of all that are left."""
        chance = refusals.next_chance()
        if chance is None:
            return refusals.end(self._history, chain.from_iterable(self._aside.values()))
        _, step = chance
        if not self.reading.blocks:
            return [self._put_back(step, 0, None)]
        self._end_stall(self._stalled[step[3]])
        return []

    # After a record.

    def _processed(self, step: Raw) -> Caused:
        """The record is done: the next of its lane becomes head, and a commit may be due."""
        _, consumer, position, lane, offset, *_ = step
        if self._holds:
            self._becomes_head(lane, offset + 1)
            for stall in self._stalled.values():
                if stall.waiting:
                    stall.see(position, len(self._history))
                    if not stall.waiting:
                        self._wait(stall.until, _STALL, stall)
        every = self.reading.commit_every
        if every is None:
            return _NOTHING
        self._records[consumer] += 1
        if self._records[consumer] < every:
            return _NOTHING
        pending = [armed for armed in self.armed if armed.consumer == consumer]
        if pending:
            return [self._fire(pending)]
        self._commit(consumer)
        self.committed.append((lane, offset))
        return _NOTHING

    def _wait(self, until: int, what: int, waiting: Waiting) -> None:
        self._serial += 1
        heappush(self._alarms, (until, what, self._serial, waiting))
        if until < self._due:
            self._due = until

    def _ring(self) -> Caused:
        """Stalls that end, the restart of one pending redelivery, what a zombie runs, dead letters that come back, in
        this order."""
        alarms, count = self._alarms, len(self._history)
        rung = []
        while alarms and alarms[0][0] <= count:
            rung.append(heappop(alarms))
        if len(rung) > 1:
            rung.sort(key=_kind_first)
        caused: Caused = []
        fired = False
        for _, _, _, waiting in rung:
            if isinstance(waiting, _Stall):
                if self._stalled.get(waiting.lane) is waiting:
                    self._end_stall(waiting)
            elif isinstance(waiting, _Parked):
                if waiting in self._parked:
                    caused.append(self._back(waiting))
            elif isinstance(waiting, _Undead):
                if waiting in self._undead:
                    caused.append(self._run_on(waiting))
            elif waiting in self.armed:
                left = waiting.left(self._history, len(self._begun))
                if fired or left > 0 or self._history[-1][3][1] != waiting.consumer:
                    self._wait(count + max(1, left), _FIRE, waiting)
                else:
                    fired = True
                    caused.append(self._fire([waiting]))
        self._due = alarms[0][0] if alarms else NEVER
        return caused

    # Redelivery: a restart brings back what was not committed.

    def _arm(self, fault: Redeliver, consumer: int) -> None:
        count = len(self._history)
        armed = _Armed(fault, consumer, count)
        self.armed.append(armed)
        self._wait(count + fault.after, _FIRE, armed)

    def _fire(self, pending: Sequence[_Armed]) -> tuple[Raw, Fault | None]:
        armed = pending[0]
        if len(pending) > 1:
            several = len(self._begun)
            armed = min(pending, key=lambda armed: (armed.left(self._history, several), armed.consumer))
        self.armed.remove(armed)
        return self._restart(armed.consumer, armed.since), armed.fault

    def _restart(self, consumer: int, since: int = NEVER) -> Raw:
        """All partitions of the consumer go back to the commit: `since` is when the redelivery that fired was armed.

        Without `commit_every` everything is committed up to the first delivery whose redelivery is pending.
        """
        history = self._history
        begun = self._begun[consumer]
        if self.reading.commit_every is None:
            for armed in self.armed:
                if armed.since < since and armed.consumer == consumer:
                    since = armed.since
            first = self._start_of(min(since - 1, len(history)), begun)
            if first >= begun:
                begun = first
                if self._parks:
                    self._parks = [park for park in self._parks if park[0] > first or park[1][3][1] != consumer]
        again = history[begun:]
        if len(self._begun) > 1 or self._refusals:
            again = [turn for turn in again if turn[3][1] == consumer and turn[3][0] == DELIVER]
        if self._parks:
            again += [turn for _, turn in self._parks if turn[3][1] == consumer]
        again = list(dict.fromkeys(again))
        self._commit(consumer)
        self._back_to_read(again)
        if self._holds:
            for lane in sorted({turn[1] for turn in again}):
                self._becomes_head(lane, min(turn[2] for turn in again if turn[1] == lane))
        return RESTART, consumer, -1, -1, -1

    def _start_of(self, index: int, begun: int) -> int:
        """Where the first copy of this delivery stands, if it was handed over in place several times since the
        commit."""
        history = self._history
        while begun < index < len(history) and history[index - 1] == history[index]:
            index -= 1
        return index

    def _commit(self, consumer: int) -> None:
        """What the consumer has processed is committed, or was handed over to be read again."""
        self._begun[consumer] = len(self._history)
        if self.reading.commit_every is not None:
            self._records[consumer] = 0
        if self._parks:
            self._parks = [park for park in self._parks if park[1][3][1] != consumer]

    def _back_to_read(self, turns: list[Turn]) -> None:
        """Put records among those still to be read, where their append times say."""
        self._todo += turns
        self._todo.sort(reverse=True)

    # Zombies and losses.

    def _not_shown(self, turn: Turn, fault: AtHead) -> Caused:
        if isinstance(fault, DeadLetter):
            return self._park(turn, fault)
        if isinstance(fault, Zombie):
            return self._take_over(turn, fault)
        assert isinstance(fault, Lose)
        return self._lose(turn, fault)

    def _take_over(self, turn: Turn, fault: Zombie) -> Caused:
        """All partitions of the owner go to a new one, which reads from the commit; the old one runs what it holds."""
        _, old, position, lane, offset, *_ = turn[3]
        held = [turn, *[other for other in reversed(self._todo) if other[1] == lane][: fault.holds]]
        self._todo.append(turn)
        self._restart(old)
        new = len(self._begun)
        self._begun.append(len(self._history))
        self.evicted[new] = old
        self._owners[lane % self._consumers] = new
        if self.reading.commit_every is not None:
            self._records.append(0)
        for armed in self.armed:
            if armed.consumer == old:
                armed.consumer = new
        for turns in (self._todo, *self._aside.values()):
            for i, (time, at, place, step) in enumerate(turns):
                if step[1] == old:
                    turns[i] = time, at, place, (DELIVER, new, *step[2:])
        undead = _Undead(fault, held)
        self._undead.append(undead)
        self._latest = max([self._latest, *(other[0] for other in held)])
        self._wait(len(self._history) + fault.after + 1, _RUN, undead)
        return [((TAKE_OVER, new, position, lane, offset), fault)]

    def _run_on(self, undead: _Undead) -> tuple[Raw, Fault | None]:
        """The old owner runs the next of what it has fetched. Its commit is refused: nothing follows from it."""
        turn = undead.turns.pop(0)
        self._history.append(turn)
        if undead.turns:
            self._wait(len(self._history) + 1, _RUN, undead)
        else:
            self._undead.remove(undead)
        return turn[3], undead.fault

    def _stops(self, consumer: int) -> None:
        """The handler of a zombie raised: at its next poll it learns that it has lost its partitions."""
        self._undead[:] = [undead for undead in self._undead if not undead.turns or undead.turns[0][3][1] != consumer]

    def _lose(self, turn: Turn, fault: Lose) -> Caused:
        """The position was committed before the record was run, and the process died. Where a pending redelivery keeps
        the commit back, the record comes again: nothing is lost."""
        consumer = turn[3][1]
        if self.reading.new_from is not None:
            return self._pass_over(turn, fault, self.reading.new_from)
        if any(armed.consumer == consumer for armed in self.armed):
            self._todo.append(turn)
            return _NOTHING
        self._latest = max(self._latest, turn[0])
        self._commit(consumer)
        self._becomes_head(turn[1], turn[2] + 1)
        return [((LOSE, *turn[3][1:]), fault), ((RESTART, consumer, -1, -1, -1), fault)]

    def _pass_over(self, turn: Turn, fault: Lose, new_from: int) -> Caused:
        """The group learns of a new partition, and begins at its end. Void but for the first records of such a one."""
        _, lane, offset, step = turn
        if lane < new_from or offset != self._passed.get(lane, 0):
            self._todo.append(turn)
            return _NOTHING
        self._passed = {**self._passed, lane: offset + 1}
        self._latest = max(self._latest, turn[0])
        self._becomes_head(lane, offset + 1)
        return [((LOSE, *step[1:]), fault)]

    # Stalls.

    def _expect(self, holds: dict[int, list[Hold]]) -> None:
        """A hold begins when the record before it in its lane is done, or at once if it is first."""
        for position, several in holds.items():
            for hold in several:
                if hold.awaits is not None:
                    self._touched.add(hold.awaits)
            lane, offset = self.logs.place(position)
            if offset == 0:
                self._becomes_head(lane, 0)
            else:
                self._touched.add(self.logs.partitions[lane][offset - 1])

    def _becomes_head(self, lane: int, offset: int) -> None:
        """All holds of growth begin, and one Overtake: of several, one at each time that the record becomes head."""
        log = self.logs.partitions[lane]
        if offset >= len(log) or lane in self._stalled:
            return
        holds = self._holds.get(log[offset])
        if holds:
            begin = holds
            if len(holds) > 1:
                begin = [hold for hold in holds if hold.awaits is not None]
                begin += [hold for hold in holds if hold.awaits is None][:1]
            self._holds[log[offset]] = [hold for hold in holds if hold not in begin]
            self._stall(lane, offset, begin)

    def _stall(self, lane: int, offset: int, holds: Sequence[Hold], others: int = 0) -> None:
        """The lane is not read before its `holds` have ended, or so many deliveries of `others`."""
        stall = _Stall(lane, self.logs.appended[lane][offset], holds, len(self._history) + others)
        self._stalled[lane] = stall
        if not stall.waiting:
            self._wait(stall.until, _STALL, stall)

    def _end_stall(self, stall: _Stall) -> None:
        del self._stalled[stall.lane]
        waiting = self._aside.pop(stall.lane, None)
        if waiting:
            if stall.fault is not None:
                self.late[stall.lane, waiting[0][2]] = stall.fault
            self._back_to_read(waiting)

    # Dead letters, and records that the handler refuses.

    def _park(self, turn: Turn, fault: DeadLetter) -> Caused:
        step, count = turn[3], len(self._history)
        parked = _Parked(step, fault, count + fault.after + 1)
        self._parked.append(parked)
        self._parks = [*self._parks, (count, turn)]
        self._latest = max(self._latest, turn[0])
        self._wait(parked.due, _BACK, parked)
        return [((PARK, *step[1:]), fault), *self._processed(step)]

    def _back(self, parked: _Parked) -> tuple[Raw, Fault | None]:
        self._parked.remove(parked)
        retries = retries_of(parked.step) + 1 if self.reading.on_error == "retry_topic" else 0
        return self._put_back(parked.step, retries, parked.fault)

    def _put_back(self, parked: Raw, retries: int, fault: Fault | None) -> tuple[Raw, Fault | None]:
        """Append the event anew, behind everything that was appended by now; what comes later moves up by one."""
        position = parked[2]
        now = int(max([self._latest, *(turn[0] for turn in self._history)]))
        appended = now + 0.5
        lane = self._home(self._events[position].key, position, self.logs.counts[now])
        offset = bisect_right(self.logs.appended[lane], appended)
        self.logs = self.logs.inserted(lane, offset, position, appended)
        for turns in (self._todo, self._aside.get(lane, _NONE)):
            moved_up(turns, lane, offset)
        consumer = self._owners[lane % self._consumers]
        step: Raw = (DELIVER, consumer, position, lane, offset, *put_back_of(parked, now, retries))
        self._back_to_read([(appended, lane, offset, step)])
        if offset and self._holds.get(position):
            self._touched.add(self.logs.partitions[lane][offset - 1])
        return (PUT_BACK, *step[1:]), fault

    def _refused(self, turn: Turn, fail: Fail | None) -> Caused:
        """The attempt failed, because the handler raised or before it was called."""
        step = turn[3] if fail is None else (FAIL, *turn[3][1:])
        if self.reading.drops_failed:
            return [((SKIP, *step[1:]), fail), *self._processed(step)]
        refusals = self._refusals = self._refusals or Refusals()
        retried = self.reading.on_error == "retry_topic"
        which = (-1, step[2]) if retried else (step[3], step[4])  # a retry topic's copies count together
        if refusals.attempt(which) < self.reading.max_attempts:
            return self._to_retry_topic(turn, fail) if retried else self._again(turn, fail)
        if self.reading.blocks:
            refusals.give_up(which, step[3], step)
            return self._again(turn, fail, for_good=True)
        refusals.give_up(which, None, step)
        return [((PARK, *step[1:]), fail), *self._processed(step)]

    def _to_retry_topic(self, turn: Turn, fail: Fail | None) -> Caused:
        """It is published to the retry topic, its offset committed; it comes again after one other delivery at
        least."""
        after = 0 if fail is None else fail.after
        parked = _Parked(turn[3], fail, len(self._history) + after + 1)
        self._parked.append(parked)
        self._wait(parked.due, _BACK, parked)
        return [((PARK, *turn[3][1:]), fail), *self._processed(turn[3])]

    def _again(self, turn: Turn, fail: Fail | None, *, for_good: bool = False) -> Caused:
        """The record is read again: by a new process, or after some deliveries of other lanes (one, where the handler
        raised) if there are any; or, if it was refused `for_good`, when nothing else can be read."""
        time, lane, offset, step = turn
        refused = (time, lane, offset, (REFUSE if fail is None else FAIL, *step[1:]))
        copy = len(self._history) - 1
        while copy >= 0 and self._history[copy] in (turn, refused):
            self._history[copy] = refused
            copy -= 1
        if for_good:
            self._stalled[lane] = blocked = _Stall(lane, self.logs.appended[lane][offset], (), 0)
            blocked.until = NEVER
        elif self.reading.on_error != "stop" and any(other[1] != lane for other in reversed(self._todo)):
            if fail is None or fail.after:
                self._stall(lane, offset, (), 1 if fail is None else fail.after)
            if fail is not None:
                self.late[lane, offset] = fail
        self._todo.append(turn)
        return [(self._restart(step[1]), fail)] if self.reading.on_error == "stop" else []


def _kind_first(alarm: tuple[int, int, int, Waiting]) -> tuple[int, int, int]:
    return alarm[1], alarm[0], alarm[2]
