"""What the growth of a topic brings (`Rehash`): the old home of a key that moved drains late."""

from __future__ import annotations

from chaoskit.models.producer import Hold
from chaoskit.models.queue.state import QueueState
from chaoskit.models.queue.waiting import HeldLane
from chaoskit.models.turns import NOTHING, Caused, Turn


def on_queue(state: QueueState, turn: Turn, hold: Hold) -> Caused:
    """The queue is not handed on before the event that moved was delivered."""
    held = HeldLane(("queue", turn[1]), [turn], hold.fault)
    state.held_lanes[held.lane] = held
    if hold.awaits is None:
        state.waiting.add(held, hold.release)
    else:
        state.waiting.add_awaiting(held, hold.awaits, hold.release)
    return NOTHING
