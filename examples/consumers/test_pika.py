"""pika: a callback acknowledges when its payment is written."""

from __future__ import annotations

import json
from typing import Any

from payments import event_id, payments

from chaoskit import RabbitMQ, chaos
from chaoskit.adapters.pika import BlockingChannel


def consume(channel: Any, table: dict[str, int]) -> None:
    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        table[properties.headers["event-id"]] = json.loads(body)["amount"]
        ch.basic_ack(delivery_tag=method.delivery_tag)

    channel.queue_declare(queue="payments", durable=True)
    channel.basic_consume(queue="payments", on_message_callback=callback)
    channel.start_consuming()


@chaos(payments, broker=RabbitMQ(), schedules=100)
def test_payments(deliver: Any) -> dict[str, int]:
    table: dict[str, int] = {}

    def process() -> None:
        with deliver.consumer(BlockingChannel, headers=event_id) as channel:
            consume(channel, table)

    deliver(spawn=process)
    return table
