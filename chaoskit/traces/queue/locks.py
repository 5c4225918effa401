"""Locked units (SQS FIFO groups, Service Bus sessions) and cascades (Pub/Sub ordering keys)."""

from __future__ import annotations

from chaoskit.traces.queue.order import may_leave, may_vanish, return_to_queue
from chaoskit.traces.queue.state import BACK_BEFORE_LATER, QueueState, refuse
from chaoskit.traces.tokens import Receive


def check_order(state: QueueState, at: int, word: Receive, receive: int) -> None:
    """All messages of the unit before `at` are settled, or part of the same receive."""
    for earlier in state.before(at):
        phase = state.messages[earlier].phase
        if phase == "new":
            _check_was_lost(state, earlier, at)
        elif phase == "back":
            _check_not_due(state, earlier, at)
        elif phase == "out":
            _check_not_in_flight(state, earlier, at, word.consumer, receive)
    check_not_stopped(state, at, word)


def _check_was_lost(state: QueueState, earlier: int, at: int) -> None:
    if not may_vanish(state):
        refuse(
            f"the messages of a {state.rules.unit} are handed out in order: "
            f"{state.name(earlier)} is before {state.name(at)} and was never handed out"
        )
    state.leave(earlier, "it was lost")


def _check_not_due(state: QueueState, earlier: int, at: int) -> None:
    if not state.messages[earlier].sure:
        state.settle(earlier, BACK_BEFORE_LATER)
    elif may_leave(state, earlier):
        state.leave(earlier)
    else:
        refuse(
            f"a {state.rules.unit} comes back in order, from the first message that is not settled: "
            f"{state.name(earlier)} is before {state.name(at)}"
        )


def _check_not_in_flight(state: QueueState, earlier: int, at: int, consumer: str, receive: int) -> None:
    its = state.messages[earlier]
    together = its.holder == consumer and its.receive == receive and _fit_one_receive(state, earlier, at)
    if state.rules.receive is not None and state.messages[at].put_at > its.since:
        together = False  # it was sent after that receive
    # It may have been acknowledged: that the unit goes on is the proof, unless both are of one receive.
    if not state.facts.unacked(its):
        if not together:
            state.settle(earlier)
    elif may_leave(state, earlier):
        state.leave(earlier)
    elif not together:
        _refuse_blocked(state, earlier, at)


def check_not_stopped(state: QueueState, at: int, word: Receive) -> None:
    """A consumer that does not skip runs nothing of a unit behind one that it holds and has not done."""
    if word.outcome == "held" or state.rules.skips_failed:
        return
    for earlier in state.before(at):
        its = state.messages[earlier]
        if its.phase != "out" or its.holder != word.consumer or its.ran == "ok":
            continue
        setting = f" ({state.rules.skips_setting} would go on)" if state.rules.skips_setting else ""
        refuse(
            f"{state.name(earlier)} is not done, so the consumer stops there and "
            f"{state.name(at)} of the same {state.rules.unit} waits{setting}"
        )


def _refuse_blocked(state: QueueState, earlier: int, at: int) -> None:
    most = "" if state.rules.receive is None else f", and one receive has at most {state.rules.receive} messages"
    refuse(
        f"nothing later of a {state.rules.unit} is handed out while an earlier message of another receive is not "
        f"settled: {state.name(earlier)} blocks {state.name(at)}{most}"
    )


def _fit_one_receive(state: QueueState, earlier: int, at: int) -> bool:
    """Whether one receive can hold everything handed out since `earlier`, and `at`."""
    if state.rules.receive is None:
        return True
    since = state.messages[earlier].since
    later = [o for o in state.same_unit(at) if state.messages[o].since >= since and state.messages[o].shown]
    return len(later) + 1 <= state.rules.receive


def return_receive(state: QueueState, at: int) -> None:
    """The receive that holds `at` ran out: it comes back from its first message that is not settled."""
    # A consumer that goes on may have done what follows the failure before it came back.
    failed = state.messages[at].ran == "failed" and state.rules.skips_failed
    for earlier in state.before(at):
        its = state.messages[earlier]
        if its.phase == "out" and not state.facts.unacked(its):
            state.settle(earlier)
        elif its.phase == "out":
            return_to_queue(state, earlier)
    return_to_queue(state, at)
    for later in state.after(at):
        its = state.messages[later]
        if its.phase == "out":
            return_to_queue(state, later)
            state.change(later, sure=state.facts.unacked(its) or not failed)


def return_later(state: QueueState, at: int) -> None:
    """`at` of a key comes back, and all later ones that were handed out with it, even if they were acknowledged."""
    for later in state.after(at):
        its = state.messages[later]
        if its.phase not in {"out", "done", "back", "lost"}:
            continue
        if its.phase == "done" and state.rules.settled == "final":
            continue
        unsure = state.rules.settled == "final" and not state.facts.unacked(its)
        return_to_queue(state, later)
        state.change(later, sure=not unsure)


def check_key_order(state: QueueState, at: int) -> None:
    """First deliveries of a key are in order, and a cascade ends before anything later."""
    for earlier in state.before(at):
        phase = state.messages[earlier].phase
        if phase == "new":
            _check_was_lost(state, earlier, at)
        elif phase == "back" and not state.messages[earlier].sure:
            state.settle(earlier)
        elif phase == "back" and may_leave(state, earlier):
            state.leave(earlier)
        elif phase == "back":
            refuse(
                f"a redelivery of a {state.rules.unit} brings all later messages of it again, in order, even "
                f"acknowledged ones: {state.name(earlier)} is before {state.name(at)}"
            )
