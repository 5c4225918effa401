"""What a trace says about the content of one unit: its records in log order, and the places between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import attrs

from chaoskit.traces.tokens import Commit, MessageLabel, Put, Reset, Settle, Trace, Word, deliveries, natural_key

RecordId = tuple[str, int]
"""Name and number of the copy."""

PassesOver = Callable[[str, Iterable[str]], bool]
"""Whether a row is never sent, given its payload and those that were put before it."""

Moment = tuple[int, int]

NEVER: Moment = (10**9, 0)

LONGEST_HOLE = 100
"""Missing numbers count as at most so many records: no window of a producer is wider, so more of them say no more."""


@attrs.frozen
class LogEntry:
    """One place of the log: a record, a run of numbers that the trace never shows, or a place that a commit names."""

    record: RecordId | None
    real: bool = True
    name: str = ""


@attrs.frozen
class Item:
    """One write to the log. `rank` is its place in the produced order, `nth` counts the writes of one payload from 0.

    `redriven`: it was dead-lettered and put back, which is no send of the producer.
    """

    record: RecordId
    rank: int
    nth: int
    redriven: bool
    word: int
    """Index of the word that puts or shows it first; of the member of `log:` if `listed`."""
    listed: bool = False


@attrs.frozen
class Mentions:
    """The words of one unit: when a record was first shown and put, what exists, and which places are named.

    A moment is the index of a word and the place inside its batch.
    """

    shown: dict[RecordId, Moment]
    seen: dict[RecordId, Moment]
    """Shown, or dead-lettered unseen: the consumer was there."""
    put: dict[RecordId, Moment]
    existing: frozenset[RecordId]
    points: frozenset[str]


@attrs.frozen
class LogLayout:
    """The log of one unit as one hypothesis about it."""

    entries: tuple[LogEntry, ...]
    items: tuple[Item, ...]
    index: dict[RecordId, int]
    points: dict[str, int]
    end: int
    """The place behind the last record that exists."""
    names: dict[int, str]
    """The payload at each rank of the produced order."""

    def place(self, label: MessageLabel) -> int:
        """Where a position is that names this record as the next to read."""
        record = (label.name, label.copy)
        if record in self.index:
            return self.index[record]
        if label.name in self.points:
            return self.points[label.name]
        # A commit names a number, and the record of that number may have letters in front: `|c=5` beside e5.
        if label.name.isdigit():
            same = [at for (name, _), at in self.index.items() if natural_key(name)[0] == int(label.name)]
            if same:
                return min(same)
        # Not in the log as far as it is shown: a read goes on at the next record that is.
        own = natural_key(label.name)
        later = (at for at, entry in enumerate(self.entries) if entry.name and natural_key(entry.name) > own)
        return next(later, len(self.entries))

    def named(self, place: int) -> str:
        """What stands at a place, for a sentence."""
        if place >= len(self.entries):
            return f"what follows {self.entries[-1].name}" if self.entries else "the beginning"
        return self.entries[place].name


def label_of(word: Word) -> MessageLabel | None:
    """The record that a verb names."""
    match word:
        case Settle() | Put() | Commit():
            return word.label
        case Reset():
            return word.to
    return None


def units_of(trace: Trace) -> list[str | None]:
    """The units that occur, in order of appearance."""
    found: dict[str | None, None] = {}
    for label in trace.log or ():
        found[label.unit] = None
    for word in trace.words:
        for member in deliveries(word):
            found[member.label.unit] = None
        named = label_of(word)
        if named is not None:
            found[named.unit] = None
    return list(found)


def mentions_of(trace: Trace, unit: str | None, skipped: frozenset[RecordId] = frozenset()) -> Mentions:
    """What the words say of one unit; `skipped` are the records that live elsewhere, in a retry topic."""
    shown: dict[RecordId, Moment] = {}
    put: dict[RecordId, Moment] = {}
    settled: dict[RecordId, Moment] = {}
    points: set[str] = set()
    for number, word in enumerate(trace.words):
        for place, member in enumerate(deliveries(word)):
            if member.label.unit == unit:
                shown.setdefault((member.label.name, member.label.copy), (number, place))
        label = label_of(word)
        if label is None or label.unit != unit:
            continue
        record = (label.name, label.copy)
        if isinstance(word, Put):
            put.setdefault(record, (number, 0))
        elif isinstance(word, Settle):
            settled.setdefault(record, (number, 0))
        else:
            points.add(label.name)  # a commit or a reset names a place, and the record need not exist
    existing = frozenset({*shown, *put, *settled} - skipped)
    kept = {record: moment for record, moment in shown.items() if record not in skipped}
    accepted = {record: moment for record, moment in put.items() if record not in skipped}
    numbers = {natural_key(name)[0] for name, _ in existing}
    named = frozenset(name for name in points if not (name.isdigit() and int(name) in numbers))
    dead = {record: moment for record, moment in settled.items() if record not in skipped}
    seen = dead | {record: min(moment, dead.get(record, moment)) for record, moment in kept.items()}
    return Mentions(kept, seen, accepted, existing, named)


def numbers_elsewhere(trace: Trace, unit: str | None) -> frozenset[int]:
    """Numbers that other units show, where all units share one numbering: they are not missing here."""
    names: dict[str | None, set[str]] = {}
    firsts: dict[str | None, set[str]] = {}
    labels = [member.label for word in trace.words for member in deliveries(word)]
    labels += [word.label for word in trace.words if isinstance(word, Settle | Put)]
    for label in (*labels, *(trace.log or ())):
        names.setdefault(label.unit, set()).add(label.name)
        if not label.copy:
            firsts.setdefault(label.unit, set()).add(label.name)
    own = firsts.pop(unit, set())
    # The same number first in two units: each counts for itself, and what is missing here may well be a hole.
    if any(own & others for others in firsts.values()):
        return frozenset()
    return frozenset(natural_key(name)[0] for other, found in names.items() if other != unit for name in found)


def layouts(
    trace: Trace,
    unit: str | None,
    retried: frozenset[RecordId],
    redriven: frozenset[RecordId],
    skips: bool,
    reorders: bool,
    passes: PassesOver | None = None,
) -> list[LogLayout]:
    """The hypotheses about the log of a unit: `log:` if that was given, else the produced order and the shown order.

    `retried` are the records of a retry topic, `redriven` those that are no sends; with `skips` a missing number
    need not be in the log; `reorders`: the log need not be in the produced order; `passes`: which of the records that
    are put and never shown were passed over, and are in no log.
    """
    mentions = mentions_of(trace, unit, retried)
    numbers_of_others = numbers_elsewhere(trace, unit)
    # A log that is given is not guessed at; no other hypothesis may excuse what contradicts it.
    given = [(label.name, label.copy) for label in trace.log or () if label.unit == unit]
    if given:
        return [_given(given, mentions, numbers_of_others, redriven)]
    places = [entry for entry in _natural(mentions, numbers_of_others) if entry.record or not entry.real or not skips]
    firsts = any(copy == 0 for _, copy in mentions.put)
    natural = _with_puts(places, mentions, passes) if firsts else _with_copies(places, mentions)
    whole = [entry for entry in _natural(_as_first(mentions), numbers_of_others) if entry.record]
    found = [_layout(natural, mentions, _ranks(whole), redriven, True)]
    shown = _by_first_show(places, mentions)
    if reorders and shown != natural and _in_order_of_puts(shown, mentions):
        ranks = _ranks(_natural(_as_first(mentions), numbers_of_others))
        found.append(_layout(shown, mentions, ranks, redriven, False))
    return found


def _as_first(mentions: Mentions) -> Mentions:
    """The same payloads, each as a first copy: one whose first copy is not shown has a place in the order too."""
    return attrs.evolve(mentions, existing=frozenset((name, 0) for name, _ in mentions.existing), points=frozenset())


def _records(entries: Sequence[LogEntry]) -> list[RecordId]:
    return [entry.record for entry in entries if entry.record is not None]


def _in_order_of_puts(entries: Sequence[LogEntry], mentions: Mentions) -> bool:
    """Where puts of first copies are listed, all other records were there before them."""
    firsts = any(copy == 0 for _, copy in mentions.put)
    moments = [mentions.put.get(record, (-1, 0)) for record in _records(entries) if firsts or record in mentions.put]
    return moments == sorted(moments)


def _given(
    given: list[RecordId], mentions: Mentions, numbers_of_others: frozenset[int], redriven: frozenset[RecordId]
) -> LogLayout:
    extra = [record for record in mentions.put if record not in given]
    names = attrs.evolve(mentions, existing=frozenset(given) | frozenset(mentions.put))
    ranks = _ranks(_natural(_as_first(names), numbers_of_others))
    entries = [LogEntry(record, True, _spell(record)) for record in [*given, *extra]]
    return _layout(entries, attrs.evolve(mentions, points=frozenset()), ranks, redriven, False, len(given))


def _spell(record: RecordId) -> str:
    return record[0] + "'" * record[1]


def _natural(mentions: Mentions, numbers_of_others: frozenset[int]) -> list[LogEntry]:
    """First copies, holes and named places, in the produced order."""
    firsts: dict[str, RecordId] = {}
    # The lowest copy of each payload: its first one, where that is shown at all.
    for record in sorted(mentions.existing, key=lambda record: record[1]):
        firsts.setdefault(record[0], record)
    originals = {name for name, record in firsts.items() if record[1] == 0}
    names = sorted(originals | mentions.points, key=natural_key)
    last = max((natural_key(name) for name in originals), default=(0, ""))
    known = {natural_key(name)[0] for name in firsts} | numbers_of_others
    entries: list[LogEntry] = []
    before: int | None = None
    for name in names:
        number = natural_key(name)[0]
        if before is not None and number > before + 1 and before > 0:
            started = any(natural_key(other) <= (before, "~") for other in originals)
            # A hole must be read only between records that are there: the trace may begin behind it, and end before it.
            real = started and natural_key(name) <= last
            entries += [LogEntry(None, real, missing) for missing in _missing(before, number, known)]
        if number:
            before = number
        record = (name, 0)
        real = name in originals
        entries.append(LogEntry(record if real else None, real, name))
    return entries


def _missing(before: int, number: int, known: set[int] | frozenset[int]) -> list[str]:
    """The numbers between two; a long run is one place."""
    if number - before > LONGEST_HOLE:
        return [f"{before + 1} to {number - 1}"]
    return [str(value) for value in range(before + 1, number) if value not in known]


def _ranks(entries: Sequence[LogEntry]) -> dict[str, int]:
    """The place of each payload in the produced order; missing numbers take places too."""
    ranks: dict[str, int] = {}
    rank = 0
    for entry in entries:
        if entry.record is None and " to " in entry.name:
            first, _, last = entry.name.partition(" to ")
            rank += min(int(last) - int(first) + 1, LONGEST_HOLE)
            continue
        if entry.record is not None or entry.real:
            ranks[entry.name] = rank
            rank += 1
    return ranks


def _with_puts(places: list[LogEntry], mentions: Mentions, passes: PassesOver | None) -> list[LogEntry]:
    """The records that no verb puts were there before; the others follow in the order of their puts, and what is only
    named, and has a number behind theirs, follows them. Where records are passed over, it is their own order, and those
    that were are missing."""
    if passes is not None:
        order = sorted(mentions.put, key=lambda record: mentions.put[record])
        earlier = {record: [name for name, _ in order[:at]] for at, record in enumerate(order)}
        over = {record for record in order if record not in mentions.seen and passes(record[0], earlier[record])}
        return [entry for entry in places if entry.record is None or entry.record not in over]
    last = max(natural_key(name) for name, _ in mentions.put)
    behind = [entry for entry in places if not entry.real and entry.record is None and natural_key(entry.name) > last]
    before = [entry for entry in places if entry.record not in mentions.put and entry not in behind]
    copies = sorted(record for record in mentions.existing if record[1] and record not in mentions.put)
    put = sorted(mentions.put, key=lambda record: mentions.put[record])
    return [*before, *(LogEntry(record, True, _spell(record)) for record in [*copies, *put]), *behind]


def _with_copies(places: list[LogEntry], mentions: Mentions) -> list[LogEntry]:
    """The produced order, with each copy behind what was shown before it."""
    entries = list(places)
    copies = [record for record in mentions.existing if record[1]]
    for record in sorted(copies, key=lambda record: (mentions.seen.get(record, NEVER), record)):
        when = mentions.seen.get(record, NEVER)
        earlier = [
            at for at, entry in enumerate(entries) if entry.record and mentions.seen.get(entry.record, NEVER) < when
        ]
        at = len(entries) if when == NEVER else earlier[-1] + 1 if earlier else 0
        entries.insert(at, LogEntry(record, True, _spell(record)))
    return entries


def _by_first_show(places: list[LogEntry], mentions: Mentions) -> list[LogEntry]:
    """The records as they were first shown; what was never shown is still to come."""
    shown = sorted(mentions.seen, key=lambda record: mentions.seen[record])
    unseen = [entry for entry in places if entry.record is None or entry.record not in mentions.seen]
    copies = sorted(record for record in mentions.existing if record[1] and record not in mentions.seen)
    listed = [LogEntry(record, True, _spell(record)) for record in shown]
    return [*listed, *unseen, *(LogEntry(record, True, _spell(record)) for record in copies)]


def _layout(
    entries: Sequence[LogEntry],
    mentions: Mentions,
    ranks: dict[str, int],
    redriven: frozenset[RecordId],
    whole: bool,
    listed: int = 0,
) -> LogLayout:
    """`whole`: what was never shown is written where it stands; else it is still to be written."""
    index = {entry.record: at for at, entry in enumerate(entries) if entry.record is not None}
    points = {entry.name: at for at, entry in enumerate(entries) if entry.record is None}
    real = [at for at, entry in enumerate(entries) if entry.real]
    items = tuple(_items(index, mentions, ranks, redriven, len(index) if whole else listed, listed))
    names = {rank: name for name, rank in ranks.items()}
    return LogLayout(tuple(entries), items, index, points, real[-1] + 1 if real else 0, names)


def _items(
    index: dict[RecordId, int],
    mentions: Mentions,
    ranks: dict[str, int],
    redriven: frozenset[RecordId],
    written: int,
    listed: int,
) -> Iterator[Item]:
    """The writes, in log order; of those behind the first `written` ones only the records that were shown or put."""
    count: dict[str, int] = {}
    for number, record in enumerate(index):
        # What is neither shown nor put may be written later, in whatever place: it constrains no producer.
        if number >= written and record not in mentions.seen and record not in mentions.put:
            continue
        nth = count.get(record[0], 0)
        count[record[0]] = nth + 1
        word = number if number < listed else mentions.put.get(record, mentions.seen.get(record, NEVER))[0]
        yield Item(record, ranks.get(record[0], -1), nth, record in redriven, word, number < listed)
