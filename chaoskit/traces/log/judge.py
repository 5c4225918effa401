"""Whether a broker with a log can make a trace: each unit on its own, then what binds them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import attrs

from chaoskit.traces.answer import Permitted, refused
from chaoskit.traces.log.across_units import CHECKS, from_end, in_retry_topic, redriven_choices
from chaoskit.traces.log.lane import Lane
from chaoskit.traces.log.layout import LogLayout, RecordId, label_of, layouts, units_of
from chaoskit.traces.log.producer import displaced_without_failure, first_unwritable
from chaoskit.traces.log.rules import LogRules
from chaoskit.traces.machine import judge
from chaoskit.traces.notation import spell
from chaoskit.traces.tokens import (
    Batch,
    Commit,
    Evict,
    FailedSend,
    Grow,
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
from chaoskit.values.errors import UsageError


@attrs.frozen
class Refusal:
    """Index of the word, or of the member of `log:`, and the sentences against it."""

    index: int
    texts: tuple[str, ...]
    of_log: bool = False


def judge_log(rules: LogRules, trace: Trace) -> Permitted:
    """Whether this broker can make the trace; if not, its first impossible word and the rules against it.

    The first impossible word ends the shortest beginning of the trace that cannot be made, whatever follows.
    Raises `UsageError` for a verb whose message could be in several units.
    """
    trace = _with_units(trace)
    found = _refusal(rules, trace)
    if found is None:
        return Permitted(True)
    log = trace.log or ()

    def beginning(end: int) -> Refusal | None:
        part = (
            attrs.evolve(trace, log=log[:end], words=())
            if found.of_log
            else attrs.evolve(trace, words=trace.words[:end])
        )
        return _refusal(rules, part)

    last = _shortest(beginning, found.index, len(log) if found.of_log else len(trace.words))
    texts = (beginning(last) or found).texts
    return refused(str(log[last - 1]) if found.of_log else trace.words[last - 1].text, last - 1, texts)


def _shortest(beginning: Callable[[int], Refusal | None], guess: int, whole: int) -> int:
    """The length of the shortest beginning that is refused, when the whole is; mostly it ends behind the guess."""
    possible, impossible = 0, whole
    # Where the guess is right, two readings of the trace are enough; else it is found by halving.
    for end in (guess + 1, guess):
        if possible < end < impossible:
            possible, impossible = (end, impossible) if beginning(end) is None else (possible, end)
    while impossible - possible > 1:
        middle = (possible + impossible) // 2
        if beginning(middle) is None:
            possible = middle
        else:
            impossible = middle
    return impossible


def _refusal(rules: LogRules, trace: Trace) -> Refusal | None:
    """A refusal of the whole trace, at a word from which on a shorter beginning may be impossible too."""
    found: list[Refusal] = []
    lanes = _by_key(trace) if rules.parallel_keys else trace
    for unit in units_of(lanes):
        answer = _judge_unit(rules, lanes, unit)
        # A log that cannot be written has no reading: a sentence about deliveries would be about another log.
        if answer is not None and answer.of_log:
            return answer
        if answer is not None:
            found.append(answer)
    found += [Refusal(*refusal) for check in (*CHECKS, *rules.checks) if (refusal := check(rules, trace)) is not None]
    return _earliest(found)


def _earliest(found: Sequence[Refusal]) -> Refusal | None:
    """The earliest of them, with the sentences of all that are as early."""
    if not found:
        return None
    # Units are judged one after another, and the user reads the trace from the left.
    first = min(refusal.index for refusal in found)
    texts = (text for refusal in found if refusal.index == first for text in refusal.texts)
    return Refusal(first, tuple(dict.fromkeys(texts)))


def _with_units(trace: Trace) -> Trace:
    """The same trace with a unit for each verb that leaves it out."""
    units = [member.label.unit for word in trace.words for member in deliveries(word)]
    if None in units or not any(units):  # a trace of one unit, which no word needs to name
        return trace
    return attrs.evolve(trace, words=tuple(_with_unit(trace, word, set(units)) for word in trace.words))


def _with_unit(trace: Trace, word: Word, units: set[str | None]) -> Word:
    label = label_of(word)
    if label is None or label.unit is not None:
        return word
    holders = {
        member.label.unit for other in trace.words for member in deliveries(other) if member.label.name == label.name
    }
    found = holders or units
    if len(found) > 1:
        listed = ", ".join(f"{unit}/{label}" for unit in sorted(filter(None, found)))
        raise UsageError(f"`{spell(word)}` could be in several units: write one of {listed}")
    (unit,) = found
    here = attrs.evolve(label, unit=unit)
    match word:
        case Commit():
            return attrs.evolve(word, label=here, unit=unit)
        case Settle() | Put():
            return attrs.evolve(word, label=here)
        case Reset():
            return attrs.evolve(word, to=here)
    return word


def _by_key(trace: Trace) -> Trace:
    """The same trace with a unit for each key: the letters of a label, or a bare number itself."""

    def of_key(label: MessageLabel) -> MessageLabel:
        # A bare number has nothing in common with another one: it is a key of its own.
        letters = natural_key(label.name)[1] or label.name
        return attrs.evolve(label, unit=f"{label.unit or ''}:{letters}")

    def here(word: Word) -> Word:
        match word:
            case Receive(label=label) | Settle(label=label) | Put(label=label):
                return attrs.evolve(word, label=of_key(label))
            case Batch(members=members):
                return attrs.evolve(word, members=tuple(attrs.evolve(m, label=of_key(m.label)) for m in members))
            case Reset(to=MessageLabel() as to):
                return attrs.evolve(word, to=of_key(to))
        return word

    log = None if trace.log is None else tuple(map(of_key, trace.log))
    return attrs.evolve(trace, words=tuple(map(here, trace.words)), log=log)


def _judge_unit(rules: LogRules, trace: Trace, unit: str | None) -> Refusal | None:
    """The answer of the hypothesis about the log that explains most of the trace."""
    retried = in_retry_topic(rules, trace, unit)
    skips = rules.writes.passes_over is not None or rules.parallel_keys
    found: list[Refusal] = []
    hypotheses = (
        layout
        for put_back in redriven_choices(rules, trace, unit)
        for layout in layouts(trace, unit, retried, put_back, skips, rules.writes.reorders, rules.writes.passes_over)
    )
    for layout in hypotheses:
        written = _judge_writing(rules, trace, unit, layout)
        if written is not None and written.of_log:
            return written
        read = _judge_reading(rules, trace, unit, layout, retried)
        answer = _earliest([refusal for refusal in (written, read) if refusal is not None])
        if answer is None:
            return None
        found.append(answer)
    # The hypothesis that explains most is the likeliest log, and what is against it says most.
    furthest = max((refusal.index for refusal in found), default=0)
    return _earliest([refusal for refusal in found if refusal.index == furthest])


def _judge_writing(rules: LogRules, trace: Trace, unit: str | None, layout: LogLayout) -> Refusal | None:
    # A relay that was evicted can go on beside the new one, and where process verbs are listed, only then.
    listed = "process" in trace.groups and not any(isinstance(word, Evict) for word in trace.words)
    facts = attrs.evolve(rules, zombies=False) if rules.zombies and listed else rules
    failed = [word.label for word in trace.words if isinstance(word, FailedSend)]
    moves = rules.writes.copies_change_unit or rules.writes.any_changes_unit
    moved = _in_several_units(trace) if moves else frozenset()

    def sent_elsewhere(name: str, copy: int) -> bool:
        """Sent again to this unit, and before to another one."""
        return name in moved and (copy > 0 or rules.writes.any_changes_unit)

    items = [attrs.evolve(item, redriven=True) if sent_elsewhere(*item.record) else item for item in layout.items]
    found = first_unwritable(facts, items, layout.names)
    if found is None and failed:
        names = Counter(label.name for label in failed if label.unit in (None, unit))
        found = displaced_without_failure(rules.writes, layout.items, layout.names, names)
    if found is None:
        return None
    item = layout.items[found[0]]
    # Of a log that is guessed the word is to blame that puts or shows the record.
    if not item.listed:
        return Refusal(min(item.word, len(trace.words) - 1), (found[1],))
    assert trace.log is not None
    places = [index for index, label in enumerate(trace.log) if label.unit == unit]
    return Refusal(places[item.word], (found[1],), of_log=True)


def _in_several_units(trace: Trace) -> frozenset[str]:
    """The payloads that are in several units: sent again after the topic grew, when their keys had moved."""
    units: dict[str, set[str | None]] = {}
    delivered = [member.label for word in trace.words for member in deliveries(word)]
    labels = [*(trace.log or ()), *delivered]
    for label in labels:
        units.setdefault(label.name, set()).add(label.unit)
    moved = {name for name, found in units.items() if len(found) > 1}
    if any(isinstance(word, Grow) for word in trace.words):
        # What was sent first may wait in a unit of which nothing is shown.
        moved |= units.keys() - {label.name for label in labels if not label.copy}
    return frozenset(moved)


def _judge_reading(
    rules: LogRules, trace: Trace, unit: str | None, layout: LogLayout, retried: frozenset[RecordId]
) -> Refusal | None:
    one_key = unit is not None and all(entry.name.rstrip("'").isdigit() for entry in layout.entries if entry.record)
    puts = [word.label for word in trace.words if isinstance(word, Put) and word.label.unit == unit]
    unput = {layout.index[label.name, label.copy] for label in puts if (label.name, label.copy) in layout.index}
    known = Lane(rules, layout, unit, trace.groups, one_key=one_key, from_end=from_end(rules, unit), unput=unput)
    words = [(index, word, _in_unit(word, unit, retried)) for index, word in enumerate(trace.words)]
    missing = [
        (index, label)
        for index, _, here in words
        if here is not None
        for label in _named(here)
        if (label.name, label.copy) not in layout.index
    ]
    if missing:
        # The words before it are judged all the same: an earlier one may be impossible.
        words = words[: missing[0][0]]
    found = judge(rules.reads(known), known.learn(words))
    if found is not None:
        return Refusal(*found)
    return Refusal(missing[0][0], (f"{missing[0][1]} is not in the log",)) if missing else None


def _named(word: Word) -> Iterator[MessageLabel]:
    """Labels that must be records of the log."""
    yield from (member.label for member in deliveries(word))
    if isinstance(word, Settle):
        yield word.label


def _in_unit(word: Word, unit: str | None, retried: frozenset[RecordId]) -> Word | None:
    """The part of a word that concerns one unit."""
    match word:
        case Receive(label=label):
            return word if label.unit == unit and (label.name, label.copy) not in retried else None
        case Batch(members=members):
            own = tuple(_members(members, unit, retried))
            return attrs.evolve(word, members=own) if own else None
        case Settle(label=label):
            return word if label.unit == unit and (label.name, label.copy) not in retried else None
        case Reset(to=MessageLabel() as to):
            return word if to.unit == unit else None
        case Commit(unit=named):
            return word if named == unit or (named is None and word.label is None) else None
        # Without units in the deliveries there is one unit, whatever the verb calls it.
        case Move(unit=named):
            return word if unit is None or named in (None, unit) else None
        case Put() | FailedSend() | Grow() | Time():
            return None
    return word


def _members(members: Sequence[Receive], unit: str | None, retried: frozenset[RecordId]) -> Iterable[Receive]:
    return (m for m in members if m.label.unit == unit and (m.label.name, m.label.copy) not in retried)
