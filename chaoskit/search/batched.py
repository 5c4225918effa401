"""Plans for a handler that takes batches: where a batch ends is laid over whatever else goes wrong."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import attrs

from chaoskit.search.plans import Plan, Plans, draw
from chaoskit.search.question import derive
from chaoskit.values.faults import CUTS, Crash, Fault

EACH = 0.75
"""The share of the mixtures over which batches are laid."""
MOST = 3
"""Batches of one plan."""
DIES_IN_ONE = 0.5
"""The share of deaths inside the handler that are given a batch to happen in."""
MOST_BEFORE = 2
"""Messages that it has at least before the one at which it dies."""

NO_BATCHES = (
    "Gather says which messages come in one call, and the handler takes single ones: give deliver(handler, "
    "batch=True) a handler that takes a list"
)


def dies_in_one(fault: Fault, passed: int, position: int, cuts: Plans, chance: Callable[[], float]) -> Plan:
    """This death at the event at this position, half of the time in a batch that begins before it."""
    if chance() >= DIES_IN_ONE:
        return (fault,)
    first = position - 1 - int(MOST_BEFORE * chance() * chance())
    if isinstance(fault, Crash):
        fault = attrs.evolve(fault, point=or_behind_the_first(fault.point, passed, chance))
    return (fault, *(draw(choice, chance) for choice in (cuts.choices(first) if first >= 0 else ())))


def or_behind_the_first(point: int, last: int, chance: Callable[[], float]) -> int:
    """This point, or one behind those of the first message, of which `last` is the last: of a call that has several
    messages a handler passes more points than were counted of one."""
    return point + last * int(2 * chance())


def in_batches(mixtures: Iterator[Plan], plans: Plans, salt: int) -> Iterator[Plan]:
    """The mixtures, three of four of them with one to three batches more, small and large ones alike."""
    chance = random.Random(derive(salt, "batches")).random
    for plan in mixtures:
        if chance() >= EACH:
            yield plan
            continue
        more = []
        for _ in range(1 + int(MOST * chance())):
            cuts = [choice for choice in plans.choices(int(plans.events * chance())) if choice.kind in CUTS]
            more += [draw(choice, chance) for choice in cuts]
        yield (*plan, *more)
