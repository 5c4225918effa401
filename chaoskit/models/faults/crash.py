"""`Crash`: the process dies while it handles a message, which comes back with all that the broker brings back."""

from __future__ import annotations

from chaoskit.models.events import LeftOpen
from chaoskit.models.log.state import GroupState
from chaoskit.models.log.waiting import PendingRestart
from chaoskit.models.queue.policy import UNBOUNDED, LeasePolicy
from chaoskit.models.queue.returns import end_lease, has_more, hold_if_full, whole_batch
from chaoskit.models.queue.state import LeasedQueue
from chaoskit.models.queue.waiting import HeldLane, Lane, PendingRedelivery, ZombieRun
from chaoskit.models.spaces import Arguments, LogSpace, QueueSpace
from chaoskit.models.turns import NOTHING, Caused, Turn, consumer_of, record_of
from chaoskit.values.faults import Crash, Fault
from chaoskit.values.schedule import RESTART, Raw


def on_log(group: GroupState, turn: Turn, fault: Crash) -> Caused:
    """The group sees that its member is gone: what it has not committed is read again, from this record on."""
    pending = PendingRestart(fault, consumer_of(turn), len(group.history))
    group.pending.append(pending)
    return [group.fire([pending])]


def can_die(state: LeasedQueue, turn: Turn) -> bool:
    """Not on the last delivery that the broker allows, as what comes of that is no redelivery; nor where its consumer
    has more than this message, which would have to come back by itself."""
    if state.policy.renewed:
        return True
    if state.policy.settles_first:
        return not has_more(state, consumer_of(turn), state.batch_lane(turn))
    consumer, lane = consumer_of(turn), state.batch_lane(turn)
    if state.own and state.policy.brings == "consumer" and any(p.consumer == consumer for p in state.waiting.pending):
        return False  # its connection is lost anyway
    if state.has_last_chances(turn):
        return False
    if state.tries(turn) >= state.policy.most_deliveries or has_more(state, consumer, lane):
        return False
    return all(waiting.consumer != consumer for waiting in state.waiting.of(HeldLane, ZombieRun))


def on_queue(state: LeasedQueue, turn: Turn, fault: Crash) -> Caused:
    """Its consumer is gone at once; the message comes back when the broker notices, or when its lease has run out."""
    policy = state.policy
    if policy.renewed:  # the consumer behind a relay has a broker of its own, which hands it out again
        state.come_back([turn])
        return NOTHING
    died: Caused = [((RESTART, consumer_of(turn), -1, -1, -1), fault)]
    if policy.settles_first:
        return died
    if state.own:
        return [*died, *_open_comes_back(state, turn, fault)]
    lane, members, room = state.lane(turn), [turn], UNBOUNDED
    if state.ended is not None and state.ended == lane:  # what it was received with has just come back
        state.tell(LeftOpen, [turn])
        state.come_back([turn])
        return died
    if policy.brings == "batch":
        members = whole_batch(state, turn, policy.most_deliveries)
        state.batches.halve(state.batch_lane(turn), len(members))
    if policy.lock != "message":
        room = 0  # nobody runs the rest of what it had received
        for other in state.waiting.pending:
            if other.consumer == consumer_of(turn):
                other.room = 0
                hold_if_full(state, other)
    pending = PendingRedelivery(fault, turn, lane, len(state.history) - 1, members, room)
    state.consumers.moved = True
    state.tell(LeftOpen, [turn])
    if fault.after == 0 or is_noticed(policy):
        state.consumers.fails_over(pending)
        return [*died, *end_lease(state, pending)]
    state.waiting.add(pending, fault.after)
    hold_if_full(state, pending)
    return died


def _open_comes_back(state: LeasedQueue, turn: Turn, fault: Crash) -> Caused:
    """What the dead consumer had not settled, lane by lane; what it had is gone."""
    policy, lanes, caused = state.policy, dict[Lane, list[Turn]](), list[tuple[Raw, Fault | None]]()
    for other in state.open_of(consumer_of(turn)):
        lane = None if policy.brings == "consumer" else state.lane(other)
        lanes.setdefault(lane, []).append(other)
        del state.open[record_of(other)]
    state.consumers.moved = True
    for members in lanes.values():
        last = members[-1]
        pending = PendingRedelivery(fault, last, state.lane(last), len(state.history), members, UNBOUNDED)
        if fault.after == 0 or is_noticed(policy):
            state.consumers.fails_over(pending)
            caused += end_lease(state, pending)
            continue
        pending.room = 0 if policy.lock != "message" else UNBOUNDED
        state.waiting.add(pending, fault.after)
        hold_if_full(state, pending)
    return caused


def is_noticed(policy: LeasePolicy) -> bool:
    """Whether the connection is what holds the messages, so that the broker sees the death."""
    return policy.notices or policy.brings == "consumer"


def log_arguments(space: LogSpace, position: int) -> Arguments:
    return range(1), range(1)


def queue_arguments(space: QueueSpace, position: int) -> Arguments:
    if space.policy.renewed or space.policy.settles_first or is_noticed(space.policy):
        return range(1), range(1)
    return range(1), range(max(1, min(space.size, space.longest)))
