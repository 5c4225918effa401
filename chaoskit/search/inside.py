"""What happens inside the handler: how many effects each event has, and the plans in which a process dies at one."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs

from chaoskit.execution.failures import ReferenceRefused
from chaoskit.execution.stepping import Passed
from chaoskit.search.batched import dies_in_one
from chaoskit.search.oracle import Case, with_state_copied
from chaoskit.search.plans import Plan, Plans, draw
from chaoskit.search.question import derive
from chaoskit.values.errors import UsageError
from chaoskit.values.faults import CUTS, INSIDE, Fault, FaultKind, Overlap
from chaoskit.values.scenario import Model

MOST_INSIDE = 2
"""Deaths in one plan: each costs a thread, and no bug is known that needs three."""
ALONE = 0.5
"""The share of such plans in which nothing else goes wrong."""
MOST_BESIDE = 4
"""Other faults in such a plan."""
EACH = 3
"""One schedule of so many is such a plan."""

Points = Mapping[int, Sequence[int]]
"""The points at which a process may die, by the position of the event."""


def with_inside(outside: Iterator[Plan], inside: Iterator[Plan]) -> Iterator[Plan]:
    """A third of them die inside the handler."""
    for number, plan in enumerate(outside, start=1):
        yield plan
        if number % (EACH - 1) == 0:
            yield from itertools.islice(inside, 1)


def inside_plans(case: Case, kinds: Sequence[FaultKind], points: Points, salt: int) -> Iterator[Plan]:
    """Plans without end in which one or two processes die, alone or beside other faults."""
    chance = random.Random(derive(salt, "inside")).random
    model, size = case.model, len(case.model.stream)
    outside = outside_of(case, kinds, derive(salt, "beside"))
    inside = Plans(model, [kind for kind in kinds if kind in INSIDE], salt, points)
    cuts = Plans(model, [kind for kind in kinds if kind in CUTS], salt)
    in_batches = not set(CUTS).isdisjoint(kinds)
    for plan, count in beside_others(outside, chance):
        for _ in range(count):
            position = int(chance() * size)
            choices = inside.choices(position)
            if not choices:
                continue
            *occasion, fault = _with_its_occasion(
                model, outside, draw(choices[int(chance() * len(choices))], chance), chance
            )
            last = max(points.get(position, (0,)))
            plan += (*occasion, *(dies_in_one(fault, last, position, cuts, chance) if in_batches else (fault,)))
        yield tuple(plan)


def outside_of(case: Case, kinds: Sequence[FaultKind], salt: int) -> Plans:
    """The plans of these kinds that do not reach inside the handler."""
    return Plans(case.model, [kind for kind in kinds if kind not in INSIDE], salt)


def beside_others(outside: Plans, chance: Callable[[], float]) -> Iterator[tuple[list[Fault], int]]:
    """Faults outside of the handler without end, often none, and how many inside of it are to stand beside them."""
    mixtures = outside.mixtures()
    while True:
        others: Plan = () if chance() < ALONE else next(mixtures)[:MOST_BESIDE]
        yield list(others), 1 + int(MOST_INSIDE * chance() * chance())


def _with_its_occasion(model: Model, plans: Plans, fault: Fault, chance: Callable[[], float]) -> Plan:
    """On a log two messages of one key are at work at once only where the key has moved, or one is in the retry topic:
    so the topic grows, or an attempt fails, too."""
    occasions = getattr(model, "occasions_beside", None)
    if occasions is None or not (isinstance(fault, Overlap) and fault.others):
        return (fault,)
    key = next(event.key for event in model.stream if event.id == fault.at)
    same = (position for position, event in enumerate(model.stream) if event.key == key)
    found = [choice for position in same for choice in plans.choices(position) if choice.kind in occasions]
    if not found:
        return (attrs.evolve(fault, others=0),)
    return (draw(found[int(chance() * len(found))], chance), fault)


def passed_points(case: Case) -> dict[int, list[Passed]]:
    """The points that each event passes in order. Raises UsageError where the handler cannot run in a thread."""
    passed: dict[int, list[Passed]] = {}
    try:
        run = with_state_copied(case.counted(passed))
    except ReferenceRefused as refused:
        error = refused.__cause__
        raise UsageError(
            f"a consumer process is a thread of its own, and there the handler raised {type(error).__name__} on event "
            f"{refused.event!r}: {error}. {MAKE_IT_IN_SPAWN}"
        ) from error
    reference = case.reference()
    if not case.subject.agree(reference, reference, run.outcome):
        raise UsageError(
            "a consumer process is a thread of its own, and there the handler gives another state than in the thread "
            f"of the test. {MAKE_IT_IN_SPAWN}"
        )
    case.is_loop = run.is_loop
    return passed


MAKE_IT_IN_SPAWN = (
    "What it uses of a thread or of an event loop, such as a connection or a pool, is made in `spawn`, as a process "
    "makes its own; or leave the kind out: without={Crash}"
)


def candidates(passed: Sequence[Passed]) -> tuple[int, ...]:
    """The points that are tried: of each place in the code its first, second and last passing; and the end. Those of
    a loop that are between do not differ."""
    times: dict[Passed, int] = {}
    last: dict[Passed, int] = {}
    found = {len(passed)}
    for number, place in enumerate(passed):
        times[place] = times.get(place, 0) + 1
        if times[place] <= 2:
            found.add(number)
        last[place] = number
    return tuple(sorted(found | set(last.values())))


ALL_DONE = 1 << 20
"""A point behind the last of any handler, however many the shrinker leaves it: when all is done."""
WHOLE = (0, ALL_DONE)
"""The points of an execution that is one transaction: before all, and behind all."""


def whole(passed: Sequence[Passed]) -> tuple[int, ...]:
    return WHOLE if passed else (0,)


NO_POINTS = (
    "the handler has no point at which a process could die inside it: it is written in C, or lies in a package that is "
    'not stepped into, or hides below a decorator. Name the package, points=("shop",), or call deliver.point("name")'
)
