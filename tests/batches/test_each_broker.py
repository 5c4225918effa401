"""What comes back of a call of three that failed, by the rule of each broker: as its documentation has it, beside what
the handler is shown."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from batches.test_come_back import FOUR, calls, raises, reports_the_second

from chaoskit import Gather, Scenario
from chaoskit.brokers import (
    BROKERS,
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
from chaoskit.values.errors import ImpossibleFault, UsageError

# An offset, a checkpoint: it says that everything before it is done.
BY_POSITION = "1 2 3 | 1 | 2 | 3 | 4", "1 2 3 | 2 | 3 | 4"
# Each message is settled by itself, and others go before what comes back.
ONE_BY_ONE = "1 2 3 | 4 | 1r | 2r | 3r", "1 2 3 | 4 | 2r"
UNCOUNTED = "1 2 3 | 4 | 1 | 2 | 3", "1 2 3 | 4 | 2"
# What follows in its group waits, whether or not it was done.
IN_ORDER = "1 2 3 | 1r | 2r | 3r | 4", "1 2 3 | 2r | 3r | 4"
# All was settled before the handler began, or whatever it does.
SETTLED = "1 2 3 | 4", "1 2 3 | 4"
NOT_ASKED = "no single failures"
INVOKED: dict[str, Any] = {"consumer": "lambda", "shards": 1}


@attrs.frozen
class Rule:
    """`raised` is what the handler is shown where it raises in the call of three, `reported` where it says that the
    second has failed; attempts from the second on are marked."""

    broker: Settings
    fact: str
    raised: str
    reported: str


RULES = [
    Rule(Kafka(), "kafka.apache.org/documentation: the committed offset is the next to be read", *BY_POSITION),
    Rule(Kafka(on_error="skip"), "the same, where the application goes on behind what failed", *SETTLED),
    Rule(Kafka(group="share"), "KIP-932: AcknowledgeType.RELEASE is for single records", *ONE_BY_ONE),
    Rule(EventHubs(), "learn.microsoft.com, event-processor-balance-partition-load: a checkpoint", *BY_POSITION),
    Rule(RabbitMQStream(partitions=1), "rabbitmq.com/docs/streams: an offset is stored", *BY_POSITION),
    Rule(Kinesis(shards=1), "docs.aws.amazon.com/streams, kcl: a checkpoint of a shard", *BY_POSITION),
    Rule(Kinesis(**INVOKED), "docs.aws.amazon.com/lambda, with-kinesis: the same batch until it succeeds",
         "1 2 3 | 1 2 3 | 4", NOT_ASKED),
    Rule(Kinesis(**INVOKED, bisect_batch_on_function_error=True), "the same page: the batch is split in two",
         "1 2 3 | 1 | 2 3 | 4", NOT_ASKED),
    Rule(Kinesis(**INVOKED, report_batch_item_failures=True),
         "docs.aws.amazon.com/lambda, services-kinesis-batchfailurereporting: all from the lowest sequence number on",
         "1 2 3 | 1 2 3 | 4", "1 2 3 | 2 3 | 4"),
    Rule(SqsStandard(), "docs.aws.amazon.com/AWSSimpleQueueService: what is not deleted is visible again", *ONE_BY_ONE),
    Rule(SnsSqs(fifo=False), "the same queue, behind a topic", *ONE_BY_ONE),
    Rule(SnsSqs(fifo=True), "the same, of a FIFO topic", *IN_ORDER),
    Rule(SqsFifo(), "FIFO-queues-understanding-logic: no more of the group until these are deleted", *IN_ORDER),
    Rule(SqsFifo(skips_failed=True), "the same, where the application deletes what follows on a failure",
         IN_ORDER[0], "1 2 3 | 2r | 4"),
    Rule(LambdaSqs(), "docs.aws.amazon.com/lambda, services-sqs-errorhandling: all of a failed batch is visible again",
         ONE_BY_ONE[0], NOT_ASKED),
    Rule(LambdaSqs(report_batch_item_failures=True), "the same page: those of batchItemFailures", *ONE_BY_ONE),
    Rule(LambdaSqs(fifo=True), "the same page, and the group waits", IN_ORDER[0], NOT_ASKED),
    Rule(LambdaSqs(fifo=True, report_batch_item_failures=True, skips_failed=False),
         "the same page: stop at the first failure, and report it and all that follow", *IN_ORDER),
    Rule(PubSub(), "cloud.google.com/pubsub/docs/handling-failures: a nack is for one message", *UNCOUNTED),
    Rule(PubSub(ordering=True), "cloud.google.com/pubsub/docs/ordering: all that follow of the key come again with it, "
         "acknowledged or not", "1 2 3 | 1 | 2 | 3 | 4", "1 2 3 | 2 | 3 | 4"),
    Rule(Pulsar(), "pulsar.apache.org/docs/concepts-messaging: a negative acknowledgement is for one message, and "
         "comes a minute later", *UNCOUNTED),
    Rule(Pulsar(messages_per_batch=2), "the same page: the whole entry comes again, unless it acknowledges by index",
         "1 2 3 | 4 | 1 | 2 | 3 | 4", "1 2 3 | 4 | 1 | 2"),
    Rule(Pulsar(subscription_type="Shared", on_error="reconsume_later"),
         "the same page: reconsumeLater acknowledges, and publishes a copy to the retry letter topic",
         "1 2 3 | 1 | 2 | 4 | 3", "1 2 3 | 2 | 4"),
    Rule(RabbitMQ(), "rabbitmq.com/docs/nack: of single deliveries; 4 was in the prefetch buffer", *ONE_BY_ONE),
    Rule(RabbitMQ(queue_type="classic", prefetch=3, consumers=1),
         "the same page: to its original position, if possible; 4 was in no buffer before the first was acknowledged",
         "1 2 3 | 1 | 2 | 3 | 4", "1 2 3 | 4 | 2"),
    Rule(RabbitMQ(auto_ack=True), "rabbitmq.com/docs/confirms: settled when it is sent", *SETTLED),
    Rule(RedisStreams(), "redis.io/docs/latest/commands/xautoclaim: what was not acknowledged is claimed", *UNCOUNTED),
    Rule(RedisStreams(noack=True), "redis.io/docs/latest/commands/xreadgroup: NOACK", *SETTLED),
    Rule(RedisList(), "redis.io/docs/latest/commands/lmove: each element is removed by itself", *UNCOUNTED),
    Rule(JetStream(), "docs.nats.io, consumers: AckExplicit, a nak for each message", *ONE_BY_ONE),
    Rule(JetStream(ack_policy="all"), "the same page: an ack is for all before it, too", *IN_ORDER),
    Rule(JetStream(ack_policy="none"), "the same page: AckNone", *SETTLED),
    Rule(ServiceBus(), "learn.microsoft.com, message-transfers-locks-settlement: abandoned one by one", *ONE_BY_ONE),
    Rule(ServiceBus(sessions=True), "learn.microsoft.com, message-sessions: the session stays in order", *IN_ORDER),
    Rule(Anything(), "everything is possible", *UNCOUNTED),
]  # fmt: skip
SINGLE = [
    Kafka(on_error="retry_topic"), Kafka(group="parallel"), Debezium(), Outbox(), PostgresQueue(), Celery(), Webhook(),
    InOrder(),
]  # fmt: skip
"""Whose handler gets one message at a time."""


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule.broker).__name__)
def test_what_comes_back_is_the_rule_of_the_broker(rule: Rule) -> None:
    three = Gather("e1", 1)
    assert calls(rule.broker, three, first=raises) == rule.raised, rule.fact
    if rule.reported == NOT_ASKED:
        with pytest.raises(UsageError, match="report_batch_item_failures=True"):
            calls(rule.broker, three, first=reports_the_second)
    else:
        assert calls(rule.broker, three, first=reports_the_second) == rule.reported, rule.fact


def test_no_broker_is_left_out_and_those_of_single_messages_say_so() -> None:
    assert {type(rule.broker) for rule in RULES} | {type(broker) for broker in SINGLE} == {*BROKERS.values()}
    for broker in SINGLE:
        with pytest.raises(ImpossibleFault, match=r"one message at a time|each message comes once"):
            Scenario(FOUR, broker, [Gather("e1", 1)]).schedule()
