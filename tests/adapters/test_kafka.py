"""Loops over the three Kafka clients, as their documentation writes them, and their records beside those of the clients
themselves."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from adapters.streams import Table, check, client, five, ids, kinds, run
from chaoskit import Crash, Event, Kafka, Overtake, Redeliver, UsageError
from chaoskit.adapters import aiokafka, confluent_kafka, kafka_python

BROKER = Kafka(partitions=2)
AUTO = {"group.id": "billing", "auto.offset.reset": "earliest"}


# As their documentation writes them:
# https://docs.confluent.io/kafka-clients/python/current/overview.html ("Basic poll loop"),
# https://aiokafka.readthedocs.io/en/stable/consumer.html, https://kafka-python.readthedocs.io/en/master/usage.html.


def basic_poll_loop(consumer: Any, process: Any) -> None:
    try:
        consumer.subscribe(["payments"])
        while True:
            msg = consumer.poll(timeout=1.0)
            if msg is None:
                continue
            if msg.error():
                raise RuntimeError(msg.error())
            process(msg.headers(), msg.key(), msg.value())
    except KeyboardInterrupt:
        pass
    finally:
        consumer.close()


def consume_loop(consumer: Any, process: Any) -> None:
    consumer.subscribe(["payments"], on_assign=lambda consumer, partitions: None)
    with consumer:
        while True:
            for msg in consumer.consume(num_messages=10, timeout=1.0):
                process(msg.headers(), msg.key(), msg.value())


def iterates(consumer: Any, process: Any) -> None:
    for message in consumer:
        process(message.headers, message.key, message.value)


def polls(consumer: Any, process: Any) -> None:
    while True:
        for records in consumer.poll(timeout_ms=500).values():
            for record in records:
                process(record.headers, record.key, record.value)


async def iterates_async(consumer: Any, process: Any) -> None:
    async for msg in consumer:
        process(msg.headers, msg.key, msg.value)


async def getone(consumer: Any, process: Any) -> None:
    while True:
        msg = await consumer.getone()
        process(msg.headers, msg.key, msg.value)


async def getmany(consumer: Any, process: Any) -> None:
    while True:
        result = await consumer.getmany(timeout_ms=10 * 1000)
        for messages in result.values():
            for msg in messages:
                process(msg.headers, msg.key, msg.value)


LOOPS = {
    "confluent poll": ("confluent_kafka", "confluent-kafka", basic_poll_loop),
    "confluent consume": ("confluent_kafka", "confluent-kafka", consume_loop),
    "kafka-python iteration": ("kafka", "kafka-python", iterates),
    "kafka-python poll": ("kafka", "kafka-python", polls),
    "aiokafka iteration": ("aiokafka", "aiokafka", iterates_async),
    "aiokafka getone": ("aiokafka", "aiokafka", getone),
    "aiokafka getmany": ("aiokafka", "aiokafka", getmany),
}


def consumer_of(deliver: Any, module: str) -> Any:
    if module == "confluent_kafka":
        return deliver.consumer(confluent_kafka.Consumer, AUTO, headers=ids)
    kind = aiokafka.AIOKafkaConsumer if module == "aiokafka" else kafka_python.KafkaConsumer
    return deliver.consumer(kind, "payments", group_id="billing", headers=ids)


def made_of(module: str, loop: Any, make: Any) -> Any:
    """One process is one run of the loop, with what `make` gives for a table."""

    def test(deliver: Any) -> Any:
        table = Table()

        def process() -> None:
            with consumer_of(deliver, module) as consumer:
                loop(consumer, make(table))

        deliver(spawn=process)
        return table.rows

    async def test_async(deliver: Any) -> Any:
        table = Table()

        async def process() -> None:
            async with consumer_of(deliver, module) as consumer:
                await consumer.start()
                try:
                    await loop(consumer, make(table))
                finally:
                    await consumer.stop()

        await deliver(spawn=process)
        return table.rows

    return test_async if module == "aiokafka" else test


def buffered(table: Table) -> Any:
    held: list[Any] = []

    def process(headers: Any, key: Any, value: Any) -> None:
        held.append((headers[0][1], key, json.loads(value)["amount"]))
        if len(held) >= 3:
            for each in held:
                table.add_once(*each)
            held.clear()

    return process


def at_once(table: Table) -> Any:
    return lambda headers, key, value: table.add_once(headers[0][1], key, json.loads(value)["amount"])


@pytest.mark.parametrize("name", LOOPS)
def test_auto_commit_before_the_flush(name: str) -> None:
    """What is buffered counts as consumed when the next one is asked for, and a restart loses it. What is written at
    once, and knows what was written, is right."""
    module, package, loop = LOOPS[name]
    client(module, package)
    assert kinds(check(made_of(module, loop, buffered), BROKER, five, faults={Redeliver})) == {"Redeliver"}
    assert check(made_of(module, loop, at_once), BROKER, five, schedules=60).status == "held"


def test_auto_commit_in_the_background_loses_the_record_in_hand() -> None:
    """confluent-kafka and aiokafka commit what they have handed over, whatever becomes of it; kafka-python within the
    next poll. https://github.com/confluentinc/librdkafka/issues/1122"""
    module, package, loop = LOOPS["confluent poll"]
    client(module, package)
    test = made_of(module, loop, at_once)
    in_background = Kafka(partitions=2, auto_commit=True)
    assert kinds(check(test, in_background, five, loss="violation")) <= {"Lose", "Crash"}
    assert check(test, BROKER, five, loss="violation", schedules=60).status == "held"


COMMITS = {
    "confluent": ("confluent_kafka", "confluent-kafka"),
    "kafka-python": ("kafka", "kafka-python"),
    "aiokafka": ("aiokafka", "aiokafka"),
}


def commits_of(module: str, first: bool) -> Any:
    """A loop that commits by hand, before or behind the flush of two records. It flushes the rest when it is idle, or
    ends."""

    def rows_of(records: Any) -> list[Any]:
        parts = [
            (each.headers(), each.value()) if callable(each.value) else (each.headers, each.value) for each in records
        ]
        return [(headers[0][1], "all", json.loads(value)["amount"]) for headers, value in parts]

    def flush(table: Table, held: list[Any]) -> None:
        for row in rows_of(held):
            table.add_once(*row)
        held.clear()

    def loop(consumer: Any, table: Table) -> None:
        held: list[Any] = []
        while True:
            got = consumer.poll(1.0)
            held.extend([got] if hasattr(got, "error") else itertools.chain(*(got or {}).values()))
            if held and (not got or len(held) >= 2):
                if first:
                    consumer.commit()
                flush(table, held)
                if not first:
                    consumer.commit()

    async def loop_async(consumer: Any, table: Table) -> None:
        held: list[Any] = []
        while True:
            got = await consumer.getmany(timeout_ms=1000)
            held.extend(itertools.chain(*got.values()))
            if held and (not got or len(held) >= 2):
                if first:
                    await consumer.commit()
                flush(table, held)
                if not first:
                    await consumer.commit()

    def of(deliver: Any) -> Any:
        if module == "confluent_kafka":
            return deliver.consumer(confluent_kafka.Consumer, {**AUTO, "enable.auto.commit": False}, headers=ids)
        kind = aiokafka.AIOKafkaConsumer if module == "aiokafka" else kafka_python.KafkaConsumer
        return deliver.consumer(kind, "payments", enable_auto_commit=False, headers=ids)

    def test(deliver: Any) -> Any:
        table = Table()

        def process() -> None:
            with of(deliver) as consumer:
                loop(consumer, table)

        deliver(spawn=process)
        return table.rows

    async def test_async(deliver: Any) -> Any:
        table = Table()

        async def process() -> None:
            async with of(deliver) as consumer:
                await loop_async(consumer, table)

        await deliver(spawn=process)
        return table.rows

    return test_async if module == "aiokafka" else test


@pytest.mark.parametrize("name", COMMITS)
def test_commit_before_the_flush_and_behind_it(name: str) -> None:
    module, package = COMMITS[name]
    client(module, package)
    assert kinds(check(commits_of(module, first=True), BROKER, five, faults={Crash})) == {"Crash"}
    assert check(commits_of(module, first=False), BROKER, five, schedules=60).status == "held"


@pytest.mark.parametrize(
    ("auto", "calls", "found"),
    [
        (False, "store, work", "unknown"),  # nobody ever commits
        (False, "store, work, commit", "held"),
        (False, "store, commit, work", "Crash"),
        (False, "work, commit this", "held"),
        (True, "store, work", "Crash"),  # the client commits what is stored whenever it likes
        (True, "work, store", "held"),
    ],
)
def test_what_is_stored_is_committed_by_whom_the_settings_say(auto: bool, calls: str, found: str) -> None:
    """https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md, enable.auto.offset.store."""
    client("confluent_kafka", "confluent-kafka")
    config = {**AUTO, "enable.auto.commit": auto, "enable.auto.offset.store": False}

    def test(deliver: Any) -> Any:
        table = Table()

        def process() -> None:
            with deliver.consumer(confluent_kafka.Consumer, config, headers=ids) as consumer:
                while True:
                    if (message := consumer.poll(1.0)) is not None:
                        for call in calls.split(", "):
                            if call == "store":
                                consumer.store_offsets(message)
                            elif call == "work":
                                table.add_once(message.headers()[0][1], "all", json.loads(message.value())["amount"])
                            else:
                                consumer.commit(message if call == "commit this" else None, asynchronous=False)

        deliver(spawn=process)
        return table.rows

    verdict = check(test, BROKER, five, faults={Crash})
    assert (kinds(verdict) if found == "Crash" else {verdict.status}) == {found}


@pytest.mark.parametrize("stores", [True, False])
def test_where_nothing_is_stored_there_is_nothing_to_commit(stores: bool) -> None:
    """What librdkafka's own mock cluster answers, call by call."""
    library = client("confluent_kafka", "confluent-kafka")
    shown: list[tuple[str, int]] = []

    def ask(name: str, call: Any) -> None:
        try:
            call()
        except library.KafkaException as error:
            shown.append((name, error.args[0].code()))

    def test(deliver: Any) -> Any:
        shown.clear()
        config = {**AUTO, "enable.auto.commit": False, "enable.auto.offset.store": stores}
        with deliver.consumer(confluent_kafka.Consumer, config) as consumer:
            for message in iter(lambda: consumer.poll(1.0), None):
                ask("first", lambda: consumer.commit(asynchronous=False))
                ask("second", lambda: consumer.commit(asynchronous=False))
                ask("store", partial(consumer.store_offsets, message))
                ask("third", lambda: consumer.commit(asynchronous=False))
        return 1

    run(test, Kafka(partitions=1))
    nothing, not_yours = library.KafkaError._NO_OFFSET, library.KafkaError._INVALID_ARG
    by_itself = [("second", nothing), ("store", not_yours), ("third", nothing)]
    assert shown == (by_itself if stores else [("first", nothing), ("second", nothing)])


def test_a_listener_is_called_when_the_group_is_joined() -> None:
    """As the clients do: nothing is revoked, then all is assigned; kafka-python 3 revokes it before it leaves."""
    library = client("kafka", "kafka-python")
    theirs = client("aiokafka", "aiokafka")
    heard: list[Any] = []

    class Listener(library.ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked: Any) -> None:
            heard.append(("revoked", len(revoked)))

        def on_partitions_assigned(self, assigned: Any) -> None:
            heard.append(("assigned", len(assigned)))

    class AsyncListener(theirs.ConsumerRebalanceListener):
        async def on_partitions_revoked(self, revoked: Any) -> None:
            heard.append(("revoked", len(revoked)))

        async def on_partitions_assigned(self, assigned: Any) -> None:
            heard.append(("assigned", len(assigned)))

    def test(deliver: Any) -> Any:
        heard.clear()
        with deliver.consumer(kafka_python.KafkaConsumer, group_id="billing") as consumer:
            consumer.subscribe(["payments"], listener=Listener())
            for _ in consumer:
                heard.append("record")
            consumer.close()
        return 1

    async def test_async(deliver: Any) -> Any:
        heard.clear()
        async with deliver.consumer(aiokafka.AIOKafkaConsumer, group_id="billing") as consumer:
            consumer.subscribe(["payments"], listener=AsyncListener())
            async for _ in consumer:
                heard.append("record")
            await consumer.stop()
        return 1

    joined = [("revoked", 0), ("assigned", 1), "record"]
    run(test, Kafka(partitions=1))
    assert heard[:3] == joined
    assert heard[3:] in ([], [("revoked", 1)])
    run(test_async, Kafka(partitions=1))
    assert heard == joined


# Records.


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a broker in this process, which the client library brings along, with one record."""
    library = client("confluent_kafka", "confluent-kafka")
    producer = library.Producer({"test.mock.num.brokers": 1, "log_level": 0, "enable.idempotence": False})
    (broker,) = producer.list_topics(timeout=5).brokers.values()
    producer.produce("payments", key="alice", value='{"amount": 5}', partition=0, headers={"event-id": b"e1"})
    producer.flush(5)
    yield f"{broker.host}:{broker.port}"
    del producer  # it is the broker, too


def ours(module: str, loop: Any) -> Any:
    """The first record that the loop gets of ours."""
    got: list[Any] = []

    def test(deliver: Any) -> Any:
        with consumer_of(deliver, module) as consumer:
            loop(consumer, got)
        return 0

    run(test, Kafka(partitions=1))
    return got[0]


def take_one(consumer: Any, got: list[Any]) -> None:
    for record in iter(lambda: consumer.poll(1.0), None):
        got.append(record)


def test_a_message_of_confluent_is_as_the_client_reads_it(address: str) -> None:
    library = client("confluent_kafka", "confluent-kafka")
    reader = library.Consumer({"bootstrap.servers": address, "group.id": "g"})
    reader.assign([library.TopicPartition("payments", 0, 0)])
    theirs = reader.poll(5)
    reader.close()
    mine = ours("confluent_kafka", lambda consumer, got: (consumer.subscribe(["payments"]), take_one(consumer, got)))
    # Up to 2.12 nobody but the client can make one.
    assert type(mine) in (type(theirs), confluent_kafka.LookAlike)
    for name in ("topic", "partition", "offset", "key", "value", "headers", "error", "leader_epoch", "__len__"):
        assert getattr(mine, name)() == getattr(theirs, name)(), name
    assert mine.timestamp()[0] == theirs.timestamp()[0] == library.TIMESTAMP_CREATE_TIME
    assert (type(mine.timestamp()[1]), mine.timestamp()[1] % 1000) == (int, 0)


def test_a_record_of_kafka_python_is_as_the_client_reads_it(address: str) -> None:
    library = client("kafka", "kafka-python")
    reader = library.KafkaConsumer(bootstrap_servers=address, api_version=(2, 0, 0), consumer_timeout_ms=5000)
    reader.assign([library.TopicPartition("payments", 0)])
    reader.seek(library.TopicPartition("payments", 0), 0)
    theirs = next(reader)
    reader.close()
    mine = ours("kafka", lambda consumer, got: got.extend(consumer))
    assert type(mine) is type(theirs)
    assert mine._replace(timestamp=0) == theirs._replace(timestamp=0)
    assert type(mine.timestamp) is type(theirs.timestamp)


def test_a_record_of_aiokafka_is_as_the_client_reads_it(address: str) -> None:
    library = client("aiokafka", "aiokafka")

    async def read() -> Any:
        reader = library.AIOKafkaConsumer(bootstrap_servers=address)
        await reader.start()
        reader.assign([library.TopicPartition("payments", 0)])
        reader.seek(library.TopicPartition("payments", 0), 0)
        try:
            return await reader.getone()
        finally:
            await reader.stop()

    async def all_of(consumer: Any, got: list[Any]) -> None:
        got.extend([record async for record in consumer])

    theirs, mine = asyncio.run(read()), ours("aiokafka", lambda consumer, got: asyncio.run(all_of(consumer, got)))
    assert type(mine) is type(theirs)
    assert dataclasses.replace(mine, timestamp=0) == dataclasses.replace(theirs, timestamp=0)
    assert type(mine.timestamp) is type(theirs.timestamp)


# The rest of a consumer.


@pytest.mark.parametrize("back", [True, False])
def test_a_failed_record_comes_again_if_the_loop_goes_back_to_it(back: bool) -> None:
    """What swallows an error and goes on has lost the record: the next poll says that it is done."""
    library = client("kafka", "kafka-python")

    def consume(consumer: Any, table: dict[str, int]) -> None:
        for record in consumer:
            number = json.loads(record.value)
            try:
                if number > table.get("all", 0) + 1:
                    raise LookupError(number)
                table["all"] = max(number, table.get("all", 0))
            except LookupError:
                if back:
                    consumer.seek(library.TopicPartition(record.topic, record.partition), record.offset)

    def test(deliver: Any) -> Any:
        table: dict[str, int] = {}
        with deliver.consumer(kafka_python.KafkaConsumer, "payments") as consumer:
            consume(consumer, table)
        return table

    # Another partition has what it waits for, or nothing has.
    numbered = [Event("a", 1), Event("b", 2), Event("a", 3)]
    verdict = check(test, Kafka(partitions=6), numbered, faults={Overtake})
    assert verdict.status == ("held" if back else "violated")


def test_what_the_schedule_says_cannot_be_sought() -> None:
    client("confluent_kafka", "confluent-kafka")

    def test(deliver: Any) -> Any:
        with deliver.consumer(confluent_kafka.Consumer, AUTO) as consumer:
            for message in iter(lambda: consumer.poll(1.0), None):
                partition = consumer.position(consumer.assignment())[message.partition()]
                consumer.seek(partition)
                partition.offset = 7
                consumer.seek(partition)
        return 1

    with pytest.raises(UsageError, match=r"seek to offset 7 of partition 0: the stand-in for confluent_kafka.Consumer"):
        check(test, Kafka(partitions=1))


def test_what_a_stand_in_does_not_know_is_refused_by_name() -> None:
    """Even where the loop swallows every exception."""
    client("kafka", "kafka-python")

    def test(deliver: Any) -> Any:
        with deliver.consumer(kafka_python.KafkaConsumer, "payments") as consumer, contextlib.suppress(Exception):
            consumer.end_offsets([])
        return 1

    with pytest.raises(UsageError, match=r"the stand-in for kafka.KafkaConsumer has no end_offsets"):
        check(test, Kafka(partitions=1))
