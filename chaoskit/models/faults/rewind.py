"""`Rewind`: the position of those who read is set back behind what they have settled."""

from __future__ import annotations

from chaoskit.models.log.state import GroupState
from chaoskit.models.queue.state import LeasedQueue
from chaoskit.models.spaces import Arguments, LogSpace, QueueSpace
from chaoskit.models.turns import NOTHING, Caused, Turn, consumer_of, record_of
from chaoskit.values.faults import Rewind


def on_log(group: GroupState, turn: Turn, fault: Rewind) -> Caused:
    """Void while a restart of the consumer is pending: what is not committed yet comes again anyway."""
    waits = any(pending.consumer == consumer_of(turn) for pending in group.pending)
    caused = group.processed(turn[3])
    return caused if waits else [*caused, (group.set_back(turn, fault.back), fault)]


def on_queue(state: LeasedQueue, turn: Turn, fault: Rewind) -> Caused:
    """Void while something of the queue is not settled."""
    state.late |= {record_of(each): fault for each in state.set_back(turn, fault.back)}
    return NOTHING


def log_arguments(space: LogSpace, position: int) -> Arguments:
    return (range(min(space.stored.rank[position] + 1, space.longest_replay)),)


def queue_arguments(space: QueueSpace, position: int) -> Arguments:
    return (range(min(space.stored.rank[position] + 1, space.longest)),)
