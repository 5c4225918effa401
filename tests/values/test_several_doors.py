"""Several streams through every door besides `check`: what a handler tolerates, what has to stay in order, the options
of pytest and the commands; or why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Duplicate, Fail, Kafka, RabbitMQ, UsageError, Webhook, chaos
from chaoskit.report.tolerance import broker_name
from chaoskit.strategies import events
from plugin.projects import HEAD, Project

KEYS = st.sampled_from(["o-1", "o-2"])
orders = events(st.fixed_dictionaries({"total": st.integers(1, 9)}), keys=KEYS, max_size=2)
payments = events(st.integers(1, 9), keys=KEYS, max_size=2)
BOTH = {orders: Kafka(), payments: Webhook()}


def drops_early_payments(deliver: Any) -> dict[str, int]:
    """What comes before its order is dropped, and what comes twice counts twice."""
    known: set[str] = set()
    paid: dict[str, int] = {}

    def on_payment(message: Any) -> None:
        if message.key in known:
            paid[message.key] = paid.get(message.key, 0) + 1

    deliver({orders: lambda message: known.add(message.key), payments: on_payment})
    return paid


def test_what_is_tolerated_is_asked_of_the_streams_own_brokers_or_of_others() -> None:
    """As `chaos` takes them; one broker carries all streams, a dict says which carries which, by stream or by name."""
    asked = [BOTH, RabbitMQ(), {"orders": RabbitMQ(), payments: Kafka()}]
    table = chaoskit.tolerance(drops_early_payments, BOTH, asked, faults={Duplicate}, schedules=20, seed=1)
    assert [broker_name(column.broker) for column in table.columns] == [
        "orders: Kafka(), payments: Webhook()",
        "orders: RabbitMQ(), payments: RabbitMQ()",
        "orders: RabbitMQ(), payments: Kafka()",
    ]
    assert [column.of(Duplicate).answer for column in table.columns] == ["breaks"] * 3
    own = chaoskit.tolerance(chaos(BOTH)(drops_early_payments), BOTH, faults={Fail}, schedules=20, seed=1)
    assert [(broker_name(each.broker), each.of(Fail).answer) for each in own.columns] == [
        ("orders: Kafka(), payments: Webhook()", "survives")
    ]


@pytest.mark.parametrize(
    ("given", "brokers", "shown"),
    [
        (BOTH, {orders: Kafka()}, "the streams are orders, payments, and this names orders"),
        (BOTH, [3], "broker=3: a class of your own must extend one"),
        (orders, {orders: Kafka()}, "a dict is for several streams, and this test has one"),
    ],
)
def test_brokers_that_do_not_fit_the_streams_are_refused(given: Any, brokers: Any, shown: str) -> None:
    with pytest.raises(UsageError, match=shown):
        chaoskit.tolerance(drops_early_payments, given, brokers, schedules=10, seed=1)


def test_what_has_to_stay_in_order_may_be_the_order_within_each_stream() -> None:
    """A key that two streams share says that one has to wait for the other; where each has an order of its own, the
    topic is part of the key."""
    shared = chaoskit.boundary(drops_early_payments, BOTH, schedules=60, seed=1)
    assert shared.finest == ("key",)

    def newest_of_each(deliver: Any) -> dict[str, Any]:
        newest: dict[str, Any] = {}

        def handle(message: Any) -> None:
            newest[f"{message.topic} {message.key}"] = message.value

        deliver({orders: handle, payments: handle})
        return newest

    separate = chaoskit.boundary(newest_of_each, BOTH, schedules=60, seed=1)
    assert separate.finest == ("key", "topic")


PAID = """
orders = events(st.fixed_dictionaries({"total": st.integers(1, 2)}), keys=st.just("o-1"), max_size=2)
payments = events(st.integers(1, 2), keys=st.just("o-1"), max_size=2)

@chaos({orders: Kafka(), payments: RabbitMQ()}, faults={Duplicate})
def test_paid(deliver):
    known, paid = set(), {}
    def on_payment(message):
        if message.key in known:
            paid[message.key] = paid.get(message.key, 0) + message.value
    deliver({orders: lambda message: known.add(message.key), payments: on_payment})
    return paid
"""


def test_every_option_and_command_takes_a_test_of_several_streams(tmp_path: Path) -> None:
    """In the words of its brokers; a plain test of a saved failure is refused, with the reason."""
    project = Project.at(tmp_path, test_paid=HEAD + PAID)
    asks = ("--chaos-repair", "--chaos-boundary", "--chaos-tolerance", "--chaos-broker=RabbitMQ")
    ran = project.pytest("--chaos-exhaustive=1", "--chaos-exhaustive-events=2", "--chaos-seed=1", *asks)
    assert "test_paid does not survive Duplicate, which Kafka and RabbitMQ together can do" in ran.out, ran.text
    assert "orders: RabbitMQ(), payments: RabbitMQ()" in ran.out
    assert "What repairs it" in ran.out
    assert "Needs total order" in ran.out
    ran.assert_quiet_about_us()
    saved = str(project.only_repro())
    assert "STILL FAILS" in project.chaoskit("replay", saved).out.upper()
    assert "state['o-1']" in project.chaoskit("show", saved).out
    refused = project.chaoskit("replay", "--as-test", saved)
    assert refused.code == 2
    assert "streams, and a Scenario has one broker" in refused.text
    assert "class of your own" not in refused.text
