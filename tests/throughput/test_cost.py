"""`ordering_cost` from its front door: knees, determinism, which broker keeps what, the text, and bad input."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import attrs
import pytest

from chaoskit import (
    Event,
    InOrder,
    JetStream,
    Kafka,
    Kinesis,
    PostgresQueue,
    PubSub,
    RabbitMQ,
    RedisStreams,
    ServiceBus,
    SqsFifo,
    SqsStandard,
    UsageError,
    ordering_cost,
)
from chaoskit.brokers import BROKERS, Settings
from chaoskit.brokers.base import as_written
from chaoskit.throughput.cost import number, percent
from chaoskit.values.errors import StreamError


def skewed(keys: int, messages: int, seed: int = 5) -> list[Event]:
    """The first key is the hottest."""
    chance = random.Random(seed)
    names = [f"account:{n}" for n in range(keys)]
    return [Event(key, None) for key in chance.choices(names, [1 / (n + 1) for n in range(keys)], k=messages)]


KEPT: list[tuple[Settings, int, float]] = [
    (Kafka(partitions=5), 5, 1e9),
    (Kafka(partitions=12, partitioner="consistent_random"), 12, 1e9),
    (Kinesis(shards=3), 3, 1e9),
    (Kinesis(shards=2, consumer="lambda", parallelization_factor=3), 6, 1e9),
    (RabbitMQ(queues=4, single_active_consumer=True), 4, 1e9),
    (JetStream(partitions=4, max_ack_pending=1), 4, 1e9),
    (SqsFifo(), 0, 300),
    (SqsFifo(send_batch=10), 0, 3000),
    (PubSub(ordering=True), 0, 1e9),
    (ServiceBus(sessions=True), 0, 1e9),
    (PostgresQueue(), 0, 1e9),
]
"""With the number of partitions, 0 where each key is by itself, and the quota in messages a second."""
NOBODY_OWNS = ("Kinesis(consumer=", "JetStream(")
"""Any free consumer takes the next of these partitions."""
COMPETE = ("RabbitMQ(", "JetStream(")
"""Without order consumers share a queue."""


@pytest.mark.parametrize(
    ("broker", "partitions", "quota"), KEPT, ids=lambda each: as_written(each) if isinstance(each, Settings) else ""
)
def test_the_knee_is_where_brute_force_finds_it(broker: Settings, partitions: int, quota: float) -> None:
    """Work the backlog off with 1 to 18 consumers, counting rounds of one handler time, and compare all of them."""
    stream = skewed(15, 10_000)
    cost = ordering_cost(stream, broker, handler_ms=10, consumers=12)
    owned = partitions and not as_written(broker).startswith(NOBODY_OWNS)
    for choice in cost.choices:
        rates = []
        for consumers in range(1, 19):
            backlog = [waits_for(broker, partitions, choice.order, n, event.key) for n, event in enumerate(stream)]
            anybody = not owned or choice.order == "total" or backlog[0] is None
            of = [None if anybody else place % consumers for place in backlog]
            at_once = 10_000 / rounds(backlog, of, consumers) if backlog[0] is not None else consumers
            rates.append(min(at_once * 100, quota))
        close = 1e-9 if choice.order != "unordered" else 1e-3  # 10,000 messages do not go into 12 partitions
        assert [point.throughput for point in choice.points] == pytest.approx(rates[:12], rel=close)
        knee = next(n for n, rate in enumerate(rates, start=1) if max(rates[n - 1 :]) < 1.05 * rate)
        assert choice.knee == (knee if max(rates) / rates[11] < 1.05 else None), choice.order


def waits_for(broker: Settings, partitions: int, order: str, number: int, key: str) -> Any:
    """What this message shares with those that it is not under way together with; None: it waits for none."""
    if order == "total":
        return 0
    if order == "unordered":
        return number % partitions if partitions and not as_written(broker).startswith(COMPETE) else None
    return broker.home(key, number, partitions) if partitions else key


def rounds(backlog: list[Any], of: list[Any], consumers: int) -> int:
    """How many rounds it takes: in each, those that are first of what they wait for are taken, the oldest first, by
    their own consumer where they have one."""
    waiting: dict[Any, list[tuple[int, Any]]] = {}
    for place in reversed(range(len(backlog))):
        waiting.setdefault(backlog[place], []).append((place, of[place]))
    played = 0
    while waiting:
        played += 1
        first: dict[Any, Any] = {}  # by consumer, or by lane where anybody takes it
        for lane in sorted(waiting, key=lambda each: waiting[each][-1]):
            owner = waiting[lane][-1][1]
            first.setdefault(("lane", lane) if owner is None else owner, lane)
            if len(first) == consumers:
                break
        for lane in first.values():
            waiting[lane].pop()
            if not waiting[lane]:
                del waiting[lane]
    return played


def test_a_fourth_and_a_fifth_consumer_of_six_partitions_gain_nothing_and_a_sixth_does() -> None:
    """Each partition has one owner: the knee is not where the next one brings nothing."""
    cost = ordering_cost(skewed(50, 100), Kafka(partitions=6), handler_ms=10, consumers=8)
    assert [point.throughput for point in cost.unordered.points] == [100, 200, 300, 300, 300, 600, 600, 600]
    assert cost.unordered.knee == 6


def test_how_much_runs_at_once_is_counted() -> None:
    """Four keys: at most four messages, on average as many as all of them are of those of the hottest."""
    stream = [Event(key, None) for key in ["a", "a", "b", "a", "c", "d", "b", "a"]]
    cost = ordering_cost(stream, PubSub(ordering=True), handler_ms=10)
    assert (cost.messages, cost.keys, cost.hottest_key, cost.hottest_share) == (8, 4, "a", 0.5)
    assert (cost.total.lanes, cost.total.peak, cost.total.average) == (1, 1, 1)
    assert (cost.per_key.lanes, cost.per_key.peak, cost.per_key.average) == (4, 4, 2)
    assert (cost.unordered.lanes, cost.unordered.peak, cost.unordered.average) == (None, None, None)
    assert cost.unordered.knee is None


def test_another_key_is_another_cost() -> None:
    """What a handler debits: the key that is named, not the event's own."""
    stream = [Event("all", {"from": f"account:{n % 8}"}) for n in range(80)]
    own = ordering_cost(stream, SqsFifo(send_batch=10), handler_ms=10)
    named = ordering_cost(stream, SqsFifo(send_batch=10), handler_ms=10, key=lambda event: event.value["from"])
    assert own.per_key.at(32).throughput == 100
    assert named.per_key.at(32).throughput == 800
    assert named.keys == 8


def test_the_partitioner_is_that_of_the_broker() -> None:
    """Java and librdkafka put the same keys on other partitions, so that another one is the fullest."""
    stream = skewed(9, 900)
    java, c = (
        ordering_cost(stream, Kafka(partitioner=name), handler_ms=10) for name in ("murmur2", "consistent_random")
    )
    shares = [
        max(sum(broker.home(event.key, 0, 6) == p for event in stream) for p in range(6)) / 900
        for broker in (java.broker, c.broker)
    ]
    assert [java.per_key.hottest_share, c.per_key.hottest_share] == shares
    assert java.per_key.hottest_share != c.per_key.hottest_share


def test_messages_without_a_key_wait_for_nothing() -> None:
    """On a log they go round robin, in a group-like queue each is by itself."""
    stream = [Event(None, None) for _ in range(60)]
    assert ordering_cost(stream, Kafka(partitions=3), handler_ms=10).per_key.at(3).throughput == 300
    free = ordering_cost(stream, PubSub(ordering=True), handler_ms=10)
    assert free.per_key.at(20).throughput == 2000
    assert (free.keys, free.keyless, free.hottest_key, free.hottest_share) == (0, 60, None, 0)
    half = ordering_cost([Event(key, None) for key in ("a", None) * 30], PubSub(ordering=True), handler_ms=10)
    assert half.per_key.at(32).throughput == 200
    assert half.per_key.lanes == 31
    assert "60 messages of 1 key, 30 of them without one; the hottest, 'a', has 50 %" in str(half)


@pytest.mark.parametrize("name", BROKERS)
def test_every_broker_says_what_each_order_costs_or_why_it_has_none(name: str) -> None:
    """With its default settings, in ASCII and in 100 columns."""
    cost = ordering_cost(skewed(6, 60), BROKERS[name](), handler_ms=12.5, consumers=12)
    at = cost.broker.serialization
    assert not cost.unordered.why_not
    assert bool(cost.per_key.why_not) == (at.unit in ("queue", "nothing"))
    assert bool(cost.total.why_not) == (at.unit == "nothing")
    for choice in cost.choices:
        assert bool(choice.points) != bool(choice.why_not)
        assert all(point.throughput <= 80 * point.consumers * 1.0001 for point in choice.points)
    text = str(cost)
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 100
    assert "None" not in text


def test_one_in_order_system_gains_from_no_choice() -> None:
    """It hands out one message at a time."""
    cost = ordering_cost(skewed(6, 60), InOrder(), handler_ms=10)
    assert {choice.at(32).throughput for choice in cost.choices} == {100}


def test_what_a_broker_does_not_keep_is_said_with_what_would() -> None:
    """The settings, or another broker."""
    stream = skewed(3, 30)
    assert "FIFO queue (SqsFifo)" in ordering_cost(stream, SqsStandard(), handler_ms=1).total.why_not
    assert "ordering=True" in ordering_cost(stream, PubSub(), handler_ms=1).per_key.why_not
    redis = ordering_cost(stream, RedisStreams(), handler_ms=1)
    assert not redis.total.why_not
    assert "not kept: an entry goes to whoever" in str(redis)
    with pytest.raises(IndexError, match="1 to 0 were looked at"):
        redis.per_key.at(1)


def test_the_same_question_has_the_same_answer_everywhere() -> None:
    """In another process with other hashes, to the letter; another seed draws other arrivals."""
    program = (
        "import random\n"
        "from chaoskit import *\n"
        "chance = random.Random(5)\n"
        "stream = [Event(f'k{chance.randrange(9)}', None) for _ in range(500)]\n"
        "for seed in (1, 2):\n"
        "    cost = ordering_cost(stream, SqsFifo(), handler_ms=20, consumers=6, arrivals_per_second=80, seed=seed)\n"
        "    print(cost)\n"
        "    print(repr([p.wait_ms for p in cost.per_key.points]))\n"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": hashes}, capture_output=True, text=True, check=True
        ).stdout
        for hashes in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert len(set(runs[0].splitlines()) & {line for line in runs[0].splitlines() if line.startswith("[")}) == 2


def test_the_value_is_frozen_and_compares() -> None:
    """Two equal questions have equal answers."""
    one, other = (ordering_cost(skewed(3, 30), Kafka(), handler_ms=5) for _ in range(2))
    assert one == other
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        one.handler_ms = 3  # type: ignore[misc]


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"events": []}, UsageError, "at least one event"),
    ({"events": [1]}, StreamError, "not an Event"),
    ({"events": "events"}, StreamError, "not a list of Events"),
    ({"broker": "Kafka"}, UsageError, r"broker='Kafka'\): a broker such as Kafka\(\) is needed"),
    ({"handler_ms": 0}, UsageError, "handler_ms=0"),
    ({"handler_ms": float("nan")}, UsageError, "handler_ms=nan"),
    ({"handler_ms": 1e-300}, UsageError, "0.000001 to 1,000,000,000"),
    ({"arrivals_per_second": float("inf")}, UsageError, "arrivals_per_second=inf"),
    ({"handler_ms": True}, UsageError, "handler_ms=True"),
    ({"handler_ms": "20"}, UsageError, "handler_ms='20'"),
    ({"consumers": 0}, UsageError, "consumers=0"),
    ({"consumers": 1001}, UsageError, "1 to 1,000"),
    ({"consumers": 2.5}, UsageError, "consumers=2.5"),
    ({"arrivals_per_second": -1}, UsageError, "arrivals_per_second=-1"),
    ({"key": "from"}, UsageError, "key='from'"),
    ({"key": lambda event: event.value["from"]}, UsageError, "gave no key for event 'e1': TypeError"),
    ({"key": lambda event: [1]}, UsageError, "gave no key for event 'e1': TypeError: unhashable"),
    ({"key": lambda event: 7}, StreamError, "key 7 is int: Kafka partitions by bytes"),
]


@pytest.mark.parametrize(("wrong", "error", "says"), WRONG, ids=[says[:40] for _, _, says in WRONG])
def test_what_cannot_mean_what_it_says_is_refused(wrong: dict[str, Any], error: type[Exception], says: str) -> None:
    """With what was given and what is needed."""
    given: dict[str, Any] = {"events": [Event("a", None)], "broker": Kafka(), "handler_ms": 5, **wrong}
    with pytest.raises(error, match=says):
        ordering_cost(given.pop("events"), given.pop("broker"), **given)


def test_the_slowest_and_the_fastest_come_to_an_end() -> None:
    """At the bounds of both."""
    for handler_ms, arrivals in ((1e-6, 1e-6), (1e9, 1e-6), (1e-6, 1e9), (1e9, 1e9)):
        cost = ordering_cost(skewed(3, 30), SqsFifo(), handler_ms=handler_ms, consumers=3, arrivals_per_second=arrivals)
        assert (cost.total.at(1).wait_ms is None) == (arrivals >= cost.total.at(1).throughput)


def test_numbers_are_as_long_as_they_are_known() -> None:
    """Three digits, thousands apart, no zeros at the end."""
    assert [number(x) for x in (0.004, 1, 2.756, 9.999, 33.333, 50, 333.3, 1234.5)] == [
        "0", "1", "2.76", "10", "33.3", "50", "333", "1,234",
    ]  # fmt: skip
    assert [percent(share) for share in (1, 0.226, 0.0996, 0.083, 0)] == ["100 %", "23 %", "10 %", "8.3 %", "0.0 %"]
