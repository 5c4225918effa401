"""Loops that ask their client for several messages at once: where a call ends is the broker's choice, and what the loop
settles too early, or for too many, is found."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import chaoskit
from adapters.streams import Table, check, client, ids, kinds, payments
from chaoskit import Crash, Event, Gather, JetStream, Kafka, RedisStreams, Scenario, ServiceBus, SqsStandard, Stream
from chaoskit.adapters import aiokafka, azure_servicebus, boto3_sqs, confluent_kafka, google_pubsub, kafka_python, nats
from chaoskit.adapters import redis as redis_adapter
from chaoskit.invariants import final_state
from chaoskit.repro.read import read
from chaoskit.search.oracle import Subject

Got = tuple[Any, int, Callable[[], Any]]
"""The id of an event, its amount, and how to settle it."""
Calls = Callable[[Any], Iterator[list[Got]]]


# What each client gives in one call.


def kafka(consumer: Any) -> Iterator[list[Got]]:
    consumer.subscribe(["payments"])
    while True:
        found = consumer.consume(num_messages=10, timeout=1.0)
        yield [
            (each.headers()[0][1], json.loads(each.value())["amount"], partial(consumer.commit, each, None, False))
            for each in found
        ]


def sqs(client: Any) -> Iterator[list[Got]]:
    def got(message: Any) -> Got:
        handle = message["ReceiptHandle"]
        id_ = message["MessageAttributes"]["event-id"]["StringValue"]
        return (
            id_, json.loads(message["Body"])["amount"], lambda: client.delete_message(QueueUrl="", ReceiptHandle=handle)
        )  # fmt: skip

    while True:
        answer = client.receive_message(QueueUrl="", MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        yield [got(message) for message in answer.get("Messages", [])]


def streams(r: Any) -> Iterator[list[Got]]:
    def got(id_: Any, fields: Any) -> Got:
        return fields[b"event-id"], int(fields[b"amount"]), lambda: r.xack("payments", "billing", id_)

    last = "0"
    while True:
        answer = r.xreadgroup("billing", "worker-1", {"payments": last}, count=10)
        last = ">"
        yield [got(*entry) for _, entries in answer for entry in entries]


# What a loop does with it.


def behind_all(calls: Iterator[list[Got]], table: Table) -> None:
    for call in calls:
        for id_, amount, _ in call:
            table.add_once(id_, "all", amount)
        for _, _, settle in call:
            settle()


def behind_the_first(calls: Iterator[list[Got]], table: Table) -> None:
    """Commits after the first of the batch, or, where each is settled by itself, settles all of it then."""
    for call in calls:
        for number, (id_, amount, _) in enumerate(call):
            table.add_once(id_, "all", amount)
            if number == 0:
                for _, _, settle in call:
                    settle()


def takes_the_first(calls: Iterator[list[Got]], table: Table) -> None:
    """And settles the batch: `records[0]` of a list that in every test has one."""
    for call in calls:
        for id_, amount, _ in call[:1]:
            table.add_once(id_, "all", amount)
        for _, _, settle in call:
            settle()


def raises(calls: Iterator[list[Got]], table: Table) -> None:
    """Each second time that something comes beside others: what was in hand comes again, to another process."""
    for call in calls:
        for number, (id_, amount, settle) in enumerate(call):
            if number == 1 and id_ not in table.rows.setdefault("tried", set()):
                table.rows["tried"].add(id_)
                raise LookupError(id_)
            table.add_once(id_, "all", amount)
            settle()


CONFIG = {"group.id": "billing", "enable.auto.commit": False}
CLIENTS: dict[str, tuple[str, str, Any, tuple[Any, ...], Calls, Any]] = {
    "kafka": ("confluent_kafka", "confluent-kafka", confluent_kafka.Consumer, (CONFIG,), kafka, Kafka(partitions=1)),
    "sqs": ("botocore", "boto3", boto3_sqs.Client, (), sqs, SqsStandard()),
    "redis": ("redis", "redis", redis_adapter.Redis, (), streams, RedisStreams()),
}


def looping(name: str, loop: Any, *, spawned: bool = True) -> tuple[Any, Any]:
    module, package, kind, args, calls, broker = CLIENTS[name]
    client(module, package)

    def test(deliver: Any) -> Any:
        table = Table()

        def process() -> None:
            with deliver.consumer(kind, *args, headers=ids) as consumer:
                loop(calls(consumer), table)

        if spawned:
            deliver(spawn=process)
        else:
            process()
        return table.rows.get("all", 0)

    return test, broker


@pytest.mark.parametrize("name", CLIENTS)
def test_settled_behind_the_first_of_a_batch_and_behind_all_of_it(name: str) -> None:
    """A process dies between: what was settled with the first is lost. One message in each call never shows it."""
    verdict = check(*looping(name, behind_the_first), faults={Crash, Gather}, schedules=400)
    assert kinds(verdict) == {"Crash", "Gather"}
    assert "came in one call, and the batch ended there" in " ".join(verdict.report().split())
    assert check(*looping(name, behind_the_first), without={Gather}, schedules=60).status == "held"
    assert check(*looping(name, behind_all), schedules=60).status == "held"


@pytest.mark.parametrize("name", CLIENTS)
def test_a_loop_in_the_test_itself_has_its_batches_too(name: str) -> None:
    verdict = check(*looping(name, takes_the_first, spawned=False))
    assert kinds(verdict) == {"Gather"}
    assert verdict.report().startswith("the test depends on where the batch ends")
    assert check(*looping(name, behind_all, spawned=False), schedules=60).status == "held"


@pytest.mark.parametrize("name", CLIENTS)
def test_what_a_process_had_in_hand_comes_again_when_an_exception_ends_it(name: str) -> None:
    assert check(*looping(name, raises), schedules=60).status == "held"


def test_a_saved_batch_is_played_again(tmp_path: Path) -> None:
    test, broker = looping("sqs", behind_the_first)
    path = check(test, broker, faults={Crash, Gather}, schedules=400).save(tmp_path)
    repro = read(path)
    (steps, refusals), settled = repro.raw_steps(), repro.settled()
    case = Subject(test, broker, (final_state(),)).on(repro.stream())
    again = case.follow(repro.faults, steps, refusals, settled)
    assert (list(again.steps), again.settled) == (steps, settled)
    assert case.violations(again)
    repaired = Subject(looping("sqs", behind_all)[0], broker, (final_state(),)).on(repro.stream())
    assert not repaired.violations(repaired.follow(repro.faults, steps, refusals, settled))


# How many come, and in what shape.


def sizes(kind: Any, broker: Any, calls: Any, *args: Any, **config: Any) -> list[Any]:
    """Of the calls in which ten messages come that are ready at once."""
    found: list[Any] = []

    def test(deliver: Any) -> Any:
        found.clear()
        with deliver.consumer(kind, *args, **config) as consumer:
            for call in calls(consumer):
                found.append(call)
        return 1

    async def test_async(deliver: Any) -> Any:
        found.clear()
        async with deliver.consumer(kind, *args, **config) as consumer:
            async for call in calls(consumer):
                found.append(call)
        return 1

    is_async = hasattr(calls, "__code__") and bool(calls.__code__.co_flags & 0x200)
    ten = Stream.of([Event(("alice", "bob")[number % 2], {"amount": number}) for number in range(10)])
    chaoskit.run(test_async if is_async else test, Scenario(ten, broker, (Gather("e1", 8),)))
    return [call for call in found if call]


def test_a_call_has_what_was_asked_for_and_no_more_than_the_broker_gives() -> None:
    client("kafka", "kafka-python")

    def polls(most: int | None) -> Any:
        def calls(consumer: Any) -> Iterator[dict[Any, list[Any]]]:
            while True:
                yield consumer.poll(timeout_ms=100, max_records=most)

        return calls

    (first, *rest) = sizes(kafka_python.KafkaConsumer, Kafka(partitions=2), polls(None), "payments")
    assert {(at.topic, at.partition): [each.offset for each in them] for at, them in first.items()} == {
        ("payments", 0): [0, 1, 2, 3, 4], ("payments", 1): [0, 1, 2, 3, 4]
    }  # fmt: skip
    assert not rest
    asked = sizes(kafka_python.KafkaConsumer, Kafka(partitions=2), polls(4), "payments")
    assert sum(map(len, asked[0].values())) == 4
    stored = sizes(kafka_python.KafkaConsumer, Kafka(partitions=2, max_poll_records=3), polls(None), "payments")
    assert sum(map(len, stored[0].values())) == 3


def test_every_client_gives_several() -> None:
    async def getmany(consumer: Any) -> Any:
        while True:
            got = await consumer.getmany(timeout_ms=100, max_records=5)
            yield [record for records in got.values() for record in records]

    def pull(subscriber: Any) -> Any:
        while True:
            yield list(subscriber.pull(request={"subscription": "s", "max_messages": 5}).received_messages)

    def receive(receiver: Any) -> Any:
        while True:
            yield receiver.receive_messages(max_message_count=5, max_wait_time=1)

    async def fetch(js: Any) -> Any:
        subscription = await js.pull_subscribe("payments", "psub")
        while True:
            with contextlib.suppress(TimeoutError):
                yield await subscription.fetch(5, timeout=1)

    client("aiokafka", "aiokafka")
    client("google.cloud.pubsub_v1", "google-cloud-pubsub")
    client("azure.servicebus", "azure-servicebus")
    client("nats", "nats-py")
    one = Kafka(partitions=1)
    assert len(sizes(aiokafka.AIOKafkaConsumer, one, getmany, "payments")[0]) == 5
    assert len(sizes(google_pubsub.SubscriberClient, chaoskit.PubSub(), pull)[0]) == 5
    assert len(sizes(azure_servicebus.ServiceBusReceiver, ServiceBus(prefetch=10), receive)[0]) == 5
    assert len(sizes(nats.JetStreamContext, JetStream(), fetch)[0]) == 5


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_loop_goes_back_to_a_record_in_the_middle_of_its_poll(by_hand: bool) -> None:
    """It comes again, with those behind it; what swallows the error has lost it."""
    library = client("kafka", "kafka-python")

    def consume(consumer: Any, table: Table, back: bool) -> None:
        while True:
            for at, records in consumer.poll(timeout_ms=100).items():
                for number, record in enumerate(records):
                    if number == 1 and record.offset not in table.rows.setdefault("tried", set()):
                        table.rows["tried"].add(record.offset)
                        if back:
                            consumer.seek(at, record.offset)
                            break
                        continue
                    table.add_once(record.headers[0][1], "all", json.loads(record.value)["amount"])
                    if by_hand:
                        following = library.OffsetAndMetadata(*(record.offset + 1, None, -1)[: len(fields)])
                        consumer.commit({at: following})

    fields = library.OffsetAndMetadata._fields

    def test(back: bool) -> Any:
        def body(deliver: Any) -> Any:
            table = Table()
            of = kafka_python.KafkaConsumer, "payments"
            with deliver.consumer(*of, headers=ids, enable_auto_commit=not by_hand) as consumer:
                consume(consumer, table, back)
            return table.rows.get("all", 0)

        return body

    broker = Kafka(partitions=2)
    assert kinds(check(test(back=False), broker)) == {"Gather"}
    assert check(test(back=True), broker, payments, schedules=60).status == "held"
