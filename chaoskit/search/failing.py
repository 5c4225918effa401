"""Calls that fail inside the handler: how many each event makes, and the plans in which one of them fails."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

from chaoskit.execution.failures import ReferenceRefused
from chaoskit.execution.stepping import Passed
from chaoskit.search.batched import or_behind_the_first
from chaoskit.search.inside import beside_others, candidates, outside_of
from chaoskit.search.oracle import Case
from chaoskit.search.plans import Plan
from chaoskit.search.question import derive
from chaoskit.values.errors import UsageError
from chaoskit.values.faults import Crash, Fail, FaultKind

EARLIER_ATTEMPTS = 0.15
"""The share of plans with a death in which attempts fail before it."""
MOST_EARLIER = 4

Calls = Mapping[int, Sequence[int]]
"""The calls that may fail, by their number from 1 and by the position of the event."""

NO_SPAWN = "deliver(spawn=make_handler) or fails_with= says that they may"
NO_CALLS = (
    "it makes none that can fail: of a database, of a service, of what chaoskit.atomic marks, or of deliver.point"
)


def calls_of(case: Case) -> dict[int, list[Passed]]:
    """The calls that each event makes in order, of those that can fail."""
    calls: dict[int, list[Passed]] = {}
    try:
        case.counted_calls(calls)
    except ReferenceRefused as refused:
        error = refused.__cause__
        raise UsageError(
            f"the handler raised {type(error).__name__} on event {refused.event!r} when its calls were counted, and "
            f"not before: {error}. Does it look at the profile function of its thread? Leave the kind out: "
            "without={Fail}"
        ) from error
    return calls


def that_fail(calls: Mapping[int, Sequence[Passed]]) -> dict[int, tuple[int, ...]]:
    """Those that are tried: of each place its first, second and last passing."""
    return {
        position: tuple(number + 1 for number in candidates(passed) if number < len(passed))
        for position, passed in calls.items()
        if passed
    }


def failing_plans(case: Case, kinds: Sequence[FaultKind], salt: int) -> Iterator[Plan]:
    """Plans without end in which one call fails, or two, alone or beside other faults. None where none can."""
    chance = random.Random(derive(salt, "failing")).random
    model, places = case.model, sorted(case.calls)
    if not places:
        return
    for plan, count in beside_others(outside_of(case, kinds, derive(salt, "beside failing")), chance):
        for _ in range(count):
            position = places[int(chance() * len(places))]
            ranges, points = model.arguments(Fail, position), case.calls[position]
            if ranges is not None:
                after = ranges[0][int(len(ranges[0]) * chance() ** 3)]
                point = points[int(chance() * len(points))]
                if case.subject.batches.most is not None:
                    point = or_behind_the_first(point, points[-1], chance)
                plan.append(Fail(model.stream[position].id, after, point))
        yield tuple(plan)


def with_attempts(plans: Iterator[Plan], kinds: Sequence[FaultKind], salt: int) -> Iterator[Plan]:
    """Some of these with attempts that failed before the process dies, so that it is the last that its broker allows:
    what is done by half then may be left so."""
    chance = random.Random(derive(salt, "attempts")).random
    for plan in plans:
        died = next((fault for fault in plan if isinstance(fault, Crash)), None)
        if died is None or Fail not in kinds or chance() >= EARLIER_ATTEMPTS:
            yield plan
        else:
            yield (*plan, *[Fail(died.at)] * (1 + int(MOST_EARLIER * chance() ** 2)))


def in_turn(one: Iterator[Plan] | None, other: Iterator[Plan] | None) -> Iterator[Plan]:
    """Plans of both, one after the other."""
    left = [plans for plans in (one, other) if plans is not None]
    while left:
        for plans in tuple(left):
            plan = next(plans, None)
            if plan is None:
                left.remove(plans)
            else:
                yield plan
