"""`Rehash`: the topic grows and a key moves. `models/producer.py` routes it; here its old home drains late."""

from __future__ import annotations

from chaoskit.models.producer import Hold
from chaoskit.models.queue.state import LeasedQueue
from chaoskit.models.queue.waiting import HeldLane
from chaoskit.models.spaces import Arguments, LogSpace, QueueSpace
from chaoskit.models.turns import NOTHING, Caused, Turn


def on_queue(state: LeasedQueue, turn: Turn, hold: Hold) -> Caused:
    """The queue is not handed on before the event that moved was delivered."""
    # The whole queue, whatever its lanes are.
    held = HeldLane(("queue", turn[1]), [turn], hold.fault)
    state.held_lanes[held.lane] = held
    if hold.awaits is None:
        state.waiting.add(held, hold.release)
    else:
        state.waiting.add_awaiting(held, hold.awaits, hold.release)
    return NOTHING


def arguments(space: LogSpace | QueueSpace, position: int) -> Arguments:
    """Also where the old partition has no backlog of its own: another growth may move records there."""
    stored = space.stored
    growth = stored.growth(position)
    # A single event has none that could go before it.
    if not growth or space.size == 1:
        return None
    lag = len(stored.homes.followers(position))
    return growth, range(max(1, stored.rank[position])), range(space.size), range(lag + 1)
