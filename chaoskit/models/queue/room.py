"""How many messages may be out before one of them is settled."""

from __future__ import annotations

from chaoskit.models.queue.policy import UNBOUNDED
from chaoskit.models.queue.state import LeasedQueue
from chaoskit.models.queue.waiting import GivenBack, HeldLane, PendingRedelivery
from chaoskit.models.turns import Turn

Unsettled = PendingRedelivery | HeldLane | GivenBack


def room(state: LeasedQueue, turn: Turn) -> int:
    """How many messages may be handed out, from this one of its queue on, before another one is settled."""
    outstanding, span = state.policy.outstanding, state.policy.span
    # First, because counting is expensive and hardly any queue has these bounds.
    if outstanding == UNBOUNDED == span:
        return UNBOUNDED
    waiting = unsettled(state, turn[1])
    opened = [other[2] for _, other in state.open.values() if other[1] == turn[1]] if state.open else []
    first = min([*map(first_of, waiting), *opened], default=turn[2])
    return min(outstanding - len(waiting) - len(opened), first + span - turn[2])


def unsettled(state: LeasedQueue, queue: int) -> list[Unsettled]:
    """What waits, in this queue, to be settled or to come back."""
    found: list[Unsettled] = [
        w for w in state.waiting.all if isinstance(w, (PendingRedelivery, GivenBack)) and w.turn[1] == queue
    ]
    found += [
        held
        for held in state.held_lanes.values()
        if (held.kept is not None and held.kept[1] == queue)
        or (held.consumer is not None and held.turns[0][1] == queue)
    ]
    return found


def first_of(unsettled: Unsettled) -> int:
    """The least number of what is not settled."""
    if not isinstance(unsettled, HeldLane):
        return unsettled.turn[2]
    return min(turn[2] for turn in [*unsettled.turns, unsettled.kept] if turn is not None)
