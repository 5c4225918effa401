"""The verdict on a run that fails, on one that hangs, and on one scenario by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from chaoskit.brokers.sentences import place_of
from chaoskit.execution.failures import where_it_hung
from chaoskit.execution.limit import Hung
from chaoskit.execution.overlap import Paused
from chaoskit.execution.retried import given_up_by
from chaoskit.execution.script import Run
from chaoskit.execution.stepping import Death, Failure, Passed, shown_place
from chaoskit.search.damage import damage_of
from chaoskit.search.found import Found, confirm
from chaoskit.search.labels import label_of
from chaoskit.search.oracle import Case, Subject, with_state_copied
from chaoskit.search.plans import Plan
from chaoskit.search.reads import fields_read
from chaoskit.search.states import states_of
from chaoskit.values.event import Event, Stream
from chaoskit.values.invariant import HANG, Violation
from chaoskit.values.outcome import Raised
from chaoskit.values.scenario import Scenario
from chaoskit.values.schedule import DiedAt, FailedAt, Schedule, Step, StoppedAt
from chaoskit.values.verdict import Label, Verdict


def hung_verdict(subject: Subject, hung: Hung) -> Verdict:
    """Violated, with the schedule up to the step that did not end."""
    case = subject.on(hung.stream)
    faults = hung.faults or ()
    schedule = case.model.schedule(faults, hung.steps, hung.refusals, hung.settled)
    schedule = with_deaths(with_errors(schedule, hung.refusals, hung.raised), hung.deaths)
    return Verdict(
        "violated",
        violations=(Violation(HANG, where_it_hung(hung)),),
        scenario=Scenario(case.model.stream.events, subject.broker, faults, epoch=subject.epoch),
        schedule=schedule,
        expected=case.reference().state,
        reference=case.reference(),
        loss=subject.loss,
    )


def violated(
    case: Case, faults: Plan, run: Run, label: Label | None, schedule: Schedule | None = None, *, minimal: bool = True
) -> Verdict:
    """The verdict on one failing run, with its literal schedule where that is known already; and with the states along
    the way where nothing smaller is to come."""
    reference, violations = case.reference_of(run), case.violations(run)
    schedule = schedule or case.model.schedule(faults, run.steps, run.refusals, run.settled)
    schedule = with_errors(schedule, run.refusals, run.outcome.raised)
    schedule = with_failures(with_deaths(schedule, run.deaths), run)
    states = states_of(case, faults, run, schedule) if minimal else None
    return Verdict(
        "violated",
        violations=violations,
        scenario=Scenario(case.model.stream.events, case.subject.broker, faults, epoch=case.subject.epoch),
        schedule=schedule,
        label=label,
        expected=reference.state,
        observed=run.outcome.state,
        expected_effects=reference.effects,
        observed_effects=run.outcome.effects,
        reference=reference,
        outcome=run.outcome,
        states=states,
        loss=case.subject.loss,
        memory_kept=run.memory_kept,
        read=fields_read(case) if minimal else (),
        damage=damage_of(case, faults, run, label, states, schedule) if minimal else None,
    )


def with_errors(schedule: Schedule, refusals: Sequence[int], raised: Sequence[Raised]) -> Schedule:
    """The schedule with what the handler raised at each step that it refused."""
    if len(raised) != len(refusals):
        return schedule
    errors = {number: text_of(each.error) for number, each in zip(refusals, raised, strict=True)}
    steps = [attrs.evolve(s, error=errors[n]) if n in errors else s for n, s in enumerate(schedule.steps)]
    for number, each in zip(refusals, raised, strict=True):
        _mark_given_up(steps, number, given_up_by(each.error))
    return Schedule(tuple(steps))


def _mark_given_up(steps: list[Step], number: int, by: str | None) -> None:
    """Where a framework has made an end of this message: at the delivery, and where it leaves."""
    if by is None:
        return
    place = place_of(steps[number])
    following = next((n for n in range(number + 1, len(steps)) if place_of(steps[n]) == place), None)
    if following is not None and steps[following].action in ("skip", "park"):
        for each in (number, following):
            steps[each] = attrs.evolve(steps[each], given_up_by=by)


def with_deaths(schedule: Schedule, deaths: Mapping[int, Death]) -> Schedule:
    """The schedule with where each process died inside the handler, and where each execution stopped."""
    if not deaths:
        return schedule
    return Schedule(tuple(_with_death(step, deaths.get(number)) for number, step in enumerate(schedule.steps)))


def _with_death(step: Step, death: Death | None) -> Step:
    if isinstance(death, Paused):
        beside = (("" if event is None else str(event), shown_place(point).expression) for event, point in death.beside)
        return attrs.evolve(step, stopped=StoppedAt(**attrs.asdict(died_at(death)), beside=tuple(beside)))
    return step if death is None else attrs.evolve(step, died=died_at(death))


def with_failures(schedule: Schedule, run: Run) -> Schedule:
    """The schedule with where each call failed inside the handler."""
    if not run.failures:
        return schedule
    steps = enumerate(schedule.steps)
    found = {number: failed_at(failure) for number, failure in run.failures.items()}
    return Schedule(tuple(attrs.evolve(s, failed=found[n]) if n in found else s for n, s in steps))


def failed_at(failure: Failure) -> FailedAt:
    name, expression, source, column = _shown(failure.at)
    return FailedAt(name, expression, text_of(failure.error), source, column)


def died_at(death: Death) -> DiedAt:
    happened = tuple(shown_place(point).expression for point in death.happened)
    if death.before is None:
        return DiedAt(happened=happened)
    name, before, source, column = _shown(death.before)
    return DiedAt(name, before, happened, source, column)


def _shown(point: Passed) -> tuple[str, str, str, int]:
    """The place, the expression there, its line, and the column in that at which it begins."""
    place = shown_place(point)
    # The name alone: where the project lies is nobody's concern, and the same failure has the same file everywhere.
    name = f"{Path(place.file).name}:{place.line}" if place.file else ""
    source = place.text.strip()
    column = max(0, place.column - (len(place.text) - len(place.text.lstrip())))
    return name, place.expression, source, column if place.expression != source else 0


MOST_OF_ERROR = 200


def text_of(error: Exception) -> str:
    """Its kind and the first line of what it says."""
    try:
        first = " ".join(str(error).strip().splitlines()[:1])
    except Exception:  # noqa: BLE001 - an exception of the user's may say nothing
        first = ""
    return f"{type(error).__name__}: {first}"[:MOST_OF_ERROR] if first else type(error).__name__


def run_one(subject: Subject, events: Sequence[Event], faults: Plan) -> Verdict:
    """The verdict on one scenario, run twice."""
    try:
        return _run_one(subject, Stream.of(events), faults)
    except Hung as hung:
        return hung_verdict(subject, hung)


def _run_one(subject: Subject, stream: Stream, faults: Plan) -> Verdict:
    case = subject.on(stream)
    if case.fails_in_order():
        faults = ()
    steps = case.steps(faults)
    run = with_state_copied(case.run(faults, steps))
    violations = case.violations(run)
    if violations:
        # What is not deterministic must not be reported as a failure.
        confirm(Found(case, faults, run))
        return violated(case, faults, run, label_of(case, run))
    shown = Scenario(case.model.stream.events, subject.broker, faults, epoch=subject.epoch)
    calm = steps == case.steps(())
    left_out = subject.leaves_out({type(fault) for fault in faults}) if run.outcome.lost else ""
    return Verdict(
        "unknown" if calm else "held",
        notes=(left_out,) if left_out else (),
        reasons=("no fault changed the schedule: it is in-order delivery",) if calm else (),
        scenario=shown,
        schedule=case.model.schedule(faults, run.steps, run.refusals, run.settled),
        expected=case.reference().state,
        observed=run.outcome.state,
        expected_effects=case.reference().effects,
        observed_effects=run.outcome.effects,
        reference=case.reference(),
        outcome=run.outcome,
    )
