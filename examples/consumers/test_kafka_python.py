"""kafka-python: a loop over the consumer."""

from __future__ import annotations

import json
from typing import Any

from payments import event_id, payments

from chaoskit import Kafka, chaos
from chaoskit.adapters.kafka_python import KafkaConsumer


def consume(consumer: Any, table: dict[bytes, int]) -> None:
    for record in consumer:
        table[dict(record.headers)["event-id"]] = json.loads(record.value)["amount"]


@chaos(payments, broker=Kafka(partitions=2), schedules=100)
def test_payments(deliver: Any) -> dict[bytes, int]:
    table: dict[bytes, int] = {}

    def process() -> None:
        with deliver.consumer(KafkaConsumer, "payments", headers=event_id) as consumer:
            consume(consumer, table)

    deliver(spawn=process)
    return table
