"""`Fail`, and a handler that raises: the message is not settled, and is shown again by the broker's rule."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, takewhile

from chaoskit.models.events import Delayed, HandedBack
from chaoskit.models.faults import redeliver
from chaoskit.models.faults.redeliver import RAISED_BEHIND
from chaoskit.models.log.state import GroupState
from chaoskit.models.log.waiting import HeldPartition, ParkedRecord
from chaoskit.models.queue.policy import UNBOUNDED
from chaoskit.models.queue.returns import coming_with, end_lease, whole_batch
from chaoskit.models.queue.room import room
from chaoskit.models.queue.settling import given_up
from chaoskit.models.queue.state import LeasedQueue
from chaoskit.models.queue.waiting import GivenBack, HeldLane, Lane, SetAside
from chaoskit.models.refusals import Refusals
from chaoskit.models.spaces import Arguments, LogSpace, QueueSpace
from chaoskit.models.turns import NEVER, NOTHING, Caused, Turn, consumer_of, next_attempt, put_back, record_of, step_as
from chaoskit.values.faults import Crash, Fail
from chaoskit.values.schedule import FAIL, PARK, REFUSE, SKIP

REQUEUED = 1e-6
"""How far behind the last message that waits one stands that is requeued: less than any other distance."""


def on_queue(state: LeasedQueue, turn: Turn, fail: Fail | None) -> Caused:
    """The attempt failed: before the handler was called, or because it raised."""
    policy = state.policy
    if policy.drops_failed:
        return [(step_as(SKIP, turn), fail)]
    if record_of(turn) in state.rejected:
        return given_up(state, turn)
    if policy.split is not None and _in_a_batch(state, turn):
        return _shown_again(state, turn, fail)  # halving a batch is no retry
    which = (-1, turn[3][2]) if policy.refused == "renewed" else record_of(turn)
    # Two limits, as it may have been delivered many times before anybody refused it.
    attempts = state.refusals.attempt(which)
    rejected = state.dropped.pop(record_of(turn), None)
    if rejected is None and attempts < policy.max_attempts and state.tries(turn) < policy.most_deliveries:
        return _sent_again(state, turn, fail) if policy.refused == "renewed" else _shown_again(state, turn, fail)
    state.given_up.add(record_of(turn))
    # So that it is tried once more, though the handler has seen it: it was not the handler that failed.
    step = turn[3] if fail is None else step_as(FAIL, turn)
    others = _rest_of_batch(state, turn) if policy.brings == "batch" else NOTHING
    if rejected is False or policy.gives_up == "lost" or (rejected and policy.gives_up == "never"):
        return [(step_as(SKIP, turn), fail), *others]
    if policy.gives_up == "dead":
        state.refusals.give_up(which, None, step)
        return [(step_as(PARK, turn), fail), *others]
    state.refusals.give_up(which, _block(state, turn), step)
    return others


def gone(state: LeasedQueue, turn: Turn, fault: Crash) -> Caused:
    """The consumer died at the last delivery that the broker allows: it is set aside, or gone, with what it has done
    by then."""
    if state.policy.gives_up == "lost":
        return [(step_as(SKIP, turn), fault)]
    which = (-1, turn[3][2]) if state.policy.refused == "renewed" else record_of(turn)
    state.refusals.give_up(which, None, step_as(FAIL, turn))
    return [(step_as(PARK, turn), fault)]


def is_seen(fail: Fail | None) -> bool:
    """Whether the handler was called: it raised by itself, or as a call inside it had failed."""
    return fail is None or fail.point > 0


def _in_a_batch(state: LeasedQueue, turn: Turn) -> bool:
    """Whether others are in the batch of this message, which is run now."""
    lane = state.batch_lane(turn)
    if len(state.batches.open.get(lane, [])) > 1:
        return True
    if state.batches.alone == record_of(turn):
        return False
    # What will be received with it is of its batch, too, though none of it was run yet.
    return state.batches.size(lane) > 1 and any(state.batch_lane(other) == lane for other in reversed(state.todo))


def _rest_of_batch(state: LeasedQueue, turn: Turn) -> Caused:
    """The batch failed with a message that is given up: the others come back, or are given up with it where their
    deliveries are used up, too."""
    policy, most = state.policy, state.policy.most_deliveries
    # Without a limit: those that are used up are in the batch all the same.
    others = [other for other in whole_batch(state, turn, UNBOUNDED) if record_of(other) != record_of(turn)]
    state.batches.gave_up(state.batch_lane(turn))
    state.come_back(other for other in others if state.tries(other) < most)
    used_up = [other for other in others if state.tries(other) >= most]
    if policy.gives_up == "dead":
        for other in used_up:
            state.refusals.give_up(record_of(other), None, other[3])
    return [(step_as(PARK if policy.gives_up == "dead" else SKIP, other), None) for other in used_up]


def _sent_again(state: LeasedQueue, turn: Turn, fail: Fail | None) -> Caused:
    """It leaves, and is sent again as a new message, after one other delivery at least."""
    state.waiting.add(SetAside(turn[3], fail), 1 if fail is None else fail.after + 1)
    return [(step_as(PARK, turn), fail)]


def _shown_again(state: LeasedQueue, turn: Turn, fail: Fail | None) -> Caused:
    policy = state.policy
    if (pending := coming_with(state, turn)) is not None:
        caused = end_lease(state, pending)
        # The lease that has just ended may have brought it along.
        if not state.is_back(turn):
            state.come_back([turn])
        return caused
    # Of its receive only the failed message stays unsettled: it comes back when its lease ends, like a Redeliver.
    if policy.goes_on and policy.lock != "message" and policy.brings != "consumer":
        if state.ended is None or state.ended != state.lane(turn):
            return redeliver.on_queue(state, turn, fail)
        state.come_back([turn])  # what it was received with has just come back
        return NOTHING
    turns = _failed_batch(state, turn) if policy.brings == "batch" else [turn]
    if fail is not None:
        state.tell(Delayed, turns, fail)
    after = _others_first(state, turns, fail)
    # Nothing else is out, so that its place behind all that waits is known now.
    if after and policy.to_the_back and policy.one_at_a_time:
        return _requeue(state, turn, after)
    if after and not policy.keeps_lane:
        state.waiting.add(GivenBack(turns), after)
        state.consumers.moved = True  # who holds it may have no room for more
        return NOTHING
    state.come_back(turns)
    if after:
        for lane in dict.fromkeys(state.lane(each) for each in turns):
            if lane not in state.held_lanes:
                state.held_lanes[lane] = held = HeldLane(lane, [])
                state.waiting.add(held, after)
    return NOTHING


def _failed_batch(state: LeasedQueue, turn: Turn) -> list[Turn]:
    most = state.policy.most_deliveries
    turns = [each for each in whole_batch(state, turn, most) if state.tries(each) < most]
    state.batches.halve(state.batch_lane(turn), len(turns))
    return turns


def _requeue(state: LeasedQueue, turn: Turn, after: int) -> Caused:
    """The message goes to the back of its queue, in which so many others wait by now, and all that waited when
    another one was requeued."""
    ready = (other for other in reversed(state.todo) if other[1] == turn[1])
    first = list(islice(ready, after))
    waits = max([state.requeued, turn[0], *(other[0] for other in first)])
    behind = [other for other in first if other[0] <= waits]
    if len(behind) == len(first):
        # `ready` goes on where `first` has ended.
        behind += takewhile(lambda other: other[0] <= waits, ready)
    state.requeued = waits + REQUEUED
    state.tell(HandedBack, [turn], record_of(behind[-1]) if behind else None)
    put_back(state.todo, [(state.requeued, *next_attempt(turn)[1:])])
    return NOTHING


def _others_first(state: LeasedQueue, turns: Sequence[Turn], fail: Fail | None) -> int:
    """How many other deliveries go before what was given back, if there are any."""
    policy = state.policy
    if policy.keeps_lane:
        # A handler that raised has one other delivery before it is called again, unless what came back is served first.
        after = fail.after if fail is not None else int(policy.returns != "front")
        return after if after and state.has_other_lanes({state.lane(each) for each in turns}) else 0
    mine, held_by = consumer_of(turns[0]), state.consumers.held_by
    # What it has not given back yet takes up its buffer, and what is in no buffer does not go before.
    room = policy.window - state.consumers.given_back_of(mine) - 1 if policy.behind_buffers else UNBOUNDED
    after = min(RAISED_BEHIND if fail is None else fail.after, policy.most_behind, room)
    return after if any(held_by.get(record_of(other), mine) == mine for other in reversed(state.todo)) else 0


def _block(state: LeasedQueue, turn: Turn) -> Lane:
    """What was refused keeps its lane until nothing else is left; or, where what comes back is served first, its
    consumer keeps it. Nothing of the queue is handed out where nobody has room for more, or where one consumer behind
    the relays reads it in order."""
    held_lanes, held = state.held_lanes, HeldLane(state.lane(turn), [])
    held.blocked = True
    if state.policy.lock != "message" or state.policy.returns == "anywhere":
        state.come_back([turn])
    else:
        held.kept, state.consumers.moved = turn, True
    held_lanes[held.lane] = held
    # What a consumer keeps may have made it full: who is busy is asked anew.
    state.waiting.version += 1
    if held.kept is not None and (state.policy.renewed or room(state, turn) < 1 or state.consumers.all_busy):
        del held_lanes[held.lane]
        # The name of a whole queue, which is no lane's: these are made of numbers.
        held.lane = ("queue", turn[1])
        # A stall of growth may have it already, and what blocks it now lasts longer.
        if (other := held_lanes.get(held.lane)) is not None:
            state.waiting.remove(other)
            state.release(other)
        held_lanes[held.lane] = held
    return held.lane


# On a log.


def on_log(group: GroupState, turn: Turn, fail: Fail | None) -> Caused:
    """The attempt failed: before the handler was called, or because it raised."""
    caused = _on_log(group, turn, fail)
    if group.exited:
        group.exited = False
        caused = [*caused, (group.restart(consumer_of(turn)), None)]
    return caused


def _on_log(group: GroupState, turn: Turn, fail: Fail | None) -> Caused:
    reading, step = group.reading, turn[3] if fail is None else step_as(FAIL, turn)
    passed_over, group.passed_over = group.passed_over, False
    if reading.drops_failed or passed_over:
        return [(step_as(SKIP, turn), fail)]
    # Made only when something is refused: without one a restart has less to look through.
    refusals = group.refusals = group.refusals or Refusals()
    retried = reading.on_error == "retry_topic"
    which = (-1, step[2]) if retried else (step[3], step[4])  # a retry topic's copies count together
    if refusals.attempt(which) < reading.max_attempts:
        return _to_retry_topic(group, turn, fail) if retried else _read_again(group, turn, fail)
    if reading.blocks:
        refusals.give_up(which, step[3], step)
        return _read_again(group, turn, fail, for_good=True)
    refusals.give_up(which, None, step)
    return [(step_as(PARK, turn), fail)]


def _to_retry_topic(group: GroupState, turn: Turn, fail: Fail | None) -> Caused:
    """It is published to the retry topic, its offset committed; it comes again after one other delivery at least."""
    after = 0 if fail is None else fail.after
    group.park(ParkedRecord(turn[3], fail, len(group.history) + after + 1))
    return [(step_as(PARK, turn), fail)]


def _read_again(group: GroupState, turn: Turn, fail: Fail | None, *, for_good: bool = False) -> Caused:
    """The record is read again: by a new process, or after some deliveries of other lanes (one, where the handler
    raised) if there are any; or, if it was refused `for_good`, when nothing else can be read."""
    time, lane, offset, _ = turn
    _marked_refused(group, turn, (time, lane, offset, step_as(REFUSE if is_seen(fail) else FAIL, turn)))
    stops = group.reading.on_error == "stop"
    if for_good:
        group.held[lane] = blocked = HeldPartition(lane, group.logs.appended[lane][offset], (), 0)
        # It has no alarm: only a second chance ends this.
        blocked.until = NEVER
    # A process that stops begins again at the commit, and waits for nobody.
    elif not stops and any(other[1] != lane for other in reversed(group.todo)):
        if fail is None or fail.after:
            group.hold(lane, offset, (), 1 if fail is None else fail.after)
        if fail is not None and group.told is not None:
            group.told.append(Delayed(turn[3], fail))
    group.todo.append(turn)
    return [(group.restart(consumer_of(turn)), fail)] if stops else []


def _marked_refused(group: GroupState, turn: Turn, refused: Turn) -> None:
    """No restart brings it back: it is shown again anyway."""
    history = group.history
    copy = len(history) - 1
    # Several, if it was duplicated in place: once an attempt failed, none of them is done.
    while copy >= 0 and history[copy] in (turn, refused):
        history[copy] = refused
        copy -= 1


# What a search may choose from: how many other deliveries go before the message.


def log_arguments(space: LogSpace, position: int) -> Arguments:
    if space.reading.drops_failed:
        # What is dropped is not shown again, and waits for nothing.
        return (range(1),)
    # Its partition stands still behind it, except where it leaves for a retry topic.
    behind = space.size - (1 if space.reading.passes_failed else space.in_lane(position))
    return (range(behind + 1),)


def queue_arguments(space: QueueSpace, position: int) -> Arguments:
    policy, others = space.policy, space.size - 1
    if policy.drops_failed:
        return (range(1),)
    if policy.refused == "renewed":
        return (range(others + 1),)
    behind = space.size - space.in_lane(position) if policy.keeps_lane else min(others, policy.most_behind)
    return (range(behind + 1),)
