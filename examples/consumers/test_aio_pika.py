"""aio-pika: `message.process()` acknowledges behind its block."""

from __future__ import annotations

import json
from typing import Any

from payments import event_id, payments

from chaoskit import RabbitMQ, chaos
from chaoskit.adapters.aio_pika import Connection


async def consume(connection: Any, table: dict[str, int]) -> None:
    async with connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("payments", durable=True)
        async with queue.iterator() as messages:
            async for message in messages:
                async with message.process(requeue=True):
                    table[message.headers["event-id"]] = json.loads(message.body)["amount"]


@chaos(payments, broker=RabbitMQ(), schedules=100)
async def test_payments(deliver: Any) -> dict[str, int]:
    table: dict[str, int] = {}

    async def process() -> None:
        async with deliver.consumer(Connection, headers=event_id) as connection:
            await consume(connection, table)

    await deliver(spawn=process)
    return table
