"""check and run with a test that @chaos decorates: its fixtures, its invariants, its broker."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Duplicate, Event, Kafka, Overtake, Rehash, Scenario, SqsStandard, UsageError, chaos, check, run
from chaoskit.invariants import final_state, no_error
from chaoskit.strategies import events

PAYMENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]))
TWICE = Scenario([Event("alice", 3)], Kafka(), [Duplicate("e1")])
ACROSS = Scenario([Event("alice", 1), Event("bob", 2)], Kafka(), [Overtake("e1")])


def add(balances: dict[str, int], times: int = 1) -> Any:
    def handle(message: Any) -> None:
        balances[message.key] = balances.get(message.key, 0) + message.value * times

    return handle


@chaos(PAYMENTS)
def plain(deliver: Any) -> dict[str, int]:
    balances: dict[str, int] = {}
    deliver(add(balances))
    return balances


@chaos(PAYMENTS)
async def waiting(deliver: Any) -> dict[str, int]:
    balances: dict[str, int] = {}

    async def handle(message: Any) -> None:
        add(balances)(message)

    await deliver(handle)
    return balances


@chaos(PAYMENTS)
def with_fixtures(factor: int, deliver: Any, *, start: int) -> dict[str, int]:
    balances = {"alice": start}
    deliver(add(balances, factor))
    return balances


class Grouped:
    factor = 2

    @chaos(PAYMENTS)
    def method(self, deliver: Any) -> dict[str, int]:
        balances: dict[str, int] = {}
        deliver(add(balances, self.factor))
        return balances


@chaos(PAYMENTS, invariants=[no_error()])
def only_errors(deliver: Any) -> dict[str, int]:
    balances: dict[str, int] = {}
    deliver(add(balances))
    return balances


def arrivals(deliver: Any) -> list[Any]:
    seen: list[Any] = []
    deliver(lambda message: seen.append(message.key))
    return seen


@pytest.mark.parametrize(
    ("test", "observed"),
    [
        (plain, 6),
        (waiting, 6),
        (functools.partial(with_fixtures, 10, start=1), 61),
        (functools.partial(with_fixtures, factor=10, start=1), 61),
        (functools.partial(functools.partial(with_fixtures, start=0), 10), 60),
        (Grouped().method, 12),
        (functools.partial(Grouped.method, Grouped()), 12),
    ],
)
def test_run_takes_a_decorated_test_with_its_fixtures(test: Any, observed: int) -> None:
    """Sync or async, by position or by name, as a method of an instance: the verdict is that of its body."""
    verdict = run(test, TWICE)
    assert verdict.status == "violated"
    assert verdict.observed == {"alice": observed}


def test_the_verdict_is_told_as_text() -> None:
    """The headline names the test, and the report has its sections; a verdict that is not violated has one, too."""
    report = run(plain, TWICE).report()
    assert report.startswith("plain does not survive Duplicate, which Kafka can do: the final state differs")
    assert [part in report for part in ("What differs", "The delivery", "What happened", "What rules it out")] == [
        True
    ] * 4
    assert max(map(len, report.splitlines()[1:])) <= 100
    assert run(only_errors, TWICE).report().startswith("only_errors held")
    calm = run(plain, Scenario([Event("alice", 3)], Kafka()))
    assert "no fault changed the schedule" in calm.report()


def test_its_invariants_hold_unless_others_are_given() -> None:
    assert run(only_errors, TWICE).status == "held"
    assert run(only_errors, TWICE, invariants=[final_state()]).status == "violated"


def test_across_keys_is_the_decorators_unless_it_is_given() -> None:
    """What depends on the order between keys is a violation, or accepted."""
    strict, easy = chaos(PAYMENTS)(arrivals), chaos(PAYMENTS, across_keys="any")(arrivals)
    assert run(strict, ACROSS).status == "violated"
    assert run(arrivals, ACROSS).status == "violated"
    assert run(easy, ACROSS).status == "held"
    assert run(strict, ACROSS, across_keys="any").status == "held"
    assert run(easy, ACROSS, across_keys="violation").status == "violated"
    with pytest.raises(UsageError, match="across_keys='all': 'violation' or 'any' is needed"):
        run(plain, ACROSS, across_keys="all")


def test_check_takes_what_the_decorator_was_given() -> None:
    """Its broker and faults; another broker is asked for by name."""
    narrow = chaos(PAYMENTS, SqsStandard(), faults={Duplicate})(arrivals)
    found = check(narrow, PAYMENTS, seed=1, schedules=50)
    assert found.scenario is not None
    assert found.scenario.broker == SqsStandard()
    assert {type(fault) for fault in found.scenario.faults} == {Duplicate}
    other = check(narrow, PAYMENTS, broker=Kafka(), faults={Rehash}, seed=1, schedules=50)
    assert other.scenario is None or other.scenario.broker == Kafka()
    assert check(Grouped().method, PAYMENTS, seed=1, schedules=50).status == "violated"


@pytest.mark.parametrize(
    ("test", "says"),
    [
        (
            with_fixtures,
            r"missing a required argument: 'factor'; give what it takes: functools.partial\(with_fixtures, ",
        ),
        (functools.partial(with_fixtures, 1), r"functools.partial\(with_fixtures, start=start\)"),
        (functools.partial(plain, db=1), "unexpected keyword argument 'db'"),
        (Grouped.method, r"give the method of an instance, Grouped\(\).method"),
        ("plain", "test='plain': a function of `deliver` is needed, got str"),
    ],
)
def test_a_test_that_lacks_something_is_told_how_to_give_it(test: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        run(test, TWICE)
    with pytest.raises(UsageError, match=says):
        check(test, PAYMENTS)
