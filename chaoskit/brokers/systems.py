"""The registry: every broker once, with the family under which the README shows it. `chaoskit` re-exports them all."""

from __future__ import annotations

from typing import Literal

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
from chaoskit.brokers.pulsar import Pulsar
from chaoskit.brokers.rabbitmq import RabbitMQ
from chaoskit.brokers.rabbitmq_stream import RabbitMQStream
from chaoskit.brokers.redis import RedisList, RedisStreams
from chaoskit.brokers.service_bus import ServiceBus
from chaoskit.brokers.sns_sqs import SnsSqs
from chaoskit.brokers.sqs_fifo import SqsFifo
from chaoskit.brokers.sqs_standard import SqsStandard
from chaoskit.brokers.webhook import Webhook

__all__ = [
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
    "Pulsar",
    "RabbitMQ",
    "RabbitMQStream",
    "RedisList",
    "RedisStreams",
    "ServiceBus",
    "SnsSqs",
    "SqsFifo",
    "SqsStandard",
    "Webhook",
]

Family = Literal["logs", "queues", "tasks and hooks", "relays", "of your own"]

FAMILIES: dict[type[Settings], Family] = {
    Kafka: "logs",
    Kinesis: "logs",
    EventHubs: "logs",
    RabbitMQStream: "logs",
    Debezium: "relays",
    SqsStandard: "queues",
    SqsFifo: "queues",
    SnsSqs: "queues",
    LambdaSqs: "queues",
    PubSub: "queues",
    Pulsar: "queues",
    RabbitMQ: "queues",
    RedisStreams: "queues",
    RedisList: "queues",
    JetStream: "queues",
    ServiceBus: "queues",
    PostgresQueue: "queues",
    Outbox: "relays",
    Celery: "tasks and hooks",
    Webhook: "tasks and hooks",
    InOrder: "of your own",
    Anything: "of your own",
}
"""Every broker, in the order in which the documents have them."""
