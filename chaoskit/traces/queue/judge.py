"""Whether a queue-shaped broker can make a delivery: the set of its possible states, moved word by word."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from chaoskit.traces.answer import Permitted, refused
from chaoskit.traces.queue.delivery import deliver
from chaoskit.traces.queue.locks import unlock
from chaoskit.traces.queue.order import comes_back
from chaoskit.traces.queue.rules import QueueRules
from chaoskit.traces.queue.settlement import end, hand_over, kill, put, settle
from chaoskit.traces.queue.state import Case, NotPossible, State, deliveries, refuse, start, study
from chaoskit.traces.tokens import (
    Batch,
    Deliver,
    End,
    Evict,
    Fail,
    Kill,
    Label,
    Move,
    Put,
    Settle,
    Time,
    Trace,
    Word,
    natural_key,
)


def judge_queue(rules: QueueRules, trace: Trace) -> Permitted:
    """Whether a queue with these rules can make the trace; if not, the first word it cannot make and why."""
    wrong = None if trace.log is None else _log(rules, trace.log)
    if wrong is not None:
        return wrong
    answer = _judge(rules, trace)
    swapped = None if answer else _sent_as_shown(rules, trace)
    if swapped is None or swapped.log is None or _log(rules, swapped.log) is not None:
        return answer
    other = _judge(rules, swapped)
    return other if other or (other.position or 0) > (answer.position or 0) else answer


def _sent_as_shown(rules: QueueRules, trace: Trace) -> Trace | None:
    """The same trace with the messages in the queue as they were first delivered, where sends may overtake others."""
    if trace.log is not None or "producer" in trace.groups or rules.send_window in (1, None):
        return None
    shown = dict.fromkeys(each.label for each in deliveries(trace))
    rest = sorted(study(rules, trace).labels, key=lambda label: (natural_key(label.name), label.copy))
    return attrs.evolve(trace, log=tuple(dict.fromkeys([*shown, *rest])))


def _judge(rules: QueueRules, trace: Trace) -> Permitted:
    case = study(rules, trace)
    states = [start(case, trace)]
    for index, word in enumerate(trace.words):
        moved, rules_against = _move(case, states, word, index)
        if not moved:
            return refused(word.text, index, tuple(rules_against))
        states = moved
    return Permitted(True)


def _move(case: Case, states: list[State], word: Word, index: int) -> tuple[list[State], list[str]]:
    """Every state that the word can lead to, each once, and the rules of those that cannot make it."""
    moved: dict[tuple[object, ...], State] = {}
    against: list[str] = []
    for state in states:
        for way in _ways(case, state, word, index):
            try:
                after = way()
            except NotPossible as why:
                against.append(str(why))
            else:
                moved[after.key()] = after
    return list(moved.values()), against


def _ways(case: Case, state: State, word: Word, index: int) -> Iterator[Callable[[], State]]:
    """What the word may have done; more than one way where the broker or the trace leaves it open."""
    if isinstance(word, Deliver | Batch):
        judge = {"anything": _anything, "in_order": _in_order}.get(case.rules.order, _deliveries)
        yield lambda: judge(case, state, word, index)
    elif isinstance(word, Settle):
        yield lambda: settle(case, state, word, index, late_counts=True)
        if word.what == "ack" and case.rules.late_ack == "maybe":
            yield lambda: settle(case, state, word, index, late_counts=False)
    elif isinstance(word, Put):
        yield lambda: put(case, state, case.ids[word.label], index, outside=True)
        if case.rules.window is not None and not case.lists_times:
            yield lambda: put(case, state, case.ids[word.label], index, outside=False)
    else:
        yield lambda: _other(case, state, word, index)


def _other(case: Case, state: State, word: Word, index: int) -> State:
    match word:
        case Kill():
            return kill(case, state, word, index)
        case Move() | Evict():
            return hand_over(case, state, word, index)
        case End():
            return end(case, state)
        case Fail():
            return state
        case Time(seconds=seconds):
            after = state.copy()
            after.now = seconds
            return after
    raise NotPossible(f"{case.rules.broker} is a queue: it has no offsets and no partitions")


def _deliveries(case: Case, state: State, word: Deliver | Batch, index: int) -> State:
    if isinstance(word, Deliver):
        return deliver(case, state, word, index, 0)
    _batch(case, word)
    for member in word.members:
        state = deliver(case, state, member, index, index + 1)
    if case.rules.batch_returns != "each" and any(each.outcome != "ok" for each in word.members):
        _batch_returns(case, state, word, index)
    return state


def _batch(case: Case, word: Batch) -> None:
    """The size and the inner order of one receive."""
    rules = case.rules
    ids = [case.ids[each.label] for each in word.members]
    if rules.receive is not None and len(ids) > rules.receive:
        refuse(f"one receive has at most {rules.receive} messages, not {len(ids)}")
    units = [case.units[at] for at in ids]
    changes = [unit for at, unit in enumerate(units) if at == 0 or unit != units[at - 1]]
    if rules.grouped and len(changes) != len(set(changes)):
        refuse(f"one receive keeps the messages of a {rules.unit} together")
    numbers = [natural_key(each.label.name) for each in word.members]
    if rules.ascending and numbers != sorted(numbers):
        refuse("the messages of one batch are in the order of the log")


def _batch_returns(case: Case, state: State, word: Batch, index: int) -> None:
    """A failed batch comes back, as a whole or without what was done."""
    for member in word.members:
        at = case.ids[member.label]
        its = state.messages[at]
        if its.phase != "out":
            continue
        if case.rules.batch_returns == "failed" and its.ran == "ok":
            state.settle(at, "it was not among the failed ones of its batch, so it was deleted")
        elif case.rules.order == "locked" and case.rules.batch_returns == "whole":
            state.change(at, ran="failed")
            unlock(case, state, at, index)
        else:
            comes_back(case, state, at, index)
        state.change(at, stale=its.stale)


def _anything(case: Case, state: State, word: Deliver | Batch, index: int) -> State:
    after = state.copy()
    for each in word.members if isinstance(word, Batch) else (word,):
        at = case.ids[each.label]
        if each.again and not after.messages[at].count:
            refuse(f"{each.label} is marked as delivered before, but it never was")
        after.change(at, phase="done", count=after.messages[at].count + 1)
    return after


def _in_order(case: Case, state: State, word: Deliver | Batch, index: int) -> State:
    after = state.copy()
    for each in word.members if isinstance(word, Batch) else (word,):
        at = case.ids[each.label]
        if each.again and after.messages[at].ran == "failed":  # the handler refused it
            after.change(at, ran=each.outcome)
            continue
        if each.again or each.label.copy or after.messages[at].phase != "new":
            refuse(f"each message is delivered once: {each.label} was delivered before, or sent before")
        first = next((other for other in after.before(case, at) if after.messages[other].phase == "new"), None)
        if first is not None:
            refuse(f"messages are delivered in order: {case.name(first)} is before {each.label}")
        passed = (other for other in after.after(case, at) if after.messages[other].phase not in ("new", "unsent"))
        later = next(passed, None)
        if later is not None:
            refuse(f"messages are delivered in order: {case.name(later)} is behind {each.label}")
        after.change(at, phase="done", count=1, ran=each.outcome)
    return after


def _log(rules: QueueRules, log: tuple[Label, ...]) -> Permitted | None:
    """What is refused of the content of the queue: a send is overtaken only by the others under way."""
    most = rules.send_window
    for at, label in enumerate(log):
        if label.copy and rules.order == "in_order":
            return refused(str(label), at, ("each message is sent once",))
        if label.copy or most is None:
            continue
        how = "one send is under way at a time" if most == 1 else f"at most {most} sends are under way at once"
        overtaking = [other for other in log[:at] if not other.copy and _later(other, label)]
        overtaken = [other for other in log[at + 1 :] if not other.copy and _later(label, other)]
        if len(overtaking) >= most:
            return refused(str(label), at, (f"{how}: {label} was sent before {overtaking[0]}",))
        if len(overtaken) >= most > 1:
            return refused(str(label), at, (f"{how}: {overtaken[0]} was sent before {label}",))
    return None


def _later(one: Label, other: Label) -> bool:
    """Whether `one` was sent after `other`, in the same unit."""
    (low, letters), (high, others) = natural_key(other.name), natural_key(one.name)
    return one.unit == other.unit and letters == others and high > low
