"""The brokers over which the handlers are run, each with its defaults and with settings that make it another one."""

from __future__ import annotations

from chaoskit import Stream
from chaoskit.brokers import (
    BROKERS,
    Celery,
    Debezium,
    EventHubs,
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
from chaoskit.values.event import Event

VARIANTS: tuple[Settings, ...] = (
    Kafka(idempotent_producer=False),
    Kafka(on_error="retry_topic"),
    Kafka(group="share"),
    Kafka(group="share", consumers=2),
    Kafka(group="parallel"),
    Kinesis(consumer="lambda"),
    SnsSqs(fifo=True),
    LambdaSqs(fifo=True),
    LambdaSqs(report_batch_item_failures=True),
    PubSub(ordering=True),
    PubSub(exactly_once=True),
    Pulsar(subscription_type="Shared"),
    Pulsar(subscription_type="Key_Shared"),
    Pulsar(messages_per_batch=2),
    RabbitMQ(single_active_consumer=True),
    RabbitMQ(queue_type="classic"),
    ServiceBus(sessions=True),
    JetStream(max_ack_pending=1),
    PostgresQueue(style="lease"),
    Celery(acks_late=True),
    Outbox(cursor="id"),
    RedisList(reliable=False),
)
"""Settings that change what a broker promises."""

LOSSY: tuple[Settings, ...] = (
    Kafka(commit_ahead=True),
    Kafka(auto_offset_reset="latest"),
    Kafka(on_error="skip"),
    Kafka(group="share", delivery_count_limit=2),
    Kinesis(start_at_latest=True),
    Kinesis(consumer="lambda", maximum_retry_attempts=2),
    EventHubs(start_at_latest=True),
    RabbitMQStream(start_at_latest=True),
    Debezium(slot_lost=True),
    SqsStandard(retention_exceeded=True),
    SqsFifo(content_based_deduplication=True),
    SnsSqs(filter_policy=True),
    LambdaSqs(retention_exceeded=True),
    PubSub(filtered=True),
    Pulsar(message_ttl=3600),
    RabbitMQ(auto_ack=True),
    RabbitMQ(delivery_limit=1),
    RedisStreams(trims=True),
    RedisStreams(noack=True),
    JetStream(max_deliver=2),
    JetStream(max_msgs=3),
    JetStream(ack_policy="all"),
    JetStream(ack_policy="none"),
    ServiceBus(receive_mode="receive_and_delete"),
    Webhook(gives_up=True),
)
"""Settings with which messages are lost. RedisList, Celery and Outbox, which lose some too, are above."""

DEAD_LETTERS: tuple[Settings, ...] = (
    Kinesis(dead_letters=True),
    EventHubs(dead_letters=True),
    RabbitMQStream(dead_letters=True),
    Debezium(dead_letter_queue=True),
    SqsStandard(max_receive_count=3),
    SqsFifo(max_receive_count=3, send_batch=10),
    SnsSqs(max_receive_count=3),
    SnsSqs(fifo=True, max_receive_count=3),
    LambdaSqs(max_receive_count=3),
    LambdaSqs(fifo=True, max_receive_count=3),
    PubSub(ordering=True, max_delivery_attempts=5, resumes_early=True),
    Pulsar(subscription_type="Shared", max_redeliver_count=3),
    Pulsar(subscription_type="Shared", on_error="reconsume_later"),
    RabbitMQ(dead_letter_exchange=True, outstanding_confirms=5),
    RabbitMQ(single_active_consumer=True, dead_letter_exchange=True),
    RedisStreams(dead_letters=True, pipelined_adds=5),
    RedisList(dead_letters=True, pipelined_pushes=5),
    JetStream(max_deliver=5, dead_letters=True),
    JetStream(max_ack_pending=1, max_deliver=5, dead_letters=True),
    ServiceBus(max_delivery_count=2, concurrent_sends=5),
    PostgresQueue(dead_letters=True),
    Outbox(dead_letters=True),
)
"""Settings with which a message is set aside and put back later, and producers that do not wait."""

DEFAULTS: tuple[Settings, ...] = tuple(kind() for kind in BROKERS.values())


def carries_offset(broker: Settings) -> bool:
    """Whether its messages say at which offset they stand."""
    model = broker.model(Stream.of([Event("alice", 1)]))
    return model.mail([None])(next(model.play(()))).offset is not None
