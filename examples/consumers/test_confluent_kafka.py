"""confluent-kafka: records are buffered, written together, and committed behind that."""

from __future__ import annotations

import json
from typing import Any

from payments import event_id, payments

from chaoskit import Kafka, chaos
from chaoskit.adapters.confluent_kafka import Consumer


def consume(consumer: Any, table: dict[bytes, int]) -> None:
    batch: list[Any] = []
    consumer.subscribe(["payments"])
    try:
        while True:
            message = consumer.poll(timeout=1.0)
            if message is not None:
                batch.append(message)
            if batch and (message is None or len(batch) >= 3):
                table.update({dict(each.headers())["event-id"]: json.loads(each.value())["amount"] for each in batch})
                consumer.commit(asynchronous=False)
                batch.clear()
    finally:
        consumer.close()


@chaos(payments, broker=Kafka(partitions=2), schedules=100)
def test_payments(deliver: Any) -> dict[bytes, int]:
    table: dict[bytes, int] = {}

    def process() -> None:
        with deliver.consumer(Consumer, {"enable.auto.commit": False}, headers=event_id) as consumer:
            consume(consumer, table)

    deliver(spawn=process)
    return table
