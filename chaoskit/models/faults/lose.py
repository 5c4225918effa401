"""`Lose`: the settings lose a message, and nobody is shown it."""

from __future__ import annotations

from chaoskit.models.queue.state import QueueState
from chaoskit.models.turns import NOTHING, Caused, Turn, attempt_of, step_as
from chaoskit.values.faults import Lose
from chaoskit.values.schedule import LOSE


def on_queue(state: QueueState, turn: Turn, fault: Lose) -> Caused:
    """Void where all that is older would be removed with it and is not settled, and for what comes again with its
    batch."""
    policy = state.policy
    if (policy.trims and state.unsettled(turn[1])) or (policy.brings == "batch" and attempt_of(turn) > 1):
        state.todo.append(turn)
        return NOTHING
    if policy.brings == "batch":
        state.batches.open.pop(state.batch_lane(turn), None)  # it was a batch of its own
    state.gone.append((len(state.history), turn, fault))
    state.latest = max(state.latest, turn[0])
    return [(step_as(LOSE, turn), fault)]
