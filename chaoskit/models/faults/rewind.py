"""`Rewind`: the position of those who read is set back behind what they have settled."""

from __future__ import annotations

from chaoskit.models.events import Delayed, SetBack
from chaoskit.models.log.state import GroupState
from chaoskit.models.queue.room import unsettled
from chaoskit.models.queue.state import LeasedQueue
from chaoskit.models.spaces import Arguments, LogSpace, QueueSpace
from chaoskit.models.turns import NOTHING, Caused, Turn, consumer_of, handed_to, put_back, record_of
from chaoskit.values.faults import Rewind
from chaoskit.values.schedule import RESTART, Raw


def on_log(group: GroupState, turn: Turn, fault: Rewind) -> Caused:
    """Void while a restart of the consumer is pending: what is not committed yet comes again anyway."""
    waits = any(pending.consumer == consumer_of(turn) for pending in group.pending)
    caused = group.processed(turn[3])
    return caused if waits else [*caused, (_set_back(group, turn, fault.back), fault)]


def _set_back(group: GroupState, turn: Turn, back: int) -> Raw:
    """The group is stopped with all that it has done committed, and its position in this partition is set so many
    records before this one, which is done: all from there on is read again, whatever became of it."""
    _, lane, offset, _ = turn
    first, consumer = max(0, offset - back), group.owner(lane)
    read = {other[2]: handed_to(consumer, other) for other in group.history if other[1] == lane}
    # What is still to be read comes anyway, and must not come twice.
    unread = {other[2] for other in group.todo if other[1] == lane}
    written = (other for other in group.logs.in_order(group.reading.consumers) if other[1] == lane)
    again = [
        # What was lost or set aside was never run here, and a position knows nothing of that.
        read[other[2]] if other[2] in read else handed_to(consumer, other)
        for other in written
        if first <= other[2] <= offset and other[2] not in unread
    ]
    group.commit(consumer)
    put_back(group.todo, again)
    if group.committed is not None:  # what else its handler has not committed comes again, too
        group.committed[lane] = first
        group.restart(consumer)
    group.becomes_head(lane, first)
    if group.told is not None:
        group.told.append(SetBack((RESTART, consumer, -1, lane, first)))
    return RESTART, consumer, -1, -1, -1


def on_queue(state: LeasedQueue, turn: Turn, fault: Rewind) -> Caused:
    """Void while something of the queue is not settled, which a position cannot say. What was run from there on, though
    it was settled, is handed out again."""
    if unsettled(state, turn[1]):
        return NOTHING
    first, most = max(0, turn[2] - fault.back), state.policy.most_deliveries
    if state.policy.along is not None:
        # Pulsar's cursor is set to an entry, and a batch of messages is one entry.
        first = state.policy.along(state.logs, turn[1], first).start
    run = {record_of(other): other for other in state.history if other[1] == turn[1] and other[2] >= first}
    there = {record_of(other) for other in state.todo} | state.given_up
    again = sorted(o for record, o in run.items() if record not in there and state.tries(o) < most)
    state.tell(SetBack, again[:1])
    state.hand_out_again(again)
    state.tell(Delayed, again, fault)
    return NOTHING


def log_arguments(space: LogSpace, position: int) -> Arguments:
    return (range(min(space.stored.rank[position] + 1, space.longest_replay)),)


def queue_arguments(space: QueueSpace, position: int) -> Arguments:
    return (range(min(space.stored.rank[position] + 1, space.longest)),)
