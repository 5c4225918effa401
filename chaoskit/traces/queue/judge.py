"""Whether a queue-shaped broker can make a delivery: the set of its possible states, moved word by word."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import attrs

from chaoskit.traces.answer import Permitted, refused
from chaoskit.traces.machine import judge
from chaoskit.traces.queue.delivery import deliver
from chaoskit.traces.queue.locks import return_receive
from chaoskit.traces.queue.order import return_to_queue
from chaoskit.traces.queue.rules import QueueRules
from chaoskit.traces.queue.settlement import check_complete, hand_over, kill, put, settle
from chaoskit.traces.queue.state import NotPossible, QueueState, refuse, start, study
from chaoskit.traces.tokens import (
    Batch,
    End,
    Evict,
    FailedSend,
    Kill,
    MessageLabel,
    Move,
    Put,
    Receive,
    Reset,
    Settle,
    Time,
    Trace,
    Word,
    deliveries,
    natural_key,
)


def judge_queue(rules: QueueRules, trace: Trace) -> Permitted:
    """Whether a queue with these rules can make the trace; if not, the first word it cannot make and why."""
    wrong = None if trace.log is None else _check_log(rules, trace.log)
    if wrong is not None:
        return wrong
    # First in the order of the numbers: most queues are sent so, and a second reading costs as much again.
    answer = _judge(rules, trace)
    swapped = None if answer else _sent_as_shown(rules, trace)
    if swapped is None or swapped.log is None or _check_log(rules, swapped.log) is not None:
        return answer
    other = _judge(rules, swapped)
    # Of two refusals, the one that explains more of the trace.
    return other if other or (other.position or 0) > (answer.position or 0) else answer


def _sent_as_shown(rules: QueueRules, trace: Trace) -> Trace | None:
    """The same trace with the messages in the queue as they were first delivered, where sends may overtake others."""
    if trace.log is not None or "producer" in trace.groups or rules.send_window in (1, None):
        return None
    shown = dict.fromkeys(each.label for word in trace.words for each in deliveries(word))
    rest = sorted(study(rules, trace).labels, key=lambda label: (natural_key(label.name), label.copy))
    return attrs.evolve(trace, log=tuple(dict.fromkeys([*shown, *rest])))


def _judge(rules: QueueRules, trace: Trace) -> Permitted:
    machine = QueueMachine(rules, trace)
    found = judge(machine, enumerate(trace.words))
    if found is None:
        return Permitted(True)
    number, against = found
    return refused(trace.words[number].text, number, against)


Way = Callable[[QueueState], None]
"""What a word may have done: it changes the state that it is given, or raises NotPossible."""


class QueueMachine:
    """What one word does to one state of a queue."""

    def __init__(self, rules: QueueRules, trace: Trace) -> None:
        self.rules = rules
        self.facts = study(rules, trace)
        self.first = start(self.facts, trace)

    def start(self) -> QueueState:
        return self.first

    def step(self, state: QueueState, word: Word) -> Iterator[QueueState | str]:
        for way in self.ways(word):
            after = state.at_next_word()  # a way that fails in its middle leaves nothing behind
            try:
                way(after)
            except NotPossible as why:
                yield str(why)
            else:
                yield after

    def explain(self, states: Sequence[QueueState], word: Word, against: Sequence[str]) -> tuple[str, ...]:
        return tuple(against)

    def ways(self, word: Word) -> list[Way]:
        """More than one where the broker or the trace leaves open what the word did."""
        match word:
            case Receive() | Batch():
                delivers = self.rules.delivers or _deliver_all
                return [lambda state: delivers(state, word)]
            case Settle(what=what):
                counts = [True, False] if what == "ack" and self.rules.late_ack == "maybe" else [True]
                return [partial(settle, word=word, late_counts=each) for each in counts]
            case Put(label=label):
                # Without times a send may fall into the deduplication window or not: both are followed.
                outside = [True, False] if self.rules.window is not None and not self.facts.lists_times else [True]
                return [partial(put, at=self.facts.ids[label], outside=each) for each in outside]
        return [partial(_other, word=word)]


def _other(state: QueueState, word: Word) -> None:
    match word:
        case Kill():
            kill(state, word)
        case Move() | Evict():
            hand_over(state, word)
        case End():
            check_complete(state)
        case FailedSend():
            pass
        case Time(seconds=seconds):
            state.now = seconds
        case Reset(to=MessageLabel() as to) if state.rules.resets is not None:
            for at in state.rules.resets(state, state.facts.ids[to]):
                if state.messages[at].phase in {"out", "done", "lost"}:
                    return_to_queue(state, at)
                    state.change(at, sure=True)
        case _:
            refuse(f"{state.rules.broker} is a queue: it has no offsets and no partitions")


def _deliver_all(state: QueueState, word: Receive | Batch) -> None:
    if isinstance(word, Receive):
        deliver(state, word, 0)
        return
    _check_batch(state, word)
    for member in word.members:
        # The number of the receive is that of its word and one more, since 0 is for what stands outside of brackets.
        deliver(state, member, state.word + 1)
    if state.rules.batch_returns != "each" and any(each.outcome != "ok" for each in word.members):
        _return_failed_batch(state, word)


def _check_batch(state: QueueState, word: Batch) -> None:
    """The size and the inner order of one receive."""
    rules = state.rules
    if rules.receive is not None and len(word.members) > rules.receive:
        refuse(f"one receive has at most {rules.receive} messages, not {len(word.members)}")
    if rules.check_batch is not None:
        rules.check_batch(state, word)


def _return_failed_batch(state: QueueState, word: Batch) -> None:
    """A failed batch comes back, as a whole or without what was done."""
    for member in word.members:
        at = state.facts.ids[member.label]
        its = state.messages[at]
        if its.phase != "out":
            continue
        if state.rules.batch_returns == "failed" and its.ran == "ok":
            state.settle(at, "it was not among the failed ones of its batch, so it was deleted")
        elif state.rules.order == "locked" and state.rules.batch_returns == "whole":
            state.change(at, ran="failed")
            return_receive(state, at)
        else:
            return_to_queue(state, at)
        # Nobody is left with it: the function that had the batch has ended.
        state.change(at, stale=its.stale)


def _check_log(rules: QueueRules, log: tuple[MessageLabel, ...]) -> Permitted | None:
    """What is refused of the content of the queue: a send is overtaken only by the others under way."""
    most = rules.send_window
    for at, label in enumerate(log):
        if label.copy and not rules.sends_again:
            return refused(str(label), at, ("each message is sent once",))
        if label.copy or most is None:
            continue
        how = "one send is under way at a time" if most == 1 else f"at most {most} sends are under way at once"
        overtaking = [other for other in log[:at] if not other.copy and _is_later(other, label)]
        overtaken = [other for other in log[at + 1 :] if not other.copy and _is_later(label, other)]
        if len(overtaking) >= most:
            return refused(str(label), at, (f"{how}: {label} was sent before {overtaking[0]}",))
        # One at a time overtakes nothing, which the check before this one says in better words.
        if len(overtaken) >= most > 1:
            return refused(str(label), at, (f"{how}: {overtaken[0]} was sent before {label}",))
    return None


def _is_later(one: MessageLabel, other: MessageLabel) -> bool:
    """Whether `one` was sent after `other`, in the same unit."""
    (low, letters), (high, others) = natural_key(other.name), natural_key(one.name)
    return one.unit == other.unit and letters == others and high > low
