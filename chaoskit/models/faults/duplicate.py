"""`Duplicate`: a message comes again at once."""

from __future__ import annotations

from typing import Any

from chaoskit.models.queue.returns import coming_with
from chaoskit.models.queue.state import LeasedQueue
from chaoskit.models.spaces import Arguments, LogSpace, QueueSpace
from chaoskit.models.turns import Turn, attempt_of, record_of
from chaoskit.values.faults import Duplicate


def at_once_on_queue(state: LeasedQueue, turn: Turn) -> bool:
    """Whether the message can come again at once: nothing before it in its lane is unsettled, and nothing that came
    back before it is to be served."""
    policy, todo = state.policy, state.todo
    if state.own and (policy.brings == "consumer" or _is_behind_open(state, turn)):
        return False  # whoever could give it back is the handler, which does so itself; or a lane comes back whole
    if state.tries(turn) >= policy.most_deliveries:
        return False
    # A time below zero is one of what came back before, and is served first.
    if policy.returns == "front" and todo and todo[-1][0] < 0:
        return False
    lane = state.batch_lane(turn)
    # It comes again in a half of its batch, not by itself.
    if state.batches.has_halves(lane):
        return False
    if todo and todo[-1][0] <= state.requeued:
        return False  # it would go behind these
    if state.along(turn):
        return False  # it does not come alone
    if policy.brings == "batch" and attempt_of(turn) > 1 and _comes_in_a_batch(state, turn):
        return False
    # A nack gives back one message, whatever else its channel holds.
    return policy.brings == "consumer" or coming_with(state, turn) is None


def drop_covered(state: LeasedQueue, turn: Turn, faults: list[Any]) -> None:
    """Where an acknowledgement is one of all that is older, too, a copy would come with what of that is open."""
    while state.policy.up_to and faults and type(faults[0]) is Duplicate and _is_behind_open(state, turn):
        del faults[0]


def _is_behind_open(state: LeasedQueue, turn: Turn) -> bool:
    """Whether something else of its lane is not settled by its handler."""
    lane = state.lane(turn)
    opened = (other for _, other in state.open.values() if record_of(other) != record_of(turn))
    return state.policy.lock != "message" and any(state.lane(other) == lane for other in opened)


def _comes_in_a_batch(state: LeasedQueue, turn: Turn) -> bool:
    """Whether others came back with it: they are run before it, or after it."""
    lane = state.batch_lane(turn)
    return bool(state.batches.open.get(lane)) or any(state.batch_lane(other) == lane for other in reversed(state.todo))


def log_arguments(space: LogSpace, position: int) -> Arguments:
    return ()


def queue_arguments(space: QueueSpace, position: int) -> Arguments:
    return ()
