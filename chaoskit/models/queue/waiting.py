"""What waits for deliveries in a run of a queue: lanes that are held, leases that will end, what comes back later."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from chaoskit.models.turns import NEVER, Turn
from chaoskit.values.faults import Crash, DeadLetter, Duplicate, Fail, Fault, Overlap, Redeliver, Zombie
from chaoskit.values.schedule import Raw

Lane = Hashable
"""What is handled in order: a message, a group or a queue."""


class Waiting:
    """Something that is due when so many deliveries have been counted."""

    __slots__ = ("due",)
    due: int
    consumer: int | None = None
    awaits: int | None = None
    """The position of the event from whose delivery on it counts; None: from the beginning."""


class HeldLane(Waiting):
    """A lane that is not handed on: a slow consumer has its head, or nothing has asked for it; or it is `blocked` by
    what was refused, which is not given back before (`kept`) where it would be served first."""

    __slots__ = ("awaits", "blocked", "consumer", "fault", "kept", "lane", "turns")

    def __init__(self, lane: Lane, turns: list[Turn], fault: Fault | None = None, consumer: int | None = None) -> None:
        self.lane, self.turns, self.fault, self.consumer = lane, turns, fault, consumer
        self.due = NEVER
        self.awaits = None
        self.blocked = False
        self.kept: Turn | None = None


class PendingRedelivery(Waiting):
    """A message that was run, or whose attempt failed, and that is not settled. `since`: its place in the history;
    `members` are its batch, where batches come back whole; `room` is how many more of its lane fit into its receive."""

    __slots__ = ("consumer", "fault", "lane", "members", "room", "since", "turn")

    def __init__(
        self, fault: Redeliver | Fail | Crash | None, turn: Turn, lane: Lane, since: int, members: list[Turn], room: int
    ) -> None:
        self.fault, self.turn, self.lane = fault, turn, lane
        self.since, self.members, self.room, self.consumer = since, members, room, turn[3][1]

    @property
    def dies(self) -> bool:
        """Its consumer dies when it comes back; where the attempt failed it does not, and a Crash has killed it."""
        return isinstance(self.fault, Redeliver)


class GivenBack(Waiting):
    """Messages whose attempt failed, together, and that others go before."""

    __slots__ = ("consumer", "turn", "turns")

    def __init__(self, turns: list[Turn]) -> None:
        self.turns, self.turn, self.consumer = turns, turns[0], turns[0][3][1]


class SetAside(Waiting):
    """A dead letter that is put back later, or a task that is sent again."""

    __slots__ = ("fault", "step")

    def __init__(self, step: Raw, fault: DeadLetter | Fail | None) -> None:
        self.step, self.fault = step, fault


class ZombieRun(Waiting):
    """What a consumer that was taken for dead holds and still runs, the next first."""

    __slots__ = ("consumer", "fault", "turns")

    def __init__(self, consumer: int, turns: list[Turn], fault: Zombie | Overlap) -> None:
        self.consumer, self.turns, self.fault = consumer, turns, fault


class SecondRelay(Waiting):
    """A relay that runs beside one that was taken for dead, and publishes from the last mark on."""

    __slots__ = ("fault", "turn")

    def __init__(self, turn: Turn, fault: Zombie | Duplicate) -> None:
        self.turn, self.fault = turn, fault


IN_THIS_ORDER: tuple[type[Waiting], ...] = (HeldLane, GivenBack, PendingRedelivery, SecondRelay, ZombieRun, SetAside)
"""Of what is due at once. What is held runs first, and what was set aside is put back behind everything."""
_PLACE: dict[type[Waiting], int] = {kind: place for place, kind in enumerate(IN_THIS_ORDER)}


def _place(waiting: Waiting) -> int:
    return _PLACE[type(waiting)]


class WaitList:
    """All that waits, in the order in which it began to. `count` are the deliveries so far, and `next_due` when the
    next of them may be due, so that a delivery at which nothing is due costs one comparison."""

    __slots__ = ("_awaited", "all", "count", "given_back", "next_due", "pending", "version")

    def __init__(self) -> None:
        self.all: list[Waiting] = []
        # Also in `all`: these are asked for at every delivery, the rest is not.
        self.pending: list[PendingRedelivery] = []
        self.given_back: list[GivenBack] = []
        self.count, self.next_due, self.version = 0, NEVER, 0
        self._awaited: list[HeldLane] = []

    def add(self, waiting: Waiting, after: int) -> None:
        """It is due after so many further deliveries."""
        waiting.due = self.count + after
        self.all.append(waiting)
        self.version += 1
        if isinstance(waiting, PendingRedelivery):
            self.pending.append(waiting)
        elif isinstance(waiting, GivenBack):
            self.given_back.append(waiting)
        if waiting.due < self.next_due:
            self.next_due = waiting.due

    def add_awaiting(self, held: HeldLane, position: int, after: int) -> None:
        """It is due so many deliveries after that of the event at this position."""
        held.awaits, held.due = position, after
        self.all.append(held)
        self._awaited.append(held)
        self.version += 1
        self.next_due = -1  # each delivery may be the one

    def postpone(self, waiting: Waiting, after: int) -> None:
        """It is not due before so many further deliveries."""
        waiting.due = max(waiting.due, self.count + after)

    def remove(self, waiting: Waiting) -> None:
        # `next_due` may be too early now, which costs one look and no more.
        self.all.remove(waiting)
        self.version += 1
        if isinstance(waiting, PendingRedelivery):
            self.pending.remove(waiting)
        elif isinstance(waiting, GivenBack):
            self.given_back.remove(waiting)

    def drop(self, gone: Iterable[Waiting]) -> None:
        for waiting in list(gone):
            self.remove(waiting)

    def left(self, waiting: Waiting) -> int:
        """How many deliveries are missing until it is due, where those it awaits are not counted."""
        return waiting.due if waiting.awaits is not None else waiting.due - self.count

    def of(self, *kinds: type[Any]) -> list[Any]:
        return [waiting for waiting in self.all if isinstance(waiting, kinds)]

    def due(self, position: int) -> list[Waiting]:
        """What is due now that the event at this position was delivered, in the order of `all`."""
        if self._awaited:
            for held in self._awaited:
                if held.awaits == position and held in self.all:
                    held.awaits, held.due = None, self.count + held.due
            self._awaited = [held for held in self._awaited if held.awaits is not None and held in self.all]
        found = [waiting for waiting in self.all if waiting.due <= self.count and waiting.awaits is None]
        self.next_due = -1 if self._awaited else min([w.due for w in self.all], default=NEVER)
        return found

    def first(self) -> Waiting | None:
        """What is due first where nothing can be handed out."""
        if len(self.all) < 2:
            return self.all[0] if self.all else None
        return min(self.all, key=lambda waiting: (_place(waiting), self.left(waiting)))


def in_order(due: list[Waiting]) -> list[Waiting]:
    return sorted(due, key=_place) if len(due) > 1 else due
