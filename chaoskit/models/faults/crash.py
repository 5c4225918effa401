"""`Crash`: the process dies while it handles a message, which comes back with all that the broker brings back."""

from __future__ import annotations

from chaoskit.models.events import Committed, LeftOpen
from chaoskit.models.faults import fail
from chaoskit.models.log.state import GroupState
from chaoskit.models.log.waiting import PendingRestart
from chaoskit.models.queue.policy import UNBOUNDED, LeasePolicy
from chaoskit.models.queue.returns import end_lease, has_more, hold_if_full, whole_batch
from chaoskit.models.queue.state import LeasedQueue
from chaoskit.models.queue.waiting import HeldLane, Lane, PendingRedelivery, ZombieRun
from chaoskit.models.spaces import Arguments, LogSpace, QueueSpace
from chaoskit.models.turns import NOTHING, Caused, Turn, consumer_of, record_of
from chaoskit.values.faults import Crash
from chaoskit.values.schedule import RESTART


def on_log(group: GroupState, turn: Turn, fault: Crash) -> Caused:
    """The group sees that its member is gone: what it has not committed is read again, from this record on; or from
    the next one, where this one was committed ahead, and no pending redelivery keeps the commit back."""
    consumer = consumer_of(turn)
    if group.reading.ahead and fault.after and all(pending.consumer != consumer for pending in group.pending):
        group.commit(consumer)
        group.becomes_head(turn[1], turn[2] + 1)
        if group.told is not None:
            group.told.append(Committed(turn[3]))
        return [((RESTART, consumer, -1, -1, -1), fault)]
    pending = PendingRestart(fault, consumer, len(group.history))
    group.pending.append(pending)
    return [group.fire([pending])]


def can_die(state: LeasedQueue, turn: Turn) -> bool:
    """Not where its consumer has more than this message, which would have to come back by itself."""
    if state.policy.renewed:
        return True
    if state.policy.settles_first:
        return not has_more(state, consumer_of(turn), state.batch_lane(turn))
    consumer, lane = consumer_of(turn), state.batch_lane(turn)
    if state.own and state.policy.brings == "consumer" and any(p.consumer == consumer for p in state.waiting.pending):
        return False  # its connection is lost anyway
    if state.has_last_chances(turn):
        return False
    # Of other groups' batches, which nothing keeps in order with this one, the dead one has done all that it had.
    more = consumer in state.consumers.held_by.values() if _runs_groups(state) else has_more(state, consumer, lane)
    if more or (state.own and state.tries(turn) >= state.policy.most_deliveries):
        return False
    return all(waiting.consumer != consumer for waiting in state.waiting.of(HeldLane, ZombieRun))


def _runs_groups(state: LeasedQueue) -> bool:
    return state.policy.brings == "batch" and state.policy.lock == "group"


def on_queue(state: LeasedQueue, turn: Turn, fault: Crash) -> Caused:
    """Its consumer is gone at once; the message comes back when the broker notices, or when its lease has run out."""
    policy = state.policy
    if policy.renewed:  # the consumer behind a relay has a broker of its own, which hands it out again
        state.come_back([turn])
        return NOTHING
    died: Caused = [((RESTART, consumer_of(turn), -1, -1, -1), fault)]
    if policy.settles_first:
        return died
    if state.own and (record_of(turn) not in state.open or state.tries(turn) < policy.most_deliveries):
        return [*died, *_open_comes_back(state, turn, fault)]
    state.open.pop(record_of(turn), None)
    lane, members, room = state.lane(turn), [turn], UNBOUNDED
    if policy.lock != "message":
        room = 0  # nobody runs the rest of what it had received
        for other in state.waiting.pending:
            if other.consumer == consumer_of(turn):
                other.room = 0
                hold_if_full(state, other)
    if state.ended is not None and state.ended == lane:  # what it was received with has just come back
        state.tell(LeftOpen, [turn])
        state.come_back([turn])
        return died
    if _runs_groups(state):
        state.batches.close_others(consumer_of(turn), state.batch_lane(turn))
    if policy.brings == "batch":
        members = whole_batch(state, turn, policy.most_deliveries)
        state.batches.halve(state.batch_lane(turn), len(members))
    last = state.tries(turn) >= policy.most_deliveries
    if last:
        state.given_up.add(record_of(turn))
    pending = PendingRedelivery(fault, turn, lane, len(state.history) - 1, members, room)
    state.consumers.moved = True
    state.tell(LeftOpen, [turn])
    if last or fault.after == 0 or is_noticed(policy):
        state.consumers.fails_over(pending)
        return [*died, *end_lease(state, pending), *(fail.gone(state, turn, fault) if last else NOTHING)]
    state.waiting.add(pending, fault.after)
    hold_if_full(state, pending)
    return died


def _open_comes_back(state: LeasedQueue, turn: Turn, fault: Crash) -> Caused:
    """What the dead consumer had not settled, lane by lane, or all that its channel had; the rest is gone."""
    policy, consumer = state.policy, consumer_of(turn)
    caused: Caused = []
    if record_of(turn) in state.open:
        state.tell(LeftOpen, [turn])
    state.consumers.moved = True
    if policy.lock != "message":  # nobody runs the rest of what it had received
        for other in state.waiting.pending:
            if other.consumer == consumer:
                other.room = 0
                hold_if_full(state, other)
    if policy.brings == "consumer":
        pending = PendingRedelivery(fault, turn, state.lane(turn), len(state.history), state.open_of(consumer), 0)
        state.consumers.fails_over(pending)
        return end_lease(state, pending)
    lanes = dict[Lane, list[Turn]]()
    for opened in state.open_of(consumer):
        lanes.setdefault(state.lane(opened), []).append(opened)
        del state.open[record_of(opened)]
    for lane, members in lanes.items():
        room = UNBOUNDED if policy.lock == "message" else 0
        pending = PendingRedelivery(fault, members[-1], lane, len(state.history), members, room)
        if fault.after == 0 or is_noticed(policy):
            caused += end_lease(state, pending)
        else:
            state.waiting.add(pending, fault.after)
            hold_if_full(state, pending)
    return caused


def is_noticed(policy: LeasePolicy) -> bool:
    """Whether the connection is what holds the messages, so that the broker sees the death."""
    return policy.notices or policy.brings == "consumer"


def log_arguments(space: LogSpace, position: int) -> Arguments:
    return range(1), range(2 if space.reading.ahead else 1)


def queue_arguments(space: QueueSpace, position: int) -> Arguments:
    if space.policy.renewed or space.policy.settles_first or is_noticed(space.policy):
        return range(1), range(1)
    return range(1), range(max(1, min(space.size, space.longest)))
