"""What one word does to one possible state of a queue."""

from __future__ import annotations

from chaoskit.traces.queue import locks, order
from chaoskit.traces.queue.capacity import room, stayed
from chaoskit.traces.queue.state import ANYBODY, Case, Message, State, refuse
from chaoskit.traces.tokens import Deliver


def deliver(case: Case, state: State, word: Deliver, index: int, receive: int) -> State:
    """One delivery; `receive` numbers the batch it is in, 0 outside of brackets."""
    after = state.copy()
    at = case.ids[word.label]
    its = after.messages[at]
    if not word.again and word.outcome != "held":
        if its.phase == "out" and its.holder == word.consumer and its.ran == "held":
            _run_held(case, after, at, word, index)
            return after
        if word.consumer in its.stale or (ANYBODY in its.stale and its.holder != word.consumer):
            _run_stale(case, after, at, word)
            return after
    _switch(case, after, at, word.consumer, index)
    if word.again or (not case.rules.marks and (its.count or word.consumer in its.not_by)):
        _again(case, after, at, word, index, receive)
    else:
        _first(case, after, at, word, index, receive)
    _hand_over(case, after, at, word, index, receive)
    return after


def _run_held(case: Case, state: State, at: int, word: Deliver, index: int) -> None:
    if word.consumer in state.messages[at].not_by:
        refuse(
            f"{word.consumer} runs what it holds one after another, in the order of hand-over: "
            f"it has passed {case.name(at)} already"
        )
    if case.rules.order == "locked":
        locks.stopped(case, state, at, word)
    order.passed(case, state, at, word.consumer)
    _ran(case, state, at, word, index)


def _run_stale(case: Case, state: State, at: int, word: Deliver) -> None:
    """A consumer that lost the message still runs it; its acknowledgement may count."""
    its = state.messages[at]
    state.change(at, stale=its.stale - {word.consumer}, known=its.known | {word.consumer})
    if word.outcome == "ok" and case.rules.late_ack != "refused" and not case.lists_acks and its.phase == "back":
        state.change(at, sure=False)


def _ran(case: Case, state: State, at: int, word: Deliver, index: int) -> None:
    outcome = "ok" if word.outcome == "failed" and case.rules.failure_settles else word.outcome
    if state.messages[at].phase == "out":
        state.change(at, ran=outcome, run_at=index)
    else:
        state.change(at, stale=state.messages[at].stale - {word.consumer})


def _hand_over(case: Case, state: State, at: int, word: Deliver, index: int, receive: int) -> None:
    its, rules = state.messages[at], case.rules
    if rules.limit is not None and rules.limit_exact and its.count >= rules.limit:
        refuse(f"{case.name(at)} is delivered at most {_times(rules.limit)}: {rules.limit_setting}")
    changes = {"phase": "out", "holder": word.consumer, "count": its.count + 1, "sure": True, "not_by": frozenset()}
    state.change(at, **changes, since=index, until=-1, taken_at=state.now, receive=receive, ran="held")
    state.change(at, known=its.known | {word.consumer}, behind=False, away_at=-1)
    if its.place is None:
        state.change(at, place=_free_place(case, state, at))
    if rules.settles == "at_hand_over":
        kept = its.stale | {word.consumer} if word.outcome == "held" else its.stale
        state.settle(at, f"{rules.settles_setting} settles a message when it is handed over")
        state.change(at, stale=kept)
    elif word.outcome != "held":
        _ran(case, state, at, word, index)


def _free_place(case: Case, state: State, at: int) -> tuple[int, int]:
    """A copy whose sending is not shown stands behind what was handed out before it."""
    handed = [state.place(other) for other in state.same_unit(case, at) if state.messages[other].phase != "new"]
    low = max((place for place in handed if place[0] < 1 << 30), default=(-1, 0))
    return (low[0], low[1] + 1)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _first(case: Case, state: State, at: int, word: Deliver, index: int, receive: int) -> None:
    its = state.messages[at]
    _exists(case, state, at)
    if its.phase not in {"new", "away"} or its.count:
        _seen(case, state, at)
    _accepted(case, state, at)
    if its.place is None:
        _after_original(case, state, at)
        state.change(at, place=_free_place(case, state, at))
    if case.rules.order == "dispatch":
        order.first(case, state, at, word.consumer, index)
        return
    if case.rules.order == "locked":
        locks.clear(case, state, at, word, receive)
    elif case.rules.order == "cascade":
        locks.in_key_order(case, state, at)
    if its.phase == "new":
        room(case, state, at, word.consumer, index)


def _exists(case: Case, state: State, at: int) -> None:
    its = state.messages[at]
    if its.phase == "unsent":
        refuse(f"{case.name(at)} cannot come: {its.why or f'it was not put before (|put {case.name(at)})'}")
    if its.phase in {"swallowed", "gone"}:
        refuse(f"{case.name(at)} cannot come: {its.why}")


def _seen(case: Case, state: State, at: int) -> None:
    refuse(
        f"{case.name(at)} was handed over before, and {case.rules.broker} tells a second delivery: "
        f"write `{case.name(at)}r`, or `{case.name(at)}'` for another message with the same payload"
    )


def _after_original(case: Case, state: State, at: int) -> None:
    """A copy is accepted after its original, so in a queue with an order it cannot come first."""
    earlier = case.earlier_copy(at)
    if earlier is None or case.rules.order in {"none", "anything"}:
        return
    if state.messages[earlier].phase == "new" and not order.may_vanish(case, state):
        refuse(f"{case.name(at)} was sent after {case.name(earlier)}, which was not handed out yet")


def _accepted(case: Case, state: State, at: int) -> None:
    """A copy of unknown sending time was accepted outside of the deduplication window, or is a redrive."""
    earlier, window = case.earlier_copy(at), case.rules.window
    if earlier is None or window is None or not case.lists_times or at in case.puts:
        return
    before = state.messages[earlier]
    if before.phase == "gone":
        return
    soonest = before.accepted + window
    if state.now < soonest and before.phase not in {"swallowed", "unsent"}:
        refuse(_swallowed(case, at, earlier))
    state.change(at, accepted=soonest)


def _swallowed(case: Case, at: int, earlier: int) -> str:
    return (
        f"{case.rules.broker} swallows {case.name(at)}: the same payload was accepted as {case.name(earlier)} "
        f"less than {case.rules.window:g} s before ({case.rules.window_setting})"
    )


def _again(case: Case, state: State, at: int, word: Deliver, index: int, receive: int) -> None:
    _exists(case, state, at)
    its, rules = state.messages[at], case.rules
    if its.phase == "done":
        _settled_again(case, state, at)
    if its.phase == "out":
        _may_come_back(case, state, at, word.consumer)
    if its.phase == "new":
        _unseen(case, state, at, word)
    if its.phase in {"out", "lost", "back", "away", "new"}:
        stayed(case, state, at, index)
    if rules.order == "locked":
        if its.phase in {"out", "lost"}:
            locks.unlock(case, state, at, index)
        locks.clear(case, state, at, word, receive)
    elif rules.order == "cascade":
        locks.in_key_order(case, state, at)
        locks.cascade(case, state, at, index)
    elif rules.order == "dispatch":
        if its.phase == "lost":
            _notice(case, state, its)
        order.again(case, state, at, word.consumer, index)
        room(case, state, at, word.consumer, index)
    if its.phase == "out" and its.ran == "held" and its.holder is not None and rules.zombies:
        state.change(at, stale=state.messages[at].stale | {its.holder})


def _notice(case: Case, state: State, its: Message) -> None:
    """One message of a killed consumer is back, so all of them are."""
    for other, lost in enumerate(state.messages):
        if lost.phase == "lost" and lost.holder == its.holder:
            order.comes_back(case, state, other, word=None)


def _settled_again(case: Case, state: State, at: int) -> None:
    its = state.messages[at]
    if case.rules.settled == "final" or case.rules.settles == "at_hand_over":
        refuse(f"{case.name(at)} is settled and never comes again: {its.why}")


def _may_come_back(case: Case, state: State, at: int, consumer: str) -> None:
    its, rules = state.messages[at], case.rules
    if rules.rereads and its.holder is None and state.died is not None and state.died[0] == consumer:
        return
    if rules.settled == "may_return" or its.ran == "failed" or not case.lists_acks:
        return
    refuse(
        f"{case.name(at)} is still held by {its.holder or 'a consumer that died'}: in this trace it was neither "
        f"refused nor did its time run out (|nack {case.name(at)} or |expire {case.name(at)})"
    )


def _unseen(case: Case, state: State, at: int, word: Deliver) -> None:
    """Marked as redelivered though no handler saw it: it lay in the buffer of a consumer that lost it."""
    if case.rules.settles == "at_hand_over":
        refuse(f"{case.rules.settles_setting} settles a message when it is handed over: it never comes again")
    known = order.handed(state)
    died = state.died is not None and state.died[1] > state.messages[at].put_at
    lost = died or not (case.lists_kills and case.lists_acks)
    one = 1 in {case.rules.receive, case.rules.prefetch, case.rules.outstanding}
    if not known or not lost or (one and case.rules.order != "none" and case.rules.consumers == 1):
        refuse(f"{case.name(at)} is marked as delivered before, but no consumer can have held it")
    if case.rules.order == "dispatch":
        order.unseen(case, state, at, word.consumer)
    stale = frozenset({ANYBODY}) if case.rules.zombies and not state.killed else frozenset()
    state.change(at, phase="away", stale=stale)
    if state.died is not None:
        state.change(at, holder=state.died[0], until=state.died[1])


def _switch(case: Case, state: State, at: int, consumer: str, index: int) -> None:
    """Where only one consumer is let in, another name means that it took over."""
    queue = case.queue(at)
    before, state.active[queue] = state.active.get(queue), consumer
    if case.rules.consumers != 1 or before in {None, consumer}:
        return
    if case.lists_kills:
        refuse(
            f"{before} is the one active consumer: {consumer} gets nothing before {before} is gone (⚡, |move, |evict)"
        )
    state.died = (before or "", index)
    for other, its in enumerate(state.messages):
        if its.phase == "out" and its.holder == before and case.queue(other) == queue:
            _take_over(case, state, other, index)


def lose(case: Case, state: State, at: int, index: int) -> None:
    """Its consumer is gone; the broker may not know yet."""
    its = state.messages[at]
    state.change(at, phase="lost", sure=case.unacked(its), until=index)


def _take_over(case: Case, state: State, at: int, index: int) -> None:
    """The old consumer lost it without dying: it can still run what it did not run."""
    its = state.messages[at]
    lose(case, state, at, index)
    if case.rules.zombies and its.ran == "held" and its.holder is not None:
        state.change(at, stale=its.stale | {its.holder})
