"""azure-servicebus: a receiver that completes what is written."""

from __future__ import annotations

import json
from typing import Any

from payments import event_id, payments

from chaoskit import ServiceBus, chaos
from chaoskit.adapters.azure_servicebus import ServiceBusReceiver


def consume(receiver: Any, table: dict[str, int]) -> None:
    with receiver:
        for message in receiver:
            table[message.application_properties[b"event-id"]] = json.loads(str(message))["amount"]
            receiver.complete_message(message)


@chaos(payments, broker=ServiceBus(), schedules=100)
def test_payments(deliver: Any) -> dict[str, int]:
    table: dict[str, int] = {}

    def process() -> None:
        with deliver.consumer(ServiceBusReceiver, headers=event_id) as receiver:
            consume(receiver, table)

    deliver(spawn=process)
    return table
