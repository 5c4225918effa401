"""`Overtake`: a slow consumer has a message (or the head of a lane), and others are run meanwhile."""

from __future__ import annotations

from chaoskit.models.faults import overlap, zombie
from chaoskit.models.queue.room import room
from chaoskit.models.queue.state import LeasedQueue
from chaoskit.models.queue.waiting import HeldLane
from chaoskit.models.slow_call import SlowCall
from chaoskit.models.spaces import Arguments, LogSpace, QueueSpace
from chaoskit.models.turns import NOTHING, Caused, Turn, attempt_of, consumer_of, handed_to, record_of
from chaoskit.values.faults import Overtake


def on_queue(state: LeasedQueue, turn: Turn, fault: Overtake) -> Caused:
    """Void where no other consumer is free, and none that is slow already can hold it, too."""
    policy, consumers, waiting = state.policy, state.consumers, state.waiting
    # Where a broker hands out in any order nobody needs to hold it: it just comes late.
    consumer = consumer_of(turn) if policy.in_order and policy.lock == "message" else None
    others_first = fault.by + 1
    busy = consumer is not None and len(consumers.busy() | {consumer}) >= policy.consumers
    elsewhere = state.overlaps and record_of(turn) in consumers.held_by  # whoever has it does not pass it on
    if busy and not elsewhere and (slow := _slow_with_room(state, turn)) is not None:
        assert slow.consumer is not None
        busy, consumer = False, slow.consumer
        turn = handed_to(consumer, turn)
        others_first = max(others_first, waiting.left(slow) + 1)  # it runs what it holds in order
    # One place is its own; with no other, nobody could run anything before it.
    busy = busy or room(state, turn) < 2
    # Its last delivery would be used up if its consumer died while it is held: it would be gone, unseen.
    if busy or (policy.brings == "consumer" and attempt_of(turn) >= policy.most_deliveries):
        state.todo.append(turn)
        return NOTHING
    if consumer is not None and consumers.held_by.get(record_of(turn)) == consumer:
        _stops_once_more(state, consumer, others_first)
    held = HeldLane(state.lane(turn), [turn], fault, consumer)
    if consumer is not None:
        state.hand_over(turn)
        state.latest = max(state.latest, turn[0])
        consumers.moved = True
    state.held_lanes[held.lane] = held
    waiting.add(held, others_first)
    return NOTHING


def call_on_queue(state: LeasedQueue, turn: Turn, fault: SlowCall) -> Caused:
    """All of one call is held, by one consumer. Void where it is not free, or nobody else is."""
    room_left = min(room(state, turn) - 1, state.policy.window) - state.held_open(turn)
    if not overlap.competes(state, turn) or room_left <= fault.holds:
        state.todo.append(turn)
        return NOTHING
    turns = [turn, *zombie.fetched_with(state, turn, fault.holds)]
    for place, each in enumerate(turns):
        held = HeldLane(state.lane(each), [each], fault, consumer_of(turn))
        state.hand_over(each)
        state.latest = max(state.latest, each[0])
        state.held_lanes[held.lane] = held
        state.waiting.add(held, fault.by + 1 + place)
    state.consumers.moved = state.overlaps = True
    return NOTHING


def _stops_once_more(state: LeasedQueue, consumer: int, others_first: int) -> None:
    """The consumer stops at the message that it is at, and what it holds behind it waits."""
    # The numbers of a relay's messages move up where it publishes again.
    held_by = {} if state.policy.renewed else state.consumers.held_by
    released = [turn for turn in reversed(state.todo) if held_by.get(record_of(turn)) == consumer]
    state.take(released)
    for place, turn in enumerate(released, start=1):
        state.held_lanes[state.lane(turn)] = held = HeldLane(state.lane(turn), [turn], None, consumer)
        state.waiting.add(held, others_first + place)
    behind = [w for w in state.waiting.of(HeldLane) if w.consumer == consumer and w.turns[0] not in released]
    for place, later in enumerate(sorted(behind, key=state.waiting.left), start=1 + len(released)):
        state.waiting.postpone(later, others_first + place)


def _slow_with_room(state: LeasedQueue, turn: Turn) -> HeldLane | None:
    """The last message of a slow consumer that can hold this one, too."""
    slow = [w for w in state.waiting.of(HeldLane) if w.consumer is not None and w.turns[0][1] == turn[1]]
    if not slow:
        return None
    of_one = [w for w in slow if w.consumer == slow[0].consumer]
    consumer = slow[0].consumer
    assert consumer is not None
    held = len(of_one) + state.consumers.unsettled_of(consumer)
    return max(of_one, key=state.waiting.left) if held < state.policy.window else None


def log_arguments(space: LogSpace, position: int) -> Arguments:
    others = space.size - space.in_lane(position)
    return (range(others),) if others else None


def queue_arguments(space: QueueSpace, position: int) -> Arguments:
    others = space.size - space.in_lane(position)
    return (range(min(others, space.longest)),) if others else None
