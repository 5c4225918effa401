"""Loops and callbacks over the clients of queues, as their documentation writes them: settled before the work is done,
which a death in between turns into a loss; and behind it, which is right."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from adapters.streams import Table, check, client, five, ids, kinds, run
from chaoskit import (
    Crash,
    Event,
    JetStream,
    Overtake,
    PubSub,
    RabbitMQ,
    RedisStreams,
    ServiceBus,
    SqsStandard,
    UsageError,
)  # fmt: skip
from chaoskit.adapters import aio_pika, azure_servicebus, boto3_sqs, google_pubsub, nats, pika, redis

Handle = Callable[[Callable[[], Any], Any, bytes], Any]
"""Is given how to settle the message, the id of its event, and its body."""
AsyncHandle = Handle


# As their documentation writes them.


def sqs(consumer: Any, handle: Handle) -> None:
    """https://boto3.amazonaws.com/v1/documentation/api/latest/guide/sqs-example-sending-receiving-msgs.html"""
    url = consumer.get_queue_url(QueueName="payments")["QueueUrl"]
    while True:
        response = consumer.receive_message(QueueUrl=url, MessageAttributeNames=["All"], WaitTimeSeconds=20)
        for message in response.get("Messages", []):
            handle(
                lambda: consumer.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"]),  # noqa: B023
                message["MessageAttributes"]["event-id"]["StringValue"],
                message["Body"],
            )


def rabbit(channel: Any, handle: Handle) -> None:
    """https://www.rabbitmq.com/tutorials/tutorial-two-python"""

    def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
        handle(lambda: ch.basic_ack(delivery_tag=method.delivery_tag), properties.headers["event-id"], body)

    channel.queue_declare(queue="task_queue", durable=True)
    channel.basic_qos(prefetch_count=1)
    channel.basic_consume(queue="task_queue", on_message_callback=callback)
    channel.start_consuming()


async def rabbit_iterator(connection: Any, handle: AsyncHandle) -> None:
    """https://docs.aio-pika.com, "Simple consumer" """
    async with connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=10)
        queue = await channel.declare_queue("task_queue", auto_delete=True)
        async with queue.iterator() as messages:
            async for message in messages:
                await handle(message.ack, message.headers["event-id"], message.body)


async def rabbit_callback(connection: Any, handle: AsyncHandle) -> None:
    """The same page, "Asynchronous message processing"."""

    async def process_message(message: Any) -> None:
        await handle(message.ack, message.headers["event-id"], message.body)

    channel = await connection.channel()
    queue = await channel.declare_queue("task_queue", auto_delete=True)
    await queue.consume(process_message)
    await asyncio.Future()


async def jetstream_pull(js: Any, handle: AsyncHandle) -> None:
    """https://nats-io.github.io/nats.py, "JetStream" """
    sub = await js.pull_subscribe("payments", "psub")
    while True:
        with contextlib.suppress(asyncio.TimeoutError):
            for msg in await sub.fetch(1):
                await handle(msg.ack, msg.headers["event-id"], msg.data)


async def jetstream_push(js: Any, handle: AsyncHandle) -> None:
    """The same page."""

    async def callback(msg: Any) -> None:
        await handle(msg.ack, msg.headers["event-id"], msg.data)

    await js.subscribe("payments", durable="billing", cb=callback, manual_ack=True)
    await asyncio.Event().wait()


def stream_group(r: Any, handle: Handle) -> None:
    """https://redis.io/docs/latest/develop/data-types/streams"""
    r.xgroup_create("payments", "billing", id="0", mkstream=True)
    while True:
        for stream, entries in r.xreadgroup("billing", "worker-1", {"payments": ">"}, count=1, block=2000):
            for id_, fields in entries:
                body = json.dumps({"amount": int(fields[b"amount"])}).encode()
                handle(lambda: r.xack(stream, "billing", id_), fields[b"event-id"], body)  # noqa: B023


def stream_claims(r: Any, handle: Handle) -> None:
    """With what others have left."""
    while True:
        claimed = r.xautoclaim("payments", "billing", "worker-1", min_idle_time=60_000)[1]
        fresh = r.xreadgroup("billing", "worker-1", {"payments": ">"}, count=1)
        for id_, fields in [*claimed, *(entry for _, entries in fresh for entry in entries)]:
            body = json.dumps({"amount": int(fields[b"amount"])}).encode()
            handle(lambda: r.xack("payments", "billing", id_), fields[b"event-id"], body)  # noqa: B023


def pubsub(subscriber: Any, handle: Handle) -> None:
    """https://cloud.google.com/pubsub/docs/pull#asynchronous-pull"""

    def callback(message: Any) -> None:
        handle(message.ack, message.attributes["event-id"], message.data)

    path = subscriber.subscription_path("project", "payments")
    future = subscriber.subscribe(path, callback=callback)
    with subscriber:
        try:
            future.result(timeout=5.0)
        except concurrent.futures.TimeoutError:
            future.cancel()
            future.result()


def pubsub_pull(subscriber: Any, handle: Handle) -> None:
    """The same page, "Synchronous Pull"."""
    path = subscriber.subscription_path("project", "payments")
    while True:
        for received in subscriber.pull(request={"subscription": path, "max_messages": 3}).received_messages:
            handle(
                lambda: subscriber.acknowledge(request={"subscription": path, "ack_ids": [received.ack_id]}),  # noqa: B023
                received.message.attributes["event-id"],
                received.message.data,
            )


def service_bus(receiver: Any, handle: Handle) -> None:
    """https://learn.microsoft.com/azure/service-bus-messaging/service-bus-python-how-to-use-queues"""
    with receiver:
        for msg in receiver:
            handle(lambda: receiver.complete_message(msg), msg.application_properties[b"event-id"], str(msg))  # noqa: B023


@attrs.frozen
class Case:
    """A loop, the consumer that it is given, and what the client comes in."""

    loop: Any
    kind: Any
    broker: Any
    module: str
    package: str

    @property
    def is_async(self) -> bool:
        return asyncio.iscoroutinefunction(self.loop)


CASES = [
    Case(sqs, boto3_sqs.Client, SqsStandard(), "boto3", "boto3"),
    Case(rabbit, pika.BlockingChannel, RabbitMQ(), "pika", "pika"),
    Case(rabbit_iterator, aio_pika.Connection, RabbitMQ(), "aio_pika", "aio-pika"),
    Case(rabbit_callback, aio_pika.Connection, RabbitMQ(), "aio_pika", "aio-pika"),
    Case(jetstream_pull, nats.JetStreamContext, JetStream(), "nats", "nats-py"),
    Case(jetstream_push, nats.JetStreamContext, JetStream(), "nats", "nats-py"),
    Case(stream_group, redis.Redis, RedisStreams(), "redis", "redis"),
    Case(stream_claims, redis.Redis, RedisStreams(), "redis", "redis"),
    Case(pubsub, google_pubsub.SubscriberClient, PubSub(), "google.cloud.pubsub_v1", "google-cloud-pubsub"),
    Case(pubsub_pull, google_pubsub.SubscriberClient, PubSub(), "google.cloud.pubsub_v1", "google-cloud-pubsub"),
    Case(service_bus, azure_servicebus.ServiceBusReceiver, ServiceBus(), "azure.servicebus", "azure-servicebus"),
]


def handler(table: Table, first: bool) -> Handle:
    def handle(settle: Callable[[], Any], id_: Any, body: Any) -> None:
        if first:
            settle()
        table.add_once(id_, "all", json.loads(body)["amount"])
        if not first:
            settle()

    return handle


def async_handler(table: Table, first: bool) -> AsyncHandle:
    async def handle(settle: Callable[[], Any], id_: Any, body: Any) -> None:
        if first:
            await settle()
        table.add_once(id_, "all", json.loads(body)["amount"])
        if not first:
            await settle()

    return handle


def made_of(case: Case, first: bool) -> Any:
    def test(deliver: Any) -> Any:
        table = Table()

        def process() -> None:
            with deliver.consumer(case.kind, headers=ids) as consumer:
                case.loop(consumer, handler(table, first))

        deliver(spawn=process)
        return table.rows

    async def test_async(deliver: Any) -> Any:
        table = Table()

        async def process() -> None:
            async with deliver.consumer(case.kind, headers=ids) as consumer:
                await case.loop(consumer, async_handler(table, first))

        await deliver(spawn=process)
        return table.rows

    return test_async if case.is_async else test


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.loop.__name__)
def test_settled_before_the_work_and_behind_it(case: Case) -> None:
    client(case.module, case.package)
    assert kinds(check(made_of(case, first=True), case.broker, five, faults={Crash})) == {"Crash"}
    verdict = check(made_of(case, first=False), case.broker, five, schedules=60)
    assert verdict.status == "held", verdict.report()


# What their users report.


def needs_its_predecessor(table: Table, message: Any) -> None:
    """An update that comes before what it updates is refused."""
    number, id_ = json.loads(message.body)["number"], message.headers["event-id"]
    if number > len(table.ids) + 1:
        raise LookupError(id_)
    table.add_once(id_, "all", number)


@pytest.mark.parametrize(("requeue", "status"), [(False, "violated"), (True, "held")])
def test_message_process_drops_what_has_failed_unless_it_is_told_to_requeue(requeue: bool, status: str) -> None:
    """Its documentation says that the message is rejected, which is without a requeue by default."""
    client("aio_pika", "aio-pika")

    async def test(deliver: Any) -> Any:
        table = Table()

        async def on_message(message: Any) -> None:
            async with message.process(requeue=requeue):
                needs_its_predecessor(table, message)

        async def process() -> None:
            async with deliver.consumer(aio_pika.Queue, headers=ids) as queue:
                await queue.consume(on_message)
                await asyncio.Future()

        await deliver(spawn=process)
        return table.rows

    numbered = [Event("all", {"number": number}) for number in (1, 2, 3)]
    assert check(test, RabbitMQ(queue_type="classic", consumers=2), numbered, faults={Overtake}).status == status


def test_a_second_ack_closes_the_channel() -> None:
    """https://www.rabbitmq.com/docs/confirms, "Double Acking and Unknown Tags"."""
    library = client("pika", "pika")
    seen: list[Any] = []

    def test(deliver: Any) -> Any:
        def callback(ch: Any, method: Any, properties: Any, body: bytes) -> None:
            ch.basic_ack(method.delivery_tag)
            with pytest.raises(library.exceptions.ChannelClosedByBroker, match="unknown delivery tag 1") as raised:
                ch.basic_ack(method.delivery_tag)
            seen.append((raised.value.reply_code, ch.is_open))

        with deliver.consumer(pika.BlockingConnection) as connection:
            channel = connection.channel()
            channel.basic_consume("task_queue", callback)
            channel.start_consuming()
        return 0

    run(test, RabbitMQ())
    assert set(seen) == {(406, False)}


def test_who_acknowledges_is_said_to_both() -> None:
    client("pika", "pika")

    def test(deliver: Any) -> Any:
        with deliver.consumer(pika.BlockingChannel) as channel:
            channel.basic_consume("task_queue", print, auto_ack=True)
        return 0

    with pytest.raises(UsageError, match=r"auto_ack=True \(no_ack\), and the broker is RabbitMQ\(auto_ack=False\)"):
        check(test, RabbitMQ())


@pytest.mark.parametrize("case", [CASES[5], CASES[8]], ids=lambda case: case.loop.__name__)
def test_what_a_callback_raises_leaves_its_message_unsettled(case: Case) -> None:
    """nats-py goes on; the future of Pub/Sub raises it, and the process begins anew. Either comes again."""
    client(case.module, case.package)

    def test(deliver: Any) -> Any:
        table, tried = Table(), set()

        def handle(settle: Callable[[], Any], id_: Any, body: Any) -> Any:
            if deliver._script.faults and id_ not in tried:
                tried.add(id_)
                raise LookupError(id_)
            table.add_once(id_, "all", json.loads(body)["amount"])
            return settle()

        async def handle_async(settle: Callable[[], Any], id_: Any, body: Any) -> None:
            await handle(settle, id_, body)

        async def process_async() -> None:
            async with deliver.consumer(case.kind, headers=ids) as consumer:
                await case.loop(consumer, handle_async)

        def process() -> None:
            with deliver.consumer(case.kind, headers=ids) as consumer:
                case.loop(consumer, handle)

        return table, process_async if case.is_async else process

    def sync(deliver: Any) -> Any:
        table, process = test(deliver)
        deliver(spawn=process)
        return table.rows

    async def awaited(deliver: Any) -> Any:
        table, process = test(deliver)
        await deliver(spawn=process)
        return table.rows

    assert check(awaited if case.is_async else sync, case.broker, five, schedules=30).status == "held"


@pytest.mark.parametrize(("acks_first", "status"), [(True, "violated"), (False, "held")])
def test_a_callback_holds_several_and_acknowledges_them_with_one_call(acks_first: bool, status: str) -> None:
    """`multiple=True` settles all that it holds: before they are written it loses them with the process."""
    client("pika", "pika")

    def test(deliver: Any) -> dict[str, int]:
        table: dict[str, int] = {}

        def process() -> None:
            rows: list[tuple[str, int]] = []

            def on_message(channel: Any, method: Any, properties: Any, body: bytes) -> None:
                rows.append((properties.message_id, json.loads(body)))
                if len(rows) < 3:
                    return
                if acks_first:
                    channel.basic_ack(method.delivery_tag, multiple=True)
                deliver.point("write")
                table.update(rows)
                rows.clear()
                if not acks_first:
                    channel.basic_ack(method.delivery_tag, multiple=True)

            with deliver.consumer(pika.BlockingChannel) as channel:
                channel.basic_qos(prefetch_count=10)
                channel.basic_consume("orders", on_message)
                channel.start_consuming()

        deliver(spawn=process)
        return table

    three = [Event("a", number) for number in (1, 2, 3)]
    verdict = check(test, RabbitMQ(consumers=1), three, faults={Crash}, schedules=30)
    assert verdict.status == status, verdict.report()
    if acks_first:
        assert kinds(verdict) == {"Crash"}
        assert verdict.scenario is not None
        assert len(verdict.scenario.faults) == 1
