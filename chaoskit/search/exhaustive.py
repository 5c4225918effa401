"""Every schedule of small streams, each once: for all plans of up to so many faults."""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import attrs
from hypothesis import strategies as st

from chaoskit.search.campaign import Campaign
from chaoskit.search.draw import draw_streams, some_values
from chaoskit.search.oracle import Case, with_state_copied
from chaoskit.search.plans import Plan, Plans
from chaoskit.search.question import Question, derive
from chaoskit.search.shape import fingerprint
from chaoskit.strategies.streams import Parts, parts_of
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Event, Stream
from chaoskit.values.faults import FaultKind
from chaoskit.values.outcome import Outcome
from chaoskit.values.scenario import Model
from chaoskit.values.schedule import DELIVER, RESTART, Raw, what_of
from chaoskit.values.verdict import Exhausted

MOST_PLANS = 20_000_000
"""More would take hours: it is refused before it begins."""
MOST_KEYS = 3
DRAWN = 200
"""Streams that are drawn of a strategy whose parts are not known, to find all of its short ones that differ."""
COMPARED = 200
"""Pairs of schedules that differ in the order between keys alone, and are both run, before the keys are taken to be
independent."""


class KeysDepend(Exception):
    """Two schedules that differ in the order between keys alone gave two results."""


def try_all(question: Question, campaign: Campaign) -> Exhausted:
    """All of them, or up to the first that fails. Raises UsageError where they are too many."""
    asked = question.settings.exhaustive
    assert asked is not None
    faults, events = asked
    streams = _streams(question, events)
    plans = sum(number_of_plans(question.subject.model(stream), question.kinds, faults) for stream in streams)
    if plans > MOST_PLANS:
        raise UsageError(
            f"every schedule of up to {events} events and {faults} faults would take {plans:,} runs of the model: "
            "fewer faults, fewer events, or fewer kinds (faults=…) can be tried exhaustively"
        )
    try:
        return _all(question, campaign, streams, _Keys())
    # From the beginning: schedules that were left out as equal have to be run after all.
    except KeysDepend:
        return _all(question, campaign, streams, None)


def _all(question: Question, campaign: Campaign, streams: Sequence[Stream], keys: _Keys | None) -> Exhausted:
    faults, events = question.settings.exhaustive or (0, 0)
    distinct = runs = 0
    for stream in streams:
        case = campaign.begin(stream)
        if case is None:
            break
        more, ran = _all_of(campaign, case, faults, keys)
        distinct, runs = distinct + more, runs + ran
        if campaign.stopped:
            break
    return Exhausted(
        events, faults, distinct, runs, streams=len(streams),
        independent_keys=keys is not None, compared=0 if keys is None else keys.compared,
    )  # fmt: skip


def _all_of(campaign: Campaign, case: Case, faults: int, keys: _Keys | None) -> tuple[int, int]:
    """How many distinct schedules there are, and how many of them were run."""
    print_ = fingerprint(case.model.stream)
    # What no fault changes is the in-order run, which is none of those that are counted.
    seen = {tuple(case.steps(()))}
    runs = 0
    calls = {position: (0, *each) for position, each in case.calls.items()}
    for plan in every_plan(case.model, campaign.kinds, faults, case.points, calls):
        steps = case.steps(plan)
        if (schedule := tuple(steps)) in seen:
            continue
        seen.add(schedule)
        if keys is not None and keys.has(print_, case, plan, steps):
            continue
        runs += 1
        if campaign.fails(case, plan, steps):
            break
    return len(seen) - 1, runs


def every_plan(
    model: Model,
    kinds: Sequence[FaultKind],
    most: int,
    points: Mapping[int, Sequence[int]] | None = None,
    calls: Mapping[int, Sequence[int]] | None = None,
) -> Iterator[Plan]:
    """Every plan of one fault, then of two, up to `most`. Which of two faults is named first changes nothing."""
    plans = Plans(model, kinds, 0, points, calls)
    singles = [fault for position in range(len(model.stream)) for fault in plans.at(position)]
    for count in range(1, most + 1):
        # The same fault twice is two of them at one event.
        yield from itertools.combinations_with_replacement(singles, count)


def number_of_plans(model: Model, kinds: Sequence[FaultKind], most: int) -> int:
    plans = Plans(model, kinds, 0)
    choices = (choice for position in range(len(model.stream)) for choice in plans.choices(position))
    singles = sum(math.prod(choice.sizes) for choice in choices)
    return sum(math.comb(singles + count - 1, count) for count in range(1, most + 1))


@attrs.define
class _Keys:
    """Schedules that show each key the same, whatever lies between, are one to a handler whose keys do not depend on
    each other. That is compared where two are met."""

    compared: int = 0
    _first: dict[int, tuple[Plan, Sequence[Raw]] | None] = attrs.field(factory=dict)

    def has(self, print_: int, case: Case, plan: Plan, steps: Sequence[Raw]) -> bool:
        """Whether one that is the same to each key was run. Raises KeysDepend where the two give different results."""
        # Its hash alone, as there may be millions.
        known = hash((print_, *by_key(case.model.stream, steps)))
        if known not in self._first:
            # Of later ones nothing is compared any more, and none is remembered.
            self._first[known] = (plan, steps) if self.compared < COMPARED else None
            return False
        first = self._first[known]
        if first is not None and self.compared < COMPARED:
            self.compared += 1
            if not case.subject.agree(case.reference(), _outcome(case, *first), _outcome(case, plan, steps)):
                raise KeysDepend
        return True


def _outcome(case: Case, plan: Plan, steps: Sequence[Raw]) -> Outcome:
    return with_state_copied(case.run(plan, steps)).outcome


def by_key(stream: Stream, steps: Sequence[Raw]) -> list[tuple[Hashable, ...]]:
    """What each key sees: its own steps in their order, and the restarts of consumers that had seen something of it."""
    keys = [event.key for event in stream]
    seen: dict[Hashable, list[Raw]] = {key: [] for key in keys}
    holders: dict[Hashable, set[int]] = {key: set() for key in keys}
    for step in steps:
        if step[0] == RESTART:
            for key, consumers in holders.items():
                if step[1] in consumers:
                    consumers.discard(step[1])
                    seen[key].append((RESTART, step[1]))
            continue
        key = keys[step[2]]
        seen[key].append(step)
        if what_of(step) == DELIVER:
            holders[key].add(step[1])
    return [tuple(map(tuple, each)) for each in seen.values()]


# The streams.


def _streams(question: Question, events: int) -> list[Stream]:
    """Those of up to so many events: the beginnings of a literal one; every pattern of keys of `events(…)`, with values
    that differ where they can; and of another strategy those that are drawn."""
    if isinstance(question.events, Stream):
        return [question.events.keep(range(size)) for size in range(1, min(events, len(question.events)) + 1)]
    parts = parts_of(question.events)
    # Which keys there are is a matter of the values where they have them within.
    free = parts if parts is not None and parts.tie is None else None
    found = _drawn(question, events) if free is None else list(_patterns(free, question, events))
    if not found:
        raise UsageError(f"no stream of up to {events} events was drawn: give more events, or shorter streams")
    return found


def _patterns(parts: Parts, question: Question, events: int) -> Iterator[Stream]:
    seed = derive(question.seed, "exhaustive")
    values, keys = some_values(parts, seed), _keys(parts, seed)
    values = _different_first(values)
    for size in range(parts.min_size, min(events, parts.max_size) + 1):
        for pattern in _growing(size, len(keys)):
            # Few values go round: a stream may have more events than the strategy has values.
            stream = Stream.of([Event(keys[key], values[n % len(values)]) for n, key in enumerate(pattern)])
            if parts.allows(stream):
                yield stream


def _keys(parts: Parts, seed: int) -> list[Any]:
    drawn = some_values(attrs.evolve(parts, values=st.tuples(parts.keys)), seed)
    return list(dict.fromkeys(key for (key,) in drawn))[:MOST_KEYS]


def _different_first(values: Sequence[Any]) -> list[Any]:
    """The values that differ, by what they are written as; some cannot be compared."""
    return list({repr(value): value for value in values}.values())


def _growing(size: int, most: int) -> Iterator[tuple[int, ...]]:
    """Every way to give so many events up to `most` keys, of which none is the first to be another's name."""

    def grown(pattern: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if len(pattern) == size:
            yield pattern
            return
        for key in range(min(most, max(pattern, default=-1) + 2)):
            yield from grown((*pattern, key))

    yield from grown(())


def _drawn(question: Question, events: int) -> list[Stream]:
    found: dict[int, Stream] = {}

    def take(stream: Stream, salt: int) -> bool:
        if 0 < len(stream) <= events:
            found.setdefault(fingerprint(stream), stream)
        return False

    draw_streams(question.events, take, streams=DRAWN, seed=derive(question.seed, "exhaustive"), digest=None)
    return list(found.values())
