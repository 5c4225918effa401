"""Every buggy handler is found by exactly what breaks it, rightly labelled and shrunk to the known least."""

from __future__ import annotations

from collections import Counter
from types import ModuleType

import attrs
import pytest

from cases import cases
from chaoskit import BatchSwap, DeadLetter, Event, Overtake, Redeliver, Rehash, Scenario
from chaoskit.values.faults import FaultKind
from handlers import Least, name
from handlers.buggy import (
    BUGGY,
    ledger_high_water_mark,
    ledger_ids_in_process_memory,
    ledger_last_id_only,
    orders_need_known_customer,
    points_counter,
    profile_blind_overwrite,
    wallet_refuses_overdraft,
)
from quality.searches import ONE, SIX, as_tuple, assert_found, search, shapes, titled

Kinds = tuple[FaultKind, ...]

KNOWN = [
    pytest.param(handler, as_tuple(kinds), least, id=f"{name(handler)}-{titled(as_tuple(kinds))}")
    for handler in BUGGY
    for kinds, least in handler.TRUTH.items()
]
HARMLESS = [
    pytest.param(handler, kind, id=f"{name(handler)}-{kind.__name__}")
    for handler in BUGGY
    for kind in ONE.kinds()
    if kind not in handler.TRUTH
]
HARMLESS_TO = cases(300)
"""Distinct schedules of a kind that breaks nothing."""
EVERY_BUGGY = [pytest.param(handler, id=name(handler)) for handler in BUGGY]
ORDER_BREAKS = [
    pytest.param(handler, id=name(handler))
    for handler in (
        profile_blind_overwrite,
        ledger_high_water_mark,
        wallet_refuses_overdraft,
        orders_need_known_customer,
    )
]
ACROSS = [
    pytest.param((DeadLetter,), (2, 1), id="DeadLetter"),
    pytest.param((Rehash,), (2, 2), id="Rehash"),
    pytest.param((BatchSwap,), (3, 1), id="BatchSwap"),
    pytest.param((Overtake,), (2, 1), id="Overtake"),
    pytest.param(None, (2, 1), id="all"),
]


def least_of_all(handler: ModuleType) -> Least:
    """The least over all kinds of fault."""
    return min(handler.TRUTH.values())


@pytest.mark.many
@pytest.mark.parametrize(("handler", "kinds", "least"), KNOWN)
def test_what_breaks_a_handler_finds_it_at_its_least(handler: ModuleType, kinds: Kinds, least: Least) -> None:
    """The kinds of fault that break a handler find it in every seed, and shrink it to the known least."""
    assert_found(shapes(handler, ONE, kinds), "within", least)


@pytest.mark.many
@pytest.mark.parametrize("handler", EVERY_BUGGY)
def test_all_kinds_together_find_a_handler_at_the_least_of_them(handler: ModuleType) -> None:
    """With every kind allowed a handler is found in every seed, and shrunk to the least of what breaks it."""
    assert_found(shapes(handler, ONE, None), "within", least_of_all(handler))


@pytest.mark.many
@pytest.mark.parametrize(("handler", "kind"), HARMLESS)
def test_a_kind_that_cannot_break_a_handler_never_flags_it(handler: ModuleType, kind: FaultKind) -> None:
    """A kind that never changes a handler's final state leaves it unflagged over hundreds of distinct schedules."""
    # Some streams have few schedules of one kind, so that a search may run fewer than it is allowed.
    verdict = search(handler, ONE, (kind,), seed=0, schedules=2 * HARMLESS_TO)
    assert verdict.status == "held", (verdict.reasons, verdict.scenario)
    assert verdict.tally.schedules >= HARMLESS_TO
    assert verdict.tally.effective == (kind.__name__,)


@pytest.mark.many
@pytest.mark.parametrize("handler", [p for p in EVERY_BUGGY if p.values[0] is not orders_need_known_customer])
def test_on_six_partitions_what_breaks_one_key_is_within_it(handler: ModuleType) -> None:
    """On six partitions a handler that one key's messages break is found and labelled as on one."""
    assert_found(shapes(handler, SIX, None), "within", least_of_all(handler))


@pytest.mark.many
@pytest.mark.parametrize(("kinds", "least"), ACROSS)
def test_orders_and_customers_on_two_partitions_are_across_keys(kinds: Kinds | None, least: Least) -> None:
    """Orders and customers on two partitions depend on an order that Kafka never fixed."""
    assert_found(shapes(orders_need_known_customer, SIX, kinds), "across keys", least)


def test_the_customer_and_its_orders_lie_on_two_of_six_partitions() -> None:
    """The claims about two keys on six partitions are about two partitions."""
    keys = (orders_need_known_customer.CUSTOMER, orders_need_known_customer.ORDER)
    schedule = Scenario([Event(key, 1) for key in keys], SIX).schedule()
    assert len({step.partition for step in schedule}) == 2


@pytest.mark.many
@pytest.mark.parametrize("handler", ORDER_BREAKS)
def test_with_two_records_a_batch_a_swap_needs_three_events(handler: ModuleType) -> None:
    """With two records in a batch two batches need three events, so that what a swap breaks is 3/1."""
    assert_found(shapes(handler, attrs.evolve(ONE, records_per_batch=2), (BatchSwap,)), "within", (3, 1))


@pytest.mark.parametrize(("at", "after"), [(at, after) for at in ("e1", "e2", "e3", "e4") for after in range(4)])
def test_with_a_commit_after_each_record_a_suffix_is_one_message(at: str, after: int) -> None:
    """With a commit after each record a restart brings back the one message that was not committed."""
    broker = attrs.evolve(ONE, commit_every=1)
    events = [Event("alice", number, f"e{number}") for number in range(1, 5)]
    delivered = Scenario(events, broker, [Redeliver(at, after)]).schedule().delivered
    assert Counter(delivered) == Counter(["e1", "e2", "e3", "e4", at])
    assert delivered.index(at) + 1 == len(delivered) - 1 - delivered[::-1].index(at)


@pytest.mark.many
@pytest.mark.parametrize("handler", [points_counter, ledger_ids_in_process_memory], ids=name)
def test_with_a_commit_after_each_record_one_message_is_enough(handler: ModuleType) -> None:
    """A handler that a suffix of one message breaks is still found where each record is committed."""
    assert_found(shapes(handler, attrs.evolve(ONE, commit_every=1), (Redeliver,)), "within", (1, 1))


def test_with_a_commit_after_each_record_no_suffix_begins_with_an_older_message() -> None:
    """What only a longer suffix breaks is out of reach where each record is committed."""
    verdict = search(ledger_last_id_only, attrs.evolve(ONE, commit_every=1), (Redeliver,), 0, 3000)
    assert verdict.status == "held", (verdict.reasons, verdict.scenario)
    assert verdict.tally.schedules == 3000
