"""The state along the way of a failing run, and of the in-order run beside it.

The test is run again on each beginning of both, so that this works whatever the test returns and needs no `state=`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import attrs

from chaoskit.execution.failures import HungInOrder
from chaoskit.execution.limit import Hung, ends_the_test
from chaoskit.execution.script import Run
from chaoskit.search.oracle import Case, Subject, with_state_copied
from chaoskit.values.event import EventId
from chaoskit.values.faults import Fault
from chaoskit.values.outcome import Outcome
from chaoskit.values.schedule import BATCH, Reached, Schedule, reached, size_of, what_of
from chaoskit.values.state import snapshot
from chaoskit.values.verdict import States

Seen = TypeVar("Seen")

HANGS = (Hung, HungInOrder)
"""Each costs the whole limit of a run, and where one beginning does not end others may not."""

MOST_STEPS = 60
"""Longer schedules have no states: n steps cost n runs, and nobody reads them all."""


def states_of(case: Case, faults: Sequence[Fault], run: Run, schedule: Schedule) -> States | None:
    """The states of both runs; None where the schedule is too long, or a beginning of it does not end. Raises nothing:
    what goes wrong in the middle of a run was never asked for."""
    stream = case.model.stream
    # They differ in length where the schedule is a file's, and the run went another way.
    if max(len(schedule), len(stream)) > MOST_STEPS or len(schedule) != len(run.steps):
        return None
    try:
        return _taken(case, faults, run, schedule)
    except HANGS:
        return None


def _taken(case: Case, faults: Sequence[Fault], run: Run, schedule: Schedule) -> States:
    stream = case.model.stream
    far = reached(schedule.steps, stream.ids)
    lost, skips = case.left_out(run)
    in_order = [tried(partial(_reference, case, n, lost, skips)) for n in range(1, len(stream))]
    # Known already: the whole is not run again.
    in_order.append(case.reference(lost, skips=skips))
    observed = [tried(partial(_beginning, case, faults, run, n)) for n in range(1, len(schedule))]
    observed.append(run.outcome)
    before = tried(partial(_beginning, case, faults, run, 0))
    return States(
        in_order=tuple(map(_state, in_order)),
        observed=tuple(map(_state, observed)),
        first_difference=_first(case.subject, in_order, _calls_only(observed, run), far),
        initial=_state(before),
    )


def _calls_only(observed: Sequence[Outcome | None], run: Run) -> list[Outcome | None]:
    """Without those in the middle of a call that has many messages, of which none is handled yet."""
    found, until = list(observed), 0
    for number, step in enumerate(run.steps):
        until = number + size_of(step) if what_of(step) == BATCH else until
        if number < until:
            found[number] = None
    return found


def tried(look: Callable[[], Seen]) -> Seen | None:
    """What it gives, or None. A test may do anything on a beginning for which it was not written, such as pytest.fail,
    which is no Exception; and an invariant, too."""
    try:
        return look()
    except HANGS:
        raise
    except BaseException as error:  # the reason above
        if ends_the_test(error):
            raise
        return None


def _reference(case: Case, events: int, lost: tuple[EventId, ...], skips: bool | None) -> Outcome:
    ids = case.model.stream.ids
    order = [position for position in range(events) if ids[position] not in lost]
    outcome = case.in_order(order, strict=not lost, skips=skips).outcome
    return attrs.evolve(outcome, state=snapshot(outcome.state))


def _beginning(case: Case, faults: Sequence[Fault], run: Run, steps: int) -> Outcome | None:
    """The outcome after so many steps. None where the handler now refuses others than it did: then the run went on by
    itself, and is no beginning of this one."""
    refusals = frozenset(number for number in run.refusals if number < steps)
    settled = None if run.settled is None else {n: each for n, each in run.settled.items() if n < steps}
    played = with_state_copied(case.follow(faults, run.steps[:steps], refusals, settled))
    return played.outcome if list(played.steps) == list(run.steps[:steps]) else None


def _state(outcome: Outcome | None) -> Any:
    return None if outcome is None or outcome.failure is not None else outcome.state


def _first(
    subject: Subject,
    in_order: Sequence[Outcome | None],
    observed: Sequence[Outcome | None],
    far: Sequence[Reached],
) -> int:
    """The number of the first step after which something is violated; after the last one it is."""
    # The last one is violated anyway, and is what the verdict says.
    for number, (outcome, here) in enumerate(zip(observed[:-1], far, strict=False), start=1):
        reference = in_order[here.events - 1] if here.events else None
        if reference is None or outcome is None or outcome.failure is not None:
            continue
        if tried(partial(subject.blames, reference, outcome, same_events=not here.missing)):
            return number
    return len(observed)
