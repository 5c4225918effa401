"""What settle verbs, sends, kills and the end of the trace do to one possible state of a queue."""

from __future__ import annotations

from chaoskit.traces.queue import locks, order
from chaoskit.traces.queue.capacity import asked_for, held_until
from chaoskit.traces.queue.delivery import lose
from chaoskit.traces.queue.state import Case, State, refuse
from chaoskit.traces.tokens import Evict, Kill, Move, Settle


def settle(case: Case, state: State, word: Settle, index: int, *, late_counts: bool) -> State:
    """One settle verb; `late_counts` chooses what a late acknowledgement did where both can be."""
    after = state.copy()
    if case.rules.order in ("anything", "in_order"):
        return after
    at = case.ids[word.label]
    if after.messages[at].phase == "unsent":
        refuse(f"{case.name(at)} was not put before")
    match word.what:
        case "ack":
            _ack(case, after, at, word.consumer, index, late_counts)
        case "nack":
            _nack(case, after, at, word.consumer, index)
        case "expire":
            _expire(case, after, at, index)
        case "dead":
            _dead(case, after, at)
        case "drop":
            _drop(case, after, at)
    return after


def _ack(case: Case, state: State, at: int, consumer: str, index: int, late_counts: bool) -> None:
    its = state.messages[at]
    if its.phase in {"new", "swallowed"}:
        refuse(f"{case.name(at)} was never handed out, so nobody can acknowledge it")
    if its.phase in {"done", "gone"}:
        return
    _knows(case, state, at, consumer)
    if its.phase == "out" and its.holder == consumer:
        held_until(case, state, at, index)
    else:
        if case.rules.late_ack == "refused":
            refuse(
                f"{consumer} does not hold {case.name(at)} any more, and {case.rules.broker} refuses a late "
                f"acknowledgement: {case.name(at)} stays in the queue"
            )
        if case.rules.late_ack == "maybe" and not late_counts:
            return
    state.settle(at)
    if case.rules.ack_all:
        for earlier in state.before(case, at):
            if state.messages[earlier].phase == "out":
                state.settle(earlier, f"the acknowledgement of {case.name(at)} covered it")


def _knows(case: Case, state: State, at: int, consumer: str) -> None:
    """Who acknowledges was handed the message, and is the same process still."""
    its = state.messages[at]
    if consumer in its.known or its.phase == "away":
        return
    if consumer in state.killed:
        refuse(f"{consumer} was killed and holds nothing of before: it cannot acknowledge {case.name(at)}")
    if not case.rules.anybody_acks:
        refuse(f"{consumer} was never handed {case.name(at)}, so it cannot acknowledge it")


def _nack(case: Case, state: State, at: int, consumer: str, index: int) -> None:
    its = state.messages[at]
    if its.phase != "out" or its.holder != consumer:
        refuse(f"{consumer} does not hold {case.name(at)}, so it cannot give it back")
    _give_back(case, state, at, index, alone=case.rules.single_returns, nacked=True)
    if case.rules.nacks_lag:
        state.buffered |= asked_for(case, state, at)


def _expire(case: Case, state: State, at: int, index: int) -> None:
    its, lease = state.messages[at], case.rules.lease
    if its.phase == "back":
        return
    if its.phase not in {"out", "lost", "away"}:
        refuse(f"{case.name(at)} is not held by anybody, so its time cannot run out")
    if lease is not None and case.lists_times and its.phase == "out" and state.now - its.taken_at < lease:
        refuse(f"{case.name(at)} was handed out less than {lease:g} s before: its time has not run out")
    _give_back(case, state, at, index, alone=case.rules.single_returns)


def _give_back(case: Case, state: State, at: int, index: int, *, alone: bool, nacked: bool = False) -> None:
    if case.rules.order == "cascade":  # the client's buffer is served on; the cascade starts when it is delivered again
        its = state.messages[at]
        kept = its.stale | {its.holder or ""} if its.ran == "held" and case.rules.zombies else its.stale
        state.change(at, ran="failed", stale=kept - {""}, holder=None)
    elif case.rules.order == "locked" and not alone:
        locks.unlock(case, state, at, index)
    else:
        order.comes_back(case, state, at, index, nacked=nacked)


def _dead(case: Case, state: State, at: int) -> None:
    rules = case.rules
    if rules.dead == "never":
        setting = f": {rules.dead_setting}" if rules.dead_setting else ""
        refuse(f"{rules.broker} has no dead letters under these settings{setting}")
    if state.messages[at].phase in {"done", "gone"}:
        refuse(f"{case.name(at)} cannot be dead-lettered: {state.messages[at].why}")
    state.leave(at, "it was dead-lettered")


def _drop(case: Case, state: State, at: int) -> None:
    rules, its = case.rules, state.messages[at]
    if its.phase == "swallowed":
        return
    if its.phase == "done" and rules.settles != "at_hand_over":
        refuse(f"{case.name(at)} is settled and cannot be lost any more")
    if rules.loses is None and rules.limit is None and rules.settles != "at_hand_over":
        refuse(f"{rules.broker} loses no message under these settings")
    state.leave(at, "it was lost for good")


def put(case: Case, state: State, at: int, index: int, *, outside: bool) -> State:
    """A send; where no time is given, `outside` chooses whether it is outside of the deduplication window."""
    after = state.copy()
    rules = case.rules
    if after.messages[at].phase != "unsent":
        refuse(f"{case.name(at)} was put already: another send of the payload is `{case.name(at)}'`")
    earlier = case.earlier_copy(at)
    while earlier is not None and after.messages[earlier].phase in {"unsent", "swallowed"}:
        earlier = case.earlier_copy(earlier)
    redrive = any(after.messages[other].phase == "gone" for other in case.earlier_copies(at))
    if rules.window is not None and earlier is not None and not redrive:
        age = after.now - after.messages[earlier].accepted
        inside = age < rules.window if case.lists_times else not outside
        if inside:
            why = (
                f"{rules.broker} swallowed it, as {case.name(earlier)} with the same payload was accepted less than "
                f"{rules.window:g} s before ({rules.window_setting})"
            )
            after.change(at, phase="swallowed", why=why)
            return after
    last = max((its.place[0] for its in after.messages if its.place is not None), default=-1)
    after.change(at, phase="new", place=(last + 1, 0), accepted=after.now, put_at=index)
    return after


def kill(case: Case, state: State, word: Kill, index: int) -> State:
    """The consumer is gone, with its buffer and all that it was running."""
    after = state.copy()
    after.killed, after.died = after.killed | {word.consumer}, (word.consumer, index)
    after.active = {queue: active for queue, active in after.active.items() if active != word.consumer}
    for at, its in enumerate(after.messages):
        if its.phase == "out" and its.holder == word.consumer:
            _killed(case, after, at, index)
    for at, its in enumerate(after.messages):
        if word.consumer in its.stale | its.known:
            after.change(at, stale=its.stale - {word.consumer}, known=its.known - {word.consumer})
    if not case.names - {word.consumer}:
        after.buffered = frozenset()
    return after


def _killed(case: Case, state: State, at: int, index: int) -> None:
    its = state.messages[at]
    sure = case.unacked(its)
    if case.rules.loss == "lease" or (case.rules.order == "locked" and not sure):
        state.change(at, holder=None, until=index)
    elif case.rules.order == "dispatch":
        lose(case, state, at, index)
    elif case.rules.order == "locked":
        locks.unlock(case, state, at, index)
    else:
        order.comes_back(case, state, at, index)
        state.change(at, sure=sure)


def hand_over(case: Case, state: State, word: Move | Evict, index: int) -> State:
    """A planned hand-over settles what was run; an eviction gives back what is not settled."""
    after = state.copy()
    after.active = {
        queue: word.target if active == word.source else active for queue, active in after.active.items()
    } or {None: word.target}
    for at, its in enumerate(after.messages):
        if its.phase != "out" or its.holder != word.source:
            continue
        if not case.unacked(its) and isinstance(word, Move):
            after.settle(at)
        elif isinstance(word, Evict) and case.rules.order == "locked":
            locks.unlock(case, after, at, index)
        elif isinstance(word, Evict):
            order.comes_back(case, after, at, index)
            after.change(at, sure=case.unacked(its))
    return after


def end(case: Case, state: State) -> State:
    """Nothing that must come is missing."""
    for at in range(len(case.labels)):
        _complete(case, state, at)
    return state


def _complete(case: Case, state: State, at: int) -> None:
    its, rules = state.messages[at], case.rules
    if its.phase in {"done", "gone", "swallowed", "unsent"} or order.may_vanish(case, state):
        return
    if its.phase == "new":
        refuse(f"{case.name(at)} was never delivered, and {rules.broker} loses no message under these settings")
    settled = not case.unacked(its)
    waived = not rules.comes_back or rules.ack_all or order.may_leave(case, state, at)
    if waived or (its.phase == "out" and settled) or (its.phase in {"back", "lost"} and not its.sure):
        return
    refuse(f"{case.name(at)} is not settled, so it must come again")
