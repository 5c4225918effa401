"""Events that a queue accepts once more: what was set aside and is put back, and what is published again."""

from __future__ import annotations

from bisect import bisect_right

from chaoskit.models.queue.state import LeasedQueue
from chaoskit.models.turns import moved_up, put_back, put_back_of
from chaoskit.values.faults import Fault
from chaoskit.values.schedule import DELIVER, PUT_BACK, Raw


def now(state: LeasedQueue) -> int:
    """The latest event that was handed out, or is gone."""
    return int(max(state.latest, state.requeued, state.run_last.of(state.history)))


def accept_again(state: LeasedQueue, set_aside: Raw, retries: int, fault: Fault | None) -> tuple[Raw, Fault | None]:
    """Accept the event anew, behind everything that was accepted by now."""
    return append(state, set_aside[2], put_back_of(set_aside, now(state), retries)), fault


def append(state: LeasedQueue, position: int, copy: tuple[int, ...]) -> Raw:
    time = now(state)
    lane = state.home(state.events[position].key, position, state.logs.counts[time])
    return accept(state, position, lane, bisect_right(state.logs.appended[lane], time + 0.5), time + 0.5, copy)


def accept(state: LeasedQueue, position: int, lane: int, number: int, time: float, copy: tuple[int, ...]) -> Raw:
    """One more message of this event; what comes later moves up by one."""
    state.logs = state.logs.inserted(lane, number, position, time)
    for turns in (state.todo, state.stalled, *(held.turns for held in state.held_lanes.values())):
        moved_up(turns, lane, number)
    taker = {"message": position, "group": state.groups[position], "queue": lane}[state.policy.taken_by]
    # The first of `copy` is the count that a log has not; a queue's begins at 1.
    step: Raw = (DELIVER, taker % state.policy.consumers, position, lane, number, 1, *copy[1:])
    put_back(state.todo, [(time, lane, number, step)])
    return (PUT_BACK, *step[1:])
