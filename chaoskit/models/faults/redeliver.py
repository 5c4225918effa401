"""`Redeliver`: a message was run and is not settled, and comes back with what the broker brings back with it."""

from __future__ import annotations

from chaoskit.models.events import LeftOpen
from chaoskit.models.log.state import GroupState
from chaoskit.models.log.waiting import PendingRestart
from chaoskit.models.queue.policy import UNBOUNDED
from chaoskit.models.queue.returns import end_lease, hold_if_full, whole_batch
from chaoskit.models.queue.state import LeasedQueue
from chaoskit.models.queue.waiting import PendingRedelivery
from chaoskit.models.spaces import Arguments, LogSpace, QueueSpace
from chaoskit.models.turns import NOTHING, Caused, Turn, attempt_of, consumer_of, record_of
from chaoskit.values.faults import Fail, Redeliver

RAISED_BEHIND = 10
"""Deliveries that go before a message whose handler raised, where others go on: what a client holds by then, at most.
A `Fail` says how many it wants."""


def on_queue(state: LeasedQueue, turn: Turn, fault: Redeliver | Fail | None) -> Caused:
    """It comes back after some more deliveries, or when no more fit in."""
    policy, lane, members, room = state.policy, state.lane(turn), [turn], UNBOUNDED
    if policy.brings == "batch":
        members, room = whole_batch(state, turn, policy.most_deliveries), 0
        state.batches.halve(state.batch_lane(turn), len(members))
    elif policy.brings == "lane" or policy.lock == "group":
        room = policy.window - 1
        if policy.lock == "queue" and attempt_of(turn) > 1:  # what is invoked again is that batch and no more
            room = min(room, sum(attempt_of(other) > 1 and state.lane(other) == lane for other in state.todo))
    pending = PendingRedelivery(fault, turn, lane, len(state.history) - 1, members, room)
    # From here on each message is asked who takes it: this consumer may be full, or dead.
    state.consumers.moved = True
    state.tell(LeftOpen, [turn])
    state.open.pop(record_of(turn), None)
    after = RAISED_BEHIND if fault is None else fault.after
    if after == 0:
        return end_lease(state, pending)
    state.waiting.add(pending, after)
    hold_if_full(state, pending)
    # What follows is about prefetch, which is counted for a channel.
    if policy.brings != "consumer":
        return NOTHING
    # A lane has this one consumer; of single messages another one takes the next.
    full = policy.lock != "message" and state.consumers.is_full(pending.turn[3][1])
    return end_lease(state, pending) if full or state.consumers.all_busy else NOTHING


def on_log(group: GroupState, turn: Turn, fault: Redeliver) -> Caused:
    """Its consumer restarts after some more deliveries, and reads again what it has not committed."""
    deliveries = len(group.history)
    pending = PendingRestart(fault, consumer_of(turn), deliveries)
    # Before the record is processed, because it holds back that commit.
    group.pending.append(pending)
    group.alarms.set(deliveries + fault.after, pending)
    return group.processed(turn[3])


def log_arguments(space: LogSpace, position: int) -> Arguments:
    return (range(min(space.size, space.longest_replay)),)


def queue_arguments(space: QueueSpace, position: int) -> Arguments:
    most = min(space.size, space.longest)
    if space.policy.lock != "message" and space.in_lane(position) == space.size:
        most = min(most, space.policy.window)  # no other lane makes deliveries
    return (range(max(1, most)),)
