"""What each broker does after a failed attempt: whether later messages go first, and what comes again.

A failed attempt has no effect: its handler raised (`3!`), and the consumer answers as its client library does. The
orders are those of the fact sheets of the brokers. Beside each stands what that broker cannot do, and the word at which
it would have to.
"""

from __future__ import annotations

import attrs
import pytest

from chaoskit.brokers import (
    Anything,
    Celery,
    Debezium,
    EventHubs,
    InOrder,
    JetStream,
    Kafka,
    Kinesis,
    LambdaSqs,
    Outbox,
    PostgresQueue,
    PubSub,
    Pulsar,
    RabbitMQ,
    RabbitMQStream,
    RedisList,
    RedisStreams,
    ServiceBus,
    Settings,
    SnsSqs,
    SqsFifo,
    SqsStandard,
    Webhook,
)
from models.systems import SYSTEMS

OVERTAKEN = "1 2 3! 4 5 3r"
IN_PLACE = "1 2 3! 3r 4 5"
SENT_AGAIN = "1 2 3! 4 5 3'"
LOST = "1 2 3! 4 5 |end"


@attrs.frozen
class After:
    """What may follow a failed attempt, and what may not: the trace, and the word that cannot be."""

    broker: Settings
    may: tuple[str, ...]
    may_not: tuple[tuple[str, str], ...] = ()


OVERTAKES_3 = (OVERTAKEN, "4")
COMES_AGAIN = (OVERTAKEN, "3r")

AFTER = {
    # A window of messages: those that the consumer holds go on.
    "RabbitMQ": After(
        RabbitMQ(prefetch=5, consumers=1),
        (OVERTAKEN, IN_PLACE, "1 2 3! |ack 1 |ack 2 4 |ack 4 5 |ack 5 |nack 3 6 3r"),
        (("1 |ack 1 2 |ack 2 3! |nack 3 4 5 6 7 8 3r", "8"), (LOST, "|end")),
    ),
    "RabbitMQ, classic": After(
        RabbitMQ(queue_type="classic", prefetch=5, consumers=1),
        (OVERTAKEN, IN_PLACE),
        (("1 |ack 1 2 |ack 2 3! |nack 3 4 5 6 7 8 3r", "8"),),
    ),
    "RabbitMQ, single active": After(RabbitMQ(single_active_consumer=True), (OVERTAKEN, IN_PLACE), ((LOST, "|end"),)),
    "RabbitMQ, classic, one by one": After(
        RabbitMQ(queue_type="classic", prefetch=1, consumers=1), (IN_PLACE,), (OVERTAKES_3,)
    ),
    "RabbitMQ, one by one": After(
        RabbitMQ(prefetch=1, consumers=1),
        (IN_PLACE, "1 2 3! 3r! 3r 4"),
        (OVERTAKES_3, ("1 |ack 1 2 |ack 2 3! |nack 3 4 3r", "4")),
    ),
    "RabbitMQ, one by one, no delivery limit": After(
        RabbitMQ(prefetch=1, consumers=1, delivery_limit=None),
        (OVERTAKEN, IN_PLACE, "1 |ack 1 2 |ack 2 3! |nack 3 4 |ack 4 5 |ack 5 3r"),
        (("|put 1 |put 2 1! |nack 1 1r 2", "1r"),),
    ),
    "RabbitMQ, delivery limit": After(
        RabbitMQ(prefetch=1, consumers=1, delivery_limit=2), ("1 2 3! 3r! 3r! 4 5 |end",), (("3! 3r! 3r! 3r!", "3r!"),)
    ),
    "RabbitMQ, dead letters": After(
        RabbitMQ(dead_letter_exchange=True), (SENT_AGAIN, OVERTAKEN, "1 2 3! |dead 3 4 5 |put 3' 3'")
    ),
    "RabbitMQ, auto-ack": After(RabbitMQ(auto_ack=True), (LOST,), (COMES_AGAIN,)),
    "JetStream": After(
        JetStream(), (OVERTAKEN, "1 2 3! 4 3r 5", "1 2 3! |nack 3 4 5 3r"), ((LOST, "|end"), ("1! |expire 1 2 1r", "2"))
    ),
    "JetStream, one subscriber": After(JetStream(consumers=1), (OVERTAKEN, "1 2 3! 4 3r 5", IN_PLACE)),
    "JetStream, one at a time": After(JetStream(max_ack_pending=1), (IN_PLACE,), (OVERTAKES_3,)),
    "JetStream, max_deliver": After(
        JetStream(max_deliver=3), ("1! 2 1r! 3 1r! 4 |end",), (("1! 2 1r! 3 1r! 4 1r", "1r"), ("1! 2 |end", "|end"))
    ),
    "JetStream, no acks": After(JetStream(ack_policy="none"), (LOST,), (COMES_AGAIN,)),
    "RedisStreams": After(
        RedisStreams(), (OVERTAKEN, IN_PLACE, LOST, "1 2 3! |expire 3 3r 4"), (("1 2 3! |ack 2 4 2r", "2r"),)
    ),
    "RedisStreams, one consumer": After(RedisStreams(consumers=1), (OVERTAKEN, LOST), (("1! 3 2", "3"),)),
    "RedisStreams, NOACK": After(RedisStreams(noack=True), (LOST,), (COMES_AGAIN,)),
    "RedisList": After(RedisList(workers=1), (OVERTAKEN, LOST), (("|put 1 |put 2 1! |expire 1 1r 2", "1r"),)),
    "RedisList, to the head": After(
        RedisList(workers=1, recover_to="head"), (OVERTAKEN, IN_PLACE), (("1! |expire 1 2 1r", "2"),)
    ),
    "RedisList, BRPOP": After(RedisList(reliable=False), (LOST,), (COMES_AGAIN,)),
    "ServiceBus": After(ServiceBus(), (OVERTAKEN, IN_PLACE), ((LOST, "|end"), ("1! " + 9 * "1r! " + "2 1r", "1r"))),
    "ServiceBus, sessions": After(ServiceBus(sessions=True), (IN_PLACE,), (OVERTAKES_3,)),
    "ServiceBus, receive and delete": After(ServiceBus(receive_mode="receive_and_delete"), (LOST,), (COMES_AGAIN,)),
    "PostgresQueue": After(PostgresQueue(), (OVERTAKEN, IN_PLACE), ((LOST, "|end"),)),
    "PostgresQueue, one worker": After(PostgresQueue(workers=1), (OVERTAKEN, IN_PLACE), (("1! 3 2", "3"),)),
    # No order at all.
    "SqsStandard": After(SqsStandard(), (OVERTAKEN, IN_PLACE), ((LOST, "|end"),)),
    "SqsStandard, dead letters": After(
        SqsStandard(max_receive_count=2), ("1 2 3! 4 3r! |dead 3 5 |put 3' 3'",), (("1 2 3! 4 3r! 5 3r", "3r"),)
    ),
    "SnsSqs": After(SnsSqs(), (OVERTAKEN, IN_PLACE), ((LOST, "|end"),)),
    "LambdaSqs": After(
        LambdaSqs(),
        ("[1 2 3! 4-] [1r 2r 3r 4r] |end", "[1 2 3! 4-] [5] [3r 1r] [4r 2r] |end"),
        (("[1 2 3! 4-] [3r 4r] |end", "|end"),),
    ),
    "LambdaSqs, partial": After(
        LambdaSqs(report_batch_item_failures=True), ("[1 2 3! 4] [5] [3r] |end",), (("[1 2 3! 4] [5] |end", "|end"),)
    ),
    "Kafka, share group": After(
        Kafka(group="share", consumers=1),
        (OVERTAKEN, IN_PLACE),
        ((LOST, "|end"), ("1 2 3! 4 |ack 4 4r", "4r")),
    ),
    "PubSub": After(PubSub(), (OVERTAKEN, IN_PLACE), ((LOST, "|end"),)),
    "PubSub, exactly once": After(PubSub(exactly_once=True), (OVERTAKEN,), (("1 |ack 1 2! |nack 2 1r", "1r"),)),
    "Pulsar": After(Pulsar(), (OVERTAKEN, IN_PLACE), ((LOST, "|end"),)),
    "Pulsar, Shared": After(Pulsar(subscription_type="Shared"), (OVERTAKEN, IN_PLACE), ((LOST, "|end"),)),
    "Webhook": After(Webhook(), (OVERTAKEN, IN_PLACE), ((LOST, "|end"),)),
    "Webhook, gives up": After(Webhook(gives_up=True), (OVERTAKEN, LOST)),
    "Anything": After(Anything(), (OVERTAKEN, IN_PLACE, LOST, SENT_AGAIN), (("1 2r", "2r"),)),
    # The task sends itself again.
    "Celery": After(Celery(), (SENT_AGAIN, "1 2 3! 3' 4"), (COMES_AGAIN,)),
    "Celery, acks late": After(Celery(acks_late=True), (SENT_AGAIN, LOST), (("1 2 3! |ack 3 4 3r", "3r"),)),
    "Celery, no retries": After(Celery(retries=False), (LOST,), (COMES_AGAIN,)),
    "Kafka, retry topic": After(
        Kafka(on_error="retry_topic"),
        ("1 2 3! 4 5 3' |end", "1 2 3! 3' 4", "1 2 3! 4 3'! 5 3'' |end"),
        ((LOST, "|end"), ("1 2 3! |c=4 4 5 ⚡ 3r", "3r")),
    ),
    # Groups, sessions and keys that wait, unless the consumer goes on by itself.
    "SqsFifo": After(SqsFifo(), (IN_PLACE, "g1/1! g2/1 g1/1r"), (OVERTAKES_3, ("[1 2! 3- 4-] [3r 4r]", "[3r 4r]"))),
    "SqsFifo, skips": After(
        SqsFifo(skips_failed=True), (OVERTAKEN, "[1 2 3! 4 5] 3r 6"), (("[1 2 3! 4 5] 6 3r", "6"),)
    ),
    "SqsFifo, dead letters": After(
        SqsFifo(max_receive_count=2), ("1! 1r! 2 3", "1! 1r! |dead 1 2 |put 1' 1'"), (("1! 2", "2"),)
    ),
    "SnsSqs, FIFO": After(SnsSqs(fifo=True), (IN_PLACE,), (OVERTAKES_3,)),
    "LambdaSqs, FIFO": After(
        LambdaSqs(fifo=True),
        (IN_PLACE, "[1 2 3! 4- 5-] [1r 2r 3r 4r 5r] 6"),
        (OVERTAKES_3, ("[1 2 3! 4 5] [3r]", "[1 2 3! 4 5]"), ("[1 2 3! 4-] [3r 4r]", "[3r 4r]")),
    ),
    "LambdaSqs, FIFO, partial": After(
        LambdaSqs(fifo=True, report_batch_item_failures=True),
        (OVERTAKEN, "[1 2 3! 4 5] [3r] 6", "[1 2 3! 4- 5-] [3r 4r 5r] 6"),
        (("[1 2 3! 4 5] [6] [3r]", "[6]"), ("[1 2 3! 4 5] [2r 3r]", "[2r 3r]")),
    ),
    "LambdaSqs, FIFO, partial, stops": After(
        LambdaSqs(fifo=True, report_batch_item_failures=True, skips_failed=False),
        (IN_PLACE, "[1 2 3! 4- 5-] [3r 4r 5r] 6"),
        (OVERTAKES_3, ("[1 2 3! 4 5] [3r]", "[1 2 3! 4 5]")),
    ),
    "PubSub, ordering keys": After(
        PubSub(ordering=True),
        (IN_PLACE, "1 2 3! 4 5 3r 4r 5r 6", "1 2 3! |nack 3 4 3r 4r 5"),
        (("1 2 3! 4 5 3r 6", "6"), ("1 2 3! 4 5 3r 5r", "5r"), (LOST, "|end")),
    ),
    # A position in a log: the partition waits.
    "Kafka": After(Kafka(), (IN_PLACE, "[1 2 3! 4-] [3r 4r]"), (OVERTAKES_3, (LOST, "4"))),
    "Kafka, attempts": After(
        Kafka(max_attempts=2),
        ("1! 1r! |dead 1 2 |put 1' 1'", "1! 1r! 2 3 1'"),
        (("1! 2", "2"), ("|c=1 1! 1r! |dead 1 2 |c=3 ⚡ 1r", "1r")),
    ),
    "Kafka, skips": After(Kafka(on_error="skip"), (LOST,), (("|c=1 1 2 3! 4 |c=5 ⚡ 3r", "3r"),)),
    "Kafka, stops": After(
        Kafka(on_error="stop"), ("1 2 |c=3 3! 3r 4", "|c=1 1 2 3! 1r 2r 3r 4"), (("1 2 3! 4", "4"), (LOST, "4"))
    ),
    "Kafka, parallel": After(Kafka(group="parallel"), ("a1 a2 a3! b4 a3r a5",), (("a1 a2 a3! a4 a3r", "a4"),)),
    "Kinesis": After(Kinesis(), (IN_PLACE,), (OVERTAKES_3,)),
    "Kinesis, Lambda": After(
        Kinesis(consumer="lambda"),
        ("[1 2 3! 4-] [1r 2r 3r 4r] [5]",),
        (("[1 2 3! 4] [5]", "[5]"), ("[1 2! 3] [2r 3r]", "[2r 3r]")),
    ),
    "Kinesis, Lambda, partial": After(
        Kinesis(consumer="lambda", report_batch_item_failures=True),
        ("[1 2 3! 4] [3r 4r] [5]",),
        (("[1 2 3! 4] [3r] [4r]", "[3r]"), ("[1 2 3! 4] [5]", "[5]")),
    ),
    "EventHubs": After(EventHubs(), (IN_PLACE,), (OVERTAKES_3,)),
    "RabbitMQStream": After(RabbitMQStream(), (IN_PLACE,), (OVERTAKES_3,)),
    "Debezium": After(Debezium(), (IN_PLACE,), (OVERTAKES_3,)),
    "Outbox": After(Outbox(), (IN_PLACE,), (OVERTAKES_3,)),
    "InOrder": After(InOrder(), (IN_PLACE,), (("1 2 4 3", "4"),)),
}


@pytest.mark.parametrize("after", AFTER.values(), ids=AFTER.keys())
def test_what_may_follow_a_failed_attempt_is_permitted(after: After) -> None:
    """What that broker and its client do with a message whose attempt failed."""
    for trace in after.may:
        assert str(after.broker.permits(trace)) == "legal", trace


@pytest.mark.parametrize("after", AFTER.values(), ids=AFTER.keys())
def test_what_cannot_follow_a_failed_attempt_is_refused_at_its_word(after: After) -> None:
    """The near miss: a later message before one that blocks it, or a message again that is gone."""
    for trace, word in after.may_not:
        answer = after.broker.permits(trace)
        assert (answer.allowed, answer.word) == (False, word), f"{trace}: {answer}"


def test_the_table_has_every_broker() -> None:
    """No broker is left out, nor one that lets later messages go first."""
    assert {type(after.broker) for after in AFTER.values()} == {type(broker) for broker in SYSTEMS.values()}
