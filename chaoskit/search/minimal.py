"""From a failure as it was met to the least that fails in the same way, of the streams that somebody may send."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import attrs

from chaoskit.execution.limit import Hung
from chaoskit.execution.script import LOSING, PASS_THROUGH
from chaoskit.search.draw import simpler_values, simplest_stream, some_values
from chaoskit.search.found import Found
from chaoskit.search.labels import looks_across
from chaoskit.search.oracle import Case, CheckerFailed, Subject, with_state_copied
from chaoskit.search.plans import Plan
from chaoskit.search.shrink import Fails, Shrinker
from chaoskit.strategies.dependent import Dependent, dependent_of
from chaoskit.strategies.streams import Parts, parts_of
from chaoskit.strategies.together import Mixed
from chaoskit.values.errors import ChaosError
from chaoskit.values.event import Stream
from chaoskit.values.faults import FaultKind
from chaoskit.values.schedule import Raw

MOST_ANCHORED = 80
"""Ways to lay the faults of a minimal scenario over a stream that was drawn."""
MOST_RUNS = 4000
"""Runs of the handler that the search among the streams of a strategy may take."""


@attrs.frozen
class Minimal:
    """The least scenario. `across`: an order without faults gives the same. `also`: the other kinds that fail alike on
    this stream. `found_faults`: those that fail on the stream as it was found. `is_part`: the stream is a part of that
    one, and not known to be a stream by itself. `fewer`: it is one that the strategy drew whole, and so many events of
    the one that was found fail by themselves; 0 where none fewer do."""

    stream: Stream
    faults: Plan
    across: bool
    also: tuple[FaultKind, ...]
    found_faults: Plan
    is_part: bool
    fewer: int = 0


def shrinker_for(
    subject: Subject, events: Any, kinds: Sequence[FaultKind], fails: Fails, *, in_order: bool, seed: int
) -> Shrinker:
    """One that keeps to what `events` allows."""
    parts, dependent = _parts(events), _dependent(events)
    made_of = parts or dependent
    return Shrinker(
        subject.model,
        kinds,
        lambda stream, faults: _quietly(fails, stream, faults),
        made_of.allows if made_of else lambda stream: True,
        parts is not None,
        made_of.min_size if made_of else 1,
        in_order,
        cache(lambda: some_values(parts, seed) if parts else []),
        parts.remembering().with_values if parts else Stream.with_values,
        whole=subject.whole,
    )


def least(subject: Subject, events: Any, kinds: Sequence[FaultKind], found: Found, seed: int) -> Minimal:
    """The least scenario that breaks the same, `events` being a strategy or the literal stream itself."""
    in_order = not found.faults
    # Held through all that follows: a failure within a key must not shrink into one that only the order of keys
    # explains.
    across = not in_order and looks_across(found.case, found.run)
    fails = _failing_alike(subject, found, across)
    shrinker = shrinker_for(subject, events, kinds, fails, in_order=in_order, seed=seed)
    whole, dependent = found.case.model.stream, _dependent(events)
    if dependent:
        dependent.learn(whole)  # it may come from a file
    stream, faults = shrinker.shrink(whole, found.faults)
    found_faults = shrinker.fewer_faults(whole, found.faults)
    made, fewest = None, len(stream)
    if not isinstance(events, Stream):
        patterns = [(stream, faults), (whole, found_faults)]
        made = _of_the_strategy(events, shrinker, patterns, seed)
        if made is not None:
            stream, faults = made
        # Of the parts of `events(…)` all that fails in order was tried above already.
        elif not in_order or _parts(events) is None:
            places = [whole.ids.index(id_) for id_ in stream.ids]
            stream = simpler_values(events, stream, places, lambda s: shrinker.fails(s, faults), seed) or stream
    also: tuple[FaultKind, ...] = ()
    if not in_order:
        # Last: the values decide which faults fail alike.
        faults, also = shrinker.mildest(stream, faults)
    is_part = made is None and not (_parts(events) or dependent) and len(stream) < len(whole)
    fewer = fewest if made is not None and fewest < len(stream) else 0
    return Minimal(stream, faults, across, also, found_faults, is_part, fewer)


def _parts(events: Any) -> Parts | None:
    return None if isinstance(events, Stream) else parts_of(events)


def _dependent(events: Any) -> Dependent | None:
    return None if isinstance(events, Stream) else dependent_of(events)


def _failing_alike(subject: Subject, found: Found, across: bool) -> Fails:
    """Whether a scenario breaks what was broken, with as many faults to blame."""
    in_order = not found.faults
    # By the invariant and not by its text, which has values in it that shrink.
    broken = {violation.invariant for violation in found.case.violations(found.run)}
    # Most candidates have the stream of the one before, whose in-order run is made already.
    cases: list[tuple[Stream, Case]] = []
    # Of a stream of few events many plans come to the same schedule.
    answers: dict[tuple[bool, tuple[Raw, ...]], bool] = {}

    def case_of(stream: Stream) -> Case:
        if not cases or cases[0][0] is not stream:
            cases[:] = [(stream, subject.on(stream))]
            answers.clear()
        return cases[0][1]

    def fails(stream: Stream, faults: Plan) -> bool:
        try:
            case = case_of(stream)
            # What fails in order needs no faults, and is another failure than one that does.
            if in_order or case.fails_in_order():
                return in_order and not broken.isdisjoint(violation.invariant for violation in case.fails_in_order())
            steps = case.steps(faults)
            known = (not LOSING.isdisjoint(map(type, faults)), tuple(steps))
            if known in answers:
                return answers[known]
            run = with_state_copied(case.run(faults, steps))
            is_alike = not broken.isdisjoint(violation.invariant for violation in case.violations(run))
            answer = is_alike and looks_across(case, run) == across
            # What was refused, or not settled, the model answers by these faults.
            if not run.refusals and run.settled is None:
                answers[known] = answer
            return answer
        except (ChaosError, CheckerFailed, Hung, *PASS_THROUGH):
            return False

    return fails


def _quietly(fails: Fails, stream: Stream, faults: Plan) -> bool:
    """A candidate on which the in-order run itself raises is no counterexample."""
    try:
        return bool(fails(stream, faults))
    except Exception:  # noqa: BLE001 - the user's test may raise anything on a stream it was not written for
        return False


def _of_the_strategy(
    events: Any, shrinker: Shrinker, patterns: Sequence[tuple[Stream, Plan]], seed: int
) -> tuple[Stream, Plan] | None:
    """The simplest stream that the strategy draws whole and that fails under such faults; None where none was met.

    With the parts of `events(…)` any part of a stream is one, too, and this is asked only where other values make
    fewer events enough, which is where nothing but the values fails. Where events depend on each other the stream is
    one already, and what is asked is whether fewer are enough.
    """
    if _parts(events) is not None and not shrinker.in_order:
        return None
    size = len(patterns[-1][0])
    if (dependent := _dependent(events)) is not None:
        # Of several streams of parts each part of one is a stream, too: fewer events were tried already.
        if isinstance(dependent, Mixed) and dependent.is_of_parts and not shrinker.in_order:
            return None
        size = len(patterns[0][0]) - 1
        # The first event of an entity needs no other, and so was tried alone.
        if size < max(2, shrinker.min_size):
            return None
    last: list[Plan] = []
    most = shrinker.tried + MOST_RUNS

    def fails(stream: Stream) -> bool:
        for plan in _anchored(stream, patterns):
            if shrinker.tried >= most:
                return False
            shrinker.tried += 1
            if shrinker.fails(stream, plan):
                last[:] = [plan]
                return True
        return False

    stream = simplest_stream(events, size, fails, seed)
    if stream is None:
        return None
    return stream, shrinker.fewer_faults(stream, last[0])


def _anchored(stream: Stream, patterns: Sequence[tuple[Stream, Plan]]) -> Iterator[Plan]:
    """The faults of these scenarios at other events: at the same distances, and up to two of them at any."""
    tried: set[Plan] = set()
    for plan in itertools.islice(_laid(stream, patterns), MOST_ANCHORED):
        if plan not in tried:
            tried.add(plan)
            yield plan


def _laid(stream: Stream, patterns: Sequence[tuple[Stream, Plan]]) -> Iterator[Plan]:
    size = len(stream)
    for known, faults in patterns:
        places = [known.ids.index(fault.at) for fault in faults]
        for shift in range(-min(places, default=0), size - max(places, default=0)):
            yield _at(stream, faults, [place + shift for place in places])
    faults = patterns[0][1]
    if 1 <= len(faults) <= 2:
        for chosen in itertools.product(range(size), repeat=len(faults)):
            yield _at(stream, faults, chosen)


def _at(stream: Stream, faults: Plan, places: Sequence[int]) -> Plan:
    return tuple(attrs.evolve(fault, at=stream.ids[place]) for fault, place in zip(faults, places, strict=True))
