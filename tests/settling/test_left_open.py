"""A handler that returns without settling: its lease runs out, and the message is shown again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from settling.test_permitted import OWN

import chaoskit
from chaoskit import BatchSwap, Event, Fail, Message, Overtake, Redeliver, Scenario, UsageError, Verdict
from chaoskit.brokers import JetStream, Pulsar, RabbitMQ, Settings, SqsStandard
from chaoskit.strategies import events
from models.systems import SYSTEMS

ROWS = events(st.integers(1, 9), keys=st.sampled_from("ab"), max_size=6)

Handle = Callable[[Message, dict[Any, Any]], None]

STAYS = ("Kafka", "Kinesis", "EventHubs", "RabbitMQStream", "Pulsar", "PostgresQueue")
"""No lease runs out there."""
EXPIRE = [
    *(name for name in OWN if not name.startswith(STAYS)),
    "Kafka, share group",
    "Kafka, share group with few locks",
    "Pulsar, Shared, ack timeout",
    "Pulsar, Key_Shared, partitions",
    "PostgresQueue, leases",
]
BLOCKED = ("RabbitMQ, one consumer", "RabbitMQ, no delivery limit, one by one")
DROPPED = ("JetStream, max_deliver", "JetStream, term, max_deliver")


def waits(message: Message, pages: dict[Any, Any]) -> None:
    """Skips what comes before its turn."""
    if message.seq <= pages.get(message.key, 0) + 1:
        pages[message.key] = max(message.seq, pages.get(message.key, 0))
        message.ack()


def statement(deliver: Any) -> dict[Any, Any]:
    pages: dict[Any, Any] = {}
    deliver(lambda message: waits(message, pages), settle="handler")
    return pages


def report_of(handle: Handle, broker: Settings, rows: Any = ROWS, **asked: Any) -> Verdict:
    def test(deliver: Any) -> dict[Any, Any]:
        pages: dict[Any, Any] = {}
        deliver(spawn=lambda: lambda message: handle(message, pages), settle="handler")
        return pages

    return chaoskit.check(test, rows, broker=broker, **{"schedules": 40, "seed": 1, **asked})


@pytest.mark.parametrize("name", [name for name in EXPIRE if name not in BLOCKED + DROPPED])
def test_who_leaves_in_the_queue_what_is_not_its_turn_is_right(name: str) -> None:
    verdict = report_of(waits, SYSTEMS[name])
    assert verdict.status == "held", verdict.report()


@pytest.mark.parametrize(
    ("broker", "faults"),
    [
        (JetStream(max_deliver=3), [Overtake("e1", 0), Fail("e2", 0), Fail("e2", 0)]),
        (RabbitMQ(delivery_limit=None, prefetch=1, consumers=1), [Fail("e1", 1)]),
        (RabbitMQ(consumers=1, prefetch=2, outstanding_confirms=3), [BatchSwap("e1", 2, 0)]),
    ],
)
def test_who_leaves_in_the_queue_what_does_not_wait_there_is_told(broker: Settings, faults: list[Any]) -> None:
    """Its third delivery is its last; or what is skipped fills the prefetch, and comes before what it waits for."""
    rows = [Event("a", number) for number in range(4)]
    assert chaoskit.run(statement, Scenario(rows, broker, faults)).status == "violated"


@pytest.mark.parametrize("broker", [RabbitMQ(consumer_timeout=None), Pulsar(subscription_type="Shared")])
def test_without_a_lease_a_message_stays_where_it_is(broker: Settings) -> None:
    assert report_of(waits, broker).status == "violated"


@pytest.mark.parametrize(
    ("broker", "text"),
    [
        (SqsStandard(), "it comes again for ever"),
        (SqsStandard(max_receive_count=4), "it came again until its deliveries were used up"),
        (JetStream(max_deliver=4), "it came again until its deliveries were used up"),
        (RabbitMQ(), "it comes again for ever"),
    ],
)
def test_who_never_settles_what_he_knows_is_told(broker: Settings, text: str) -> None:
    def handle(message: Message, rows: dict[Any, Any]) -> None:
        if message.id not in rows:
            rows[message.id] = message.value
            message.ack()

    verdict = report_of(handle, broker)
    assert verdict.status == "violated"
    assert text in verdict.violations[0].message


def test_who_never_settles_a_message_in_order_is_told_before_anything_goes_wrong() -> None:
    def forgets(message: Message, rows: dict[Any, Any]) -> None:
        rows[message.id] = message.value
        if message.seq != 1:
            message.ack()

    with pytest.raises(UsageError, match="returned from event 'e1' again and again and never settled it"):
        report_of(forgets, SqsStandard())
    # With a limit that is how SQS is told to set one aside.
    assert report_of(forgets, SqsStandard(max_receive_count=2)).status == "held"


def test_what_waits_for_another_key_is_taken_in_order_too() -> None:
    """The in-order run shows it again as the others do."""

    def handle(message: Message, rows: dict[Any, Any]) -> None:
        if message.id == "e1" and "e2" not in rows:
            return
        rows[message.id] = message.value
        message.ack()

    rows = [Event("a", 1, "e1"), Event("b", 2, "e2")]
    verdict = report_of(handle, SqsStandard(), rows)
    assert verdict.status == "held", verdict.report()


def test_a_lease_that_runs_out_counts() -> None:
    seen: list[tuple[Any, int | None]] = []

    def test(deliver: Any) -> dict[Any, Any]:
        pages: dict[Any, Any] = {}
        seen.clear()

        def handle(message: Message) -> None:
            seen.append((message.id, message.attempt))
            waits(message, pages)

        deliver(handle, settle="handler")
        return pages

    rows = [Event("a", number, f"e{number}") for number in (1, 2, 3)]
    broker = JetStream(max_deliver=3)
    verdict = chaoskit.run(test, Scenario(rows, broker, [Overtake("e1", 1), Fail("e3", 0)]))
    assert verdict.status == "held", verdict.report()
    assert seen == [("e2", 1), ("e3", 2), ("e1", 1), ("e2", 2), ("e3", 3)]


def test_rabbitmq_closes_the_channel_of_who_leaves_a_message_open() -> None:
    rows = [Event("a", number, f"e{number}") for number in (1, 2)]
    verdict = chaoskit.run(statement, Scenario(rows, RabbitMQ(), [Overtake("e1", 0)]))
    assert verdict.status == "held", verdict.report()
    assert verdict.schedule is not None
    assert [(step.action, step.event) for step in verdict.schedule.steps[-2:]] == [("restart", None), ("deliver", "e2")]


def test_what_a_buffer_holds_at_the_end_waits_for_more() -> None:
    """Nothing was settled behind it, and the clean stop settles it."""
    shown: list[Any] = []

    def test(deliver: Any) -> int:
        shown.clear()
        held: list[Message] = []

        def handle(message: Message) -> None:
            shown.append(message.id)
            held.append(message)
            if len(held) == 3:
                for each in held:
                    each.ack()
                held.clear()

        deliver(handle, settle="handler")
        return 1

    rows = [Event("a", number) for number in range(5)]
    assert chaoskit.run(test, Scenario(rows, SqsStandard(consumers=1), [])).status == "unknown"  # as nothing went wrong
    assert shown == ["e1", "e2", "e3", "e4", "e5"]
    assert chaoskit.run(test, Scenario(rows, SqsStandard(consumers=1), [Redeliver("e3", 0)])).status == "held"
