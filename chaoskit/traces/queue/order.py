"""Dispatch order: messages are handed out in order, runs finish in any order, returns have their place."""

from __future__ import annotations

from chaoskit.traces.queue.capacity import add_span_unseen, check_room, may_be_elsewhere
from chaoskit.traces.queue.state import BACK_BEFORE_LATER, HANDED, MessageState, QueueState, refuse

SERVED_FIRST = frozenset({"place", "front", "head"})


def check_first_delivery(state: QueueState, at: int, consumer: str) -> None:
    """`at` is handed out for the first time, or was handed out unseen and runs now."""
    fresh = state.messages[at].phase == "new"
    if consumer in state.messages[at].not_by:
        refuse(_sequential(state, at, consumer))
    if fresh:
        # What was lost is back first: it may be due before `at`, and it takes part in what stands before.
        notice_lost(state, consumer)
        for earlier in state.before(at):
            _overtake(state, earlier, at, consumer)
        _check_returns_first(state, at, consumer)
        check_room(state, at, consumer)
    elif state.messages[at].phase == "away":
        add_span_unseen(state, at, consumer)
    pass_over_unrun(state, at, consumer)


def _overtake(state: QueueState, earlier: int, at: int, consumer: str) -> None:
    """`at` is handed out, so `earlier` was: to somebody else, or it was lost on the way."""
    if state.messages[earlier].phase != "new":
        return
    if may_be_elsewhere(state, earlier, consumer):
        state.change(earlier, phase="away", not_by=state.messages[earlier].not_by | {consumer}, away_at=state.word)
    elif may_vanish(state):
        state.leave(earlier, "it was lost")
    else:
        refuse(
            f"{state.rules.broker} hands out the messages of a queue in order: {state.name(earlier)} comes before "
            f"{state.name(at)}, and {consumer} runs what it gets in that order"
        )


def _check_returns_first(state: QueueState, at: int, consumer: str) -> None:
    """What came back is served before a new message, unless that one lay in a client's buffer already; what went to
    the back of the queue is served before what was put since."""
    for other in state.same_unit(at):
        its = state.messages[other]
        if its.phase != "back" or not _due_before(state, its, at):
            continue
        if may_be_elsewhere(state, other, consumer):
            state.change(other, not_by=its.not_by | {consumer})  # somebody else has it again; its run may follow
        elif not its.sure:
            state.settle(other)  # that it is not here is the proof that it was acknowledged
        elif may_leave(state, other):
            state.leave(other)
        else:
            refuse(
                f"{state.rules.broker} serves messages that came back before new ones: "
                f"{state.name(other)} is due before {state.name(at)}"
            )


def _due_before(state: QueueState, its: MessageState, at: int) -> bool:
    """Whether a message that came back stands before a new one."""
    if its.behind:
        return state.messages[at].put_at > its.until >= 0
    return state.rules.returns in SERVED_FIRST and at not in state.buffered


def check_redelivery(state: QueueState, at: int, consumer: str) -> None:
    """`at` is back in the queue and is handed out again: those that stand before it went first."""
    notice_lost(state, consumer)
    if consumer in state.messages[at].not_by and state.rules.consumers == 1:
        refuse(_sequential(state, at, consumer))
    _check_tail(state, at, consumer)
    if state.rules.returns in {"place", "front", "tail"}:
        for other in state.same_unit(at):
            _check_ahead(state, other, at, consumer)


def _check_ahead(state: QueueState, other: int, at: int, consumer: str) -> None:
    its = state.messages[other]
    if its.phase != "back" or _return_order(state, other) >= _return_order(state, at):
        return
    # It may be acknowledged, or with somebody else in its old place: nothing follows for it.
    if not its.sure and state.rules.returns == "place" and may_be_elsewhere(state, other, consumer):
        return
    if may_be_elsewhere(state, other, consumer):
        state.change(other, not_by=its.not_by | {consumer})
    elif not its.sure:
        state.settle(other, BACK_BEFORE_LATER)
    else:
        how = "to their old place" if state.rules.returns == "place" else "to the front, in the order of their returns"
        refuse(f"messages come back {how}: {state.name(other)} is before {state.name(at)}")


def _return_order(state: QueueState, at: int) -> tuple[int, int]:
    """What returned messages are ordered by; what went to the back of the queue comes after all others."""
    its = state.messages[at]
    if state.rules.returns == "place":
        return state.place(at)
    # What comes back only now, by this delivery, is the last of the returns.
    return (int(its.behind), its.turn) if its.phase == "back" else (0, state.turn + 1)


def _check_tail(state: QueueState, at: int, consumer: str) -> None:
    """Where `at` went to the back of the queue, what stood there before is handed out first."""
    its = state.messages[at]
    if not state.facts.lists_puts or its.phase == "away" or not (its.behind or state.rules.returns == "tail"):
        return
    earliest = its.until if its.phase == "back" else its.run_at  # when it went to the tail, as far as that is shown
    for other in state.same_unit(at):
        if state.messages[other].phase != "new" or state.messages[other].put_at > earliest:
            continue
        if may_be_elsewhere(state, other, consumer):
            _overtake(state, other, at, consumer)
        else:
            refuse(f"a message goes back to the tail of the queue: {state.name(other)} is before {state.name(at)}")


def hand_out_unseen(state: QueueState, at: int, consumer: str) -> None:
    """`at` was handed out before without being shown: those before it were handed out too."""
    for earlier in state.before(at):
        if state.messages[earlier].phase != "new":
            continue
        if not may_be_elsewhere(state, earlier, consumer):
            refuse(f"{state.name(earlier)} was handed out before {state.name(at)} and comes back before it")
        state.change(earlier, phase="away", not_by=frozenset({consumer}))


def notice_lost(state: QueueState, consumer: str) -> None:
    """The broker knows that a killed consumer is gone once that one is back, or only one consumer is let in."""
    lost = [at for at, its in enumerate(state.messages) if its.phase == "lost"]
    gone = [at for at in lost if state.rules.consumers == 1 or state.messages[at].holder == consumer]
    for at in sorted(gone, key=state.place):
        return_to_queue(state, at, noticed=True)


def return_to_queue(state: QueueState, at: int, *, nacked: bool = False, noticed: bool = False) -> None:
    """Put a message back into the queue, behind the returns before it; `nacked`: its consumer gave it back;
    `noticed`: the broker sees only now that its consumer was gone."""
    _return(state, at, nacked=nacked, noticed=noticed)
    bring_along(state, at)


def bring_along(state: QueueState, at: int) -> None:
    """What was stored as one with a message that comes back does so, too, acknowledged or not."""
    if state.rules.along is None:
        return
    for other in state.rules.along(state, at):
        if state.messages[other].phase in {"out", "done"}:
            _return(state, other, nacked=False, noticed=False)
            state.change(other, sure=True)


def _return(state: QueueState, at: int, *, nacked: bool, noticed: bool) -> None:
    its, rules = state.messages[at], state.rules
    behind = "tail" in {rules.returns, rules.nacked if nacked else None}
    state.turn += 1
    stale = its.stale
    if rules.zombies and its.phase == "out" and its.ran == "held" and its.holder is not None:
        stale |= {its.holder}
    until = its.until if noticed else state.word
    changes = {"phase": "back", "turn": state.turn, "until": until, "stale": stale, "not_by": frozenset()}
    state.change(at, **changes, behind=behind)
    if rules.buffered_at_return is not None and not behind:
        state.buffered = rules.buffered_at_return(state, at, its.holder, its.phase == "lost")


def pass_over_unrun(state: QueueState, at: int, consumer: str) -> None:
    """A consumer that runs one after another has passed what it got earlier and did not run."""
    if not state.rules.one_at_a_time:
        return
    for earlier in state.before(at):
        its = state.messages[earlier]
        unrun = its.phase == "away" or its.is_unrun_at(consumer)
        if unrun and its.since <= state.messages[at].since:  # handed over before it, and not while it was out
            state.change(earlier, not_by=its.not_by | {consumer})


def may_vanish(state: QueueState) -> bool:
    """Whether a message can be lost without a word."""
    if state.rules.settles == "at_hand_over" and (state.killed or not state.facts.lists_kills):
        return True
    return state.rules.loses is not None and not state.facts.lists_exits


def may_leave(state: QueueState, at: int) -> bool:
    """Whether a refused message can have left for the dead letters, or for good, without a word."""
    its = state.messages[at]
    if state.facts.lists_exits or (its.phase == "out" and its.ran != "failed") or not its.shown:
        return False
    if state.rules.dead == "any":
        return its.ran == "failed"
    return state.rules.limit is not None and (its.shown >= state.rules.limit or not state.rules.limit_exact)


def any_handed_out(state: QueueState) -> bool:
    return any(its.phase in HANDED for its in state.messages)


def _sequential(state: QueueState, at: int, consumer: str) -> str:
    return f"{consumer} runs what it gets in the order of hand-over: it has passed {state.name(at)} already"
