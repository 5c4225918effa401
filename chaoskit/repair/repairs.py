"""Which move repairs a failure: each is put around the handler, and the search that found it runs again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any

import attrs

from chaoskit.execution.limit import Hung
from chaoskit.execution.script import Move
from chaoskit.order.boundary import boundary_of
from chaoskit.repair.commuting import clashes_of
from chaoskit.repair.fitting import fitting, swallowed, whole
from chaoskit.repair.moves import Kind
from chaoskit.repair.recipes import Storage, recipe
from chaoskit.search.evidence import Evidence
from chaoskit.search.investigate import investigate
from chaoskit.search.oracle import CheckerFailed, Subject
from chaoskit.search.question import Question, SearchSettings
from chaoskit.search.states import HANGS
from chaoskit.values.boundary import Boundary
from chaoskit.values.errors import ChaosError
from chaoskit.values.event import EventId, Message
from chaoskit.values.faults import FaultKind
from chaoskit.values.repair import Advice, MoveName, Repair
from chaoskit.values.verdict import Verdict

MOST = 1000
"""Schedules for each move: those of a search where nobody says how many."""
EACH = 150
"""Schedules for each kind alone, to name all that still break a handler."""


def advice_on(
    question: Question, verdict: Verdict, storage: Storage, say: Callable[[MoveName], None] = lambda move: None
) -> Advice:
    """All that can be tried for a failure; `say` is called with each move. Nothing for a verdict that is not violated,
    and for what fails in order already: no delivery is to blame."""
    if verdict.status != "violated" or verdict.scenario is None or not verdict.scenario.faults:
        return Advice()
    try:
        clashes = clashes_of(question.subject, verdict.scenario.stream)
    # What hangs in another order says nothing of that order; the moves are tried all the same.
    except HANGS:
        clashes = ()
    repairs = tuple(_each(question, verdict, storage, say))
    best = next((repair.move for repair in repairs if repair.status == "held"), None)
    keys = {_hashable(event.key) for event in verdict.scenario.events}
    # One key for all always keeps the order: what is wanted is the key that would be enough. Where nothing could be run
    # nothing says that one is missing.
    asked = best in (None, "one key") and len(keys) > 1 and any(repair.status != "unknown" for repair in repairs)
    return Advice(repairs, clashes, _boundary(question) if asked else None)


def _boundary(question: Question) -> Boundary | None:
    """Which other key would do, where no move within the present one does; None where that is unknown."""
    try:
        return boundary_of(question)
    except (ChaosError, CheckerFailed, *HANGS):
        return None


def cheapest_repair(question: Question, verdict: Verdict, storage: Storage) -> Repair | None:
    """The first move that holds; those that cost more are not tried. None where none does."""
    # Of a move that does not hold nothing is shown here, and to make its failure minimal may take as long as all else.
    quick = attrs.evolve(question, settings=attrs.evolve(question.settings, minimal=False))
    repairs = _each(quick, verdict, storage, lambda move: None)
    return next((repair for repair in repairs if repair.status == "held"), None)


def _each(question: Question, verdict: Verdict, storage: Storage, say: Callable[[MoveName], None]) -> Iterator[Repair]:
    """Each move, cheapest first, with what a search with it found."""
    assert verdict.scenario is not None
    # No move can stand around a call that has many messages.
    if question.subject.batches.most is not None:
        return iter(())
    question, moves = fitting(question, verdict)
    given = question.settings
    settings = SearchSettings(
        schedules=min(given.schedules, MOST), seed=given.seed, streams=given.streams, across_keys=given.across_keys,
        examples=given.examples, fixtures=given.fixtures, patience=given.patience, minimal=given.minimal,
    )  # fmt: skip
    # At the hour of the failure, as a handler may go by the clock.
    asked = attrs.evolve(
        question, subject=attrs.evolve(question.subject, epoch=verdict.scenario.epoch), settings=settings
    )
    return (_announced(asked, verdict, kind, storage, say) for kind in moves if _applies(kind, verdict))


def _announced(
    question: Question, verdict: Verdict, kind: Kind, storage: Storage, say: Callable[[MoveName], None]
) -> Repair:
    say(kind.name)
    return _tried(question, verdict, kind, storage)


def _applies(kind: Kind, verdict: Verdict) -> bool:
    """One key for all changes nothing where there is one."""
    assert verdict.scenario is not None
    return kind.model_of is None or len({_hashable(event.key) for event in verdict.scenario.events}) > 1


def _hashable(key: Any) -> Hashable:
    # Only to count the keys: with a serializer they can be anything.
    return key if isinstance(key, Hashable) else repr(key)


def _tried(question: Question, verdict: Verdict, kind: Kind, storage: Storage) -> Repair:
    copies = Copies()
    subject = attrs.evolve(
        question.subject, move=None if kind.make is None else copies.watched(kind.make), model_of=kind.model_of,
        whole=kind.whole,
    )  # fmt: skip
    kinds = tuple(each.__name__ for each in question.kinds)
    repair = Repair(kind.name, "unknown", kinds=kinds, needs=kind.needs, code=recipe(kind.name, storage))
    assert verdict.scenario is not None
    if kind.named:
        return attrs.evolve(repair, reasons=(kind.named,))
    try:
        # The failure itself first: where it is not repaired, two runs say so, and no search is needed.
        if _still_fails(subject, verdict):
            breaks = dict.fromkeys(type(fault).__name__ for fault in verdict.scenario.faults)
            return attrs.evolve(repair, status="violated", breaks=tuple(breaks), scenario=verdict.scenario)
        repair = attrs.evolve(repair, repairs_this=True)
        # What a search with another move has seen says nothing of one with this.
        settings = attrs.evolve(question.settings, evidence=Evidence())
        repair = _searched(attrs.evolve(question, subject=subject, settings=settings), repair, copies)
        why = swallowed(question, verdict) if repair.status == "held" else ""
        return attrs.evolve(repair, status="unknown", reasons=(why,)) if why else repair
    except (ChaosError, CheckerFailed, Hung) as error:
        return attrs.evolve(repair, reasons=(f"with this move {error}",))


def _still_fails(subject: Subject, verdict: Verdict) -> bool:
    assert verdict.scenario is not None
    case = subject.on(verdict.scenario.stream)
    plans = whole(verdict.scenario.faults) if subject.whole else [verdict.scenario.faults]
    return bool(case.fails_in_order() or any(case.violations(case.run(faults)) for faults in plans))


def _searched(question: Question, repair: Repair, copies: Copies) -> Repair:
    """The search with the move in place; and where something breaks it still, which kinds do by themselves."""
    found = investigate(question)
    if found.status != "violated" or found.scenario is None:
        status = found.status
        if status == "unknown" and question.subject.model_of is not None and not found.tally.effective:
            status = "held"  # under these keys none of the faults can change what a key sees: that is the repair
        reasons = found.reasons if status == "unknown" else ()
        schedules, distance = found.tally.schedules, copies.farthest
        return attrs.evolve(repair, status=status, reasons=reasons, schedules=schedules, distance=distance)
    if not question.settings.minimal:
        return attrs.evolve(repair, status="violated")
    # The kinds of this failure are known already: only the others are asked one by one.
    broke = {type(fault) for fault in found.scenario.faults}
    broke |= {kind for kind in question.kinds if kind not in broke and _breaks(question, kind)}
    return attrs.evolve(
        repair, status="violated", breaks=tuple(kind.__name__ for kind in question.kinds if kind in broke),
        scenario=found.scenario, schedules=found.tally.schedules, distance=copies.farthest,
    )  # fmt: skip


def _breaks(question: Question, kind: FaultKind) -> bool:
    """Whether this kind alone does. How is of no interest any more: nothing is made minimal."""
    settings = attrs.evolve(question.settings, schedules=EACH, minimal=False, evidence=Evidence())
    return investigate(attrs.evolve(question, kinds=(kind,), settings=settings)).status == "violated"


@attrs.define
class Copies:
    """The distance between the copies of a message, in deliveries, over all runs."""

    farthest: int = 0

    def watched(self, make: Callable[[], Move]) -> Callable[[], Move]:
        """The same move, watched: anew for each run."""

        def made() -> Move:
            move, last = make(), dict[EventId, int]()
            number = 0

            def watched(message: Message) -> Iterator[Message]:
                nonlocal number
                number += 1
                if (before := last.get(message.id)) is not None:
                    self.farthest = max(self.farthest, number - before)
                last[message.id] = number
                return move(message)

            return watched

        return made
