"""The messages of adapters beside those that real brokers gave to the same clients, and that vendors document."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from typing import Any

import attrs
import pytest

import chaoskit
from adapters.likeness import as_json, differences, recorded
from adapters.streams import client
from chaoskit import DeadLetter, Event, JetStream, PubSub, RabbitMQ, Redeliver, Scenario, SqsFifo, SqsStandard, Stream
from chaoskit.adapters import aio_pika, aws_lambda, boto3_sqs, google_pubsub, nats, pika
from chaoskit.adapters.aws_values import md5_of_attributes
from chaoskit.adapters.dynamodb import stream_record

MESSAGE = chaoskit.Message("1", {"amount": 5}, "e1", 2, {"event-id": "e1"}, 1_700_000_000.5, "events", 2, 7, attempt=2,
                           message_id="m1", sequence=9, group="1", deduplication_id="1")  # fmt: skip


def got(broker: Any, loop: Any, *faults: chaoskit.Fault, kind: Any, headers: Any = None, **config: Any) -> list[Any]:
    """What a loop over this consumer of ours gets of one event."""
    runs: list[list[Any]] = []

    def test(deliver: Any) -> int:
        runs.append([])

        def process() -> None:
            with deliver.consumer(kind, headers=headers or (lambda _: {"event-id": "e1"}), **config) as consumer:
                result = loop(consumer, runs[-1])
                if asyncio.iscoroutine(result):
                    asyncio.run(result)

        deliver(spawn=process)
        return 0

    chaoskit.run(test, Scenario(Stream.of([Event("alice", {"amount": 5}, "e1")]), broker, faults))
    return max(reversed(runs), key=len)


def alike(mine: Any, theirs: Any) -> None:
    found = list(differences(as_json(mine), theirs))
    assert not found, "\n".join(found)


# RabbitMQ.


def delivered(channel: Any, found: list[Any]) -> None:
    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        found.append({"method": vars(method), "properties": vars(properties), "body": body.decode()})
        ch.basic_ack(method.delivery_tag)

    channel.basic_consume("payments", callback)
    channel.start_consuming()


@pytest.mark.parametrize("queue", ["classic", "quorum"])
def test_a_delivery_of_pika(queue: str) -> None:
    """First, a second time, and of a dead letter."""
    client("pika", "pika")
    theirs = recorded("rabbitmq")[queue]
    broker = RabbitMQ(consumers=1, queue_type=queue, dead_letter_exchange=True)
    first, again = got(broker, delivered, Redeliver("e1"), kind=pika.BlockingChannel)
    (dead,) = got(broker, delivered, DeadLetter("e1"), kind=pika.BlockingChannel)
    for mine, real in zip((first, again, dead), theirs, strict=True):
        alike(mine, real)
        assert mine["method"]["redelivered"] == real["method"]["redelivered"]
        assert mine["properties"]["headers"].get("x-delivery-count") == real["properties"]["headers"].get(
            "x-delivery-count"
        )


def test_a_message_of_aio_pika() -> None:
    client("aio_pika", "aio-pika")

    async def iterates(queue: Any, found: list[Any]) -> None:
        async with queue.iterator() as messages:
            async for message in messages:
                found.append(message.info())
                await message.ack()

    theirs = recorded("rabbitmq")["aio_pika"]
    broker = RabbitMQ(consumers=1, queue_type="classic")
    for mine, real in zip(got(broker, iterates, Redeliver("e1"), kind=aio_pika.Queue), theirs, strict=True):
        alike(mine, real["info"])
        assert {name: type(value).__name__ for name, value in mine.items()} == real["types"]


# JetStream.


def test_a_message_of_jetstream() -> None:
    client("nats", "nats-py")

    async def fetches(js: Any, found: list[Any]) -> None:
        sub = await js.pull_subscribe("payments", "billing")
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                (msg,) = await sub.fetch(1)
                metadata, sequence = msg.metadata, msg.metadata.sequence
                told = {
                    "stream_seq": sequence.stream, "consumer_seq": sequence.consumer, "domain": metadata.domain,
                    "num_delivered": metadata.num_delivered, "num_pending": metadata.num_pending,
                    "timestamp": metadata.timestamp.isoformat(), "tz": str(metadata.timestamp.tzinfo),
                    "stream": metadata.stream, "consumer": metadata.consumer,
                }  # fmt: skip
                found.append(
                    {"subject": msg.subject, "reply": msg.reply, "data": msg.data.decode(), "headers": msg.headers,
                     "metadata": told}
                )  # fmt: skip
                await msg.ack()

    first, bare, again = recorded("nats")["messages"]
    kind, redelivered = nats.JetStreamContext, Redeliver("e1")
    one_process = JetStream(consumers=1)
    for mine, real in zip(got(one_process, fetches, redelivered, kind=kind), (first, again), strict=True):
        alike(mine, real)
        assert mine["metadata"]["num_delivered"] == real["metadata"]["num_delivered"]
    alike(got(JetStream(msg_ids=False), fetches, kind=kind, headers=lambda _: {})[0], bare)


# AWS.


@pytest.mark.parametrize("queue", ["standard", "fifo"])
def test_an_answer_of_sqs(queue: str) -> None:
    """With all attributes, with none, after a delete, and where nothing is left."""
    client("boto3", "boto3")

    real = recorded("sqs")[queue]
    carried = {"event-id": "e1", "n": 5, "b": b"\x01"}
    broker = SqsStandard(consumers=1) if queue == "standard" else SqsFifo(consumers=1)
    first, *_ = got(broker, receives_once, kind=boto3_sqs.Client, headers=lambda _: carried)
    alike(first, of_aws(real["received"][0]))
    assert first["Messages"][0]["MD5OfBody"] == real["received"][0]["Messages"][0]["MD5OfBody"]
    assert (
        first["Messages"][0]["MD5OfMessageAttributes"] == real["received"][0]["Messages"][0]["MD5OfMessageAttributes"]
    )
    second, third, deleted, empty = got(broker, receives_bare, Redeliver("e1"), kind=boto3_sqs.Client)[:4]
    alike(second, of_aws(real["received"][2]))
    assert set(third["Messages"][0]) == set(second["Messages"][0])
    alike(deleted, of_aws(real["deleted"]))
    alike(empty, of_aws(real["empty"]))


def receives_once(sqs: Any, found: list[Any]) -> None:
    asked: dict[str, Any] = {"MessageAttributeNames": ["All"], "MessageSystemAttributeNames": ["All"]}
    while "Messages" in (answer := sqs.receive_message(**asked)):
        found.append(answer)
        sqs.delete_message(ReceiptHandle=answer["Messages"][0]["ReceiptHandle"])


def receives_bare(sqs: Any, found: list[Any]) -> None:
    deleted = None
    while "Messages" in (answer := sqs.receive_message()):
        found.append(answer)
        deleted = sqs.delete_message(ReceiptHandle=answer["Messages"][0]["ReceiptHandle"])
    found.extend([deleted, answer])


def of_aws(answer: dict[str, Any]) -> dict[str, Any]:
    """Without what is the emulator's own: its other headers, and how it makes handles and senders."""
    told = answer["ResponseMetadata"]
    kept = {name: told["HTTPHeaders"][name] for name in ("x-amzn-requestid", "content-type")}
    for message in answer.get("Messages", ()):
        message["ReceiptHandle"] = "AQEBBX8nesZEXmkhsmZeyIE8iQAMig7qw..."
        if "Attributes" in message:
            message["Attributes"]["SenderId"] = "AIDAIO23YVJENQZJOL4VO"
    return {**answer, "ResponseMetadata": {**told, "HTTPHeaders": kept}}


def record_of(adapter: Any, message: chaoskit.Message = MESSAGE, **options: Any) -> Any:
    """The one that a function gets."""
    seen: list[Any] = []
    adapter(lambda event, _: seen.append(event), **options)(message)
    return seen[0]


def test_a_record_of_sqs_as_aws_documents_it() -> None:
    mine = record_of(aws_lambda.sqs)["Records"][0]
    theirs = recorded("aws_lambda")["sqs"]["record"]
    theirs["messageAttributes"] = {"event-id": theirs["messageAttributes"]["Attribute1"]}
    alike({**mine, "receiptHandle": ""}, {**theirs, "receiptHandle": ""})
    assert md5_of_attributes({"event-id": ("String", "e1")}) == mine["md5OfMessageAttributes"]
    plain = attrs.evolve(MESSAGE, sequence=None, headers={})
    assert "md5OfMessageAttributes" not in record_of(aws_lambda.sqs, plain)["Records"][0]


def test_a_notification_of_sns_as_aws_documents_it() -> None:
    message = attrs.evolve(MESSAGE, sequence=None, headers={})
    body = json.loads(record_of(aws_lambda.sns_sqs, message)["Records"][0]["body"])
    alike(body, recorded("aws_lambda")["sns"]["notification"])


def test_a_record_of_kinesis_as_aws_documents_it() -> None:
    alike(record_of(aws_lambda.kinesis)["Records"][0], recorded("aws_lambda")["kinesis"]["record"])


def test_a_record_of_a_dynamodb_stream_as_aws_documents_it() -> None:
    """Its SizeBytes are those of the documentation's items, too."""
    told = recorded("aws_lambda")["dynamodb"]
    message = attrs.evolve(MESSAGE, value={"id": "1", "key": "updated"})
    images = {"images": lambda new: ({**new, "key": "value"}, new)}
    mine = record_of(aws_lambda.dynamodb, message, keys="id", **images)["Records"][0]
    alike(mine, told["record"])
    assert mine["dynamodb"]["SizeBytes"] == told["record"]["dynamodb"]["SizeBytes"]
    for old, new, size in told["sizes"]:
        both = (old, new)
        made = stream_record(MESSAGE, ["Id"], lambda _, both=both: both)
        assert made["dynamodb"]["SizeBytes"] == size


def test_an_event_of_eventbridge_as_aws_documents_it() -> None:
    theirs = recorded("aws_lambda")["eventbridge"]["event"]
    alike({**record_of(aws_lambda.eventbridge), "detail": {}}, {**theirs, "detail": {}})


def test_ids_of_aws_are_random_ones() -> None:
    """UUIDs of version 4, which a redelivery keeps."""
    ids = [record_of(aws_lambda.eventbridge, attrs.evolve(MESSAGE, attempt=attempt))["id"] for attempt in (1, 2)]
    assert ids[0] == ids[1]
    assert ids[0][14] == "4"


# Pub/Sub.


def test_a_message_of_pubsub_as_google_documents_it() -> None:
    types = client("google.cloud.pubsub_v1.types", "google-cloud-pubsub")

    def pulls(subscriber: Any, found: list[Any]) -> None:
        while answer := subscriber.pull(subscription="s", max_messages=1).received_messages:
            found.append(json.loads(types.PubsubMessage.to_json(answer[0].message)))
            subscriber.acknowledge(subscription="s", ack_ids=[answer[0].ack_id])

    (mine,) = got(PubSub(), pulls, kind=google_pubsub.SubscriberClient)
    mine.pop("orderingKey")  # of a topic that has such
    theirs = recorded("pubsub")["message"]
    theirs["attributes"] = {"event-id": theirs["attributes"]["key"]}
    # Its JSON has a fraction of a second only where there is one.
    mine["publishTime"] = mine["publishTime"].replace("Z", ".000Z")
    alike({**mine, "data": ""}, {**theirs, "data": ""})
    assert base64.b64decode(mine["data"]) == b'{"amount": 5}'
