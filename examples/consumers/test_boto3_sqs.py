"""boto3: a message is deleted when its payment is written."""

from __future__ import annotations

import json
from typing import Any

from payments import event_id, payments

from chaoskit import SqsStandard, chaos
from chaoskit.adapters.boto3_sqs import Client


def consume(sqs: Any, table: dict[str, int]) -> None:
    url = sqs.get_queue_url(QueueName="payments")["QueueUrl"]
    while True:
        answer = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"], WaitTimeSeconds=20)
        for message in answer.get("Messages", []):
            id_ = message["MessageAttributes"]["event-id"]["StringValue"]
            table[id_] = json.loads(message["Body"])["amount"]
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


@chaos(payments, broker=SqsStandard(), schedules=100)
def test_payments(deliver: Any) -> dict[str, int]:
    table: dict[str, int] = {}

    def process() -> None:
        with deliver.consumer(Client, headers=event_id) as sqs:
            consume(sqs, table)

    deliver(spawn=process)
    return table
