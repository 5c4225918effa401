"""A queue whose handler settles by itself: what is open, who can take no more, and what comes back with whom."""

from __future__ import annotations

from chaoskit.models.events import LeftOpen, SettledLater
from chaoskit.models.queue.policy import UNBOUNDED
from chaoskit.models.queue.room import room
from chaoskit.models.queue.state import LeasedQueue
from chaoskit.models.queue.waiting import HeldLane, ZombieRun
from chaoskit.models.turns import NOTHING, Caused, Record, Turn, consumer_of, handed_to, put_back, record_of, step_as
from chaoskit.values.schedule import PARK, SKIP, WAIT, Raw
from chaoskit.values.settling import Settling


def settle(state: LeasedQueue, turn: Turn, answer: Settling, *, returns: bool = False, dies: bool = False) -> None:
    """What the handler settled in this delivery, which was run just now; what it did not settle is open from here on.
    `returns`: it comes back now, whatever is said of it. `dies`: its consumer did so at it."""
    record = record_of(turn)
    if answer.gone:
        # What its framework publishes again is told alike: both make the same step.
        if answer.gone == "settled" or state.policy.refused == "again":
            state.dropped[record] = answer.gone == "rejected"
        return
    state.own = True
    state.open.pop(record, None)
    # Of what was stored with others that were not run yet nothing is settled by then.
    if not answer.refused and (answer.held or (dies and state.is_half_run(turn))):
        state.open[record] = len(state.history) - 1, turn
    elif not answer.refused and state.policy.up_to and not returns:
        _all_up_to(state, record)
    notes(state, answer, len(state.history) - 1)
    settle_others(state, turn[3], answer, record if returns else None)
    if record in state.open and (answer.refused or not dies):
        state.tell(LeftOpen, [turn])
    if answer.refused and any(verb == "reject" and settled == turn[3] for verb, settled in answer.settled):
        state.rejected.add(record)


def notes(state: LeasedQueue, answer: Settling, place: int) -> None:
    """In the delivery of this place in the history something was done, whether its acknowledgement counts or not."""
    if any(verb == "ack" or verb == "reject" for verb, _ in answer.settled):
        state.settled_at = place


def settle_begun(state: LeasedQueue, turn: Turn, answer: Settling) -> bool:
    """What the handler settled before its execution stopped. Whether this message was among it."""
    state.own = True
    settle_others(state, turn[3], answer)
    is_done = any(verb == "ack" and settled == turn[3] for verb, settled in answer.settled)
    if is_done and state.policy.up_to:
        _all_up_to(state, record_of(turn))
    return is_done


def settle_others(state: LeasedQueue, step: Raw, answer: Settling, returns: Record | None = None) -> None:
    """What was delivered before this step. What `returns` now, or will, does so whatever is said of it."""
    if answer.gone:
        return
    for verb, settled in answer.settled:
        if verb == "extend" or settled == step:
            continue
        record = settled[3], settled[4]
        later = returns is not None and returns[0] == record[0] and returns < record
        if verb == "ack" and later and state.policy.up_to:
            continue  # it would be one of what returns, too: both are lost
        index, found = state.open.get(record, (0, None))
        if found is None or found[3] != settled:
            returning = [record_of(pending.turn) for pending in state.waiting.pending]
            will = record == returns or record in returning
            will = will or _covers_returning(state, record)
            if verb == "ack" and state.policy.late_counts and not will:
                _is_done(state, record, settled)
                if state.policy.up_to:
                    _all_up_to(state, record)
            continue
        if _is_lost(state, found, index):
            continue
        if verb == "nack":
            state.come_back([found])
            continue
        state.tell(SettledLater, [found])
        del state.open[record]
        if state.policy.up_to:
            _all_up_to(state, record)
    changed(state)


def _is_lost(state: LeasedQueue, turn: Turn, index: int) -> bool:
    """Whether what is said of this message does not arrive: its channel will be lost, or it comes with its lane."""
    if state.policy.brings == "consumer":
        return any(pending.consumer == consumer_of(turn) for pending in state.waiting.pending)
    if _covers_returning(state, record_of(turn)):
        return True
    lane = state.lane(turn)
    return any(pending.lane == lane and index >= pending.since for pending in state.waiting.pending)


def _covers_returning(state: LeasedQueue, record: Record) -> bool:
    """Whether an acknowledgement of this message would be one of others, too, that come again."""
    return state.policy.up_to and any(pending.turn[1] == record[0] for pending in state.waiting.pending)


def _all_up_to(state: LeasedQueue, last: Record) -> None:
    """What is open of the queue of this message, up to it, is settled with it."""
    for record in [record for record in state.open if record[0] == last[0] and record[1] < last[1]]:
        del state.open[record]


def _is_done(state: LeasedQueue, record: Record, settled: Raw) -> None:
    """Whoever has this message now, or will: who had it before has settled it."""
    left = [turn for turn in state.todo if record_of(turn) != record]
    if state.open.pop(record, None) is None and len(left) == len(state.todo):
        return
    state.todo[:] = left
    if state.told is not None:
        state.told.append(SettledLater(settled))


def changed(state: LeasedQueue) -> None:
    """Who is full is asked anew, and what waited for that may be handed out."""
    state.consumers.moved = True
    state.waiting.version += 1
    if state.stalled:
        put_back(state.todo, state.stalled)
        state.stalled.clear()


def with_its_receive(state: LeasedQueue, turn: Turn) -> Turn:
    """The message for who has others of its group, which are one receive."""
    lane = state.lane(turn)
    return next((handed_to(consumer_of(o), turn) for _, o in state.open.values() if state.lane(o) == lane), turn)


def keeps_out(state: LeasedQueue, turn: Turn) -> bool:
    """Whether what is open keeps this message, which is next, from being handed out."""
    policy, consumer = state.policy, consumer_of(turn)
    if policy.brings == "consumer":
        # A zombie is gone, and who is slow runs first what it has.
        has_it = state.consumers.held_by.get(record_of(turn)) == consumer
        busy = (ZombieRun,) if has_it else (ZombieRun, HeldLane)
        return any(each.consumer == consumer for each in state.waiting.of(*busy)) or state.consumers.is_full(consumer)
    if policy.lock == "message":
        return min(policy.outstanding, policy.span) < UNBOUNDED and turn[3][5] == 1 and room(state, turn) < 1
    return state.held_open(turn) >= min(policy.window, policy.most_open)


def stuck(state: LeasedQueue) -> Caused | None:
    """Nothing is handed out any more, unless somebody is free by now."""
    if not state.stalled:
        return None
    if state.stalled_at != state.waiting.version:
        state.stalled_at = state.waiting.version
        put_back(state.todo, state.stalled)
        state.stalled.clear()
        return NOTHING
    steps: Caused = [((WAIT, *turn[3][1:]), None) for turn in sorted(state.stalled)]
    state.stalled.clear()
    return steps


def used_up(state: LeasedQueue) -> Caused:
    """What came back with its lane, and had had all its deliveries."""
    turns, do = state.used_up[:], PARK if state.policy.gives_up == "dead" else SKIP
    state.used_up.clear()
    for turn in turns:
        state.given_up.add(record_of(turn))
        if do == PARK:
            state.refusals.give_up(record_of(turn), None, turn[3])
    return [(step_as(do, turn), None) for turn in turns]


def given_up(state: LeasedQueue, turn: Turn) -> Caused:
    """The handler rejected it: it is dropped, or set aside and put back when nothing else is left."""
    record = record_of(turn)
    state.rejected.discard(record)
    state.given_up.add(record)
    if state.policy.gives_up != "dead":
        return [(step_as(SKIP, turn), None)]
    state.refusals.give_up(record, None, turn[3])
    return [(step_as(PARK, turn), None)]
