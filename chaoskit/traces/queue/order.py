"""Dispatch order: messages are handed out in order, runs finish in any order, returns have their place."""

from __future__ import annotations

from chaoskit.traces.queue.capacity import elsewhere, kept_back, room, was_away
from chaoskit.traces.queue.state import HANDED, Case, Message, State, refuse

SERVED_FIRST = frozenset({"place", "front", "head"})


def first(case: Case, state: State, at: int, consumer: str, word: int) -> None:
    """`at` is handed out for the first time, or was handed out unseen and runs now."""
    fresh = state.messages[at].phase == "new"
    if consumer in state.messages[at].not_by:
        refuse(_sequential(case, at, consumer))
    if fresh:
        notice(case, state, consumer)
        for earlier in state.before(case, at):
            _overtake(case, state, earlier, at, consumer, word)
        _returns_before_new(case, state, at, consumer)
        room(case, state, at, consumer, word)
    elif state.messages[at].phase == "away":
        was_away(case, state, at, consumer, word)
    passed(case, state, at, consumer)


def _overtake(case: Case, state: State, earlier: int, at: int, consumer: str, word: int) -> None:
    """`at` is handed out, so `earlier` was: to somebody else, or it was lost on the way."""
    if state.messages[earlier].phase != "new":
        return
    if elsewhere(case, state, earlier, consumer):
        state.change(earlier, phase="away", not_by=state.messages[earlier].not_by | {consumer}, away_at=word)
    elif may_vanish(case, state):
        state.leave(earlier, "it was lost")
    else:
        refuse(
            f"{case.rules.broker} hands out the messages of a queue in order: {case.name(earlier)} comes before "
            f"{case.name(at)}, and {consumer} runs what it gets in that order"
        )


def _returns_before_new(case: Case, state: State, at: int, consumer: str) -> None:
    """What came back is served before a new message, unless that one lay in a client's buffer already; what went to
    the back of the queue is served before what was put since."""
    for other in state.same_unit(case, at):
        its = state.messages[other]
        if its.phase != "back" or not _due_before(case, state, its, at):
            continue
        if elsewhere(case, state, other, consumer):
            state.change(other, not_by=its.not_by | {consumer})
        elif not its.sure:
            state.settle(other)
        elif may_leave(case, state, other):
            state.leave(other, "its deliveries are used up")
        else:
            refuse(
                f"{case.rules.broker} serves messages that came back before new ones: "
                f"{case.name(other)} is due before {case.name(at)}"
            )


def _due_before(case: Case, state: State, its: Message, at: int) -> bool:
    """Whether a message that came back stands before a new one."""
    if its.behind:
        return state.messages[at].put_at > its.until >= 0
    return case.rules.returns in SERVED_FIRST and at not in state.buffered


def again(case: Case, state: State, at: int, consumer: str, word: int) -> None:
    """`at` is back in the queue and is handed out again: those that stand before it went first."""
    notice(case, state, consumer)
    if consumer in state.messages[at].not_by and case.rules.consumers == 1:
        refuse(_sequential(case, at, consumer))
    _behind_all(case, state, at, consumer, word)
    if case.rules.returns in {"place", "front", "tail"}:
        for other in state.same_unit(case, at):
            _ahead_of(case, state, other, at, consumer)


def _ahead_of(case: Case, state: State, other: int, at: int, consumer: str) -> None:
    its = state.messages[other]
    if its.phase != "back" or _key(case, state, other) >= _key(case, state, at):
        return
    if not its.sure and case.rules.returns == "place" and elsewhere(case, state, other, consumer):
        return
    if elsewhere(case, state, other, consumer):
        state.change(other, not_by=its.not_by | {consumer})
    elif not its.sure:
        state.settle(other, "it would have come back before a later one if it had been unsettled")
    else:
        how = "to their old place" if case.rules.returns == "place" else "to the front, in the order of their returns"
        refuse(f"messages come back {how}: {case.name(other)} is before {case.name(at)}")


def _key(case: Case, state: State, at: int) -> tuple[int, int]:
    """What returned messages are ordered by; what went to the back of the queue comes after all others."""
    its = state.messages[at]
    if case.rules.returns == "place":
        return state.place(at)
    return (int(its.behind), its.turn) if its.phase == "back" else (0, state.turn + 1)


def _behind_all(case: Case, state: State, at: int, consumer: str, word: int) -> None:
    """Where `at` went to the back of the queue, what stood there before is handed out first."""
    its = state.messages[at]
    if not case.lists_puts or its.phase == "away" or not (its.behind or case.rules.returns == "tail"):
        return
    earliest = its.until if its.phase == "back" else its.run_at
    for other in state.same_unit(case, at):
        if state.messages[other].phase != "new" or state.messages[other].put_at > earliest:
            continue
        if elsewhere(case, state, other, consumer):
            _overtake(case, state, other, at, consumer, word)
        else:
            refuse(f"a message goes back to the tail of the queue: {case.name(other)} is before {case.name(at)}")


def unseen(case: Case, state: State, at: int, consumer: str) -> None:
    """`at` was handed out before without being shown: those before it were handed out too."""
    for earlier in state.before(case, at):
        if state.messages[earlier].phase != "new":
            continue
        if not elsewhere(case, state, earlier, consumer):
            refuse(f"{case.name(earlier)} was handed out before {case.name(at)} and comes back before it")
        state.change(earlier, phase="away", not_by=frozenset({consumer}))


def notice(case: Case, state: State, consumer: str, *, certainly: bool = False) -> None:
    """The broker knows that a killed consumer is gone once that one is back, or only one consumer is let in."""
    lost = [at for at, its in enumerate(state.messages) if its.phase == "lost"]
    gone = [at for at in lost if certainly or case.rules.consumers == 1 or state.messages[at].holder == consumer]
    for at in sorted(gone, key=state.place):
        comes_back(case, state, at, word=None)


def comes_back(case: Case, state: State, at: int, word: int | None, *, nacked: bool = False) -> None:
    """Put a message back into the queue, behind the returns before it; `nacked`: its consumer gave it back."""
    its, rules = state.messages[at], case.rules
    behind = "tail" in {rules.returns, rules.nacked if nacked else None}
    state.turn += 1
    stale = its.stale
    if rules.zombies and its.phase == "out" and its.ran == "held" and its.holder is not None:
        stale |= {its.holder}
    until = its.until if word is None else word
    changes = {"phase": "back", "turn": state.turn, "until": until, "stale": stale, "not_by": frozenset()}
    state.change(at, **changes, behind=behind)
    if rules.pushes and not behind:
        state.buffered = kept_back(case, state, at, its.holder, lost=its.phase == "lost")


def passed(case: Case, state: State, at: int, consumer: str) -> None:
    """A consumer that runs one after another has passed what it got earlier and did not run."""
    if not case.rules.one_at_a_time:
        return
    for earlier in state.before(case, at):
        its = state.messages[earlier]
        unrun = its.phase == "away" or (its.phase == "out" and its.holder == consumer and its.ran == "held")
        if unrun and its.since <= state.messages[at].since:
            state.change(earlier, not_by=its.not_by | {consumer})


def may_vanish(case: Case, state: State) -> bool:
    """Whether a message can be lost without a word."""
    if case.rules.settles == "at_hand_over" and (state.killed or not case.lists_kills):
        return True
    return case.rules.loses is not None and not case.lists_exits


def may_leave(case: Case, state: State, at: int) -> bool:
    """Whether a refused message can have left for the dead letters, or for good, without a word."""
    its = state.messages[at]
    if case.lists_exits or (its.phase == "out" and its.ran != "failed") or not its.count:
        return False
    if case.rules.dead == "any":
        return its.ran == "failed"
    return case.rules.limit is not None and (its.count >= case.rules.limit or not case.rules.limit_exact)


def handed(state: State) -> bool:
    return any(its.phase in HANDED for its in state.messages)


def _sequential(case: Case, at: int, consumer: str) -> str:
    return f"{consumer} runs what it gets in the order of hand-over: it has passed {case.name(at)} already"
