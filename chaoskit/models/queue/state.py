"""What a run of a queue has, and what can be done with it: messages come back, and lanes are held."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from chaoskit.models.events import CameBack, Delayed, HandedOver, Happened
from chaoskit.models.producer import Hold, Home, Logs
from chaoskit.models.queue.batches import Batches
from chaoskit.models.queue.consumers import Consumers
from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.models.queue.waiting import GivenBack, HeldLane, Lane, PendingRedelivery, WaitList
from chaoskit.models.refusals import Refusals
from chaoskit.models.turns import (
    Latest,
    Record,
    Turn,
    consumer_of,
    next_attempt,
    put_back,
    record_of,
)
from chaoskit.values.event import Event
from chaoskit.values.faults import Fault

FRONT = -1_000_000_000.0
"""Sorts before all times."""

AtHandOut = dict[int, list[Hold | Fault]]
"""What goes wrong when an event is handed out, by its position, in the order in which it fires."""


class LeasedQueue:
    """One run of the consumers of one queue, or of several.

    `todo` is what is to be handed out, the next at the end; `history` what was run and by whom, without what zombies
    run; `gone` what was taken out, after how many deliveries and why. `held_lanes` are not handed on: what comes up of
    them is put aside. `told` is what happens, where somebody listens.
    """

    # Of the class, as a run is made for each schedule of a search and most of these are never set.
    told: list[Happened] | None = None
    own = False
    """The handler settles by itself."""
    overlaps = False
    """Some execution has stopped while its competitors go on."""
    settled_at = -1
    """The place in the history of the last delivery in which something was settled."""
    stalled_at = -1
    """What `waiting` was when all that is stalled was looked at again."""
    latest = 0.0
    """The time of the latest message that was handed over without being run, or is gone."""
    requeued = -1.0  # before all times
    """The place in the order of arrival up to which all is known to wait, because a message was requeued behind it."""
    ended: Lane = None
    """The group whose receive has ended since the last delivery."""
    arming = -1
    """Who was handed a message, beside others that wait, and will not settle it; -1: nobody."""
    marked = 0
    """The place of the first event that a relay may publish again."""
    _returned = 0

    def __init__(
        self,
        events: Sequence[Event],
        home: Home,
        policy: LeasePolicy,
        logs: Logs,
        turns: list[Turn],
        groups: Sequence[int],
        anchored: AtHandOut,
    ) -> None:
        self.events, self.home, self.groups = events, home, groups
        self.policy, self.logs, self.todo, self.anchored = policy, logs, turns, anchored
        self.history: list[Turn] = []
        self.waiting = WaitList()
        self.held_lanes: dict[Lane, HeldLane] = {}
        self.consumers = Consumers(policy, self.waiting, self.held_lanes, self.history)
        self.batches = Batches(policy)
        self.refusals = Refusals()
        self.given_up: set[Record] = set()
        """No lease brings these back."""
        self.gone: list[tuple[int, Turn, Fault]] = []
        self.open: dict[Record, tuple[int, Turn]] = {}
        """What such a handler has not settled, with its place in the history."""
        self.consumers.open = self.open
        self.stalled: list[Turn] = []
        """What nobody can take before something is settled."""
        self.used_up: list[Turn] = []
        """What came back with its lane, and has had all its deliveries."""
        self.rejected: set[Record] = set()
        """What the handler gave up in this delivery."""
        self.dropped: dict[Record, bool] = {}
        """What its framework gave up in this delivery: rejected, or else acknowledged although it failed."""
        self.ran_out: dict[int, int] = {}
        """How often the lease of an event ran out, by its position, as nothing else was left."""
        # Chosen once, because every turn is asked for its lane.
        self.lane: Callable[[Turn], Lane] = self._lanes()
        self.came_back: set[Record] = set()
        """What came back since the last delivery."""
        self.run_last = Latest()

    def _lanes(self) -> Callable[[Turn], Lane]:
        groups = self.groups
        if self.policy.lock == "message":
            return record_of
        if self.policy.lock == "group":
            return lambda turn: (turn[1], groups[turn[3][2]])
        return lambda turn: turn[1]

    def batch_lane(self, turn: Turn) -> Lane:
        """The lane whose messages are in one batch; None, which is all, where single messages are locked."""
        return None if self.policy.lock == "message" else self.lane(turn)

    def tries(self, turn: Turn) -> int:
        return self.batches.tries(turn)

    def tell(self, kind: Callable[..., Happened], turns: Iterable[Turn], *more: object) -> None:
        """This happened to these messages."""
        if self.told is not None:
            self.told += [kind(turn[3], *more) for turn in turns]

    # What comes back.

    def come_back(self, turns: Iterable[Turn]) -> None:
        """Leases ended: the messages are to be handed out once more."""
        turns = list(turns)
        if self.open and self._comes_back_whole:
            turns = self._with_open_lanes(turns)
        if self.consumers.held_by:
            for turn in turns:
                self.consumers.held_by.pop(record_of(turn), None)
        self.tell(CameBack, turns)
        if self.policy.along is not None:
            turns = self._with_what_comes_along(turns)
        self.hand_out_again(turns)

    def hand_out_again(self, turns: list[Turn]) -> None:
        """Each once more, and counted."""
        if self.open or self.stalled:
            self._close(turns)
        self.came_back.update(record_of(turn) for turn in turns)
        self.batches.came_back(turns)
        again = [next_attempt(turn) for turn in turns]
        if self.policy.returns == "front":
            again = [(FRONT + self._returned + n, *turn[1:]) for n, turn in enumerate(again)]
            self._returned += len(again)
        put_back(self.todo, again)

    def _close(self, turns: Iterable[Turn]) -> None:
        """These are open no more, and there may be room for what waited for that."""
        for turn in turns:
            self.open.pop(record_of(turn), None)
        self.waiting.version += 1
        if self.stalled:
            put_back(self.todo, self.stalled)
            self.stalled.clear()

    @property
    def _comes_back_whole(self) -> bool:
        policy = self.policy
        return policy.brings == "lane" or (policy.lock == "group" and policy.brings == "message")

    def _with_open_lanes(self, turns: list[Turn]) -> list[Turn]:
        """These, and what is open of their lanes: a lane comes back in its order."""
        lanes, found = {self.lane(turn) for turn in turns}, {record_of(turn): turn for turn in turns}
        most = self.policy.most_deliveries
        for record, (_, turn) in list(self.open.items()):
            if self.lane(turn) in lanes and self.tries(turn) < most:
                found[record] = turn
            elif self.lane(turn) in lanes:
                self.used_up.append(turn)
                del self.open[record]
        return turns if len(found) == len(turns) else sorted(found.values())

    def held_open(self, turn: Turn) -> int:
        """How many messages that are open, or were handed out behind one, take up the window of this one."""
        if not self.open:  # as with every handler that settles by returning
            return 0
        if self.policy.lock == "message" or self.policy.brings == "consumer":
            return len(self.open_of(consumer_of(turn)))
        lane = self.lane(turn)
        begun = [index for index, other in self.open.values() if self.lane(other) == lane]
        # Of one receive, which has begun with the first of these or before.
        return sum(self.lane(other) == lane for other in self.history[min(begun) :]) if begun else 0

    def has_last_chances(self, turn: Turn) -> bool:
        """Whether something is open, at the consumer or in the lane of this message, that comes no more."""
        if not self.open:
            return False
        consumer, lane, most = consumer_of(turn), self.lane(turn), self.policy.most_deliveries
        turns = (other for _, other in self.open.values() if consumer_of(other) == consumer or self.lane(other) == lane)
        return any(self.tries(other) >= most for other in turns)

    def open_of(self, consumer: int) -> list[Turn]:
        """What this consumer has not settled, in the order of delivery."""
        return [turn for _, turn in self.open.values() if consumer_of(turn) == consumer] if self.open else []

    def along(self, turn: Turn) -> list[Turn]:
        """What was stored as one with this message, and was run."""
        if self.policy.along is None:
            return []
        numbers = self.policy.along(self.logs, turn[1], turn[2])
        found = {other[2]: other for other in self.history if other[1] == turn[1] and other[2] in numbers}
        found.pop(turn[2], None)
        return [other for other in found.values() if record_of(other) not in self.given_up]

    def is_half_run(self, turn: Turn) -> bool:
        """Whether something was stored as one with this message and was not handed out yet."""
        if self.policy.along is None:
            return False
        stored = self.policy.along(self.logs, turn[1], turn[2])
        waiting = chain(self.todo, *(held.turns for held in self.held_lanes.values()))
        return any(other[1] == turn[1] and other[2] in stored and other[3][5] == 1 for other in waiting)

    def _with_what_comes_along(self, turns: list[Turn]) -> list[Turn]:
        """These, and what was stored as one with any of them, but for what is back already. What waits by itself to
        come back comes now."""
        found = {record_of(other): other for turn in turns for other in self.along(turn)}
        found |= {record_of(turn): turn for turn in turns}
        for waiting in [w for w in self.waiting.of(GivenBack, PendingRedelivery) if record_of(w.turn) in found]:
            if isinstance(waiting, GivenBack) or self.policy.brings == "message":
                self.waiting.remove(waiting)
                self.tell(CameBack, [waiting.turn])
                found[record_of(waiting.turn)] = waiting.turn
        there = {record_of(turn) for turn in chain(self.todo, *(held.turns for held in self.held_lanes.values()))}
        return sorted(turn for record, turn in found.items() if record not in there)

    def hand_over(self, turn: Turn) -> None:
        """The consumer has it, and does not run it yet."""
        held_by = self.consumers.held_by
        if held_by.get(record_of(turn)) != consumer_of(turn):
            held_by[record_of(turn)] = consumer_of(turn)
            self.tell(HandedOver, [turn])

    def take(self, turns: Sequence[Turn]) -> None:
        """Take these, which are to be handed out soon, out of what is to be handed out."""
        todo = self.todo
        for turn in turns:
            # From the end: these come soon, and so stand near it.
            place = len(todo) - 1
            while todo[place] != turn:
                place -= 1
            del todo[place]

    # Lanes that are held.

    def held(self, turn: Turn) -> HeldLane | None:
        """What holds the lane of this message, or its whole queue."""
        return self.held_lanes.get(self.lane(turn)) or self.held_lanes.get(("queue", turn[1]))

    def release(self, held: HeldLane) -> None:
        """What was put aside of the lane can be handed out again."""
        del self.held_lanes[held.lane]
        self.waiting.version += 1
        if held.fault is not None and held.turns:
            self.tell(Delayed, held.turns[:1], held.fault)
        if held.consumer is not None:
            self.consumers.owns(held.lane, held.consumer)  # it has had it all the time
        put_back(self.todo, held.turns)

    def release_if_full(self, lane: Lane) -> None:
        """A receive that was full has ended, and its lane goes on."""
        held = self.held_lanes.get(lane)
        # Stalls of a fault, and those after a failed attempt, end by their own count.
        if held is not None and held.fault is None and held not in self.waiting.all:
            del self.held_lanes[lane]
            put_back(self.todo, held.turns)

    def unblock(self, held: HeldLane) -> None:
        if held.kept is not None:
            self.given_up.discard(record_of(held.kept))
            self.come_back([held.kept])
        self.release(held)

    def drop_kept(self, consumer: int) -> None:
        """A consumer is gone, and with it what it kept."""
        for held in [h for h in self.held_lanes.values() if h.kept is not None and consumer_of(h.kept) == consumer]:
            self.refusals.withdraw(held.lane)
            self.unblock(held)

    def is_back(self, turn: Turn) -> bool:
        """Whether this message, which has just been delivered, came back with another one."""
        return record_of(turn) in self.came_back

    def has_other_lanes(self, lanes: set[Lane]) -> bool:
        """Whether anything that is to be handed out is of no such lane."""
        # From the end: the next one usually decides it.
        return any(self.lane(other) not in lanes for other in reversed(self.todo))
