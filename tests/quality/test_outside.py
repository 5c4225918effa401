"""What `spawn`, `sent` and `effect` are for: bugs that are found with them, and twins that are never flagged."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from cases import cases
from chaoskit import DeadLetter, Duplicate, Event, Kafka, Overtake, Redeliver, Zombie
from chaoskit.invariants import effects_at_least_once, effects_exactly_once, final_state
from chaoskit.strategies import events
from handlers import outside
from models.systems import SYSTEMS

PAYMENTS = events(st.integers(1, 9), keys=st.sampled_from(["a", "b"]))
SHOP = [Event("customer-7", "Ada"), Event("order-1", 7), Event("order-2", 7)]
KAFKA = Kafka()
ONE = Kafka(partitions=1)
SEEDS = range(20)

EXACTLY = [final_state(), effects_exactly_once()]
AT_LEAST = [final_state(), effects_at_least_once()]


@pytest.mark.parametrize("test", [outside.writes_behind, outside.writes_behind_async])
def test_a_buffer_that_dies_with_its_process_is_found(test: Any) -> None:
    """In every seed, with the fewest events and one fault: what was committed and is not written is gone."""
    for seed in SEEDS:
        verdict = chaoskit.check(test, PAYMENTS, ONE, seed=seed, schedules=300)
        assert verdict.status == "violated", seed
        assert (len(verdict.scenario.events), len(verdict.scenario.faults)) == (2, 1)
        assert type(verdict.scenario.faults[0]) in (Redeliver, Zombie)
        assert verdict.damage.kind == "depends on the process's memory"


TWINS = (outside.writes_ahead, outside.fetches_the_last, outside.fetches_the_sum)


@pytest.mark.many
@pytest.mark.parametrize("name", [name for name in SYSTEMS if name != "InOrder"])
@pytest.mark.parametrize("test", TWINS)
def test_their_twins_hold_on_every_broker(test: Any, name: str) -> None:
    """A journal and the source's present state need no promise of the broker's but that nothing is lost, which is left
    out of the comparison."""
    verdict = chaoskit.check(test, PAYMENTS, SYSTEMS[name], seed=3, schedules=cases(15))
    assert verdict.status == "held", (verdict.reasons, verdict.scenario)


@pytest.mark.many
@pytest.mark.parametrize("test", [*TWINS, outside.writes_ahead_async])
def test_their_twins_are_never_flagged(test: Any) -> None:
    """At night in far more schedules than a search runs by itself."""
    assert chaoskit.check(test, PAYMENTS, KAFKA, seed=0, schedules=cases(500)).status == "held"


def test_who_trusts_what_a_message_says_is_found() -> None:
    """The same handler without the question to the source."""
    for seed in SEEDS:
        verdict = chaoskit.check(outside.trusts_the_message, PAYMENTS, KAFKA, seed=seed, schedules=300)
        assert verdict.status == "violated"
        assert (len(verdict.scenario.events), len(verdict.scenario.faults)) == (2, 1)


def test_a_mail_before_what_is_saved_is_found_by_its_effects_alone() -> None:
    """The state is right, whatever is delivered."""
    orders = events(st.integers(1, 9), keys=st.sampled_from(["order-1", "order-2"]))
    assert chaoskit.check(outside.mails_before_it_saves, orders, KAFKA, seed=0, invariants=[final_state()]).status == (
        "held"
    )
    for seed in SEEDS:
        verdict = chaoskit.check(
            outside.mails_before_it_saves, orders, KAFKA, seed=seed, schedules=300, invariants=EXACTLY
        )
        assert verdict.status == "violated"
        assert (len(verdict.scenario.events), len(verdict.scenario.faults)) == (1, 1)
        assert type(verdict.scenario.faults[0]) is Duplicate
        assert "took place twice, in order once" in verdict.violations[0].message
    # A receiver that knows a repetition by its key has no harm of it.
    held = chaoskit.check(outside.mails_before_it_saves, orders, KAFKA, seed=0, invariants=AT_LEAST)
    assert held.status == "held"


def test_a_mail_behind_what_is_saved_is_found_by_its_effects_alone() -> None:
    """It never leaves: when the order comes again it is there already."""
    assert chaoskit.check(outside.saves_before_it_mails, SHOP, KAFKA, seed=0, invariants=[final_state()]).status == (
        "held"
    )
    for seed in SEEDS:
        verdict = chaoskit.check(
            outside.saves_before_it_mails, SHOP, KAFKA, seed=seed, schedules=60, invariants=AT_LEAST
        )
        assert verdict.status == "violated"
        assert (len(verdict.scenario.events), len(verdict.scenario.faults)) == (2, 1)
        assert type(verdict.scenario.faults[0]) in (Overtake, DeadLetter)
        assert "did not take place, in order once" in verdict.violations[0].message


@pytest.mark.many
def test_who_checks_first_is_never_flagged() -> None:
    """Neither for a mail too many nor for one too few."""
    verdict = chaoskit.check(
        outside.checks_before_it_mails, SHOP, KAFKA, seed=0, schedules=cases(500), invariants=EXACTLY
    )
    assert verdict.status == "held", verdict.scenario
