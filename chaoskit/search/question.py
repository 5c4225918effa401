"""What is asked of a search: of which test, over which streams, how much, and what is known already."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from chaoskit.brokers import base_of
from chaoskit.invariants import final_state
from chaoskit.search.draw import strategy_of
from chaoskit.search.evidence import Evidence
from chaoskit.search.oracle import Subject
from chaoskit.search.plans import Plan
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Stream
from chaoskit.values.faults import CUTS, INSIDE, FaultKind
from chaoskit.values.invariant import Invariant
from chaoskit.values.scenario import Broker, allowed_kinds
from chaoskit.values.verdict import Verdict

UNLIMITED = 1 << 60
"""Schedules where only the time counts."""

SCHEDULES_PER_STREAM = 50

EARLY = 10
"""So many streams come first and have few schedules each: many a bug waits for a stream rather than for an order. What
they leave is for the later ones."""

FEW = 10
"""Schedules of an early stream, if they are enough for every single fault wherever these would be tried."""


def _number(instance: object, attribute: attrs.Attribute[int], value: object) -> None:
    if type(value) is not int or value < 1:  # True is an int, too
        raise UsageError(f"schedules={value!r}: a whole number, 1 or more, is needed")


def _known_to_us(instance: object, attribute: attrs.Attribute[str], value: object) -> None:
    if value not in ("violation", "any"):
        raise UsageError(f"across_keys={value!r}: 'violation' or 'any' is needed")


def _two_numbers(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    for number in value or ():
        if type(number) is not int or number < 1:
            raise UsageError(f"exhaustive={value!r}: whole numbers of faults and of events, 1 or more, are needed")


@attrs.frozen(kw_only=True, eq=False)
class SearchSettings:
    """How a search goes about it. Raises UsageError for what cannot mean what it says."""

    schedules: int = attrs.field(validator=_number)
    """Distinct schedules, references not counted."""
    seed: int
    streams: int | None = None
    """That Hypothesis draws, where somebody says how many; None: as many as the schedules want."""
    exhaustive: tuple[int, int] | None = attrs.field(default=None, validator=_two_numbers)
    """Up to so many faults over streams of up to so many events: every schedule of these, and no other."""
    budget: float | None = None
    """Seconds, in place of a number of schedules unless that is given, too. They end between streams, and not before
    the first that can show something."""
    patience: float | None = None
    """Seconds after which no new stream is begun, though there are schedules left."""
    across_keys: str = attrs.field(default="violation", validator=_known_to_us)
    digest: bytes | None = None
    """Of the test, for a place of its own in the database of Hypothesis; None: the database is not used."""
    examples: tuple[Stream, ...] = ()
    """Literal streams that are tried first."""
    fixtures: tuple[str, ...] = ()
    """Their names, for a hint where a state is not made afresh."""
    evidence: Evidence = attrs.field(factory=Evidence)
    """May be that of an earlier search of the same test."""
    known: tuple[frozenset[FaultKind], ...] = ()
    """Sets of kinds that are known to fail together, which are not tried again."""
    minimal: bool = True
    """Whether a failure is made minimal; False: that there is one is enough."""
    on_failure: Callable[[Verdict], None] | None = None
    """Called with a failure before it is made minimal, which may take long."""
    resume_from: tuple[tuple[Stream, Plan], ...] = ()
    """What was found so once: it is tried before anything else."""


@attrs.frozen(eq=False)
class Question:
    """What `check` and a chaos test ask, as `question` has checked it. `streams`: how many the schedules are spread
    over at first."""

    subject: Subject
    events: Any
    kinds: tuple[FaultKind, ...]
    streams: int
    settings: SearchSettings
    asks_inside: bool = False
    """A kind that reaches inside the handler was asked for by name."""
    asks_cuts: bool = False
    """Where a batch ends was asked for by name."""

    @property
    def seed(self) -> int:
        return self.settings.seed

    @property
    def is_literal(self) -> bool:
        """The user's own stream is the only one there is."""
        return isinstance(self.events, Stream)

    @property
    def exact_streams(self) -> bool:
        """Just so many are drawn, and nothing is put together of them: somebody has given their number."""
        return self.settings.streams is not None and self.settings.budget is None


def question(
    subject: Subject,
    events: Any,
    settings: SearchSettings,
    *,
    faults: Iterable[FaultKind] | None = None,
    without: Iterable[FaultKind] | None = None,
) -> Question:
    """Check what can be checked before anything runs. Raises UsageError in the user's terms."""
    literal = strategy_of(events) is None
    if literal:
        events = Stream.of(events)
        if not len(events):
            raise UsageError("the list of events is empty: nothing would be delivered")
    base_of(subject.broker)  # which must be known, before it is asked anything
    kinds = kinds_left(subject.broker, faults, settings.known, without)
    streams = 1 if literal else settings.streams or _streams_for(settings.schedules)
    asks_inside = faults is not None and not set(INSIDE).isdisjoint(kinds)
    asks_cuts = faults is not None and not set(CUTS).isdisjoint(kinds)
    return Question(subject, events, kinds, streams, settings, asks_inside, asks_cuts)


def _streams_for(schedules: int) -> int:
    """How many streams so many schedules are spread over. Where they are few, there are no early streams."""
    # As many schedules as that are left for the later ones at least.
    early = EARLY if schedules >= 2 * EARLY * FEW else 0
    return early + -(-(schedules - early * FEW) // SCHEDULES_PER_STREAM)


def kinds_left(
    broker: Broker,
    faults: Iterable[FaultKind] | None,
    known: Iterable[frozenset[FaultKind]],
    without: Iterable[FaultKind] | None = None,
) -> tuple[FaultKind, ...]:
    """The kinds to search, without those that are known to fail alone. Raises as `allowed_kinds` does."""
    alone = {kind for kinds in known if len(kinds) == 1 for kind in kinds}
    return tuple(kind for kind in allowed_kinds(broker, faults, without) if kind not in alone)


def derive(seed: int, what: str) -> int:
    """Another seed from this one, the same on every machine."""
    # No `hash`, which is another one in each process, and no sum, under which neighbouring seeds would share streams.
    return int.from_bytes(hashlib.sha256(f"{seed}\0{what}".encode()).digest()[:8], "big")


def default_invariants(invariants: Iterable[Invariant] | None) -> tuple[Invariant, ...]:
    if invariants is None:
        return (final_state(),)
    found = tuple(invariants) if isinstance(invariants, Iterable) else (invariants,)
    for invariant in found:
        if not isinstance(invariant, Invariant):
            raise UsageError(
                f"invariants contains {invariant!r}, not an Invariant; write final_state(), no_error() or "
                "always(predicate) from chaoskit.invariants, with the parentheses"
            )
    if not found:
        raise UsageError("invariants is empty: nothing would be checked. Leave it out for final_state()")
    return found
