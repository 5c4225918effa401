"""Stage 2 of a queue: messages are handed out on lease, run, settled, and come back where they were not settled."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, takewhile

from chaoskit.models.log.consumer_group import Caused
from chaoskit.models.producer import Hold, Home, Logs, Record, Turn, moved_up, put_back_of, retries_of
from chaoskit.models.queue.policy import (
    FRONT,
    IN_THIS_ORDER,
    NOTHING,
    UNBOUNDED,
    Armed,
    AtHandOut,
    GivenBack,
    Held,
    Lane,
    Leasing,
    Note,
    Parked,
    Stall,
    Undead,
    Waiting,
    next_attempt,
)
from chaoskit.models.refusals import Refusals
from chaoskit.values.event import Event
from chaoskit.values.faults import DeadLetter, Duplicate, Fail, Fault, Lose, Overtake, Redeliver, Zombie
from chaoskit.values.scenario import Steps
from chaoskit.values.schedule import DELIVER, FAIL, LOSE, PARK, PUT_BACK, RESTART, SKIP, TAKE_OVER, Raw

RAISED_BEHIND = 10
"""Deliveries that go before a message whose handler raised, where others go on: what a client holds by then, at most.
A `Fail` says how many it wants."""
REQUEUED = 1e-6
"""How far behind the last message that waits one stands that is requeued: less than any other distance."""


class Lender:
    """One run of the consumers of one queue, or of several.

    `_todo` is what is to be handed out, the next at the end; `_history` what was run and by whom, without what zombies
    run. `_waiting` counts deliveries down. `cause` is the fault behind the step that was just made, `late` those that
    delay messages, `notes` what happened between the steps.
    """

    cause: Fault | None = None
    _moved = False
    _latest = 0.0
    _arrived = -1.0
    """The place in the order of arrival up to which all is known to wait, because a message was requeued behind it."""
    _ended: Lane = None
    _arming = -1

    def __init__(
        self,
        events: Sequence[Event],
        home: Home,
        leasing: Leasing,
        logs: Logs,
        turns: list[Turn],
        groups: Sequence[int],
        anchored: Held,
    ) -> None:
        self._events, self._home, self.leasing, self.logs = events, home, leasing, logs
        self._todo, self._groups, self._anchored = turns, groups, anchored
        self._history: list[Turn] = []
        self._waiting: list[Waiting] = []
        self._stalled: dict[Lane, Stall] = {}
        self._open: dict[Lane, list[Turn]] = {}
        self._owner: dict[Lane, int] = {}
        self._refusals: Refusals = Refusals()
        self._given_away: set[Record] = set()  # given up: no lease brings it back
        self._fresh = leasing.consumers
        self._returned = 0
        self._gone: list[tuple[int, Turn, Fault]] = []  # after how many deliveries, and why
        self._halves: dict[Lane, list[int]] = {}
        self._halved: Counter[Record] = Counter()
        self._held_by: dict[Record, int] = {}
        self._replaced: dict[int, int] = {}
        self.late: dict[Record, Fault] = {}
        self.notes: list[Note] = []

    def run(self) -> Steps:
        """The steps. Send True for a delivery that was refused."""
        todo, history, anchored, stalled, waiting = (
            self._todo, self._history, self._anchored, self._stalled, self._waiting
        )  # fmt: skip
        in_batches, most, held = self.leasing.brings == "batch", self.leasing.most_deliveries, self._held_by
        bounded = min(self.leasing.outstanding, self.leasing.span) < UNBOUNDED
        while True:
            if not todo:
                more = self._nothing_to_hand_out()
                if more is None:
                    return
                for step, self.cause in more:
                    yield step
                continue
            turn = todo.pop()
            if stalled and (stall := self._is_stalled(turn)) is not None:
                stall.turns.append(turn)
                continue
            if bounded and waiting and turn[3][5] == 1 and (late := self._to_make_room(turn)) is not None:
                todo.append(turn)
                caused = self._due(late)
                for step, self.cause in caused:
                    yield step
                continue
            if self._moved:
                turn = self._assigned(turn)
            faults = anchored.get(turn[3][2])
            fail: Fail | None = None
            if faults and isinstance(faults[0], Fail):
                fail = faults.pop(0)  # type: ignore[assignment]
            elif faults and not isinstance(faults[0], (Duplicate, Redeliver)):
                caused = self._not_shown(turn, faults)
                for step, self.cause in caused:
                    yield step
                continue
            if held:
                held.pop(turn[1:3], None)
            if fail is not None:
                turn, self.cause = (*turn[:3], (FAIL, *turn[3][1:])), fail
                yield turn[3]
                refused: bool | None = True
            else:
                refused = yield turn[3]
            history.append(turn)
            caused = NOTHING
            copied = self._copied_now(turn, faults, bool(refused)) if faults else None
            if in_batches:
                self._joins_batch(turn, copied is not None)
            while copied is not None:
                assert faults
                del faults[0]
                if (anew := self._anew(turn, copied)) is not None:
                    caused = anew
                    break
                self.cause = copied
                self.notes.append(Note("again", turn))
                turn = next_attempt(turn)
                refused = yield turn[3]
                history.append(turn)
                copied = self._copied_now(turn, faults, bool(refused))
            self._ended = None
            if waiting:
                self._arming = turn[3][1] if faults and not refused else -1
                caused = [*caused, *self._count(turn)]
                if faults and self._ended is not None and self._ended == self._lane(turn):
                    faults = None  # its receive has just ended with another one
                if (refused or faults) and any(turn[1:3] == other[1:3] for other in todo):
                    refused, faults = False, None  # it came back with another one
            if refused:
                caused = [*caused, *self._refused(turn, fail)]
            elif faults and isinstance(faults[0], Redeliver) and self._tries(turn) < most:
                caused = [*caused, *self._arm(turn, faults.pop(0))]  # type: ignore[arg-type]
            for step, self.cause in caused:
                yield step

    def _nothing_to_hand_out(self) -> Caused | None:
        """A stall ends, a lease ends, a zombie runs on, a dead letter comes back, a refused message is tried again."""
        for kind in IN_THIS_ORDER:
            found = [waiting for waiting in self._waiting if type(waiting) is kind]
            if found:
                return self._due(min(found, key=lambda waiting: waiting.left))
        held = [stall for stall in self._stalled.values() if not stall.blocked]
        if held:
            self._end_stall(held[0])
            return []
        return self._try_again()

    def _try_again(self) -> Caused | None:
        """A message that was given up, which may have waited for others; or the end of all that are left."""
        chance = self._refusals.next_chance()
        if chance is None:
            return self._refusals.end(self._history, chain.from_iterable(s.turns for s in self._stalled.values()))
        lane, step = chance
        self._open.clear()  # a batch does not wait for what comes so late
        if lane is None:
            return [self._put_back(step, 0, None)]
        stall = self._stalled[lane]
        self._given_away -= {turn[1:3] for turn in stall.turns}
        self._unblock(stall)
        return []

    def _drops_kept(self, consumer: int) -> None:
        """A consumer is gone, and with it what it kept."""
        for stall in [s for s in self._stalled.values() if s.kept is not None and s.kept[3][1] == consumer]:
            self._refusals.withdraw(stall.lane)
            self._unblock(stall)

    def _unblock(self, stall: Stall) -> None:
        if stall.kept is not None:
            self._given_away.discard(stall.kept[1:3])
            self._comes_back([stall.kept])
        self._end_stall(stall)

    # Who keeps what in order, and who takes it.

    def _lane(self, turn: Turn) -> Lane:
        lock = self.leasing.lock
        if lock == "message":
            return turn[1], turn[2]
        return (turn[1], self._groups[turn[3][2]]) if lock == "group" else turn[1]

    def _batch_lane(self, turn: Turn) -> Lane:
        """The lane whose messages are in one batch; None, which is all, where single messages are locked."""
        return None if self.leasing.lock == "message" else self._lane(turn)

    def _is_stalled(self, turn: Turn) -> Stall | None:
        return self._stalled.get(self._lane(turn)) or self._stalled.get(("queue", turn[1]))

    def _assigned(self, turn: Turn) -> Turn:
        """The message for the consumer that can take it: not one that is dead, busy or full."""
        if self._held_by.get(turn[1:3]) == turn[3][1]:
            return turn
        lane = self._lane(turn)
        consumer = self._free(self._owner.get(lane, turn[3][1]))
        if self.leasing.lock == "group":  # what is in the same receive is run by the same consumer
            consumer = next((armed.consumer for armed in self._all_armed() if armed.lane == lane), consumer)
        if self.leasing.lock == "queue":
            self._owner[lane] = consumer
        return turn if consumer == turn[3][1] else (*turn[:3], (DELIVER, consumer, *turn[3][2:]))

    def _free(self, consumer: int) -> int:
        out, count = self._out(), self.leasing.consumers
        mine = self._present(consumer)
        if mine not in out:
            return mine
        others = (self._present((consumer + n) % count) for n in range(1, count))
        return next((other for other in others if other not in out), mine)

    def _present(self, consumer: int) -> int:
        """Who is there in place of this one."""
        while consumer in self._replaced:
            consumer = self._replaced[consumer]
        return consumer

    def _out(self) -> set[int]:
        """Consumers that cannot take a message now: dead or busy, or full."""
        out = {waiting.consumer for waiting in self._waiting if isinstance(waiting, (Stall, Undead))}
        if self.leasing.brings == "consumer" and self.leasing.lock == "message":
            out |= {armed.consumer for armed in self._all_armed() if self._is_full(armed.consumer)}
            kept = [stall.kept[3][1] for stall in self._stalled.values() if stall.kept is not None]
            out |= {consumer for consumer in kept if kept.count(consumer) >= self.leasing.window}
        if self.leasing.window == 1 and self.leasing.lock == "message":  # it takes nothing else before it has run that
            out |= {consumer for consumer in self._held_by.values() if consumer >= 0}
        return {consumer for consumer in out if consumer is not None}

    def _all_armed(self) -> list[Armed]:
        return [waiting for waiting in self._waiting if isinstance(waiting, Armed)]

    def _is_full(self, consumer: int) -> bool:
        since = min((armed.since for armed in self._all_armed() if armed.consumer == consumer), default=UNBOUNDED)
        held = sum(turn[3][1] == consumer for turn in self._history[since:])
        return held + self._given_back_of(consumer) >= self.leasing.window

    def _unsettled(self, queue: int) -> list[Armed | Stall | GivenBack]:
        """What waits, in this queue, to be settled or to come back."""
        found: list[Armed | Stall | GivenBack] = [
            w for w in self._waiting if isinstance(w, (Armed, GivenBack)) and w.turn[1] == queue
        ]
        found += [
            stall
            for stall in self._stalled.values()
            if (stall.kept is not None and stall.kept[1] == queue)
            or (stall.consumer is not None and stall.turns[0][1] == queue)
        ]
        return found

    def _room(self, turn: Turn) -> int:
        """How many messages may be handed out, from this one of its queue on, before another one is settled."""
        outstanding, span = self.leasing.outstanding, self.leasing.span
        if min(outstanding, span) == UNBOUNDED:
            return UNBOUNDED
        unsettled = self._unsettled(turn[1])
        first = min((self._first_of(each) for each in unsettled), default=turn[2])
        return min(outstanding - len(unsettled), first + span - turn[2])

    def _first_of(self, unsettled: Armed | Stall | GivenBack) -> int:
        if not isinstance(unsettled, Stall):
            return unsettled.turn[2]
        return min(turn[2] for turn in [*unsettled.turns, unsettled.kept] if turn is not None)

    def _to_make_room(self, turn: Turn) -> Armed | Stall | GivenBack | None:
        """Whose time comes first, where this new message cannot be handed out before."""
        if self._room(turn) > 0:
            return None
        unsettled = [each for each in self._unsettled(turn[1]) if each in self._waiting]
        return min(unsettled, key=self._first_of) if unsettled else None

    # What goes wrong before a message is run.

    def _not_shown(self, turn: Turn, faults: list[AtHandOut]) -> Caused:
        fault = faults[0]
        if isinstance(fault, Hold):
            del faults[0]
            return self._held_back(turn, fault)
        if isinstance(fault, Overtake):
            del faults[0]
            return self._overtaken(turn, fault)
        if not isinstance(fault, Lose) and (armed := self._unsettled_with(turn, fault)) is not None:
            self._todo.append(turn)
            return self._end_lease(armed)
        del faults[0]
        if isinstance(fault, Lose) and self.leasing.trims and self._unsettled(turn[1]):
            self._todo.append(turn)
            return NOTHING
        if isinstance(fault, Lose) and self.leasing.brings == "batch":
            if turn[3][5] > 1:  # what failed comes again with its batch
                self._todo.append(turn)
                return NOTHING
            self._open.pop(self._batch_lane(turn), None)  # it was a batch of its own
        if isinstance(fault, Zombie):
            if turn[3][5] >= self.leasing.most_deliveries:
                self._todo.append(turn)
                return NOTHING
            return self._take_over(turn, fault)
        self._gone.append((len(self._history), turn, fault))
        self._latest = max(self._latest, turn[0])
        if isinstance(fault, Lose):
            return [((LOSE, *turn[3][1:]), fault)]
        assert isinstance(fault, DeadLetter)
        self._waiting.append(Parked(turn[3], fault.after + 1, fault))
        return [((PARK, *turn[3][1:]), fault)]

    def _unsettled_with(self, turn: Turn, fault: Fault | Hold | None = None) -> Armed | None:
        """What comes back together with this message, and has to come first. A consumer that is taken for dead loses
        all it has."""
        brings, lane = self.leasing.brings, self._lane(turn)
        for armed in self._all_armed():
            if isinstance(fault, Zombie) and armed.consumer == turn[3][1]:
                return armed
            if brings == "consumer" and armed.consumer == turn[3][1]:
                return armed
            if (brings in ("lane", "batch") or self.leasing.lock == "group") and armed.lane == lane:
                return armed
        return None

    def _overtaken(self, turn: Turn, fault: Overtake) -> Caused:
        """A consumer has the message (or the head of the lane) and is slow; void where no other one is free."""
        leasing = self.leasing
        consumer = turn[3][1] if leasing.in_order and leasing.lock == "message" else None
        others_first = fault.by + 1
        busy = consumer is not None and len(self._out() | {consumer}) >= leasing.consumers
        if busy and (slow := self._slow_with_room(turn)) is not None:
            assert slow.consumer is not None
            busy, consumer, turn = False, slow.consumer, (*turn[:3], (DELIVER, slow.consumer, *turn[3][2:]))
            others_first = max(others_first, slow.left + 1)  # it runs what it holds in order
        busy = busy or self._room(turn) < 2
        if busy or (leasing.brings == "consumer" and turn[3][5] >= leasing.most_deliveries):
            self._todo.append(turn)
            return NOTHING
        lane = self._lane(turn)
        if self._held_by.get(turn[1:3]) == consumer:  # it stops at this one once more, and what is behind it waits
            behind = [w for w in self._waiting if isinstance(w, Stall) and w.consumer == consumer is not None]
            for place, later in enumerate(sorted(behind, key=lambda w: w.left), start=1):
                later.left = max(later.left, others_first + place)
        stall = Stall(lane, others_first, [turn], fault, consumer)
        if consumer is not None:
            self._hands_over(turn)
            self._latest = max(self._latest, turn[0])
            self._moved = True
        self._stalled[lane] = stall
        self._waiting.append(stall)
        return NOTHING

    def _slow_with_room(self, turn: Turn) -> Stall | None:
        """The last message of a slow consumer that can hold this one, too."""
        slow = [
            w for w in self._waiting if isinstance(w, Stall) and w.consumer is not None and w.turns[0][1] == turn[1]
        ]
        if not slow or len([w for w in slow if w.consumer == slow[0].consumer]) >= self.leasing.window:
            return None
        return max((w for w in slow if w.consumer == slow[0].consumer), key=lambda w: w.left)

    def _held_back(self, turn: Turn, hold: Hold) -> Caused:
        """The old home of a key that moved drains late: not before the event that moved."""
        lane = ("queue", turn[1])
        stall = self._stalled[lane] = Stall(lane, hold.release, [turn], hold.fault, None)
        stall.awaits = hold.awaits
        self._waiting.append(stall)
        return NOTHING

    def _take_over(self, turn: Turn, fault: Zombie) -> Caused:
        """The lease of all that the consumer holds ends; it runs it nevertheless, while others are handed it."""
        old, lane = turn[3][1], self._lane(turn)
        room = min(self._room(turn), self.leasing.window - self._given_back_of(old))
        held = [turn, *self._fetched_with(turn, max(0, min(fault.holds, room - 1)))]
        self._open.pop(self._batch_lane(turn), None)
        for each in held:
            self._hands_over(each)
        self.notes += [Note("undead", each) for each in held]
        along = self._takes_along(old) if self.leasing.brings == "consumer" or self.leasing.consumers == 1 else []
        self._comes_back(sorted([*along, *held]))
        if self.leasing.consumers == 1:
            self._drops_kept(old)
        self.late |= {each[1:3]: fault for each in held}
        self._latest = max([self._latest, *(each[0] for each in held)])
        undead = Undead(old, fault.after + 1, held, fault)
        self._held_by.update((each[1:3], -1) for each in held)
        self._waiting.append(undead)
        self._moved = True
        new = self._successor(old, lane)
        return [((TAKE_OVER, new, *turn[3][2:5], turn[3][5] + 1, *turn[3][6:]), fault)]

    def _fetched_with(self, turn: Turn, most: int) -> list[Turn]:
        """The next messages of the lane, or of the queue where nothing keeps an order, handed to the same consumer."""
        lane, found = self._lane(turn), list[Turn]()
        for other in reversed(self._todo):
            if other[1] != turn[1] or (self.leasing.lock != "message" and self._lane(other) != lane):
                continue
            if (
                len(found) == most
                or other[1:3] in self._held_by
                or other[2] - turn[2] >= self.leasing.span
                or self._is_stalled(other)
                or other[3][5] >= self.leasing.most_deliveries
            ):
                break
            found.append(other)
        for other in found:
            self._todo.remove(other)
        return [(*other[:3], (DELIVER, turn[3][1], *other[3][2:])) for other in found]

    def _hands_over(self, turn: Turn) -> None:
        """The consumer has it, and does not run it yet."""
        if self._held_by.get(turn[1:3]) != turn[3][1]:
            self._held_by[turn[1:3]] = turn[3][1]
            self.notes.append(Note("held", turn))

    def _comes_back(self, turns: Iterable[Turn]) -> None:
        """Leases ended: the messages are to be handed out once more."""
        turns = list(turns)
        for turn in turns:
            self._held_by.pop(turn[1:3], None)
        self.notes += [Note("back", turn) for turn in turns]
        if self.leasing.bisects and len(turns) > 1:
            self._halved.update(turn[1:3] for turn in turns)
        again = [next_attempt(turn) for turn in turns]
        if self.leasing.returns == "front":
            again = [(FRONT + self._returned + n, *turn[1:]) for n, turn in enumerate(again)]
            self._returned += len(again)
        self._back_to_queue(again)

    def _successor(self, old: int, lane: Lane) -> int:
        """Who is handed what `old` is thought to have dropped: another consumer, or a new one where there is none."""
        new = self._free(old)
        if new in self._out():
            new, self._fresh = self._fresh, self._fresh + 1
            self._replaced[old] = new
        if self.leasing.lock != "message":
            self._owner[lane] = new
        return new

    # After a delivery.

    def _anew(self, turn: Turn, copied: Duplicate) -> Caused | None:
        """What brings the message again at once, where that is another message; None: it is handed out once more."""
        return None

    def _copied_now(self, turn: Turn, faults: list[AtHandOut], refused: bool) -> Duplicate | None:
        """The copy of this message that comes at once, if one does."""
        if not faults or refused or not isinstance(copied := faults[0], Duplicate):
            return None
        return copied if self._tries(turn) < self.leasing.most_deliveries and self._alone(turn) else None

    def _alone(self, turn: Turn) -> bool:
        """Whether the message can come again at once: nothing before it in its lane is unsettled, and nothing that came
        back before it is to be served."""
        if self.leasing.returns == "front" and self._todo and self._todo[-1][0] < 0:
            return False
        if self._halves.get(self._batch_lane(turn)):
            return False
        if any(other[0] <= self._arrived for other in self._todo):
            return False  # it would go behind these
        if self.leasing.brings == "batch" and turn[3][5] > 1 and self._comes_in_a_batch(turn):
            return False
        return self.leasing.brings == "consumer" or self._unsettled_with(turn) is None

    def _joins_batch(self, turn: Turn, alone: bool) -> None:
        """`alone`: the batch is this message only, and is closed."""
        lane = self._batch_lane(turn)
        members = self._open.get(lane, [])
        if len(members) >= self._batch_size(lane) or (members and members[-1][3][1] != turn[3][1]):
            members = []
            self._halves[lane] = self._halves.get(lane, [])[1:]
        self._open[lane] = [] if alone else [*members, turn]

    def _tries(self, turn: Turn) -> int:
        """How often it was delivered, without those in a batch that was halved."""
        return turn[3][5] - self._halved[turn[1:3]] if self._halved else turn[3][5]

    def _batch_size(self, lane: Lane) -> int:
        """The most that the open batch of this lane takes: a batch that failed may come again in halves."""
        halves = self._halves.get(lane)
        return halves[0] if halves else self.leasing.window

    def _halve(self, lane: Lane, size: int) -> None:
        """A batch of this size failed, and comes again in two, before the halves that are left of earlier ones."""
        if self.leasing.bisects:
            halves = [half for half in (size // 2, size - size // 2) if half]
            self._halves[lane] = [*halves, *self._halves.get(lane, [])[1:]]

    def _comes_in_a_batch(self, turn: Turn) -> bool:
        """Whether others came back with it: they are run before it, or after it."""
        lane = self._batch_lane(turn)
        return bool(self._open.get(lane)) or any(self._batch_lane(other) == lane for other in self._todo)

    def _in_a_batch(self, turn: Turn) -> bool:
        """Whether others are in the batch of this message, which is run now."""
        lane = self._batch_lane(turn)
        if len(self._open.get(lane, [])) > 1:
            return True
        return self._batch_size(lane) > 1 and any(self._batch_lane(other) == lane for other in self._todo)

    def _arm(self, turn: Turn, fault: Redeliver | Fail | None) -> Caused:
        """The message is not settled: it comes back after some more deliveries, or when no more fit in."""
        after = RAISED_BEHIND if fault is None else fault.after
        leasing, lane, members, room = self.leasing, self._lane(turn), [turn], UNBOUNDED
        if leasing.brings == "batch":
            members, room = self._whole_batch(turn, leasing.most_deliveries), 0
            self._halve(self._batch_lane(turn), len(members))
        elif leasing.brings == "lane" or leasing.lock == "group":
            room = leasing.window - 1
            if leasing.lock == "queue" and turn[3][5] > 1:  # what is invoked again is that batch and no more
                room = min(room, sum(other[3][5] > 1 and self._lane(other) == lane for other in self._todo))
        armed = Armed(fault, turn, lane, after, len(self._history) - 1, members, room)
        self._moved = True
        self.notes.append(Note("open", turn))
        if after == 0:
            return self._end_lease(armed)
        self._waiting.append(armed)
        self._waits_if_full(armed)
        full = leasing.brings == "consumer" and len(self._out()) >= leasing.consumers
        single = leasing.brings == "consumer" and leasing.lock != "message" and self._is_full(armed.consumer)
        return self._end_lease(armed) if full or single else NOTHING

    def _waits_if_full(self, armed: Armed) -> None:
        """A receive or batch that is full keeps its lane until its lease ends; other lanes go on."""
        if armed.room == 0 and self.leasing.lock != "message" and armed.lane not in self._stalled:
            self._stalled[armed.lane] = Stall(armed.lane, UNBOUNDED, [], None, None)

    def _whole_batch(self, turn: Turn, most: int) -> list[Turn]:
        """The batch of the message, with those of it that will not be run now, up to one with `most` deliveries."""
        leasing, lane = self.leasing, self._batch_lane(turn)
        members = self._open.pop(lane, [])
        if not members:
            return [turn]
        same = [other for other in reversed(self._todo) if leasing.lock == "message" or self._lane(other) == lane]
        same = list(takewhile(lambda other: self._tries(other) < most, same))
        room = self._batch_size(lane) - len(members)
        rest = [(*other[:3], (DELIVER, turn[3][1], *other[3][2:])) for other in same[:room]]
        for other in same[: len(rest)]:
            self._todo.remove(other)
        self.notes += [Note("held", other, members[0]) for other in rest]
        self._latest = max([self._latest, *(other[0] for other in rest)])
        return [*members, *rest]

    def _count(self, turn: Turn) -> Caused:
        """One more delivery: what waited long enough is due."""
        lane = self._lane(turn)
        due: list[Waiting] = []
        for waiting in self._waiting:
            if isinstance(waiting, Armed) and waiting.lane == lane:
                waiting.room -= 1
                self._waits_if_full(waiting)
            if isinstance(waiting, Stall) and waiting.awaits is not None:
                if waiting.awaits != turn[3][2]:
                    continue
                waiting.awaits, waiting.left = None, waiting.left + 1
            waiting.left -= 1
            if waiting.left <= 0:
                due.append(waiting)
        due += self._overfull(turn)
        if len(due) > 1:
            due.sort(key=lambda waiting: IN_THIS_ORDER.index(type(waiting)))
        caused: Caused = []
        for waiting in due:
            if waiting in self._waiting:
                caused += self._due(waiting)
        return caused

    def _overfull(self, turn: Turn) -> list[Waiting]:
        """The lease that ends because nobody can take another message."""
        leasing = self.leasing
        if leasing.brings != "consumer":
            return []
        consumer = turn[3][1]
        armed = [armed for armed in self._all_armed() if armed.consumer == consumer]
        if not armed or not self._is_full(consumer):
            return []
        return [armed[0]] if leasing.lock != "message" or len(self._out()) >= leasing.consumers else []

    def _due(self, waiting: Waiting) -> Caused:
        if isinstance(waiting, Armed):
            return self._end_lease(waiting)
        self._waiting.remove(waiting)
        if isinstance(waiting, Stall):
            self._end_stall(waiting)
            return NOTHING
        if isinstance(waiting, GivenBack):
            self._comes_back(waiting.turns)
            return NOTHING
        if isinstance(waiting, Parked):
            retries = retries_of(waiting.step) + 1 if self.leasing.refused == "renewed" else 0
            return [self._put_back(waiting.step, retries, waiting.fault)]
        assert isinstance(waiting, Undead)
        turn = waiting.turns.pop(0)
        if waiting.turns:
            waiting.left = 1
            self._waiting.append(waiting)
        return [(turn[3], waiting.fault)]

    def _end_stall(self, stall: Stall) -> None:
        del self._stalled[stall.lane]
        if stall.fault is not None and stall.turns:
            self.late[stall.turns[0][1:3]] = stall.fault
        if stall.consumer is not None:
            # The consumer has had it all the time: it is run now, whoever else is free.
            self._owner[stall.lane] = stall.consumer
        self._back_to_queue(stall.turns)

    def _back_to_queue(self, turns: Iterable[Turn]) -> None:
        self._todo += turns
        self._todo.sort(reverse=True)

    # A lease ends.

    def _end_lease(self, armed: Armed) -> Caused:
        """The message comes back, with all that the broker brings back with it; what was pending there waits anew."""
        self._ended = armed.lane if self.leasing.lock == "group" else None
        together = self._returning_together(armed)
        most = self.leasing.most_deliveries
        turns = [turn for turn in self._returning(armed, together) if self._tries(turn) < most]
        for other in together:
            if other in self._waiting:
                self._waiting.remove(other)
            if other is not armed and isinstance(other.fault, Redeliver):
                self._anchored.setdefault(other.turn[3][2], []).insert(0, other.fault)
        self._release(armed.lane)
        if self.leasing.brings == "consumer":
            self._drops_kept(armed.consumer)
        if armed.fault is not None:
            self.late |= {turn[1:3]: armed.fault for turn in turns}
        caused: Caused = []
        if armed.dies and not self._busy_elsewhere(armed):
            caused.append(((RESTART, armed.consumer, -1, -1, -1), armed.fault))
            self._fails_over(armed)
        self._comes_back(turns)
        return caused

    def _returning_together(self, armed: Armed) -> list[Armed]:
        leasing = self.leasing
        if leasing.brings == "message" and leasing.lock == "message":
            return [armed]

        def together(other: Armed) -> bool:
            return other.consumer == armed.consumer if leasing.brings == "consumer" else other.lane == armed.lane

        return [armed, *(other for other in self._all_armed() if other is not armed and together(other))]

    def _returning(self, armed: Armed, together: list[Armed]) -> list[Turn]:
        brings = self.leasing.brings
        if brings in ("message", "batch"):
            return sorted(turn for other in together for turn in other.members)
        found: dict[Record, Turn] = {}
        for turn in self._history[min(other.since for other in together) :]:
            mine = turn[3][1] == armed.consumer if brings == "consumer" else self._lane(turn) == armed.lane
            if mine and turn[1:3] not in self._given_away:
                found[turn[1:3]] = turn
        if brings == "consumer":
            found |= {turn[1:3]: turn for turn in self._takes_along(armed.consumer)}
            for stall in [w for w in self._waiting if isinstance(w, Stall) and w.consumer == armed.consumer]:
                self._waiting.remove(stall)
                del self._stalled[stall.lane]
                found |= {turn[1:3]: turn for turn in stall.turns}
        return sorted(found.values()) + self._buffered(armed, len(found))

    def _takes_along(self, consumer: int) -> list[Turn]:
        """What this consumer has not given back yet: it comes back with the consumer's channel."""
        mine = [w for w in self._waiting if isinstance(w, GivenBack) and w.consumer == consumer]
        self._waiting[:] = [w for w in self._waiting if w not in mine]
        return [turn for given_back in mine for turn in given_back.turns]

    def _buffered(self, armed: Armed, held: int) -> list[Turn]:
        """What came back before and was pushed to the only active consumer again: it comes back with the rest."""
        leasing = self.leasing
        if leasing.brings != "consumer" or leasing.lock != "queue" or leasing.returns != "front":
            return []
        again = [turn for turn in reversed(self._todo) if turn[0] < 0 and turn[1] == armed.turn[1]]
        most = leasing.most_deliveries  # with its last delivery used up it would be gone, unseen
        again = list(takewhile(lambda turn: turn[3][5] < most, again))
        buffered = []
        for turn in again[: max(0, leasing.window - held)]:
            self._todo.remove(turn)
            mine: Turn = (*turn[:3], (DELIVER, armed.consumer, *turn[3][2:]))
            self._hands_over(mine)
            buffered.append(mine)
        return buffered

    def _release(self, lane: Lane) -> None:
        stall = self._stalled.get(lane)
        if stall is not None and stall.fault is None and stall not in self._waiting:
            del self._stalled[lane]
            self._back_to_queue(stall.turns)

    def _busy_elsewhere(self, armed: Armed) -> bool:
        """The consumer has more to do than this lease: it did not die, its lease ran out."""
        consumer = armed.consumer
        if consumer == self._arming or consumer in self._held_by.values():
            return True
        if any(turn[3][1] == consumer for lane, turns in self._open.items() if lane != armed.lane for turn in turns):
            return True
        return any(
            waiting.consumer == consumer
            for waiting in self._waiting
            if waiting is not armed and not isinstance(waiting, (Parked, GivenBack))
        )

    def _fails_over(self, armed: Armed) -> None:
        """A single active consumer that died is followed by the next one."""
        if self.leasing.lock == "queue" and self.leasing.consumers > 1:
            following = (armed.consumer + 1) % self.leasing.consumers
            self._owner[armed.lane] = self._present(following)

    # New messages, and refused ones.

    def _put_back(self, parked: Raw, retries: int, fault: Fault | None) -> tuple[Raw, Fault | None]:
        """Accept the event anew, behind everything that was accepted by now."""
        return self._append(parked[2], put_back_of(parked, self._now(), retries)), fault

    def _append(self, position: int, copy: tuple[int, ...]) -> Raw:
        now = self._now()
        lane = self._home(self._events[position].key, position, self.logs.counts[now])
        return self._accept(position, lane, bisect_right(self.logs.appended[lane], now + 0.5), now + 0.5, copy)

    def _now(self) -> int:
        """The latest event that was handed out, or is gone."""
        return int(max([self._latest, self._arrived, *(turn[0] for turn in self._history)]))

    def _accept(self, position: int, lane: int, number: int, time: float, copy: tuple[int, ...]) -> Raw:
        """One more message of this event; what comes later moves up by one."""
        self.logs = self.logs.inserted(lane, number, position, time)
        for turns in (self._todo, *(stall.turns for stall in self._stalled.values())):
            moved_up(turns, lane, number)
        taker = {"message": position, "group": self._groups[position], "queue": lane}[self.leasing.taken_by]
        consumer = taker % self.leasing.consumers
        step: Raw = (DELIVER, consumer, position, lane, number, 1, *copy[1:])
        self._back_to_queue([(time, lane, number, step)])
        return (PUT_BACK, *step[1:])

    def _refused(self, turn: Turn, fail: Fail | None) -> Caused:
        """The attempt failed, because the handler raised or before it was called: the message is not settled, and is
        shown again by the broker's rule."""
        leasing, step = self.leasing, turn[3]
        if leasing.drops_failed:
            return [((SKIP, *step[1:]), fail)]
        which = (-1, step[2]) if leasing.refused == "renewed" else turn[1:3]
        if leasing.bisects and self._in_a_batch(turn):
            return self._shown_again(turn, fail)  # halving a batch is no retry
        attempts = self._refusals.attempt(which)
        if self._tries(turn) >= leasing.most_deliveries:
            attempts = leasing.max_attempts
        if attempts < leasing.max_attempts:
            return self._sent_again(turn, fail) if leasing.refused == "renewed" else self._shown_again(turn, fail)
        self._given_away.add(turn[1:3])
        others = self._rest_of_batch(turn) if leasing.brings == "batch" else NOTHING
        if leasing.gives_up == "lost":
            return [((SKIP, *step[1:]), fail), *others]
        if leasing.gives_up == "dead":
            self._refusals.give_up(which, None, step)
            return [((PARK, *step[1:]), fail), *others]
        self._refusals.give_up(which, self._block(turn), step)
        return others

    def _rest_of_batch(self, turn: Turn) -> Caused:
        """The batch failed with a message that is given up: the others come back, or are given up with it where their
        deliveries are used up, too."""
        leasing, most = self.leasing, self.leasing.most_deliveries
        others = [other for other in self._whole_batch(turn, UNBOUNDED) if other[1:3] != turn[1:3]]
        self._comes_back(other for other in others if self._tries(other) < most)
        used_up = [other for other in others if self._tries(other) >= most]
        if leasing.gives_up == "dead":
            for other in used_up:
                self._refusals.give_up(other[1:3], None, other[3])
        return [((PARK if leasing.gives_up == "dead" else SKIP, *other[3][1:]), None) for other in used_up]

    def _sent_again(self, turn: Turn, fail: Fail | None) -> Caused:
        """It leaves, and is sent again as a new message, after one other delivery at least."""
        self._waiting.append(Parked(turn[3], 1 if fail is None else fail.after + 1, fail))
        return [((PARK, *turn[3][1:]), fail)]

    def _shown_again(self, turn: Turn, fail: Fail | None) -> Caused:
        if (armed := self._unsettled_with(turn)) is not None and armed.turn is not turn:
            caused = self._end_lease(armed)
            if not any(turn[1:3] == other[1:3] for other in self._todo):
                self._comes_back([turn])
            return caused
        leasing, turns = self.leasing, [turn]
        if leasing.goes_on and leasing.lock != "message" and leasing.brings != "consumer":
            if self._ended is None or self._ended != self._lane(turn):
                return self._arm(turn, fail)
            self._comes_back(turns)  # what it was received with has just come back
            return NOTHING
        if leasing.brings == "batch":
            most = leasing.most_deliveries
            turns = [each for each in self._whole_batch(turn, most) if self._tries(each) < most]
            self._halve(self._batch_lane(turn), len(turns))
        if fail is not None:
            self.late |= {each[1:3]: fail for each in turns}
        after = self._others_first(turns, fail)
        if after and leasing.to_the_back and leasing.one_at_a_time:
            return self._requeue(turn, after)
        if after and not leasing.keeps_lane:
            self._waiting.append(GivenBack(turns, after))
            return NOTHING
        self._comes_back(turns)
        if after:
            for lane in dict.fromkeys(self._lane(each) for each in turns):
                if lane not in self._stalled:
                    stall = self._stalled[lane] = Stall(lane, after, [], None, None)
                    self._waiting.append(stall)
        return NOTHING

    def _requeue(self, turn: Turn, after: int) -> Caused:
        """The message goes to the back of its queue, in which so many others wait by now, and all that waited when
        another one was requeued."""
        ready = [other for other in reversed(self._todo) if other[1] == turn[1]]
        waits = max([self._arrived, turn[0], *(other[0] for other in ready[:after])])
        behind = [other for other in ready if other[0] <= waits]
        self._arrived = waits + REQUEUED
        self.notes.append(Note("requeued", turn, behind[-1] if behind else None))
        self._back_to_queue([(self._arrived, *next_attempt(turn)[1:])])
        return NOTHING

    def _others_first(self, turns: Sequence[Turn], fail: Fail | None) -> int:
        """How many other deliveries go before what was given back, if there are any."""
        leasing = self.leasing
        if leasing.keeps_lane:
            lanes = {self._lane(each) for each in turns}
            others = any(self._lane(other) not in lanes for other in self._todo)
            after = fail.after if fail is not None else int(leasing.returns != "front")
        else:
            mine = turns[0][3][1]
            others = any(self._held_by.get(other[1:3], mine) == mine for other in self._todo)
            room = leasing.window - self._given_back_of(mine) - 1 if leasing.behind_buffers else UNBOUNDED
            after = min(RAISED_BEHIND if fail is None else fail.after, leasing.most_behind, room)
        return after if others else 0

    def _given_back_of(self, consumer: int) -> int:
        """How many messages this consumer has not given back yet whose attempts failed."""
        return sum(w.consumer == consumer for w in self._waiting if isinstance(w, GivenBack))

    def _block(self, turn: Turn) -> Lane:
        """What was refused keeps its lane until nothing else is left; or, where what comes back is served first, its
        consumer keeps it. Nothing of the queue is handed out where nobody has room for more."""
        lane = self._lane(turn)
        stall = Stall(lane, UNBOUNDED, [], None, None)
        stall.blocked = True
        if self.leasing.lock != "message" or self.leasing.returns == "anywhere":
            self._comes_back([turn])
        else:
            stall.kept, self._moved = turn, True
        self._stalled[lane] = stall
        if stall.kept is not None and (self._room(turn) < 1 or len(self._out()) >= self.leasing.consumers):
            del self._stalled[lane]
            stall.lane = ("queue", turn[1])
            if (other := self._stalled.get(stall.lane)) is not None:
                self._waiting.remove(other)
                self._end_stall(other)
            self._stalled[stall.lane] = stall
        return stall.lane
