"""A queue whose handler settles by itself: what is open, who can take no more, and what comes back with whom."""

from __future__ import annotations

from chaoskit.models.events import LeftOpen, SettledLater
from chaoskit.models.queue.policy import UNBOUNDED
from chaoskit.models.queue.state import LeasedQueue
from chaoskit.models.turns import Caused, Turn, consumer_of, put_back, record_of, step_as
from chaoskit.values.schedule import PARK, SKIP, WAIT, Raw
from chaoskit.values.settling import Settling


def settle(state: LeasedQueue, turn: Turn, answer: Settling) -> None:
    """What the handler settled in this delivery, which was run just now; what it did not settle is open from here
    on."""
    state.own = True
    state.open.pop(record_of(turn), None)
    settle_others(state, turn[3], answer)
    if answer.refused:
        if any(verb == "reject" and settled == turn[3] for verb, settled in answer.settled):
            state.rejected.add(record_of(turn))
    elif answer.held:
        state.open[record_of(turn)] = len(state.history) - 1, turn
        state.tell(LeftOpen, [turn])
    changed(state)


def settle_others(state: LeasedQueue, step: Raw, answer: Settling) -> None:
    """What was delivered before this step."""
    for verb, settled in answer.settled:
        if verb == "extend" or settled == step:
            continue
        record = settled[3], settled[4]
        _, found = state.open.get(record, (0, None))
        if found is None or found[3] != settled:
            if verb == "ack" and state.policy.late_counts:
                _is_done(state, record)
            continue
        # The channel is lost with all that was said on it.
        if state.policy.brings == "consumer" and any(p.consumer == settled[1] for p in state.waiting.pending):
            continue
        if verb == "nack":
            state.come_back([found])
            continue
        for turn in _up_to(state, found) if verb == "ack" and state.policy.up_to else [found]:
            del state.open[record_of(turn)]
            state.tell(SettledLater, [turn])
    changed(state)


def _up_to(state: LeasedQueue, turn: Turn) -> list[Turn]:
    """What is open of the queue of this message, up to it."""
    return [other for _, other in state.open.values() if other[1] == turn[1] and other[2] <= turn[2]]


def _is_done(state: LeasedQueue, record: tuple[int, int]) -> None:
    """Whoever has this message now, or will: it is settled."""
    state.open.pop(record, None)
    state.todo[:] = [turn for turn in state.todo if record_of(turn) != record]


def changed(state: LeasedQueue) -> None:
    """Who is full is asked anew, and what waited for that may be handed out."""
    state.consumers.moved = True
    state.waiting.version += 1
    if state.stalled:
        put_back(state.todo, state.stalled)
        state.stalled.clear()


def keeps_out(state: LeasedQueue, turn: Turn) -> bool:
    """Whether what is open keeps this message, which is next, from being handed out."""
    policy, consumer = state.policy, consumer_of(turn)
    if policy.brings == "consumer":
        return state.consumers.is_full(consumer)
    if policy.lock == "message":
        return min(policy.outstanding, policy.span) < UNBOUNDED and turn[3][5] == 1 and state.room(turn) < 1
    lane = state.lane(turn)
    begun = [index for index, other in state.open.values() if state.lane(other) == lane]
    # Of one receive, which has begun with the first of these or before.
    handed = sum(state.lane(other) == lane for other in state.history[min(begun) :]) if begun else 0
    return handed >= min(policy.window, policy.most_open)


def stuck(state: LeasedQueue) -> Caused | None:
    """Nothing is handed out any more."""
    if not state.stalled:
        return None
    steps: Caused = [((WAIT, *turn[3][1:]), None) for turn in sorted(state.stalled)]
    state.stalled.clear()
    return steps


def given_up(state: LeasedQueue, turn: Turn) -> Caused:
    """The handler rejected it: it is dropped, or set aside and put back when nothing else is left."""
    record = record_of(turn)
    state.rejected.discard(record)
    state.given_up.add(record)
    if state.policy.gives_up != "dead":
        return [(step_as(SKIP, turn), None)]
    state.refusals.give_up(record, None, turn[3])
    return [(step_as(PARK, turn), None)]
