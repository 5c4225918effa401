"""What a message carries in each broker, and what stays and what changes when it comes again.

As the "carried" facts of docs/brokers.md say: a redelivery is the same broker message, a resend and a dead letter that
is put back are new ones with the same event.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import attrs
import pytest

import chaoskit
from chaoskit import Event, Message, Scenario
from chaoskit.brokers import (
    Anything,
    Celery,
    Debezium,
    EventHubs,
    InOrder,
    JetStream,
    Kafka,
    Kinesis,
    LambdaSqs,
    Outbox,
    PostgresQueue,
    PubSub,
    Pulsar,
    RabbitMQ,
    RabbitMQStream,
    RedisList,
    RedisStreams,
    ServiceBus,
    SnsSqs,
    SqsFifo,
    SqsStandard,
    Webhook,
)
from chaoskit.values.faults import DeadLetter, Duplicate, Fault, Redeliver, Rehash, Resend, Zombie
from chaoskit.values.schedule import Do, to_raw

STREAM = [Event("a", [n]) for n in range(4)]

OF_THE_EVENT = ("key", "value", "id", "seq", "headers", "timestamp")
"""A redelivery has the same; a copy may have another timestamp and more headers."""

AGAIN: dict[str, Fault] = {
    "redelivery": Redeliver("e1", 1),
    "duplicate": Duplicate("e1"),
    "zombie": Zombie("e1"),
}
"""The same broker message."""

ANEW: dict[str, Fault] = {"resend": Resend("e1", 1), "put back": DeadLetter("e1")}
"""Another broker message of the same event."""


def received(broker: Any, *faults: Fault, events: Sequence[Event] = STREAM) -> list[Message]:
    """What a handler gets in this scenario, in order."""
    scenario = Scenario(events, broker, faults)
    runs: list[list[Message]] = []

    def test(deliver: Any) -> int:
        runs.append([])
        deliver(runs[-1].append)
        return 0

    chaoskit.run(test, scenario)
    delivered = scenario.schedule().delivered
    return next(run for run in reversed(runs) if tuple(message.id for message in run) == delivered)


def of_first_event(broker: Any, name: str) -> tuple[Message, Message]:
    """The first event's message as it was at first, and as it came again. A dead letter was never shown at first: its
    message is that of a calm run. Of a zombie and the new owner, the zombie has the message as it was at first."""
    fault = {**AGAIN, **ANEW}[name]
    messages = [message for message in received(broker, fault) if message.id == "e1"]
    if name == "put back":
        assert len(messages) == 1
        return received(broker)[0], messages[0]
    assert len(messages) == 2
    return (messages[1], messages[0]) if name == "zombie" else (messages[0], messages[1])


@attrs.frozen
class Carried:
    """Fields of a message: those that name the broker's message, those that stay even when it is sent again, and those
    that count or mark its deliveries. All others are None. `without`: what the broker cannot do. `anew`: the copies
    that have a timestamp of their own; `adds`: the headers that what was put back has more."""

    broker: Any
    names: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    anew: tuple[str, ...] = ("resend", "put back")
    adds: tuple[str, ...] = ()


LOG = ("topic", "partition")
QUEUE = ("topic",)
GROUPED = ("topic", "group")
DLT = tuple(f"kafka_dlt-original-{name}" for name in ("topic", "partition", "offset", "timestamp"))

CARRIED: dict[str, Carried] = {
    "Kafka": Carried(Kafka(idempotent_producer=False), ("offset",), LOG, anew=("put back",), adds=DLT),
    "Kafka Parallel Consumer": Carried(Kafka(group="parallel", application_resends=True), ("offset",), LOG, adds=DLT),
    "Kafka share group": Carried(
        Kafka(group="share", consumers=2, idempotent_producer=False),
        ("offset",),
        LOG,
        ("attempt",),
        ("put back",),
        anew=(),
    ),
    "Kinesis and KCL": Carried(Kinesis(dead_letters=True), ("offset", "sequence"), LOG),
    "Kinesis and Lambda": Carried(
        Kinesis(consumer="lambda"), ("offset", "sequence"), LOG, without=("zombie", "put back")
    ),
    "Event Hubs": Carried(EventHubs(dead_letters=True), ("offset", "sequence"), LOG),
    "RabbitMQ stream": Carried(RabbitMQStream(dead_letters=True), ("offset",), LOG),
    "SQS standard": Carried(SqsStandard(max_receive_count=5), ("message_id",), QUEUE, ("attempt",)),
    "SQS FIFO": Carried(
        SqsFifo(max_receive_count=5), ("message_id", "sequence"), (*GROUPED, "deduplication_id"), ("attempt",)
    ),
    "SNS to SQS": Carried(SnsSqs(max_receive_count=5), ("message_id",), QUEUE, ("attempt",)),
    "SNS FIFO to SQS FIFO": Carried(
        SnsSqs(fifo=True, max_receive_count=5),
        ("message_id", "sequence"),
        (*GROUPED, "deduplication_id"),
        ("attempt",),
    ),
    "SQS and Lambda": Carried(LambdaSqs(max_receive_count=5), ("message_id",), QUEUE, ("attempt",)),
    "Pub/Sub": Carried(PubSub(), ("message_id",), GROUPED, without=("put back",)),
    "Pub/Sub with a dead-letter policy": Carried(
        PubSub(max_delivery_attempts=5), ("message_id",), GROUPED, ("attempt",)
    ),
    "Pub/Sub, ordered": Carried(PubSub(ordering=True, max_delivery_attempts=5), ("message_id",), GROUPED, ("attempt",)),
    "Pulsar": Carried(Pulsar(), ("message_id",), LOG, without=("put back",), anew=()),
    "Pulsar, Key_Shared": Carried(
        Pulsar(subscription_type="Key_Shared", max_redeliver_count=5),
        ("message_id",),
        LOG,
        ("attempt",),
        anew=("put back",),
    ),
    "RabbitMQ, quorum": Carried(
        RabbitMQ(dead_letter_exchange=True),
        (),
        ("topic", "message_id"),
        ("attempt", "redelivered"),
        anew=(),
        adds=("x-death",),
    ),
    "RabbitMQ, classic": Carried(
        RabbitMQ(queue_type="classic", dead_letter_exchange=True),
        (),
        ("topic", "message_id"),
        ("redelivered",),
        anew=(),
        adds=("x-death",),
    ),
    "Redis Streams": Carried(RedisStreams(dead_letters=True), ("message_id",), QUEUE),
    "Redis list": Carried(RedisList(dead_letters=True), (), QUEUE, anew=()),
    "JetStream": Carried(
        JetStream(dead_letters=True, max_deliver=5), ("sequence",), ("topic", "deduplication_id"), ("attempt",)
    ),
    "JetStream without Nats-Msg-Id": Carried(
        JetStream(msg_ids=False), ("sequence",), QUEUE, ("attempt",), ("put back",)
    ),
    "Service Bus": Carried(ServiceBus(), ("sequence",), ("topic", "message_id"), ("attempt",)),
    "Service Bus sessions": Carried(ServiceBus(sessions=True), ("sequence",), (*GROUPED, "message_id"), ("attempt",)),
    "Postgres": Carried(
        PostgresQueue(style="lease", dead_letters=True), ("message_id", "sequence"), QUEUE, ("attempt",)
    ),
    "Celery": Carried(
        Celery(acks_late=True), (), ("topic", "message_id"), ("redelivered",), anew=(), adds=("retries",)
    ),
    "Webhook": Carried(Webhook(gives_up=True), ("message_id",), QUEUE, anew=()),
    "Webhook, redelivered by GitHub": Carried(
        Webhook(provider="github", redelivers=True), ("message_id",), QUEUE, without=("resend", "put back", "zombie")
    ),
    "Webhook of Slack": Carried(
        Webhook(provider="slack"), ("message_id",), QUEUE, ("attempt",), without=("resend", "put back")
    ),
    "Anything": Carried(Anything(), (), QUEUE, anew=()),
}
"""`names` are new for a copy: a log's offset, SQS' MessageId, a sequence number, a row's id. What the application sets
stays: RabbitMQ's message_id, Service Bus' MessageId, a task id, a deduplication id."""

RELAYS: dict[str, Carried] = {
    "Debezium": Carried(Debezium(dead_letter_queue=True), ("offset",), LOG),
    "Outbox": Carried(Outbox(dead_letters=True), ("message_id",), QUEUE, anew=()),
}
"""What these publish again is a new message each time."""

FIRST: dict[str, Any] = {"attempt": 1, "redelivered": False}
SECOND: dict[str, Any] = {"attempt": 2, "redelivered": True}


def unlike(one: Message, other: Message) -> set[str]:
    fields = [field.name for field in attrs.fields(Message)]
    return {name for name in fields if getattr(one, name) != getattr(other, name)}


def carried_by(message: Message) -> set[str]:
    fields = {field.name for field in attrs.fields(Message)} - set(OF_THE_EVENT)
    return {name for name in fields if getattr(message, name) is not None}


EACH = {**CARRIED, **RELAYS}


@pytest.mark.parametrize("title", EACH)
def test_a_message_carries_what_its_broker_does_and_no_more(title: str) -> None:
    """The fields of the table are there on each message, a first delivery counts 1 and has no mark; the others are
    None."""
    carried = EACH[title]
    for position, message in enumerate(received(carried.broker)):
        assert carried_by(message) == {*carried.names, *carried.stays, *carried.counts}
        assert (message.key, message.value, message.id, message.seq) == (
            "a",
            [position],
            f"e{position + 1}",
            position + 1,
        )
        for name in carried.counts:
            assert getattr(message, name) == FIRST[name]


@pytest.mark.parametrize("title", EACH)
def test_each_message_has_a_name_of_its_own(title: str) -> None:
    """What names a broker's message is different for each of four messages, and stays different when one of them comes
    as a copy."""
    carried = EACH[title]
    copies = [fault for name, fault in ANEW.items() if name not in carried.without]
    for faults in ((), *((fault,) for fault in copies if type(fault) in carried.broker.kinds())):
        messages = received(carried.broker, *faults)
        for name in carried.names:
            assert len({getattr(message, name) for message in messages}) == len(messages)


def situations(table: dict[str, Carried], names: Sequence[str]) -> list[Any]:
    return [
        pytest.param(title, name, id=f"{title}-{name}")
        for title, carried in table.items()
        for name in names
        if name not in carried.without
    ]


@pytest.mark.parametrize(("title", "name"), situations(CARRIED, list(AGAIN)))
def test_a_redelivery_is_the_same_broker_message(title: str, name: str) -> None:
    """Visibility expiry, replay, a duplicate in place and the two runs of a zombie: everything stays but the count and
    the mark, and those only where the broker has them."""
    carried = CARRIED[title]
    first, again = of_first_event(carried.broker, name)
    assert unlike(first, again) == set(carried.counts)
    for field in carried.counts:
        assert (getattr(first, field), getattr(again, field)) == (FIRST[field], SECOND[field])


@pytest.mark.parametrize(("title", "name"), situations(CARRIED, list(ANEW)))
def test_a_copy_is_another_broker_message_of_the_same_event(title: str, name: str) -> None:
    """What the producer sends again, and a dead letter that is put back: the broker's own names are new, the event and
    what the application set stay, and it is counted and marked as a first delivery."""
    carried = CARRIED[title]
    first, copy = of_first_event(carried.broker, name)
    stamped = {"timestamp"} if name in carried.anew else set()
    headers = carried.adds if name == "put back" else ()
    assert unlike(first, copy) == {*carried.names, *stamped, *(["headers"] if headers else [])}
    assert copy.timestamp > first.timestamp or not stamped
    assert set(copy.headers) - (set(first.headers) - set(headers)) == set(headers)
    for field in carried.counts:
        assert getattr(copy, field) == FIRST[field]


def test_what_kafka_puts_back_says_where_it_was_first() -> None:
    """In the encoding of Spring: big-endian numbers, milliseconds."""
    broker = CARRIED["Kafka"].broker
    first = received(broker)[1]
    copy = next(message for message in received(broker, DeadLetter("e2")) if message.id == first.id)
    said = {name.removeprefix("kafka_dlt-original-"): value for name, value in copy.headers.items()}
    assert said.pop("topic") == (first.topic or "").encode()
    numbers = {name: int.from_bytes(value) for name, value in said.items()}
    assert numbers == {
        "partition": first.partition,
        "offset": first.offset,
        "timestamp": int(first.timestamp * 1000),
    }


def retried(broker: Any) -> list[Message]:
    """The deliveries of an event that the handler refuses twice."""
    model = broker.model(Scenario(STREAM, broker).stream)
    message, play = model.mail([None] * len(STREAM)), model.play(())
    tries: list[Message] = []
    step = next(play)
    with suppress(StopIteration):
        while True:
            is_e1 = step[0] == Do.DELIVER and message(step).id == "e1"
            if is_e1:
                tries.append(message(step))
            step = play.send(is_e1 and len(tries) < 3)
    return tries


def test_each_try_of_a_retry_topic_counts_and_keeps_the_first_place() -> None:
    broker = Kafka(on_error="retry_topic")
    tries = retried(broker)
    assert ["retry_topic-attempts" in message.headers for message in tries] == [False, True, True]
    assert [int.from_bytes(message.headers["retry_topic-attempts"]) for message in tries[1:]] == [2, 3]
    assert {message.headers["kafka_original-offset"] for message in tries[1:]} == {(0).to_bytes(8)}
    assert tries[0].timestamp < tries[1].timestamp <= tries[2].timestamp


def test_a_celery_task_counts_its_retries() -> None:
    assert [message.headers for message in retried(Celery())] == [{"retries": n} for n in range(3)]


def test_a_producer_that_only_tries_again_keeps_the_time_of_creation() -> None:
    """CreateTime is the client's: its own retry has it again, the application's next send has not."""
    fault = Resend("e1", 1)
    for broker, same in ((Kafka(idempotent_producer=False), True), (Kafka(application_resends=True), False)):
        first, again = (message for message in received(broker, fault) if message.id == "e1")
        assert (first.timestamp == again.timestamp) is same
        assert again.headers == {}


def test_a_copy_stays_one_in_its_literal_steps() -> None:
    scenario = Scenario(STREAM, CARRIED["Kafka"].broker, (DeadLetter("e1", 1), Redeliver("e1")))
    steps = list(scenario.broker.model(scenario.stream).play(scenario.faults))
    positions = {event.id: number for number, event in enumerate(scenario.stream.events)}
    saved = scenario.schedule().steps
    assert [to_raw(step, positions) for step in saved] == steps
    assert [step.copy for step in saved if step.copy is not None]


@pytest.mark.parametrize(
    ("title", "fault"),
    [
        ("Debezium", Redeliver("e1", 1)),
        ("Debezium", Zombie("e1")),
        ("Debezium", DeadLetter("e1")),
        ("Outbox", Redeliver("e1", 1)),
        ("Outbox", Duplicate("e1")),
        ("Outbox", Zombie("e1")),
        ("Outbox", DeadLetter("e1")),
    ],
)
def test_a_relay_makes_new_messages_of_the_same_events(title: str, fault: Fault) -> None:
    """A connector or relay that restarts publishes again: each time another broker message, unmarked, with the
    application's id."""
    carried = RELAYS[title]
    messages = [message for message in received(carried.broker, fault) if message.id == "e1"]
    calm = received(carried.broker)[0]
    assert messages[0] == calm or len(messages) > 1 or type(fault) is DeadLetter
    assert unlike(calm, messages[-1]) == {*carried.names, *(["timestamp"] if carried.anew else [])}


def test_in_order_carries_a_queue_and_nothing_else() -> None:
    """The system in which nothing goes wrong has no marks."""
    assert [carried_by(message) for message in received(InOrder())] == [{"topic"}] * 4


def test_a_second_redelivery_counts_on() -> None:
    """Brokers with a delivery count count each hand-over: 1, 2, 3."""
    for carried in CARRIED.values():
        if "attempt" in carried.counts:
            messages = received(carried.broker, Redeliver("e1"), Redeliver("e1"))
            assert [message.attempt for message in messages if message.id == "e1"] == [1, 2, 3]


def test_no_more_deliveries_are_counted_than_the_limit_allows() -> None:
    """SQS moves a message to the dead-letter queue instead of receiving it a third time where maxReceiveCount is 2; a
    share group archives it at its limit."""
    for broker in (
        SqsStandard(max_receive_count=2),
        SqsFifo(max_receive_count=2),
        Kafka(group="share", delivery_count_limit=2),
    ):
        messages = received(broker, *[Redeliver("e1")] * 4)
        assert [message.attempt for message in messages if message.id == "e1"][:2] == [1, 2]
        assert max(message.attempt or 0 for message in messages) == 2


@pytest.mark.parametrize("queue_type", ["quorum", "classic"])
def test_what_lay_in_a_lost_buffer_is_marked_although_nobody_saw_it(queue_type: Any) -> None:
    """RabbitMQ: what a closed channel held comes back with redelivered=true, though no handler had run it."""
    broker = RabbitMQ(queue_type=queue_type, single_active_consumer=True)
    messages = received(broker, Zombie("e1", 1, 3))
    first_of_e2 = next(message for message in messages if message.id == "e2")
    assert first_of_e2.redelivered is True


def test_offsets_of_a_log_count_from_zero_in_each_partition() -> None:
    """Kafka: offsets are places in the log, whatever the events are."""
    messages = received(Kafka(), events=[Event(key, n) for n, key in enumerate("abab")])
    assert [(m.partition, m.offset) for m in messages] == [(4, 0), (2, 0), (4, 1), (2, 1)]


def test_a_key_that_moved_starts_in_another_log() -> None:
    """Kafka: a record behind the growth of a topic has another partition and an offset there, and the same key."""
    messages = received(Kafka(partitions=6), Rehash("e3", 7))
    places = {message.id: (message.partition, message.offset) for message in messages}
    assert places == {"e1": (4, 0), "e2": (4, 1), "e3": (5, 0), "e4": (5, 1)}
    assert {message.key for message in messages} == {"a"}


def test_sequence_numbers_of_a_fifo_queue_grow_and_leave_gaps() -> None:
    """SQS FIFO: large numbers that increase and are not consecutive."""
    numbers = [message.sequence or 0 for message in received(SqsFifo())]
    assert numbers == sorted(numbers)
    assert all(later - earlier > 1 for earlier, later in pairwise(numbers))
    assert min(numbers) > 2**63


def test_the_group_of_a_message_is_its_key() -> None:
    """MessageGroupId, ordering key and SessionId are the event's key; an event without a key has none."""
    for broker in (SqsFifo(), PubSub(ordering=True), ServiceBus(sessions=True)):
        messages = received(broker, events=[Event("a", 1), Event(None, 2), Event("b", 3)])
        assert [message.group for message in messages] == ["a", None, "b"]


@pytest.mark.parametrize(
    ("body", "digest"),
    [
        ("hello", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"),
        ("test", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
        ('{"id":1}', "037c9214eef74cc3887f3a4f085b4e17d76280dafd273b0ee160c09c4ba1cfd4"),
    ],
)
def test_content_based_deduplication_hashes_the_body(body: str, digest: str) -> None:
    """SQS: the MessageDeduplicationId is the SHA-256 of the body, in hexadecimal."""
    message = received(SqsFifo(content_based_deduplication=True), events=[Event("a", body)])[0]
    assert message.deduplication_id == digest


@pytest.mark.parametrize("title", EACH)
def test_each_delivery_is_decoded_anew(title: str) -> None:
    """What a handler does to the value of one delivery does not reach another one, or the event."""
    carried = EACH[title]
    seen: list[list[int]] = []

    def test(deliver: Any) -> int:
        def handler(message: Message) -> None:
            seen.append(list(message.value))
            message.value.append(99)

        deliver(handler)
        return 0

    chaoskit.run(test, Scenario(STREAM, carried.broker, [Redeliver("e1")]))
    assert all(len(value) == 1 for value in seen)
    assert [event.value for event in STREAM] == [[0], [1], [2], [3]]
