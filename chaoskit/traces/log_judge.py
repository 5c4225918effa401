"""Whether a broker with a log can make a trace: each unit on its own, then what binds them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import attrs

from chaoskit.errors import UsageError
from chaoskit.traces.answer import Permitted, refused
from chaoskit.traces.log_lambda import LambdaReader
from chaoskit.traces.log_layout import Layout, Record, deliveries, label_of, layouts, units_of
from chaoskit.traces.log_parallel import ParallelReader
from chaoskit.traces.log_passes import PASSES, elsewhere, redriven
from chaoskit.traces.log_producer import first_unwritable
from chaoskit.traces.log_reader import CursorReader
from chaoskit.traces.log_rules import LogRules
from chaoskit.traces.log_state import View
from chaoskit.traces.notation import spell
from chaoskit.traces.words import Batch, Commit, Deliver, Grow, Label, Move, Put, Reset, Settle, Time, Trace, Word


class Reader(Protocol):
    """Keeps all that can be true of one unit, and moves it by one word."""

    def read(self, word: Word) -> tuple[str, ...]:
        """The sentences that refuse the word, or nothing."""


READERS: dict[str, Callable[[View], Reader]] = {
    "cursor": CursorReader,
    "parallel": ParallelReader,
    "lambda": LambdaReader,
}


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
    trace = _placed(trace)
    found = _refusal(rules, trace)
    if found is None:
        return Permitted(True)
    if found.of_log:
        return _shortest_log(rules, trace, found)
    for end in range(found.index + 1, len(trace.words)):
        part = _refusal(rules, attrs.evolve(trace, words=trace.words[:end]))
        if part is not None:
            return refused(trace.words[end - 1].text, end - 1, part.texts)
    return refused(trace.words[-1].text, len(trace.words) - 1, found.texts)


def _shortest_log(rules: LogRules, trace: Trace, found: Refusal) -> Permitted:
    assert trace.log is not None
    for end in range(found.index + 1, len(trace.log) + 1):
        part = _refusal(rules, attrs.evolve(trace, log=trace.log[:end], words=()))
        if part is not None:
            return refused(str(trace.log[end - 1]), end - 1, part.texts)
    return refused(str(trace.log[found.index]), found.index, found.texts)


def _refusal(rules: LogRules, trace: Trace) -> Refusal | None:
    """A refusal of the whole trace, at a word from which on a shorter beginning may be impossible too."""
    found: list[Refusal] = []
    for unit in units_of(trace):
        answer = _unit(rules, trace, unit)
        if answer is not None and answer.of_log:
            return answer
        if answer is not None:
            found.append(answer)
    found += [Refusal(*refusal) for check in PASSES if (refusal := check(rules, trace)) is not None]
    return _first(found)


def _first(found: Sequence[Refusal]) -> Refusal | None:
    """The earliest of them, with the sentences of all that are as early."""
    if not found:
        return None
    first = min(refusal.index for refusal in found)
    texts = (text for refusal in found if refusal.index == first for text in refusal.texts)
    return Refusal(first, tuple(dict.fromkeys(texts)))


def _placed(trace: Trace) -> Trace:
    """The same trace with a unit for each verb that leaves it out."""
    units = [member.label.unit for word in trace.words for member in deliveries(word)]
    if None in units or not any(units):
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


def _unit(rules: LogRules, trace: Trace, unit: str | None) -> Refusal | None:
    """The answer of the hypothesis about the log that explains most of the trace."""
    lane = elsewhere(rules, trace, unit)
    found: list[Refusal] = []
    for layout in layouts(trace, unit, lane, redriven(rules, trace, unit), rules.cursor_skips):
        written = _written(rules, trace, unit, layout)
        if written is not None and written.of_log:
            return written
        read = _read(rules, trace, unit, layout, lane)
        answer = _first([refusal for refusal in (written, read) if refusal is not None])
        if answer is None:
            return None
        found.append(answer)
    furthest = max((refusal.index for refusal in found), default=0)
    return _first([refusal for refusal in found if refusal.index == furthest])


def _written(rules: LogRules, trace: Trace, unit: str | None, layout: Layout) -> Refusal | None:
    names = {item.rank: item.record[0] for item in layout.items}
    found = first_unwritable(rules, layout.items, names)
    if found is None:
        return None
    item = layout.items[found[0]]
    if not item.listed:
        return Refusal(min(item.word, len(trace.words) - 1), (found[1],))
    assert trace.log is not None
    places = [index for index, label in enumerate(trace.log) if label.unit == unit]
    return Refusal(places[item.word], (found[1],), of_log=True)


def _read(rules: LogRules, trace: Trace, unit: str | None, layout: Layout, lane: frozenset[Record]) -> Refusal | None:
    bare = all(entry.name.rstrip("'").isdigit() for entry in layout.entries if entry.record)
    reader = READERS[rules.reads](View(rules, layout, trace.groups, one_key=unit is not None and bare))
    for index, word in enumerate(trace.words):
        here = _in_unit(word, unit, lane)
        if here is None:
            continue
        missing = [label for label in _named(here) if (label.name, label.copy) not in layout.index]
        if missing:
            return Refusal(index, (f"{missing[0]} is not in the log",))
        why = reader.read(here)
        if why:
            return Refusal(index, why)
    return None


def _named(word: Word) -> Iterator[Label]:
    """Labels that must be records of the log."""
    yield from (member.label for member in deliveries(word))
    if isinstance(word, Settle):
        yield word.label


def _in_unit(word: Word, unit: str | None, lane: frozenset[Record]) -> Word | None:
    """The part of a word that concerns one unit."""
    match word:
        case Deliver():
            return next(iter(_members([word], unit, lane)), None)
        case Batch(members=members):
            kept = tuple(_members(members, unit, lane))
            return attrs.evolve(word, members=kept) if kept else None
        case Settle(label=label):
            return word if label.unit == unit and (label.name, label.copy) not in lane else None
        case Reset(to=Label() as to):
            return word if to.unit == unit else None
        case Commit(unit=named):
            return word if named == unit or (named is None and word.label is None) else None
        case Move(unit=named):
            return word if unit is None or named in (None, unit) else None
        case Put() | Grow() | Time():
            return None
    return word


def _members(members: Sequence[Deliver], unit: str | None, lane: frozenset[Record]) -> Iterable[Deliver]:
    return (m for m in members if m.label.unit == unit and (m.label.name, m.label.copy) not in lane)
