"""A process that dies at the last delivery that its broker allows; and a retry after a partial effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import (
    Celery,
    Crash,
    Event,
    Fail,
    JetStream,
    Kafka,
    Message,
    RabbitMQ,
    Redeliver,
    Scenario,
    SqsFifo,
    SqsStandard,
)
from chaoskit.invariants import effects_exactly_once
from chaoskit.strategies import events
from inside.subjects import Store, over, work_before_mark

PAYMENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]), max_size=6)
ONE = [Event("alice", 10, id="e1"), Event("alice", 5, id="e2")]


def set_both(store: Store) -> Callable[[Message], None]:
    """Right under every repetition, and two statements."""

    def handle(message: Message) -> None:
        store.set_row("bank", message)
        store.set_row("customer", message)

    return handle


def both_at_once(store: Store) -> Callable[[Message], None]:
    def handle(message: Message) -> None:
        store.set_rows(["bank", "customer"], message)

    return handle


@pytest.mark.parametrize(
    "broker",
    [JetStream(max_deliver=2), JetStream(max_deliver=1), RabbitMQ(delivery_limit=1)],
    ids=["JetStream", "JetStream, once", "RabbitMQ"],
)
def test_what_is_gone_with_half_its_effects_is_found_and_whole_or_not_at_all_is_right(broker: Any) -> None:
    for seed in range(4):
        half = chaoskit.check(over(set_both), PAYMENTS, broker, seed=seed, schedules=600)
        assert half.status == "violated", seed
        assert half.scenario is not None
        kinds = {type(fault) for fault in half.scenario.faults}
        assert (len(half.scenario.events), kinds <= {Crash, Fail}) == (1, True), half.scenario
    assert chaoskit.check(over(both_at_once), PAYMENTS, broker, seed=1, schedules=600).status == "held"


@pytest.mark.parametrize("broker", [SqsFifo(max_receive_count=2), SqsStandard(max_receive_count=2)])
def test_a_dead_letter_with_half_its_effects_is_put_back_and_has_them_once(broker: Any) -> None:
    scenario = Scenario(ONE, broker, [Crash("e1", 1), Crash("e1", 1)])
    verdict = chaoskit.run(over(set_both), scenario)
    assert verdict.status == "held", verdict.report()
    assert [step.action for step in scenario.schedule()][:5] == ["die", "restart", "die", "restart", "park"]
    ((_, reported),) = broker.explain(scenario.schedule(), scenario.events)
    assert (
        "killed at its last delivery, too; its attempts were used up, and it went to the dead-letter queue" in reported
    )


@pytest.mark.parametrize("broker", [SqsFifo(max_receive_count=1), SqsStandard(max_receive_count=1)])
def test_at_the_only_attempt_it_is_a_dead_letter_with_half_its_effects(broker: Any) -> None:
    """It comes again when somebody puts it back: what was done by then is done twice, unless it is known."""
    found = chaoskit.check(over(work_before_mark), PAYMENTS, broker, faults={Crash}, seed=1, schedules=100)
    assert found.scenario is not None
    assert [type(fault) for fault in found.scenario.faults] == [Crash]
    assert "it went to the dead-letter queue; later it was put back" in " ".join(found.report().split())
    assert chaoskit.check(over(set_both), PAYMENTS, broker, faults={Crash}, seed=1, schedules=100).status == "held"


@pytest.mark.parametrize(
    ("broker", "ends"),
    [
        (SqsFifo(max_receive_count=2), ["park", "put back", "deliver"]),
        (JetStream(max_deliver=2), ["skip"]),
        (RabbitMQ(delivery_limit=1), ["skip"]),
    ],
    ids=lambda given: type(given).__name__,
)
def test_a_handler_that_settles_by_itself_dies_at_the_last_delivery_too(broker: Any, ends: list[str]) -> None:
    """What it has not settled by then is a dead letter, or gone with half its effects; what it has is done."""

    def test(deliver: Any) -> dict[Any, Any]:
        rows: dict[Any, Any] = {}

        def handle(message: Message) -> None:
            for name in ("bank", "customer"):
                deliver.point(name)
                rows[name, message.id] = message.value
            message.ack()
            deliver.point("settled")

        deliver(spawn=lambda: handle, settle="handler")
        return rows

    def run(point: int) -> Any:
        return chaoskit.run(test, Scenario(ONE, broker, [Crash("e2", point)] * 2), points="named")

    half, whole = run(1), run(2)
    assert [step.action for step in half.schedule] == ["deliver", "die", "restart", "die", "restart", *ends]
    assert half.status == ("held" if "park" in ends else "violated")
    assert [step.action for step in whole.schedule] == ["deliver", "die", "restart"]
    assert whole.status == "held"


def test_what_was_committed_ahead_is_gone_whole_or_half() -> None:
    broker = Kafka(partitions=1, commit_ahead=True)
    for seed in range(4):
        half = chaoskit.check(over(set_both), PAYMENTS, broker, faults={Crash}, seed=seed, schedules=300)
        assert half.scenario is not None
        assert [(type(fault), fault.after) for fault in half.scenario.faults] == [(Crash, 1)]
    assert chaoskit.check(over(both_at_once), PAYMENTS, broker, seed=1, schedules=600).status == "held"


# The same message, with the broker's own counters.


def counters(fault: Any, broker: Any) -> list[tuple[object, ...]]:
    """What the broker says of each delivery of e1, without its time."""
    seen: list[tuple[object, ...]] = []

    def test(deliver: Any) -> dict[Any, Any]:
        store = Store()
        seen.clear()

        def process() -> Callable[[Message], None]:
            def handle(message: Message) -> None:
                if message.id == "e1":
                    seen.append((message.attempt, message.redelivered, message.headers, message.message_id))
                store.set_row("bank", message)
                store.set_row("customer", message)

            return handle

        deliver(spawn=process)
        return store.rows

    assert chaoskit.run(test, Scenario(ONE, broker, [fault])).status == "held"
    return seen


CELERY = Celery(transport="amqp", acks_late=True, reject_on_worker_lost=True)


@pytest.mark.parametrize(
    ("broker", "died", "failed"),
    [
        (SqsFifo(), (2, None), (2, None)),
        (RabbitMQ(consumers=1), (2, True), (2, True)),
        (JetStream(), (2, None), (2, None)),
        (CELERY, (None, True), (None, False)),  # what a task retries is a message of its own, with `retries`
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_retry_after_a_partial_effect_has_the_counters_of_its_broker(broker: Any, died: Any, failed: Any) -> None:
    for fault, outside, expected in (
        (Crash("e1", 1), Redeliver("e1"), died),
        (Fail("e1", point=2), Fail("e1"), failed),
    ):
        first, again = counters(fault, broker)
        assert again[:2] == expected
        assert again == counters(outside, broker)[-1]
        assert first != again


def test_a_handler_may_tell_a_retry_by_its_attempt() -> None:
    """A right one looks whether it has charged only where the message is not new; a wrong one looks nowhere."""

    def over_charges(careful: bool) -> Callable[[Any], dict[Any, Any]]:
        def test(deliver: Any) -> dict[Any, Any]:
            store = Store()

            @chaoskit.atomic
            def charge(message: Message) -> None:
                deliver.effect("charge", message.value, key=message.id)
                store.seen.add(message.id)

            def process() -> Callable[[Message], None]:
                def handle(message: Message) -> None:
                    retried = message.attempt is not None and message.attempt > 1
                    if not (careful and retried and store.knows(message)):
                        charge(message)
                    store.set_row("paid", message)

                return handle

            deliver(spawn=process)
            return store.rows

        return test

    faults = {Crash, Fail}
    invariants = [effects_exactly_once()]
    right = chaoskit.check(
        over_charges(True), PAYMENTS, SqsFifo(), faults=faults, invariants=invariants, seed=1, schedules=400
    )
    wrong = chaoskit.check(
        over_charges(False), PAYMENTS, SqsFifo(), faults=faults, invariants=invariants, seed=1, schedules=400
    )
    assert (right.status, wrong.status) == ("held", "violated"), right.report()
