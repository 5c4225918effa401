"""nats-py: a pull subscription of JetStream."""

from __future__ import annotations

import json
from typing import Any

from payments import event_id, payments

from chaoskit import JetStream, chaos
from chaoskit.adapters.nats import JetStreamContext


async def consume(js: Any, table: dict[str, int]) -> None:
    subscription = await js.pull_subscribe("payments", durable="billing")
    while True:
        try:
            messages = await subscription.fetch(1, timeout=5)
        except TimeoutError:
            continue
        for message in messages:
            table[message.headers["event-id"]] = json.loads(message.data)["amount"]
            await message.ack()


@chaos(payments, broker=JetStream(), schedules=100)
async def test_payments(deliver: Any) -> dict[str, int]:
    table: dict[str, int] = {}

    async def process() -> None:
        async with deliver.consumer(JetStreamContext, headers=event_id) as js:
            await consume(js, table)

    await deliver(spawn=process)
    return table
