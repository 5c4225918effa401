"""What binds the units of a trace, or holds in each of them alike: marks, puts, growth, parents, retry topics."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations, islice, product

from chaoskit.traces.log.layout import RecordId
from chaoskit.traces.log.rules import Check, LogRules
from chaoskit.traces.tokens import (
    Batch,
    End,
    Evict,
    Grow,
    Kill,
    MessageLabel,
    Move,
    Put,
    Receive,
    Reset,
    Settle,
    Trace,
    deliveries,
    natural_key,
)

Refused = tuple[int, tuple[str, ...]]
"""The number of a word, and the sentences against it."""


def _moments(trace: Trace, unit: str | None) -> Iterator[tuple[int, Receive]]:
    for index, word in enumerate(trace.words):
        for member in deliveries(word):
            if member.label.unit == unit:
                yield index, member


def set_aside_at(rules: LogRules, trace: Trace) -> dict[RecordId, int]:
    """When each record first set_aside_at its log for the dead letters or for a retry topic, wherever that was."""
    found: dict[RecordId, int] = {}
    failures: dict[RecordId, int] = {}
    # A retry topic has the record after its first failure.
    limit = 1 if rules.on_error == "retry_topic" else rules.max_attempts
    for index, word in enumerate(trace.words):
        for member in deliveries(word):
            record = (member.label.name, member.label.copy)
            if member.outcome == "failed":
                failures[record] = failures.get(record, 0) + 1
                if limit is not None and failures[record] >= limit and rules.on_error in ("retry", "retry_topic"):
                    found.setdefault(record, index)
        if isinstance(word, Settle) and word.what == "dead":
            found.setdefault((word.label.name, word.label.copy), index)
    return found


def _copies_of_left(rules: LogRules, trace: Trace, unit: str | None) -> frozenset[RecordId]:
    """Copies that come back from the dead letters or a retry topic, maybe into another unit."""
    seen = [(index, member.label) for index, member in _moments(trace, unit)]
    seen += [(index, word.label) for index, word in enumerate(trace.words) if isinstance(word, Put | Settle)]
    copies = [(index, label) for index, label in seen if label.copy and label.unit == unit]
    gone = set_aside_at(rules, trace) if copies else {}
    return frozenset(
        (label.name, label.copy)
        for index, label in copies
        if any(gone.get((label.name, lower), index) < index for lower in range(label.copy))
    )


def redriven(rules: LogRules, trace: Trace, unit: str | None) -> frozenset[RecordId]:
    """Copies that were put back into the same log, which is no send of its producer."""
    copies = _copies_of_left(rules, trace, unit)
    # From a retry topic it is read without being in this log again, unless a put says so.
    return copies & _put_here(trace, unit) if rules.on_error == "retry_topic" else copies


def redriven_choices(rules: LogRules, trace: Trace, unit: str | None) -> list[frozenset[RecordId]]:
    """Which later copies of a dead letter were put back, and which were sent: all of them, or at most one for each
    time that it was dead-lettered (the others may be put back in another unit)."""
    every = redriven(rules, trace, unit)
    gone = [word.label for word in trace.words if isinstance(word, Settle) and word.what == "dead"]
    ways: list[list[tuple[RecordId, ...]]] = []
    for name in sorted({name for name, _ in every}):
        copies = sorted(record for record in every if record[0] == name)
        times = sum(label.name == name for label in gone)
        # Most put back first: mostly all of them were, and the first choice that explains the trace ends the search.
        sizes = range(min(times, len(copies)), -1, -1)
        each = chain.from_iterable(combinations(copies, size) for size in sizes)
        ways.append(list(islice(each, MOST_CHOICES)))
    every_way = islice(product(*ways), MOST_CHOICES**2)
    chosen = sorted((frozenset(chain.from_iterable(way)) for way in every_way), key=len, reverse=True)
    return list(dict.fromkeys([every, *chosen[:MOST_CHOICES]]))


MOST_CHOICES = 24
"""Ways to tell copies that were put back from copies that were sent. A payload with many
dead letters and copies is rare, and each way costs a reading of the unit."""


def _put_here(trace: Trace, unit: str | None) -> frozenset[RecordId]:
    """What a trace puts into a unit by its name."""
    puts = [word.label for word in trace.words if isinstance(word, Put)]
    return frozenset((label.name, label.copy) for label in puts if unit is not None and label.unit == unit)


def in_retry_topic(rules: LogRules, trace: Trace, unit: str | None) -> frozenset[RecordId]:
    """Copies that are read from a retry topic beside the log."""
    if rules.on_error != "retry_topic":
        return frozenset()
    mentioned = {(member.label.name, member.label.copy) for _, member in _moments(trace, unit)}
    mentioned |= {(label.name, label.copy) for label in trace.log or () if label.unit == unit}
    early = {
        (name, copy) for name, copy in mentioned if copy and not any((name, low) in mentioned for low in range(copy))
    }
    return (_copies_of_left(rules, trace, unit) | early) - _put_here(trace, unit)


def marks(rules: LogRules, trace: Trace) -> Refused | None:
    """`r` says that the record was shown before in this trace, and it is needed where it was."""
    shown: set[MessageLabel] = set()
    done: set[MessageLabel] = set()
    for index, word in enumerate(trace.words):
        for member in deliveries(word):
            if member.again and member.label not in shown:
                return index, (f"`r` means that the record was shown before, and {member.label} was not",)
            if not member.again and member.label in shown:
                return index, (f"{member.label} was shown before: the same record again is `{member.label}r`",)
            if member.again and member.label in done and not rules.redelivers:
                copy = f"{member.label}'"
                return index, (f"what was read and run is sent again as a new message, `{copy}`, and not as the same",)
            shown.add(member.label)
            if member.outcome == "ok":
                done.add(member.label)
    return None


def puts(rules: LogRules, trace: Trace) -> Refused | None:
    """Where puts are listed, a copy exists from its put on, and nothing is read before it was accepted. What a retry
    topic has is put there."""
    if "producer" not in trace.groups:
        return None
    moments: dict[MessageLabel, int] = {}
    for index, word in enumerate(trace.words):
        if isinstance(word, Put):
            if word.label in moments:
                return index, (
                    f"{word.label} was accepted already; the same payload once more is `|put {word.label}'`",
                )
            moments[word.label] = index
    listed = set(trace.log or ())
    units = {member.label.unit for word in trace.words for member in deliveries(word)}
    retried = {unit: _copies_of_left(rules, trace, unit) if rules.on_error == "retry_topic" else () for unit in units}
    for index, word in enumerate(trace.words):
        for label in (member.label for member in deliveries(word)):
            if moments.get(label, -1) > index:
                return index, (f"{label} is accepted only later, by `|put {label}`",)
            known = label in moments or label in listed or (label.name, label.copy) in retried[label.unit]
            if label.copy and not known:
                return index, (f"puts are listed here, and none of them is `|put {label}`",)
    return None


def growth(rules: LogRules, trace: Trace) -> Refused | None:
    """The number of units can change only as this broker changes it."""
    count = rules.units
    for index, word in enumerate(trace.words):
        if not isinstance(word, Grow):
            continue
        if rules.grows == "never":
            return index, (f"the number of {rules.unit_word}s cannot change",)
        if rules.grows == "up" and count is not None and word.count < count:
            return index, (f"the number of {rules.unit_word}s never decreases, and it is {count}",)
        count = word.count
    return None


def polls(rules: LogRules, trace: Trace) -> Refused | None:
    """A batch in brackets is what one poll or one invocation can hand over; dead letters need somebody to set aside."""
    limit, named = rules.max_poll_records, rules.poll_word
    for index, word in enumerate(trace.words):
        if isinstance(word, Settle) and word.what == "dead" and not rules.dead_letters:
            hint = f" ({rules.dead_hint} would)" if rules.dead_hint else ""
            return index, (f"nothing sets a message aside here while its successors go on{hint}",)
        if isinstance(word, Batch) and len(word.members) > limit:
            return index, (f"{len(word.members)} records are handed over at once, and {named}={limit}",)
    return None


def restarts(rules: LogRules, trace: Trace) -> Refused | None:
    """Where restarts are listed, a source sends a suffix again only after one."""
    if not rules.writes.sends_again_after_restart or "process" not in trace.groups:
        return None
    restarted, shown = False, set[tuple[str | None, str]]()
    for index, word in enumerate(trace.words):
        restarted = restarted or isinstance(word, Kill | Evict | Move)
        # What is retried in place is not sent again.
        for label in (member.label for member in deliveries(word) if not member.again):
            if label.copy and (label.unit, label.name) in shown and not restarted:
                return index, (f"{label} is sent again only after a restart, and none is listed before it",)
            shown.add((label.unit, label.name))
    return None


def retries(rules: LogRules, trace: Trace) -> Refused | None:
    """A complete trace has seen every retry to its end."""
    # Only `|end` claims that nothing is still to come.
    if rules.on_error != "retry_topic" or not isinstance(trace.words[-1:] and trace.words[-1], End):
        return None
    last: dict[tuple[str | None, str], bool] = {}
    for word in trace.words:
        for member in deliveries(word):
            last[member.label.unit, member.label.name] = member.outcome == "failed"
        if isinstance(word, Settle):
            last[word.label.unit, word.label.name] = False
    waiting = sorted((name for (_, name), failed in last.items() if failed), key=natural_key)
    if not waiting:
        return None
    return len(trace.words) - 1, (f"the trace is not complete: {waiting[0]} went to the retry topic and comes again",)


def from_end(rules: LogRules, unit: str | None) -> bool:
    """Whether the unit came by growth, and this broker reads such a one from its end."""
    # p7 is the eighth: units are numbered from 0, and those beyond the first count came by growth.
    number = "" if unit is None else unit[1:]
    return rules.new_units_at_latest and number.isdecimal() and int(number) >= (rules.units or 0)


def first_records(rules: LogRules, trace: Trace) -> Refused | None:
    """A complete trace that lists its puts has read them from the first one on."""
    kinds = {type(word) for word in trace.words}
    # Each of these may skip the first records, and none needs a word for it.
    if not kinds.issuperset({Put, End}) or Reset in kinds or rules.start_at_latest or rules.commit_ahead:
        return None
    passes_over = rules.writes.passes_over
    shown = [member.label for word in trace.words for member in deliveries(word)]
    done = {*shown, *(word.label for word in trace.words if isinstance(word, Settle))}
    sent = [word.label for word in trace.words if isinstance(word, Put)]
    for number, label in enumerate(sent):
        first = next((other for other in shown if other.unit == label.unit), None)
        started = first is not None and (first not in sent or sent.index(first) < number)
        over = passes_over and passes_over(label.name, (o.name for o in sent[:number] if o.unit == label.unit))
        if label in done or started or over or from_end(rules, label.unit):
            continue
        return len(trace.words) - 1, (f"the trace is not complete: {label} must still be run",)
    return None


def resets(rules: LogRules, trace: Trace) -> Refused | None:
    """A position jumps only where these settings let it. How far back is a question to the machine of its unit."""
    if rules.resets_back or rules.start_at_latest or rules.new_units_at_latest:
        return None
    found = next((index for index, word in enumerate(trace.words) if isinstance(word, Reset)), None)
    hint = f" ({rules.reset_hint} would let it)" if rules.reset_hint else ""
    return None if found is None else (found, (f"the {rules.commit_word} does not jump here{hint}",))


# All of them are asked, and the earliest word counts: their order chooses only which sentence is first.
CHECKS: tuple[Check, ...] = (marks, puts, growth, polls, resets, restarts, retries, first_records)
