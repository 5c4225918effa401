"""Which moves fit a failure, and what of a fault is left where an execution is done whole or not at all."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import attrs

from chaoskit.brokers.inside import gone_at
from chaoskit.repair.moves import ESCAPE, INSIDE_MOVES, MOVES, OUTBOX, OVERLAP_MOVES, RETRY, Kind
from chaoskit.search.failing import calls_of, that_fail
from chaoskit.search.inside import WHOLE
from chaoskit.search.oracle import with_state_copied
from chaoskit.search.plans import Plan
from chaoskit.search.question import Question
from chaoskit.search.verdicts import failed_at
from chaoskit.values.faults import CUTS, INSIDE, Crash, Fail, Fault, Overlap, reaches_in
from chaoskit.values.verdict import Verdict

NOT_BROUGHT_BACK = "and no transaction brings back what it left out"
ONLY_IF_OUT = "what is rolled back comes again only where the error comes out: it was not run"

ONLY_IF_AGAIN = "what is rolled back has to come again, and this message is gone: it was not run"


def fitting(question: Question, verdict: Verdict) -> tuple[Question, tuple[Kind, ...]]:
    """The moves for this failure, cheapest first, and the question without the kinds of which they say nothing true."""
    assert verdict.scenario is not None
    faults, left_out = verdict.scenario.faults, set(CUTS)
    if not any(map(reaches_in, faults)):
        # A move around the handler is not one with its effects: of a death or a failed call between the two it would
        # say nothing true. An attempt fails whole there.
        left_out |= set(INSIDE)
        moves = tuple(attrs.evolve(kind, whole=True) for kind in MOVES)
    elif any(isinstance(fault, Overlap) for fault in faults):
        moves = _with_effects(verdict, OVERLAP_MOVES)
    else:
        # A transaction by itself keeps nobody from working at the same time: of two at once it would say nothing true.
        left_out.add(Overlap)
        moves = _with_effects(verdict, INSIDE_MOVES)
    if _is_swallowed(verdict):
        moves = (ESCAPE, *(attrs.evolve(kind, named=kind.named or ONLY_IF_OUT) for kind in moves))
    elif _is_given_up(verdict):
        moves = (RETRY, *(attrs.evolve(kind, named=kind.named or ONLY_IF_AGAIN) for kind in moves))
    return attrs.evolve(question, kinds=tuple(kind for kind in question.kinds if kind not in left_out)), moves


def _with_effects(verdict: Verdict, moves: tuple[Kind, ...]) -> tuple[Kind, ...]:
    """For a handler that has effects which leave none is run. A run in which an execution is whole would take back what
    left with it."""
    left = list(dict.fromkeys(effect.name for effect in verdict.expected_effects or ()))
    if not left:
        return moves
    why = f"no rollback takes back what left ({', '.join(left)}): it was not run"
    return (OUTBOX, *(attrs.evolve(kind, named=why) for kind in moves))


def _is_swallowed(verdict: Verdict) -> bool:
    """A call failed inside the handler, and it went on as if nothing were."""
    return any(step.failed is not None and not step.raised for step in verdict.schedule or ())


def _is_given_up(verdict: Verdict) -> bool:
    """A call failed inside the handler, and nothing brought its message back."""
    assert verdict.schedule is not None
    return bool(gone_at(verdict.schedule.steps))


def swallowed(question: Question, verdict: Verdict) -> str:
    """Another call of these events whose error the handler swallows, and is wrong then: no transaction repairs that.
    Empty where there is none. It is asked where an execution was run as a whole, in which no call fails."""
    assert verdict.scenario is not None
    subject = question.subject
    if Fail not in question.kinds or not any(map(reaches_in, verdict.scenario.faults)):
        return ""
    case = subject.on(verdict.scenario.stream)
    for position, points in that_fail(calls_of(case)).items():
        for point in points:
            run = with_state_copied(case.run([Fail(case.model.stream[position].id, 0, point)]))
            failures = [failure for number, failure in run.failures.items() if number not in run.refusals]
            if failures and case.violations(run):
                at = failed_at(failures[0])
                return f"the error of {at.expression} ({at.place}) is swallowed, {NOT_BROUGHT_BACK}"
    return ""


def whole(faults: Plan) -> Iterator[Plan]:
    """The same, where each process dies or stops before all of its effects, or behind all, and where what fails is
    rolled back."""
    return itertools.product(*map(_whole, faults))


def _whole(fault: Fault) -> list[Fault]:
    if isinstance(fault, Fail):
        return [attrs.evolve(fault, point=0)]
    return [attrs.evolve(fault, point=point) for point in WHOLE] if isinstance(fault, (Crash, Overlap)) else [fault]
