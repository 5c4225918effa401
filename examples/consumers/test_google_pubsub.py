"""google-cloud-pubsub: a callback of a streaming pull."""

from __future__ import annotations

import json
from typing import Any

from payments import event_id, payments

from chaoskit import PubSub, chaos
from chaoskit.adapters.google_pubsub import SubscriberClient


def consume(subscriber: Any, table: dict[str, int]) -> None:
    def callback(message: Any) -> None:
        table[message.attributes["event-id"]] = json.loads(message.data)["amount"]
        message.ack()

    path = subscriber.subscription_path("shop", "payments")
    with subscriber:
        subscriber.subscribe(path, callback=callback).result()


@chaos(payments, broker=PubSub(), schedules=100)
def test_payments(deliver: Any) -> dict[str, int]:
    table: dict[str, int] = {}

    def process() -> None:
        with deliver.consumer(SubscriberClient, headers=event_id) as subscriber:
            consume(subscriber, table)

    deliver(spawn=process)
    return table
