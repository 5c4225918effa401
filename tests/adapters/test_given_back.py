"""What a loop gives back comes again, by each verb of each client; what it gives up does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from adapters.streams import Table, check, client, ids
from chaoskit import Event, Overtake, PubSub, RabbitMQ, ServiceBus, SqsStandard
from chaoskit.adapters import azure_servicebus, boto3_sqs, google_pubsub, pika

NUMBERED = [Event("all", {"number": number}) for number in (1, 2, 3)]

Refuse = Callable[..., Any]


def is_early(table: Table, value: Any) -> bool:
    """It comes before what it follows."""
    return bool(json.loads(value)["number"] > len(table.ids) + 1)


def rabbit(deliver: Any, table: Table, refuse: Refuse) -> None:
    with deliver.consumer(pika.BlockingChannel, headers=ids) as channel:
        while True:
            method, properties, body = channel.basic_get("q")
            if method is None:
                continue
            if is_early(table, body):
                refuse(channel, method.delivery_tag)
            else:
                table.add_once(properties.headers["event-id"], "all", json.loads(body)["number"])
                channel.basic_ack(method.delivery_tag)


def sqs(deliver: Any, table: Table, refuse: Refuse) -> None:
    with deliver.consumer(boto3_sqs.Client, headers=ids) as queue:
        while True:
            answer = queue.receive_message(QueueUrl="q", MessageAttributeNames=["All"])
            for message in answer.get("Messages", []):
                if is_early(table, message["Body"]):
                    refuse(queue, message["ReceiptHandle"])
                    continue
                id_ = message["MessageAttributes"]["event-id"]["StringValue"]
                table.add_once(id_, "all", json.loads(message["Body"])["number"])
                queue.delete_message(QueueUrl="q", ReceiptHandle=message["ReceiptHandle"])


def pubsub(deliver: Any, table: Table, refuse: Refuse) -> None:
    with deliver.consumer(google_pubsub.SubscriberClient, headers=ids) as subscriber:

        def callback(message: Any) -> None:
            if is_early(table, message.data):
                refuse(message)
                return
            message.modify_ack_deadline(60)
            table.add_once(message.attributes["event-id"], "all", json.loads(message.data)["number"])
            message.ack()

        subscriber.subscribe("path", callback=callback).result()


def service_bus(deliver: Any, table: Table, refuse: Refuse) -> None:
    with deliver.consumer(azure_servicebus.ServiceBusReceiver, headers=ids) as receiver:
        for message in receiver:
            if is_early(table, str(message)):
                refuse(receiver, message)
                continue
            receiver.renew_message_lock(message)
            id_ = message.application_properties[b"event-id"]
            table.add_once(id_, "all", json.loads(str(message))["number"])
            receiver.complete_message(message)


RABBIT = RabbitMQ(queue_type="classic", consumers=2)
VERBS: dict[str, tuple[str, Any, Any, Refuse, str]] = {
    "pika nack": ("pika", rabbit, RABBIT, lambda c, tag: c.basic_nack(tag), "held"),
    "pika reject": ("pika", rabbit, RABBIT, lambda c, tag: c.basic_reject(tag), "held"),
    "pika reject for good": ("pika", rabbit, RABBIT, lambda c, tag: c.basic_reject(tag, requeue=False), "violated"),
    "sqs visibility 0": (
        "botocore", sqs, SqsStandard(),
        lambda c, handle: c.change_message_visibility(QueueUrl="q", ReceiptHandle=handle, VisibilityTimeout=0), "held",
    ),
    "sqs delete": (
        "botocore", sqs, SqsStandard(), lambda c, handle: c.delete_message(QueueUrl="q", ReceiptHandle=handle),
        "violated",
    ),
    "pubsub nack": ("google.cloud.pubsub_v1", pubsub, PubSub(), lambda message: message.nack(), "held"),
    "pubsub deadline 0": (
        "google.cloud.pubsub_v1", pubsub, PubSub(), lambda message: message.modify_ack_deadline(0), "held",
    ),
    "pubsub ack": ("google.cloud.pubsub_v1", pubsub, PubSub(), lambda message: message.ack(), "violated"),
    "service bus abandon": (
        "azure.servicebus", service_bus, ServiceBus(), lambda receiver, message: receiver.abandon_message(message),
        "held",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VERBS)
def test_what_is_given_back_comes_again(name: str) -> None:
    module, loop, broker, refuse, status = VERBS[name]
    client(module, module)

    def test(deliver: Any) -> Any:
        table = Table()
        deliver(spawn=lambda: loop(deliver, table, refuse))
        return table.rows

    verdict = check(test, broker, NUMBERED, faults={Overtake}, schedules=60)
    assert verdict.status == status, verdict.report()
