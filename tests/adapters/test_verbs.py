"""What else a consumer can say of its messages: for each verb a use that is right and one that is wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from adapters.streams import check, client, ids
from chaoskit import Crash, Event, JetStream, Kafka, Message, Overtake, RabbitMQ, ServiceBus, UsageError
from chaoskit.adapters import aio_pika, aiokafka, azure_servicebus, kafka_python, nats, pika

NUMBERED = [Event("a", number) for number in (1, 2, 3)]
Work = Callable[[Any, dict[str, int]], Any]


def is_early(number: int, table: dict[str, int]) -> bool:
    """An update that comes before what it updates."""
    return number > table.get("all", 0) + 1


def done(number: int, table: dict[str, int]) -> None:
    table["all"] = max(number, table.get("all", 0))


# nats-py.


def jetstream(work: Work) -> Any:
    """A push subscription with this callback."""
    client("nats", "nats-py")

    async def test(deliver: Any) -> Any:
        table: dict[str, int] = {}

        async def callback(msg: Any) -> None:
            await work(msg, table)

        async def process() -> None:
            async with deliver.consumer(nats.JetStreamContext, headers=ids) as js:
                await js.subscribe("payments", durable="billing", cb=callback, manual_ack=True)
                await asyncio.Event().wait()

        await deliver(spawn=process)
        return table

    return test


def waiting(verb: str, **options: Any) -> Any:
    async def work(msg: Any, table: dict[str, int]) -> None:
        number = json.loads(msg.data)
        if is_early(number, table):
            await getattr(msg, verb)(**options)
            return
        done(number, table)
        await msg.ack()

    return jetstream(work)


@pytest.mark.parametrize(
    ("verb", "options", "status"),
    [("nak", {}, "held"), ("nak", {"delay": 5}, "held"), ("term", {}, "violated")],
)
def test_what_is_early_is_given_back_to_jetstream_and_not_terminated(verb: str, options: Any, status: str) -> None:
    verdict = check(waiting(verb, **options), JetStream(), NUMBERED, faults={Overtake}, schedules=40)
    assert verdict.status == status, verdict.report()


@pytest.mark.parametrize("verb", ["nak", "term"])
def test_what_can_never_be_handled_is_terminated_and_not_given_back(verb: str) -> None:
    async def work(msg: Any, table: dict[str, int]) -> None:
        number = json.loads(msg.data)
        if number == 2:
            await getattr(msg, verb)()
            return
        table[str(number)] = number
        await msg.ack()

    if verb == "nak":
        with pytest.raises(UsageError, match="nack"):
            check(jetstream(work), JetStream(), NUMBERED, schedules=20)
        return
    assert check(jetstream(work), JetStream(), NUMBERED, schedules=40).status == "held"


@pytest.mark.parametrize("acks", [True, False])
def test_in_progress_asks_for_time_and_is_no_acknowledgement(acks: bool) -> None:
    async def work(msg: Any, table: dict[str, int]) -> None:
        await msg.in_progress()
        done(json.loads(msg.data), table)
        if acks:
            await msg.ack()

    verdict = check(jetstream(work), JetStream(), NUMBERED, schedules=40)
    assert verdict.status == ("held" if acks else "unknown"), verdict.report()
    assert acks or "never acknowledged" in verdict.report()


# Kafka.


@pytest.mark.parametrize("first", [True, False])
def test_commit_async_before_the_flush_and_behind_it(first: bool) -> None:
    library = client("kafka", "kafka-python")
    told: list[Any] = []

    def consume(consumer: Any, table: dict[str, int]) -> None:
        held: list[Any] = []
        while True:
            got = consumer.poll(1000, max_records=1)
            held.extend(record for records in got.values() for record in records)
            if held and (not got or len(held) == 2):
                if first:
                    consumer.commit_async(callback=lambda *given: told.append(given))
                table.update((record.headers[0][1].decode(), json.loads(record.value)) for record in held)
                held.clear()
                if not first:
                    future = consumer.commit_async(callback=lambda *given: told.append(given))
                    assert future.succeeded()

    def test(deliver: Any) -> Any:
        table: dict[str, int] = {}

        def process() -> None:
            with deliver.consumer(
                kafka_python.KafkaConsumer, "payments", enable_auto_commit=False, headers=ids
            ) as consumer:
                consume(consumer, table)

        deliver(spawn=process)
        return table

    verdict = check(test, Kafka(partitions=1), NUMBERED, faults={Crash} if first else None, schedules=40)
    assert verdict.status == ("violated" if first else "held"), verdict.report()
    offsets, answer = told[0]
    ((partition, at),) = offsets.items()
    assert type(partition) is library.TopicPartition
    assert type(at) is library.OffsetAndMetadata
    assert not isinstance(answer, Exception)


@pytest.mark.parametrize("back", [True, False])
def test_a_consumer_of_aiokafka_seeks_back_to_what_has_failed(back: bool) -> None:
    library = client("aiokafka", "aiokafka")

    async def test(deliver: Any) -> Any:
        table: dict[str, int] = {}
        async with deliver.consumer(aiokafka.AIOKafkaConsumer, "payments") as consumer:
            async for record in consumer:
                number = json.loads(record.value)
                if not is_early(number, table):
                    done(number, table)
                elif back:
                    consumer.seek(library.TopicPartition(record.topic, record.partition), record.offset)
        return table

    stream = [Event("a", 1), Event("b", 2), Event("a", 3)]  # of two partitions
    verdict = check(test, Kafka(partitions=6), stream, faults={Overtake})
    assert verdict.status == ("held" if back else "violated"), verdict.report()


@pytest.mark.parametrize("first", [True, False])
def test_an_awaited_commit_before_the_work_and_behind_it(first: bool) -> None:
    """`await message.commit()`, in a handler that is awaited."""

    async def test(deliver: Any) -> Any:
        table: dict[Any, int] = {}

        async def handle(message: Message) -> None:
            if first:
                await message.commit()
            deliver.point("write")
            table[message.id] = message.value
            if not first:
                await message.commit()

        await deliver(spawn=lambda: handle, settle="handler")
        return table

    verdict = check(test, Kafka(partitions=1), NUMBERED, faults={Crash} if first else None, schedules=40)
    assert verdict.status == ("violated" if first else "held"), verdict.report()


# Service Bus.


@pytest.mark.parametrize("verb", ["abandon_message", "dead_letter_message"])
def test_what_is_early_waits_with_the_dead_letters_of_service_bus(verb: str) -> None:
    """Both hold, as a dead letter is put back here, by whoever looks after that queue: late, and behind all others."""
    client("azure.servicebus", "azure-servicebus")

    def test(deliver: Any) -> Any:
        table: dict[str, int] = {}
        with deliver.consumer(azure_servicebus.ServiceBusReceiver) as receiver:
            for message in receiver:
                number = json.loads(b"".join(message.body))
                if is_early(number, table):
                    getattr(receiver, verb)(message)
                    continue
                done(number, table)
                receiver.complete_message(message)
        return table

    verdict = check(test, ServiceBus(), NUMBERED, faults={Overtake}, schedules=40)
    assert verdict.status == "held", verdict.report()


# RabbitMQ.


def by_aio_pika(handle: Any) -> Any:
    client("aio_pika", "aio-pika")

    async def test(deliver: Any) -> Any:
        table: dict[str, int] = {}

        async def on_message(message: Any) -> None:
            await handle(message, table)

        async def process() -> None:
            async with deliver.consumer(aio_pika.Queue) as queue:
                await queue.consume(on_message)
                await asyncio.Future()

        await deliver(spawn=process)
        return table

    return test


def by_pika(handle: Any) -> Any:
    client("pika", "pika")

    def test(deliver: Any) -> Any:
        table: dict[str, int] = {}

        def on_message(channel: Any, method: Any, properties: Any, body: bytes) -> None:
            handle(channel, method.delivery_tag, json.loads(body), table)

        with deliver.consumer(pika.BlockingChannel) as channel:
            channel.basic_consume("orders", on_message)
            channel.start_consuming()
        return table

    return test


@pytest.mark.parametrize("requeue", [True, False])
@pytest.mark.parametrize("verb", ["nack", "reject"])
def test_what_is_early_is_requeued_and_not_dropped(verb: str, requeue: bool) -> None:
    async def on_incoming(message: Any, table: dict[str, int]) -> None:
        number = json.loads(message.body)
        if is_early(number, table):
            await getattr(message, verb)(requeue=requeue)
            return
        done(number, table)
        await message.ack()

    def on_delivery(channel: Any, tag: int, number: int, table: dict[str, int]) -> None:
        if is_early(number, table):
            getattr(channel, f"basic_{verb}")(tag, requeue=requeue)
            return
        done(number, table)
        channel.basic_ack(tag)

    for test in (by_aio_pika(on_incoming), by_pika(on_delivery)):
        verdict = check(test, RabbitMQ(delivery_limit=None), NUMBERED, faults={Overtake}, schedules=40)
        assert verdict.status == ("held" if requeue else "violated"), verdict.report()


@pytest.mark.parametrize(("options", "status"), [({"reject_on_redelivered": True}, "violated"), ({}, "held")])
def test_process_may_reject_what_fails_a_second_time(options: Any, status: str) -> None:
    """`reject_on_redelivered` gives a message one more chance, which is too few for one that waits."""

    async def handle(message: Any, table: dict[str, int]) -> None:
        async with message.process(requeue=True, **options):
            number = json.loads(message.body)
            if is_early(number, table):
                raise LookupError(number)
            done(number, table)

    verdict = check(by_aio_pika(handle), RabbitMQ(delivery_limit=None), NUMBERED, faults={Overtake}, schedules=40)
    assert verdict.status == status, verdict.report()
