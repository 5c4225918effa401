"""What a run of a consumer group has, and what can be done with it: restarts, commits, held partitions, put backs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType

from chaoskit.models.events import Committed, Delayed, Happened
from chaoskit.models.log.policy import Reading
from chaoskit.models.log.waiting import Alarms, HeldPartition, ParkedRecord, PendingRestart, StoppedOwner, ZombieOwner
from chaoskit.models.producer import Hold, Home, Logs
from chaoskit.models.refusals import Refusals
from chaoskit.models.turns import (
    NEVER,
    NOTHING,
    Caused,
    Latest,
    Turn,
    consumer_of,
    handed_to,
    moved_up,
    put_back,
    put_back_of,
    record_of,
    retries_of,
)
from chaoskit.values.event import Event
from chaoskit.values.faults import Fault
from chaoskit.values.schedule import DELIVER, PUT_BACK, RESTART, Raw

AtHead = dict[int, list[Fault]]
"""What goes wrong at a delivery, by the position of its event, in the order in which it fires."""


class GroupState:
    """One run of one group over one set of logs.

    `todo` is what is still to be read, next at the end: the unread heads in the order of their append times are
    just the unread records in that order. A held partition's records are put `aside` as they come up. `history` is
    every delivery. `touched` are the positions at which more may happen than a delivery. `pending` are the
    redeliveries that wait; `started` are consumers that came later, so that a turn may name another than its reader.
    `told` is what happens, where somebody listens.
    """

    parks: Sequence[tuple[int, Turn]] = ()
    """What was set aside and not committed: it comes again with what its owner reads again."""
    passed: Mapping[int, int] = MappingProxyType({})
    """How many records of each new partition the group has passed over."""
    latest = 0.0
    """The append time of the latest record that is gone, or that a zombie has fetched."""
    refusals: Refusals | None = None
    committed: dict[int, int] | None = None
    """Where the handler commits by itself: the position of each partition of which something was."""
    exited = False
    """The process has ended by itself, with records in hand: another one reads from the commit on."""
    retry_listener = -1
    """Who reads the retry topic, once that was somebody else than who reads the topic."""
    apart = False
    """It is somebody else now: one of the two is in the middle of a record."""
    passed_over = False
    """The framework of the handler goes on behind the record in hand, whose failure was final."""

    def __init__(
        self,
        events: Sequence[Event],
        home: Home,
        reading: Reading,
        logs: Logs,
        anchored: AtHead,
        holds: dict[int, list[Hold]],
    ) -> None:
        self.told: list[Happened] | None = None
        self.events, self._home, self.reading, self.logs = events, home, reading, logs
        self.anchored, self._holds = anchored, holds
        self.todo = logs.in_order(reading.consumers)
        self.history: list[Turn] = []
        self.touched: set[int] = set(anchored)
        self.alarms = Alarms()
        self.pending: list[PendingRestart] = []
        self.parked: list[ParkedRecord] = []
        self.zombies: list[ZombieOwner] = []
        self.started: list[int] = []
        self.stopped: dict[int, StoppedOwner] = {}
        """Owners in the middle of a record."""
        self.owners = list(range(reading.consumers))
        self.held: dict[int, HeldPartition] = {}
        self.aside: dict[int, list[Turn]] = {}
        self._begun = [0] * reading.consumers
        self._read_last = Latest()
        if reading.commit_every is not None:
            # After any record a commit may be due.
            self.touched.update(range(len(events)))
            self._records = [0] * reading.consumers
        if holds:
            self._expect(holds)

    # Owners.

    def owner(self, lane: int) -> int:
        return self.owners[lane % self.reading.consumers]

    def new_owner(self, lane: int) -> int:
        """The partitions of the owner of this one go to this new one, which reads from the commit."""
        old, new = self.owner(lane), self.new_consumer()
        self.owners[lane % self.reading.consumers] = new
        for pending in self.pending:
            if pending.consumer == old:
                pending.consumer = new
        return new

    def new_consumer(self) -> int:
        """The number of one that has read nothing yet."""
        new = len(self._begun)
        self._begun.append(len(self.history))
        self.started.append(new)
        if self.reading.commit_every is not None:
            self._records.append(0)
        return new

    def for_its_owner(self, turn: Turn) -> Turn:
        """The record for who owns its partition now, or reads the retry topic."""
        return handed_to(self.retry_listener if self.apart and retries_of(turn[3]) else self.owner(turn[1]), turn)

    def shares_its_key(self, turn: Turn) -> bool:
        """Whether another owner has records of the key of this one."""
        key, owner = self.events[turn[3][2]].key, turn[3][1]
        return key is not None and any(
            self.owner(lane) != owner and any(self.events[position].key == key for position in log)
            for lane, log in enumerate(self.logs.partitions)
        )

    # After a record.

    def processed(self, step: Raw) -> Caused:
        """The record is done: the next of its lane becomes head, and a commit may be due."""
        if self._holds:
            self.becomes_head(step[3], step[4] + 1)
            self.is_seen(step)
        every, consumer = self.reading.commit_every, step[1]
        if every is not None:
            self._records[consumer] += 1
            if self._records[consumer] < every:
                return NOTHING
            pending = [each for each in self.pending if each.consumer == consumer]
            # Right before the commit, as after it nothing would be left to come again.
            if pending:
                return [self.fire(pending)]
            self.commit(consumer)
        if self.told is not None and self.committed is None:
            self.tell_commit(self.told, step)
        return NOTHING

    def tell_commit(self, told: list[Happened], step: Raw) -> None:
        """What is done is committed, unless its consumer will read something again."""
        if all(pending.consumer != step[1] for pending in self.pending):
            told.append(Committed(step))

    def is_seen(self, step: Raw) -> None:
        """Partitions that are held until this event was handled, or somebody was at it, are so no longer."""
        for held in self.held.values():
            if held.waiting:
                held.see(step[2], len(self.history))
                # Its end is known now, and not before.
                if not held.waiting:
                    self.alarms.set(held.until, held)

    def until_commit(self, consumer: int) -> int:
        """How many records of this consumer may be done before it commits."""
        every = self.reading.commit_every
        return NEVER if every is None else max(1, every - self._records[consumer])

    def commit(self, consumer: int) -> None:
        """What the consumer has processed is committed, or was handed over to be read again."""
        self._begun[consumer] = len(self.history)
        if self.reading.commit_every is not None:
            self._records[consumer] = 0
        if self.parks:
            self.parks = [park for park in self.parks if consumer_of(park[1]) != consumer]

    # A restart brings back what was not committed.

    def fire(self, pending: Sequence[PendingRestart]) -> tuple[Raw, Fault | None]:
        """The first of these redeliveries happens."""
        first = pending[0]
        # Of several the next that is up, which is not always the first that was armed.
        if len(pending) > 1:
            several = len(self._begun)
            first = min(pending, key=lambda each: (each.left(self.history, several), each.consumer))
        self.pending.remove(first)
        return self.restart(first.consumer, first.since), first.fault

    def left(self, pending: PendingRestart) -> int:
        """How many deliveries are missing until it fires."""
        return pending.left(self.history, len(self._begun))

    def restart(self, consumer: int, since: int = NEVER) -> Raw:
        """All partitions of the consumer go back to the commit: `since` is when the redelivery that fired was armed.

        Without `commit_every` everything is committed up to the first delivery whose redelivery is pending.
        """
        if self.committed is not None:
            again = self._uncommitted(consumer, self.committed)
            put_back(self.todo, again)
            self._become_heads(again)
            return RESTART, consumer, -1, -1, -1
        history, begun = self.history, self._begun[consumer]
        if self.reading.commit_every is None:
            for pending in self.pending:
                if pending.since < since and pending.consumer == consumer:
                    since = pending.since
            # `since` counts the delivery itself, whose own place is one less.
            first = self._start_of(min(since - 1, len(history)), begun)
            if first >= begun:
                begun = first
                if self.parks:
                    self.parks = [park for park in self.parks if park[0] > first or consumer_of(park[1]) != consumer]
        again = history[begun:]
        # With one process and nothing refused all of it is its own, and was run.
        if len(self._begun) > 1 or self.refusals:
            again = [turn for turn in again if turn[3][1] == consumer and turn[3][0] == DELIVER]
        if self.parks:
            again += [turn for _, turn in self.parks if consumer_of(turn) == consumer]
        # A record that was handed over twice in place is read once.
        again = list(dict.fromkeys(again))
        self.commit(consumer)
        put_back(self.todo, again)
        self._become_heads(again)
        return RESTART, consumer, -1, -1, -1

    def _become_heads(self, again: Sequence[Turn]) -> None:
        if self._holds:
            # Sorted, because holds begin here, and steps must not depend on the order of a set.
            for lane in sorted({turn[1] for turn in again}):
                self.becomes_head(lane, min(turn[2] for turn in again if turn[1] == lane))

    def _uncommitted(self, consumer: int, committed: Mapping[int, int]) -> list[Turn]:
        """What this consumer was shown, or what was set aside, and it has not committed."""
        there = {record_of(turn) for turn in chain(self.todo, *self.aside.values())}
        shown = (turn for turn in self.history if consumer_of(turn) == consumer and turn[3][0] == DELIVER)
        found = {record_of(turn): turn for turn in chain(shown, (turn for _, turn in self.parks))}
        return [
            turn
            for (lane, offset), turn in found.items()
            if (lane, offset) not in there and offset >= committed.get(lane, 0) and self.owner(lane) == consumer
        ]

    def _start_of(self, index: int, begun: int) -> int:
        """Where the first copy of this delivery stands, if it was handed over in place several times since the
        commit."""
        history = self.history
        while begun < index < len(history) and history[index - 1] == history[index]:
            index -= 1
        return index

    # Partitions that are held.

    def _expect(self, holds: dict[int, list[Hold]]) -> None:
        """A hold begins when the record before it in its lane is done, or at once if it is first."""
        for position, several in holds.items():
            for hold in several:
                if hold.awaits is not None:
                    self.touched.add(hold.awaits)
            lane, offset = self.logs.place(position)
            # A record that is first has nothing before it whose end could begin the hold.
            if offset == 0:
                self.becomes_head(lane, 0)
            else:
                self.touched.add(self.logs.partitions[lane][offset - 1])

    def becomes_head(self, lane: int, offset: int) -> None:
        """All holds of growth begin, and one Overtake: of several, one at each time that the record becomes head."""
        log = self.logs.partitions[lane]
        if offset >= len(log) or lane in self.held:
            return
        holds = self._holds.get(log[offset])
        if holds:
            begin = holds
            if len(holds) > 1:
                begin = [hold for hold in holds if hold.awaits is not None]
                begin += [hold for hold in holds if hold.awaits is None][:1]
            self._holds[log[offset]] = [hold for hold in holds if hold not in begin]
            self.hold(lane, offset, begin)

    def hold(self, lane: int, offset: int, holds: Sequence[Hold], others: int = 0) -> None:
        """The lane is not read before its `holds` have ended, or so many deliveries of `others`."""
        held = HeldPartition(lane, self.logs.appended[lane][offset], holds, len(self.history) + others)
        self.held[lane] = held
        # One that awaits an event has its alarm set when that was seen.
        if not held.waiting:
            self.alarms.set(held.until, held)

    def release(self, held: HeldPartition) -> None:
        del self.held[held.lane]
        waiting = self.aside.pop(held.lane, None)
        if waiting:
            if held.fault is not None and self.told is not None:
                self.told.append(Delayed(waiting[0][3], held.fault))
            put_back(self.todo, waiting)

    # What was set aside, and comes again behind everything.

    def park(self, parked: ParkedRecord) -> None:
        self.parked.append(parked)
        self.alarms.set(parked.due, parked)

    def put_back(self, parked: Raw, retries: int, fault: Fault | None) -> tuple[Raw, Fault | None]:
        """Append the event anew, behind everything that was appended by now; what comes later moves up by one."""
        position, now = parked[2], self.now()
        # Behind the event of now, and before the next one.
        appended = now + 0.5
        lane = self._home(self.events[position].key, position, self.logs.counts[now])
        offset = bisect_right(self.logs.appended[lane], appended)
        self.logs = self.logs.inserted(lane, offset, position, appended)
        moved_up(self.todo, lane, offset)
        if lane in self.aside:
            moved_up(self.aside[lane], lane, offset)
        step: Raw = (DELIVER, self.owner(lane), position, lane, offset, *put_back_of(parked, now, retries))
        put_back(self.todo, [(appended, lane, offset, step)])
        # A hold of this event that is still to come begins behind the record that is before it now.
        if offset and self._holds.get(position):
            self.touched.add(self.logs.partitions[lane][offset - 1])
        return (PUT_BACK, *step[1:]), fault

    def now(self) -> int:
        """The latest event that was read, or is gone."""
        return int(max(self.latest, self._read_last.of(self.history)))

    def is_gone(self, turns: Iterable[Turn]) -> None:
        """Nobody else will be shown these, or somebody has fetched them."""
        for turn in turns:
            if turn[0] > self.latest:
                self.latest = turn[0]
