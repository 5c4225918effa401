"""aiokafka: a record is written before the next one is asked for, and its deserializer is the consumer's."""

from __future__ import annotations

import json
from typing import Any

from payments import event_id, payments

from chaoskit import Kafka, chaos
from chaoskit.adapters.aiokafka import AIOKafkaConsumer


async def consume(consumer: Any, table: dict[bytes, int]) -> None:
    await consumer.start()
    try:
        async for record in consumer:
            table[dict(record.headers)["event-id"]] = record.value["amount"]
    finally:
        await consumer.stop()


@chaos(payments, broker=Kafka(partitions=2), schedules=100)
async def test_payments(deliver: Any) -> dict[bytes, int]:
    table: dict[bytes, int] = {}

    async def process() -> None:
        made = deliver.consumer(AIOKafkaConsumer, "payments", value_deserializer=json.loads, headers=event_id)
        async with made as consumer:
            await consume(consumer, table)

    await deliver(spawn=process)
    return table
