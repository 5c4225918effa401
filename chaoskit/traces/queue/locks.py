"""Locked units (SQS FIFO groups, Service Bus sessions) and cascades (Pub/Sub ordering keys)."""

from __future__ import annotations

from chaoskit.traces.queue.order import comes_back, may_leave, may_vanish
from chaoskit.traces.queue.state import Case, State, refuse
from chaoskit.traces.tokens import Deliver


def clear(case: Case, state: State, at: int, word: Deliver, receive: int) -> None:
    """All messages of the unit before `at` are settled, or part of the same receive."""
    for earlier in state.before(case, at):
        phase = state.messages[earlier].phase
        if phase == "new":
            _skipped(case, state, earlier, at)
        elif phase == "back":
            _due(case, state, earlier, at)
        elif phase == "out":
            _in_flight(case, state, earlier, at, word.consumer, receive)
    stopped(case, state, at, word)


def _skipped(case: Case, state: State, earlier: int, at: int) -> None:
    if not may_vanish(case, state):
        refuse(
            f"the messages of a {case.rules.unit} are handed out in order: "
            f"{case.name(earlier)} is before {case.name(at)} and was never handed out"
        )
    state.leave(earlier, "it was lost")


def _due(case: Case, state: State, earlier: int, at: int) -> None:
    if not state.messages[earlier].sure:
        state.settle(earlier, "it would have come back before a later one if it had been unsettled")
    elif may_leave(case, state, earlier):
        state.leave(earlier, "its deliveries are used up")
    else:
        refuse(
            f"a {case.rules.unit} comes back in order, from the first message that is not settled: "
            f"{case.name(earlier)} is before {case.name(at)}"
        )


def _in_flight(case: Case, state: State, earlier: int, at: int, consumer: str, receive: int) -> None:
    its = state.messages[earlier]
    together = its.holder == consumer and its.receive == receive and _fits(case, state, earlier, at)
    if case.rules.receive is not None and state.messages[at].put_at > its.since:
        together = False  # it was sent after that receive
    if not case.unacked(its):
        if not together:
            state.settle(earlier)
    elif may_leave(case, state, earlier):
        state.leave(earlier, "its deliveries are used up")
    elif not together:
        _blocked(case, earlier, at)


def stopped(case: Case, state: State, at: int, word: Deliver) -> None:
    """A consumer that does not skip runs nothing of a unit behind one that it holds and has not done."""
    if word.outcome == "held" or case.rules.skips_failed:
        return
    for earlier in state.before(case, at):
        its = state.messages[earlier]
        if its.phase != "out" or its.holder != word.consumer or its.ran == "ok":
            continue
        setting = f" ({case.rules.skips_setting} would go on)" if case.rules.skips_setting else ""
        refuse(
            f"{case.name(earlier)} is not done, so the consumer stops there and "
            f"{case.name(at)} of the same {case.rules.unit} waits{setting}"
        )


def _blocked(case: Case, earlier: int, at: int) -> None:
    most = "" if case.rules.receive is None else f", and one receive has at most {case.rules.receive} messages"
    refuse(
        f"nothing later of a {case.rules.unit} is handed out while an earlier message of another receive is not "
        f"settled: {case.name(earlier)} blocks {case.name(at)}{most}"
    )


def _fits(case: Case, state: State, earlier: int, at: int) -> bool:
    """Whether one receive can hold everything handed out since `earlier`, and `at`."""
    if case.rules.receive is None:
        return True
    since = state.messages[earlier].since
    later = [o for o in state.same_unit(case, at) if state.messages[o].since >= since and state.messages[o].count]
    return len(later) + 1 <= case.rules.receive


def unlock(case: Case, state: State, at: int, word: int) -> None:
    """The receive that holds `at` ran out: it comes back from its first message that is not settled."""
    failed = state.messages[at].ran == "failed" and case.rules.skips_failed
    for earlier in state.before(case, at):
        its = state.messages[earlier]
        if its.phase == "out" and not case.unacked(its):
            state.settle(earlier)
        elif its.phase == "out":
            comes_back(case, state, earlier, word)
    comes_back(case, state, at, word)
    for later in state.after(case, at):
        its = state.messages[later]
        if its.phase == "out":
            comes_back(case, state, later, word)
            state.change(later, sure=case.unacked(its) or not failed)


def cascade(case: Case, state: State, at: int, word: int) -> None:
    """`at` of a key comes back, and all later ones that were handed out with it, even if they were acknowledged."""
    for later in state.after(case, at):
        its = state.messages[later]
        if its.phase not in {"out", "done", "back", "lost"}:
            continue
        if its.phase == "done" and case.rules.settled == "final":
            continue
        unsure = case.rules.settled == "final" and not case.unacked(its)
        comes_back(case, state, later, word)
        state.change(later, sure=not unsure)


def in_key_order(case: Case, state: State, at: int) -> None:
    """First deliveries of a key are in order, and a cascade ends before anything later."""
    for earlier in state.before(case, at):
        phase = state.messages[earlier].phase
        if phase == "new":
            _skipped(case, state, earlier, at)
        elif phase == "back" and not state.messages[earlier].sure:
            state.settle(earlier)
        elif phase == "back" and may_leave(case, state, earlier):
            state.leave(earlier, "its deliveries are used up")
        elif phase == "back":
            refuse(
                f"a redelivery of a {case.rules.unit} brings all later messages of it again, in order, even "
                f"acknowledged ones: {case.name(earlier)} is before {case.name(at)}"
            )
