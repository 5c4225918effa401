"""`Lose`: the settings lose a message, and nobody is shown it."""

from __future__ import annotations

from chaoskit.models.faults import rehash
from chaoskit.models.log.state import GroupState
from chaoskit.models.queue.room import unsettled
from chaoskit.models.queue.state import LeasedQueue
from chaoskit.models.spaces import Arguments, LogSpace, QueueSpace
from chaoskit.models.turns import NOTHING, Caused, Turn, attempt_of, consumer_of, step_as
from chaoskit.values.faults import Lose
from chaoskit.values.schedule import LOSE, RESTART


def on_queue(state: LeasedQueue, turn: Turn, fault: Lose) -> Caused:
    """Void where all that is older would be removed with it and is not settled, and for what comes again with its
    batch."""
    policy = state.policy
    if (policy.trims and unsettled(state, turn[1])) or (policy.brings == "batch" and attempt_of(turn) > 1):
        state.todo.append(turn)
        return NOTHING
    if policy.brings == "batch":
        state.batches.open.pop(state.batch_lane(turn), None)  # it was a batch of its own
    state.gone.append((len(state.history), turn, fault))
    state.latest = max(state.latest, turn[0])
    return [(step_as(LOSE, turn), fault)]


def on_log(group: GroupState, turn: Turn, fault: Lose) -> Caused:
    """The position was committed before the record was run, and the process died. Where a pending redelivery keeps
    the commit back, the record comes again: nothing is lost."""
    consumer, new_from = consumer_of(turn), group.reading.new_from
    if new_from is not None:
        return _passed_over(group, turn, fault, new_from)
    if any(pending.consumer == consumer for pending in group.pending):
        group.todo.append(turn)
        return NOTHING
    group.is_gone([turn])
    group.commit(consumer)
    if group.committed is not None:  # and what else its handler has not committed comes again
        group.committed[turn[1]] = turn[2] + 1
        group.restart(consumer)
    group.becomes_head(turn[1], turn[2] + 1)
    return [(step_as(LOSE, turn), fault), ((RESTART, consumer, -1, -1, -1), fault)]


def _passed_over(group: GroupState, turn: Turn, fault: Lose, new_from: int) -> Caused:
    """The group learns of a new partition, and begins at its end. Void but for the first records of such a one."""
    _, lane, offset, _ = turn
    # The group begins at the end only once: what it misses is one stretch, from the first record on.
    if lane < new_from or offset != group.passed.get(lane, 0):
        group.todo.append(turn)
        return NOTHING
    # A new dict, because the empty one is shared by all runs.
    group.passed = {**group.passed, lane: offset + 1}
    group.is_gone([turn])
    group.becomes_head(lane, offset + 1)
    return [(step_as(LOSE, turn), fault)]


def log_arguments(space: LogSpace, position: int) -> Arguments:
    if space.reading.new_from is None:
        return ()
    # Only growth makes partitions that the group does not know yet.
    return None if rehash.arguments(space, position) is None else ()


def queue_arguments(space: QueueSpace, position: int) -> Arguments:
    return () if space.can_lose(position) else None
