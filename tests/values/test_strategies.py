"""Streams, scenarios and ready-made domains as ordinary Hypothesis strategies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, seed, settings
from hypothesis import strategies as st

from chaoskit import BatchSwap, Duplicate, Event, ImpossibleFault, Kafka, Redeliver, Scenario, UsageError
from chaoskit.strategies import events, profile, scenarios, wallet
from chaoskit.values.event import Stream

QUIET = settings(database=None, max_examples=2000, suppress_health_check=list(HealthCheck))
FEW = settings(max_examples=60, deadline=None)
PAYMENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]))


def covered(stream: list[Event]) -> bool:
    """No account ever goes below zero."""
    balances: dict[Any, int] = {}
    for event in stream:
        balances[event.key] = balances.get(event.key, 0) + event.value
        if balances[event.key] < 0:
            return False
    return True


@given(events(st.integers(), st.text(max_size=1) | st.none() | st.binary(max_size=1), min_size=2, max_size=5))
@FEW
def test_streams_are_stamped_and_keep_to_their_sizes(stream: list[Event]) -> None:
    """Ids are unique and `seq` counts per key, so that a stream can be made of them as they are."""
    assert 2 <= len(stream) <= 5
    assert Stream.of(stream).events == tuple(stream)


@given(events(st.integers(-9, 9), st.just("alice"), valid=covered))
@FEW
def test_only_valid_streams_are_drawn(stream: list[Event]) -> None:
    """`valid` guards what must stay possible."""
    assert covered(stream)


def test_streams_shrink_to_one_event_of_the_simplest_value() -> None:
    """Although long ones are drawn first."""
    found = find(PAYMENTS, lambda stream: any(event.value >= 7 for event in stream), settings=QUIET)
    assert sorted(event.value for event in found)[-1] == 7
    assert all(event.value in (1, 7) for event in found)


def test_valid_is_kept_to_while_shrinking() -> None:
    """The least stream in which something is withdrawn still has its deposit."""
    guarded = events(st.integers(-9, 9), st.just("alice"), max_size=4, valid=covered)
    found = find(guarded, lambda stream: any(event.value < 0 for event in stream), settings=QUIET)
    assert covered(found)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"min_size": 0}, "min_size=0"),
        ({"min_size": 3, "max_size": 2}, "min_size=3, max_size=2"),
        ({"max_size": 2.5}, "max_size=2.5"),
        ({"values": 3}, "events(values=3): a Hypothesis strategy is needed"),
        ({"keys": ["a"]}, "events(keys=['a']): a Hypothesis strategy is needed"),
    ],
)
def test_arguments_that_are_no_stream_are_errors(arguments: dict[str, Any], says: str) -> None:
    """Each says what it got and what is needed."""
    with pytest.raises(UsageError) as caught:
        events(**{"values": st.integers(), "keys": st.just("a")} | arguments)
    assert says in str(caught.value)


@given(scenarios(PAYMENTS, Kafka(partitions=3, consumers=2, idempotent_producer=False), max_faults=3))
@FEW
def test_scenarios_are_possible_and_make_a_schedule(scenario: Scenario) -> None:
    """Each delivers every event at least once."""
    assert len(scenario.faults) <= 3
    assert set(scenario.schedule().delivered) == set(scenario.stream.ids)


def test_scenarios_shrink_to_one_event_and_one_mild_fault() -> None:
    """Of the kinds that were asked for."""
    narrow = scenarios(PAYMENTS, Kafka(), faults={Redeliver})
    found = find(narrow, lambda s: len(s.schedule().delivered) > len(s.events), settings=QUIET)
    (fault,) = found.faults
    assert fault == Redeliver(fault.at, 0)
    assert {event.value for event in found.events} == {1}


def test_scenarios_of_an_impossible_kind_are_an_error() -> None:
    """When the strategy is made, not when it is drawn."""
    with pytest.raises(ImpossibleFault, match="idempotent_producer=False"):
        scenarios(PAYMENTS, Kafka(), faults={Duplicate, BatchSwap})


def drawn(strategy: Any, number: int) -> list[list[Event]]:
    """What twenty examples of this seed are."""
    found: list[list[Event]] = []

    @seed(number)
    @settings(max_examples=20, database=None, phases=[Phase.generate], derandomize=False)
    @given(strategy)
    def collect(stream: list[Event]) -> None:
        found.append(stream)

    collect()
    return found


@pytest.mark.parametrize("domain", [wallet, profile])
def test_payloads_of_one_seed_are_equal_whenever_they_are_drawn(domain: Any) -> None:
    """Faker is seeded from what was drawn: nothing depends on what it made before."""
    first = drawn(domain(), 3)
    drawn(domain(max_size=3), 4)
    assert drawn(domain(), 3) == first
    assert any(len({str(event.value) for event in stream}) > 1 for stream in first)


@given(wallet(accounts=2))
@FEW
def test_a_wallet_has_what_it_promises(stream: list[Event]) -> None:
    """Two IBANs, credits and debits in whole cents."""
    assert len({event.key for event in stream}) <= 2
    for event in stream:
        assert set(event.value) == {"kind", "amount", "currency", "counterparty", "reference", "booked_at"}
        assert event.value["kind"] in ("credit", "debit")
        assert 1 <= event.value["amount"] <= 10_000


@given(profile(users=3))
@FEW
def test_a_profile_has_what_it_promises(stream: list[Event]) -> None:
    """Each update is the whole profile."""
    assert {event.key for event in stream} <= {"user-1", "user-2", "user-3"}
    for event in stream:
        assert set(event.value) == {"name", "email", "city", "plan", "updated_at"}


def test_a_wallet_shrinks_to_the_simplest_credit() -> None:
    """A large debit is found as just that."""
    found = find(
        wallet(max_size=2),
        lambda s: any(e.value["kind"] == "debit" and e.value["amount"] > 99 for e in s),
        settings=QUIET,
    )
    assert max(event.value["amount"] for event in found) == 100
    assert [event.value["kind"] for event in found].count("debit") == 1
