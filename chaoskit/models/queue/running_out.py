"""Leases that run out because their messages are never settled: where a handler settles by itself and has returned."""

from __future__ import annotations

from chaoskit.models.queue.returns import end_lease
from chaoskit.models.queue.settling import used_up
from chaoskit.models.queue.state import LeasedQueue
from chaoskit.models.queue.waiting import PendingRedelivery
from chaoskit.models.turns import NOTHING, Caused, Turn, consumer_of, position_of, record_of, step_as
from chaoskit.values.schedule import REFUSE, RESTART
from chaoskit.values.settling import ROUNDS


def run_out(state: LeasedQueue) -> Caused | None:
    """Nothing else is left, and what is open comes back: what a later delivery may have changed, and then again, until
    its deliveries are used up, or it is certain that nothing comes of it; None: nothing does. A message of a buffer is
    not among these, as it waits for more."""
    policy = state.policy
    if policy.expires == "never":
        return None
    # In the order of hand-over: the lease that began first ends first, which shows where what comes back has no place.
    due = [turn for index, turn in state.open.values() if _is_due(state, turn, index)]
    counted = [turn for turn in due if policy.counts_leases or _times(state, turn) < ROUNDS]
    if not counted:
        return None
    for turn in counted:
        if not _times(state, turn):
            state.refusals.begin_anew()  # what was refused may have waited for this one
        state.ran_out[position_of(turn)] = _times(state, turn) + 1
    consumers = list(dict.fromkeys(map(consumer_of, due)))
    if policy.expires == "channel":
        return [step for consumer in consumers for step in _channel_closes(state, consumer)]
    if policy.brings == "consumer":  # its client asks for all that it has
        due = [turn for consumer in consumers for turn in state.open_of(consumer)]
    again, state.used_up[:] = _divided(state, due)
    state.come_back(again if policy.returns == "front" else sorted(again))
    return NOTHING


def never_settled(state: LeasedQueue) -> Caused | None:
    """What has come back so often that it comes again for ever. Reported once, at the end."""
    never = [turn for _, turn in state.open.values() if _times(state, turn) == ROUNDS]
    if state.policy.counts_leases or not never:
        return None
    for turn in never:
        state.ran_out[position_of(turn)] += 1
    return [(step_as(REFUSE, turn), None) for turn in never]


def _times(state: LeasedQueue, turn: Turn) -> int:
    return state.ran_out.get(position_of(turn), 0)


def _is_due(state: LeasedQueue, turn: Turn, index: int) -> bool:
    # What waits for room goes on behind what is given up at last. Who settles nothing where nothing goes wrong is
    # reported.
    goes_on = bool(state.stalled) and state.policy.counts_leases and (state.settled_at >= 0 or bool(state.anchored))
    return index < state.settled_at or goes_on or _times(state, turn) > 0


def _divided(state: LeasedQueue, turns: list[Turn]) -> tuple[list[Turn], list[Turn]]:
    """Those that come again, and those that have had all their deliveries and are open no more."""
    most = state.policy.most_deliveries
    last = [turn for turn in turns if state.tries(turn) >= most]
    for turn in last:
        del state.open[record_of(turn)]
    return [turn for turn in turns if state.tries(turn) < most], last


def _channel_closes(state: LeasedQueue, consumer: int) -> Caused:
    """It had a message for too long: the broker closes its channel, with which all comes back that it holds."""
    again, state.used_up[:] = _divided(state, state.open_of(consumer))
    died: Caused = [((RESTART, consumer, -1, -1, -1), None), *used_up(state)]
    if not again:
        return died
    ended = PendingRedelivery(None, again[-1], state.lane(again[-1]), len(state.history), again, 0)
    state.consumers.moved = True
    state.consumers.fails_over(ended)
    return [*died, *end_lease(state, ended)]
