"""Each broker's serialization point, against what its models and its judge say of the same, and against its sources."""

from __future__ import annotations

import itertools

import attrs
import pytest

from chaoskit import (
    Event,
    JetStream,
    Kafka,
    Kinesis,
    LambdaSqs,
    PostgresQueue,
    PubSub,
    Pulsar,
    RabbitMQ,
    ServiceBus,
    SnsSqs,
    SqsFifo,
)
from chaoskit.brokers import BROKERS, Settings
from chaoskit.brokers.base import as_written
from chaoskit.models.log.model import LogSettings
from chaoskit.models.queue.model import QueueSettings
from chaoskit.values.event import Stream
from models.systems import SYSTEMS as NAMED

SYSTEMS = list(NAMED.values())

FACTS: list[tuple[Settings, str, str]] = [
    (Kafka(), "partition", "partition"),
    (Kafka(group="share"), "record", "nothing"),
    (Kafka(group="parallel"), "key", "key"),
    (Kinesis(), "shard", "partition"),
    (Kinesis(consumer="lambda", parallelization_factor=4), "shard", "partition"),
    (SqsFifo(), "message group", "key"),
    (SnsSqs(fifo=True), "message group", "key"),
    (SnsSqs(), "message", "nothing"),
    (LambdaSqs(fifo=True), "message group", "key"),
    (PubSub(), "message", "nothing"),
    (PubSub(ordering=True), "ordering key", "key"),
    (ServiceBus(), "message", "nothing"),
    (ServiceBus(sessions=True), "session", "key"),
    (RabbitMQ(), "queue", "queue"),
    (RabbitMQ(queues=3), "queue", "queue"),
    (RabbitMQ(queues=3, single_active_consumer=True), "queue", "partition"),
    (JetStream(partitions=3), "stream", "queue"),
    (JetStream(partitions=3, max_ack_pending=1), "partition", "partition"),
    (PostgresQueue(), "row lock", "key"),
    (Pulsar(), "subscription", "partition"),
    (Pulsar(partitions=3, subscription_type="Failover"), "partition", "partition"),
    (Pulsar(subscription_type="Shared"), "subscription", "queue"),
    (Pulsar(subscription_type="Key_Shared"), "key", "key"),
]


@pytest.mark.parametrize(("broker", "name", "unit"), FACTS, ids=lambda each: str(each)[:50])
def test_a_broker_names_its_serialization_point(broker: Settings, name: str, unit: str) -> None:
    """In its own word, by its settings."""
    assert (broker.serialization.name, broker.serialization.unit) == (name, unit)


@pytest.mark.parametrize("broker", SYSTEMS, ids=as_written)
def test_the_models_keep_in_order_what_the_serialization_point_says(broker: Settings) -> None:
    """What is read by position has partitions; what is locked by group, keys; what is not locked, neither."""
    at, stages = broker.serialization, broker.stages()
    assert at.fact
    assert at.source
    assert "\n" not in at.fact
    if isinstance(stages, LogSettings):
        assert at.unit == "partition"
        assert at.owned
        return
    assert isinstance(stages, QueueSettings)
    lock = stages.leasing.lock
    if at.takes:
        assert (lock, at.unit) == ("message", "key"), "the application adds it"
    elif lock == "group":
        assert at.unit == "key" or at.slices > 1
    elif at.unit == "key":
        assert (lock, stages.leasing.consumers) == ("queue", 1), "one consumer has all keys"
    elif at.unit == "partition":
        assert lock == "queue"
    elif at.unit == "nothing":
        assert lock == "message"


@pytest.mark.parametrize("broker", SYSTEMS, ids=as_written)
def test_where_order_per_key_is_not_kept_the_settings_that_would_keep_it_do(broker: Settings) -> None:
    """Those that are named; where none are, something else is."""
    at = broker.serialization
    if at.keeps_keys:
        assert (at.allowed_by, at.instead, at.why_not_per_key) == ({}, "", "")
    elif not at.allowed_by:
        assert at.instead
    else:
        kind = type(broker)
        assert kind(**at.allowed_by).serialization.keeps_keys, "by itself, from the defaults"  # type: ignore[arg-type]
        assert all(f"{name}=" in at.why_not_per_key for name in at.allowed_by)


def test_a_queue_of_fifo_has_300_messages_a_second_and_3000_in_requests_of_ten() -> None:
    """Of each action: what is received in tens and sent one by one comes in with 300."""
    quotas = {
        (send, receive): SqsFifo(send_batch=send, max_number_of_messages=receive).serialization.per_second
        for send, receive in itertools.product((1, 10), (1, 10))
    }
    assert quotas == {(1, 1): 300, (1, 10): 300, (10, 1): 300, (10, 10): 3000}
    assert LambdaSqs(fifo=True, batch_size=5).serialization.per_second == 1500
    assert [name for name, kind in BROKERS.items() if kind().serialization.per_second] == ["SqsFifo"]


@pytest.mark.parametrize("broker", SYSTEMS, ids=as_written)
def test_a_key_has_the_home_where_the_model_delivers_it(broker: Settings) -> None:
    """One partition for each key, the one that a message says that it came from."""
    events = [Event(f"key-{n}", n) for n in range(12)]
    model = broker.model(Stream.of(events))
    count = broker.partitions_at_first
    for step in model.schedule([], list(model.play([])), ()).steps:
        if step.event is not None and step.partition is not None and broker.serialization.unit == "partition":
            key = events[int(str(step.event)[1:]) - 1].key
            assert step.partition == broker.home(key, 0, count)


@pytest.mark.parametrize("name", BROKERS)
def test_every_class_has_one(name: str) -> None:
    """None leaves it to the base, and a class of the user's own has that of its broker."""
    kind = BROKERS[name]
    assert "serialization" in vars(kind)
    own = attrs.frozen(kw_only=True)(type(f"Our{name}", (kind,), {}))
    assert own().serialization == kind().serialization
