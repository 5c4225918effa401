"""Messages and answers of the clients of queues, beside those that the clients make or read themselves."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator
from datetime import UTC
from typing import Any

import pytest

from adapters.streams import client, ids, run
from chaoskit import JetStream, PubSub, RabbitMQ, RedisStreams, ServiceBus, SqsFifo
from chaoskit.adapters import aio_pika, azure_servicebus, boto3_sqs, google_pubsub, nats, pika, redis
from fuzz.servers import valkey


def first_of(kind: Any, broker: Any, take: Callable[[Any, list[Any]], Any], **config: Any) -> Any:
    got: list[Any] = []

    def test(deliver: Any) -> Any:
        with deliver.consumer(kind, headers=ids, **config) as consumer:
            result = take(consumer, got)
            if asyncio.iscoroutine(result):
                asyncio.run(result)
        return 0

    run(test, broker)
    return got[0]


def test_an_answer_of_sqs_has_the_shapes_of_the_service() -> None:
    """As botocore's model of the service has them, with which boto3 reads what AWS sends."""
    session = client("botocore.session", "boto3").get_session()
    shape = session.get_service_model("sqs").operation_model("ReceiveMessage").output_shape

    def take(sqs: Any, got: list[Any]) -> None:
        asked = {"MessageAttributeNames": ["All"], "MessageSystemAttributeNames": ["All"]}
        while "Messages" in (answer := sqs.receive_message(**asked)):
            got.append(answer)

    answer = first_of(boto3_sqs.Client, SqsFifo(), take)
    fields = shape.members["Messages"].member.members
    (message,) = answer["Messages"]
    assert set(message) == set(fields)
    names = fields["Attributes"].key.enum
    assert set(message["Attributes"]) <= set(names)
    assert {type(value) for value in message["Attributes"].values()} == {str}
    assert message["MessageAttributes"] == {"event-id": {"StringValue": "e1", "DataType": "String"}}
    assert (message["Body"], message["MD5OfBody"]) == ('{"amount": 5}', "46c7d1870b02a959af414bcf04b1405f")


def test_a_delivery_of_pika_is_of_its_classes() -> None:
    library = client("pika", "pika")

    def take(channel: Any, got: list[Any]) -> None:
        channel.basic_consume("task_queue", lambda *delivery: got.append(delivery[1:]))
        channel.start_consuming()

    method, properties, body = first_of(pika.BlockingChannel, RabbitMQ(), take)
    assert type(method) is library.spec.Basic.Deliver
    assert type(properties) is library.spec.BasicProperties
    # It is what goes over the wire.
    assert library.spec.Basic.Deliver().decode(b"".join(method.encode())) == method
    decoded = library.spec.BasicProperties().decode(b"".join(properties.encode()))
    assert decoded == properties
    assert (decoded.message_id, decoded.headers, decoded.content_type) == ("e1", {"event-id": "e1"}, "application/json")
    assert (method.delivery_tag, method.redelivered, method.routing_key, body) == (
        1,
        False,
        "task_queue",
        b'{"amount": 5}',
    )


def test_a_message_of_aio_pika_is_of_its_class() -> None:
    library = client("aio_pika", "aio-pika")

    async def take(queue: Any, got: list[Any]) -> None:
        async with queue.iterator() as messages:
            got.extend([message async for message in messages])

    message = first_of(aio_pika.Queue, RabbitMQ(), take, name="payments")
    assert type(message) is library.IncomingMessage
    info = message.info()
    assert (info["message_id"], info["headers"], info["routing_key"]) == ("e1", {"event-id": "e1"}, "payments")
    assert (message.delivery_tag, message.redelivered, message.timestamp.tzinfo is not None) == (1, False, True)
    header = client("pamqp.header", "aio-pika").ContentHeader
    (decoded := header()).unmarshal(header(0, len(message.body), message.properties).marshal())
    assert dict(decoded.properties) == dict(message.properties)


def test_a_message_of_jetstream_says_what_its_reply_subject_says() -> None:
    library = client("nats", "nats-py")

    async def take(js: Any, got: list[Any]) -> None:
        sub = await js.subscribe("payments.*", durable="billing")
        got.extend([msg async for msg in sub.messages])

    msg = first_of(nats.JetStreamContext, JetStream(), take)
    assert type(msg) is library.aio.msg.Msg
    assert (msg.metadata.num_delivered, msg.metadata.sequence.stream, msg.metadata.consumer) == (1, 1, "billing")
    assert (msg.data, msg.headers["event-id"]) == (b'{"amount": 5}', "e1")
    # What the client makes of the line that a server sends, and of its reply subject.
    assert re.fullmatch(r"\$JS\.ACK\.EVENTS\.billing\.1\.1\.1\.\d{19}\.0", msg.reply)
    line = msg.subject.encode(), msg.reply.encode(), b'{"amount": 5}', msg.headers
    theirs = library.aio.client.Client()._build_message(msg._sid, *line)
    names = {field.name for field in dataclasses.fields(theirs)} - {"_client", "_metadata"}
    assert {name: getattr(msg, name) for name in names} == {name: getattr(theirs, name) for name in names}
    assert msg.metadata == theirs.metadata


@pytest.mark.parametrize("config", [{}, {"decode_responses": True}, {"protocol": 3}], ids=["bytes", "text", "resp3"])
def test_an_answer_of_redis_is_as_the_client_reads_it(config: Any, server: Any) -> None:
    real = client("redis", "redis").Redis.from_url(server.url, **config)
    real.flushall()
    real.xadd("payments", {"event-id": "e1", "amount": 5}, id="1-0")
    real.xgroup_create("payments", "billing", id="0")

    def read(r: Any, got: list[Any]) -> None:
        answer = r.xreadgroup("billing", "worker", {"payments": ">"}, count=1)
        nothing = r.xreadgroup("billing", "worker", {"payments": ">"}, count=1)
        got.append((answer, nothing, r.xautoclaim("payments", "billing", "worker", 60_000)))

    theirs: list[Any] = []
    read(real, theirs)
    mine = first_of(redis.Redis, RedisStreams(), read, **config)
    assert as_with_id(mine, "1-0") == as_with_id(theirs[0], "1-0")


def as_with_id(answer: Any, id_: str) -> Any:
    """Its repr, with this id for those of an entry."""
    return re.sub(r"'\d+-\d+', \{", f"'{id_}', {{", repr(answer))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with valkey(tmp_path_factory.mktemp("valkey")) as running:
        yield running


def test_a_message_of_pubsub_is_of_its_class() -> None:
    library = client("google.cloud.pubsub_v1.subscriber.message", "google-cloud-pubsub")

    def take(subscriber: Any, got: list[Any]) -> None:
        with contextlib.suppress(concurrent.futures.TimeoutError):
            subscriber.subscribe("path", got.append).result(timeout=1)

    message = first_of(google_pubsub.SubscriberClient, PubSub(), take)
    assert type(message) is library.Message
    assert (message.data, dict(message.attributes), message.ordering_key) == (
        b'{"amount": 5}',
        {"event-id": "e1"},
        "alice",
    )
    assert (message.message_id, message.delivery_attempt, message.publish_time.tzinfo) == ("1", None, UTC)
    wire = type(message._message).FromString(message._message.SerializeToString())
    theirs = library.Message(wire, "ack", 0, None)
    for name in ("data", "attributes", "ordering_key", "message_id", "publish_time", "size", "delivery_attempt"):
        assert getattr(message, name) == getattr(theirs, name), name


def test_a_message_of_service_bus_is_of_its_class() -> None:
    library = client("azure.servicebus", "azure-servicebus")
    message = first_of(azure_servicebus.ServiceBusReceiver, ServiceBus(), lambda receiver, got: got.extend(receiver))
    assert type(message) is library.ServiceBusReceivedMessage
    assert (str(message), message.message_id, message.delivery_count, message.sequence_number) == (
        '{"amount": 5}',
        "e1",
        0,
        1,
    )
    assert message.application_properties == {b"event-id": b"e1"}
    assert message.enqueued_time_utc is not None
    assert message.locked_until_utc is not None
    theirs = of_the_wire(message)
    for name in dir(library.ServiceBusReceivedMessage):
        if isinstance(getattr(library.ServiceBusReceivedMessage, name), property) and name not in ("body", "message"):
            assert repr(getattr(message, name)) == repr(getattr(theirs, name)), name
    assert b"".join(message.body) == b"".join(theirs.body)


def of_the_wire(message: Any) -> Any:
    """What the client makes of the bytes of this message."""
    from azure.servicebus._pyamqp import _decode, _encode
    from azure.servicebus._pyamqp.types import TYPE, VALUE, AMQPTypes

    annotations = {
        name: {TYPE: AMQPTypes.timestamp if b"time" in name or b"until" in name else AMQPTypes.long, VALUE: value}
        for name, value in message._message.message_annotations.items()
    }
    payload = bytearray()
    _encode.encode_payload(payload, message._message._replace(message_annotations=annotations))
    return type(message)(
        _decode.decode_payload(memoryview(bytes(payload))), message._receiver._mode,
        frame=[0, message._delivery_id, message._delivery_tag], receiver=message._receiver,
    )  # fmt: skip
