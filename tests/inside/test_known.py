"""Each known mistake inside a handler: found by its kind, with its least and at its point; and its twin never is."""

from __future__ import annotations

from typing import Any

import pytest

import chaoskit
from cases import cases
from chaoskit.values.faults import reaches_in
from handlers.inside import EVERY, PAIRS, Pair

SEEDS = cases(4)
"""On the first of its brokers; on each of the others a quarter of them. Five times as many are the 20 of each night."""
SCHEDULES = cases(60)
"""Of a twin, on each of the brokers."""


def point_of(fault: Any) -> int | None:
    return fault.point if reaches_in(fault) else None


@pytest.mark.many
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_the_wrong_one_is_found_by_every_seed_with_its_least_and_at_its_point(pair: Pair) -> None:
    """With as many schedules and the kinds that a search has where nobody says anything."""
    for number, broker in enumerate(pair.brokers):
        for seed in range(SEEDS // 4 if number else SEEDS):
            verdict = chaoskit.check(pair.wrong, pair.values, broker, seed=seed, invariants=pair.invariants)
            assert verdict.status == "violated", (broker, seed, verdict.report())
            assert verdict.scenario is not None
            faults = sorted(verdict.scenario.faults, key=lambda fault: type(fault).__name__)
            assert tuple(map(type, faults)) == pair.kinds, (broker, seed)
            assert {point_of(fault) for fault in faults} == {pair.point}, (broker, seed)
            assert len(verdict.scenario.events) == pair.events, (broker, seed)


@pytest.mark.many
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_its_twin_is_never_blamed(pair: Pair) -> None:
    """By nothing that any of these brokers can do, those included on which the wrong one is right."""
    for broker in dict.fromkeys([*pair.brokers, *EVERY]):
        verdict = chaoskit.check(
            pair.right, pair.values, broker, seed=1, schedules=SCHEDULES, invariants=pair.invariants
        )
        assert verdict.status == "held", (broker, verdict.reasons, verdict.report())
