"""One small file for each system, over the stages that they share."""

from __future__ import annotations

from chaoskit.brokers.base import Settings
from chaoskit.brokers.bounds import Anything, InOrder
from chaoskit.brokers.celery import Celery
from chaoskit.brokers.event_hubs import EventHubs
from chaoskit.brokers.jetstream import JetStream
from chaoskit.brokers.kafka import Kafka
from chaoskit.brokers.kinesis import Kinesis
from chaoskit.brokers.lambda_sqs import LambdaSqs
from chaoskit.brokers.outbox import Debezium, Outbox
from chaoskit.brokers.postgres import PostgresQueue
from chaoskit.brokers.pubsub import PubSub
from chaoskit.brokers.rabbitmq import RabbitMQ
from chaoskit.brokers.rabbitmq_stream import RabbitMQStream
from chaoskit.brokers.redis import RedisList, RedisStreams
from chaoskit.brokers.service_bus import ServiceBus
from chaoskit.brokers.sns_sqs import SnsSqs
from chaoskit.brokers.sqs_fifo import SqsFifo
from chaoskit.brokers.sqs_standard import SqsStandard
from chaoskit.brokers.webhook import Webhook
from chaoskit.values.errors import UsageError
from chaoskit.values.scenario import Broker

BROKERS: dict[str, type[Settings]] = {
    kind.__name__: kind
    for kind in (
        Kafka, Kinesis, EventHubs, RabbitMQStream, Debezium, SqsStandard, SqsFifo, SnsSqs, LambdaSqs, PubSub, RabbitMQ,
        RedisStreams, RedisList, JetStream, ServiceBus, PostgresQueue, Outbox, Celery, Webhook, InOrder, Anything,
    )
}  # fmt: skip
"""Every broker by the name that stands in a repro file."""

__all__ = [
    "BROKERS",
    "Anything",
    "Celery",
    "Debezium",
    "EventHubs",
    "InOrder",
    "JetStream",
    "Kafka",
    "Kinesis",
    "LambdaSqs",
    "Outbox",
    "PostgresQueue",
    "PubSub",
    "RabbitMQ",
    "RabbitMQStream",
    "RedisList",
    "RedisStreams",
    "ServiceBus",
    "Settings",
    "SnsSqs",
    "SqsFifo",
    "SqsStandard",
    "Webhook",
    "base_of",
    "is_own",
]


def base_of(broker: Broker) -> type[Settings]:
    """The broker of chaoskit's that this is, or that its class extends. Raises UsageError where there is none."""
    for kind in type(broker).__mro__:
        if BROKERS.get(kind.__name__) is kind:
            return BROKERS[kind.__name__]
    name = type(broker).__name__
    raise UsageError(
        f"broker={broker!r}: a class of your own must extend one of chaoskit's brokers, such as class {name}(Kafka): "
        "else a failure of it could be neither told nor saved"
    )


def is_own(broker: Broker) -> bool:
    return type(broker) is not base_of(broker)
