"""An attempt that fails before it has any effect: where it is overtaken, a handler that needs order is found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Event, Fail, Overtake, Scenario, Stream, check, run
from chaoskit.brokers import (
    Celery,
    JetStream,
    Kafka,
    Kinesis,
    LambdaSqs,
    PostgresQueue,
    PubSub,
    RabbitMQ,
    RedisList,
    RedisStreams,
    ServiceBus,
    Settings,
    SnsSqs,
    SqsFifo,
    SqsStandard,
    Webhook,
)
from chaoskit.report.broker_facts import as_written
from chaoskit.strategies import events
from chaoskit.values.schedule import Do
from handlers.small import inbox, newest

STREAMS = events(st.integers(1, 9), keys=st.just("a"), max_size=6)

OVERTAKEN: tuple[Settings, ...] = (
    RabbitMQ(queue_type="classic", consumers=1, prefetch=5),
    RabbitMQ(consumers=1),
    RabbitMQ(),
    RabbitMQ(single_active_consumer=True),
    RedisStreams(consumers=1),
    RedisStreams(),
    RedisList(workers=1),
    JetStream(consumers=1),
    JetStream(),
    Kafka(group="share", consumers=1),
    Kafka(on_error="retry_topic"),
    SqsFifo(skips_failed=True),
    SqsStandard(),
    LambdaSqs(fifo=True, report_batch_item_failures=True),
    LambdaSqs(report_batch_item_failures=True),
    Kinesis(consumer="lambda", report_batch_item_failures=True),
    PubSub(ordering=True),
    PubSub(),
    ServiceBus(),
    PostgresQueue(),
    Celery(acks_late=True),
    Webhook(),
)
"""Where a consumer goes on with what it holds, or what failed comes back late."""

KEPT: tuple[Settings, ...] = (
    Kafka(),
    Kafka(partitions=1),
    Kafka(on_error="stop"),
    Kafka(group="parallel"),
    Kinesis(),
    Kinesis(consumer="lambda"),
    SqsFifo(),
    SnsSqs(fifo=True),
    LambdaSqs(fifo=True),
    LambdaSqs(fifo=True, report_batch_item_failures=True, skips_failed=False),
    JetStream(max_ack_pending=1),
    JetStream(ack_policy="all"),
    RabbitMQ(queue_type="classic", prefetch=1, consumers=1),
    RabbitMQ(prefetch=1, consumers=1),
    RabbitMQ(prefetch=1, single_active_consumer=True),
    ServiceBus(sessions=True),
)
"""Where nothing of the same order goes before what failed."""


@pytest.mark.parametrize("broker", OVERTAKEN, ids=as_written)
def test_an_inbox_without_versions_is_broken_by_a_failed_attempt_alone(broker: Settings) -> None:
    """Found in two events, shrunk to one failed attempt."""
    verdict = check(inbox, STREAMS, broker, faults={Fail}, schedules=300, seed=1)
    assert verdict.status == "violated", verdict.reasons
    assert verdict.scenario is not None
    assert len(verdict.scenario.events) == 2
    assert [type(fault) for fault in verdict.scenario.faults] == [Fail]
    assert "failed before it had any effect" in broker.explain(verdict.schedule, verdict.scenario.events)[0][1]


@pytest.mark.parametrize("broker", KEPT, ids=as_written)
def test_an_inbox_without_versions_holds_where_a_failed_attempt_keeps_its_place(broker: Settings) -> None:
    """No false alarm: here the broker or its consumer stops at what failed."""
    verdict = check(inbox, STREAMS, broker, faults={Fail}, schedules=300, seed=1)
    assert verdict.status == "held", (verdict.reasons, verdict.scenario)
    assert broker.ruled_out_by(Fail).startswith("no setting: an attempt can always fail")


@pytest.mark.parametrize("broker", OVERTAKEN, ids=as_written)
def test_an_inbox_with_versions_is_never_broken_by_failed_attempts(broker: Settings) -> None:
    """The correct twin."""
    assert check(newest, STREAMS, broker, faults={Fail}, schedules=300, seed=1).status == "held"


def played(broker: Settings, raises: Sequence[int], size: int = 5) -> list[int]:
    """The numbers of the events of one key in the order in which the handler sees them. `raises`: each of these raises
    once, when it is seen for the first time."""
    play = broker.model(Stream.of([Event("a", number) for number in range(1, size + 1)])).play(())
    left, seen, answer = list(raises), list[int](), None
    while True:
        try:
            step = play.send(answer)
        except StopIteration:
            return seen
        answer = None
        if step[0] == Do.DELIVER:
            seen.append(step[2] + 1)
            if step[2] + 1 in left:
                left.remove(step[2] + 1)
                answer = True


RAISED_AT_3: dict[Settings, list[int]] = {
    **{broker: [1, 2, 3, 4, 5, 3] for broker in OVERTAKEN[:4]},
    RedisStreams(consumers=1): [1, 2, 3, 4, 5, 3],
    RedisList(workers=1): [1, 2, 3, 4, 5, 3],
    JetStream(consumers=1): [1, 2, 3, 4, 5, 3],
    Kafka(group="share", consumers=1): [1, 2, 3, 4, 5, 3],
    SqsFifo(skips_failed=True): [1, 2, 3, 4, 5, 3],
    LambdaSqs(fifo=True, report_batch_item_failures=True): [1, 2, 3, 4, 5, 3],
    PubSub(ordering=True): [1, 2, 3, 4, 5, 3, 4, 5],
    Kafka(): [1, 2, 3, 3, 4, 5],
    SqsFifo(): [1, 2, 3, 3, 4, 5],
    JetStream(max_ack_pending=1): [1, 2, 3, 3, 4, 5],
    RabbitMQ(queue_type="classic", prefetch=1, consumers=1): [1, 2, 3, 3, 4, 5],
    Kafka(on_error="skip"): [1, 2, 3, 4, 5],
    RabbitMQ(auto_ack=True): [1, 2, 3, 4, 5],
}


@pytest.mark.parametrize("broker", RAISED_AT_3, ids=as_written)
def test_a_handler_that_raises_meets_the_rule_of_a_failed_attempt(broker: Settings) -> None:
    """It raises once, at the third of five: what the consumer holds already runs first, unless it stops there."""
    assert played(broker, [3]) == RAISED_AT_3[broker]


def test_a_lambda_batch_that_raises_comes_again_whole() -> None:
    """Four in one batch, the third one raises: the first two come again, too, although they had succeeded."""
    assert played(LambdaSqs(batch_size=4), [3], size=4) == [1, 2, 3, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("broker", "most"),
    [(SqsStandard(max_receive_count=3), 3), (SqsFifo(max_receive_count=3), 3), (PubSub(max_delivery_attempts=5), 5)],
    ids=str,
)
def test_the_last_attempt_that_fails_makes_a_dead_letter(broker: Settings, most: int) -> None:
    """It is set aside after as many failed attempts as the broker allows, and put back when nothing else is left."""
    stream = Stream.of([Event("a", 1), Event("a", 2)])
    first = stream[0].id
    steps = Scenario(stream.events, broker, [Fail(first)] * most).schedule().steps
    assert [step.action for step in steps if step.event == first] == ["fail"] * most + ["park", "put back", "deliver"]
    fewer = Scenario(stream.events, broker, [Fail(first)] * (most - 1)).schedule().steps
    assert [step.action for step in fewer if step.event == first] == ["fail"] * (most - 1) + ["deliver"]


def test_a_failed_attempt_that_the_settings_skip_is_lost() -> None:
    """on_error="skip": the consumer goes on, and nothing brings the record back."""
    stream = Stream.of([Event("a", 1), Event("a", 2)])
    steps = Scenario(stream.events, Kafka(on_error="skip"), [Fail(stream[0].id)]).schedule().steps
    assert [(step.action, step.event) for step in steps] == [
        ("fail", stream[0].id),
        ("skip", stream[0].id),
        ("deliver", stream[1].id),
    ]


def test_a_pass_says_that_failed_attempts_are_lost() -> None:
    """They are among what was left out, and not among what was survived; and a finding where that is asked for."""
    broker = Kafka(on_error="skip")
    verdict = check(newest, STREAMS, broker, faults={Fail}, schedules=100, seed=1)
    assert verdict.tally is not None
    assert (verdict.tally.effective, verdict.tally.left_out) == ((), ("Fail",))
    assert 'these settings can lose messages (on_error="skip")' in " ".join(verdict.notes)
    found = check(newest, STREAMS, broker, faults={Fail}, schedules=100, seed=1, loss="violation")
    assert found.status == "violated"
    assert found.scenario is not None
    assert (len(found.scenario.events), len(found.scenario.faults)) == (1, 1)


def test_a_failed_attempt_is_not_shown_to_the_handler() -> None:
    """Two failed attempts, and the handler is called once; the message says that it is the third delivery."""

    def test(deliver: Any) -> list[int]:
        attempts: list[int] = []
        deliver(lambda message: attempts.append(message.attempt))
        return attempts

    stream = Stream.of([Event("a", 1)])
    verdict = run(test, Scenario(stream.events, SqsStandard(), [Fail(stream[0].id), Fail(stream[0].id)]))
    assert (verdict.expected, verdict.observed) == ([1], [3])


SHOPS = st.integers(1, 3).map(
    lambda n: [event for i in range(n) for event in (Event(f"c{i}", "customer"), Event(f"c{i}", "order"))]
)


def shop(deliver: Any) -> dict[Any, int]:
    """An order of a customer that is not known yet is refused, and taken later, if the broker shows it again."""
    orders: dict[Any, int] = {}

    def handle(message: Any) -> None:
        if message.value == "customer":
            orders.setdefault(message.key, 0)
        elif message.key not in orders:
            raise LookupError(message.key)
        else:
            orders[message.key] = 1

    deliver(handle)
    return orders


@pytest.mark.parametrize(
    "broker",
    [
        RabbitMQ(),
        Kafka(on_error="skip", idempotent_producer=False),
        Celery(retries=False),
        JetStream(max_deliver=3),
        JetStream(ack_policy="none"),
        RabbitMQ(auto_ack=True),
        RedisStreams(noack=True),
        RedisList(reliable=False),
        ServiceBus(receive_mode="receive_and_delete"),
    ],
    ids=as_written,
)
def test_what_was_refused_and_then_dropped_is_missed(broker: Settings) -> None:
    """The order that came first is refused and dropped: no pass, and the report says that nothing brings it back."""
    verdict = check(shop, SHOPS, broker, schedules=600, seed=0)
    assert verdict.status == "violated", verdict.reasons
    assert verdict.scenario is not None
    shown = " ".join(sentence for _, sentence in broker.explain(verdict.schedule, verdict.scenario.events))
    assert "dropped" in shown or "went on without it" in shown, shown


@pytest.mark.parametrize(
    "broker", [RabbitMQ(dead_letter_exchange=True), Kafka(), JetStream(), SqsStandard()], ids=as_written
)
def test_what_was_refused_and_is_shown_again_is_not_missed(broker: Settings) -> None:
    """The same shop where a refused order comes again."""
    assert check(shop, SHOPS, broker, schedules=600, seed=0).status == "held"


@pytest.mark.parametrize(
    "broker",
    [JetStream(), RedisStreams(), RabbitMQ(), ServiceBus(), Celery(), Kafka(group="share", consumers=2)],
    ids=as_written,
)
def test_a_slow_consumer_holds_more_than_one_message(broker: Settings) -> None:
    """One consumer has the first two and is slow with them, and another one runs the third."""
    stream = Stream.of([Event("a", number) for number in (1, 2, 3)])
    one, two, three = stream.ids
    slow = Scenario(stream.events, broker, [Overtake(one), Overtake(two)])
    assert slow.schedule().delivered == (three, one, two)
    assert broker.permits(slow.trace())
