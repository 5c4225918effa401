"""What becomes of a message whose execution stops in the middle: on a log and on a queue, and as the judge reads it."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from chaoskit import (
    Event,
    EventHubs,
    Fail,
    Kafka,
    Kinesis,
    Overlap,
    Overtake,
    PostgresQueue,
    RabbitMQ,
    RabbitMQStream,
    Rehash,
    Scenario,
    SqsFifo,
    SqsStandard,
    Stream,
    Webhook,
    Zombie,
)
from chaoskit.brokers.base import Settings
from chaoskit.search.plans import Plan, Plans
from chaoskit.values.faults import KINDS, Crash, Fault
from chaoskit.values.schedule import Do, Raw, what_of
from models.systems import SYSTEMS

THREE = [Event("a", i) for i in range(3)]
STREAM = Stream.of([Event("abc"[(7 * i) % 3], i) for i in range(7)])
PLANS = 12
OVERLAPS = [name for name, broker in SYSTEMS.items() if broker.why_impossible(Overlap) is None]


def others_of(name: str) -> list[int]:
    """What `others` can be."""
    arguments = SYSTEMS[name].model(STREAM).arguments(Overlap, 0)
    return [] if arguments is None else list(arguments[2])


TWO = [
    "Kafka, share group", "Kafka, share group with few locks", "SqsStandard", "SqsStandard, dead letters", "SnsSqs",
    "LambdaSqs", "LambdaSqs, partial", "PubSub", "PubSub, exactly once", "Pulsar, Shared",
    "Pulsar, Shared, ack timeout", "Pulsar, Shared, dead letters", "Pulsar, Shared, retry letters",
    "RabbitMQ", "RabbitMQ, dead letters",
    "RabbitMQ, classic", "RabbitMQ, no delivery limit", "RabbitMQ, auto-ack", "RabbitMQ, TTL", "RabbitMQ, quorum, TTL",
    "RedisStreams", "RedisStreams, trims", "RedisStreams, NOACK", "RedisList", "RedisList, to the head",
    "RedisList, BRPOP", "JetStream", "JetStream, two at a time", "JetStream, max_deliver", "JetStream, partitions",
    "JetStream, max_age", "JetStream, no acks", "JetStream, term", "JetStream, term, max_deliver", "ServiceBus",
    "ServiceBus, receive and delete", "ServiceBus, duplicate detection", "PostgresQueue", "PostgresQueue, leases",
    "Celery", "Celery, acks late, restores", "Celery, acks late", "Celery, RabbitMQ", "Celery, RabbitMQ, acks early",
    "Celery, SQS", "Celery, long countdown", "Webhook", "Webhook, GitHub", "Webhook, GitHub, redelivered",
    "Webhook, Shopify", "Webhook, Slack", "Anything",
]  # fmt: skip
"""Where two consumers can be at two messages of one key: each has its own, and nothing keeps a key in order."""
MOVES = ["Kafka, two consumers", "Kafka, auto-commit from the end", "Kafka, retry topic"]
"""Where they can while a key moves: two consumers of a log that grows; or while one is in a retry topic."""


def test_it_is_none_of_the_kinds_of_a_broker_as_it_takes_spawn() -> None:
    assert Overlap not in KINDS
    assert all(Overlap not in broker.kinds() for broker in SYSTEMS.values())


@pytest.mark.parametrize("name", SYSTEMS)
def test_who_permits_it(name: str) -> None:
    """One message twice where it is lent again while it is run, but not behind a relay, nor where an execution ends at
    a timeout; two messages of one key where consumers compete."""
    broker = SYSTEMS[name]
    lends = broker.why_impossible(Zombie) is None and not name.startswith(("Outbox", "Debezium", "LambdaSqs"))
    assert (1 in others_of(name)) == (name in (*TWO, *MOVES))
    assert (broker.why_impossible(Overlap) is None) == (lends or name in TWO)
    if name in OVERLAPS:
        assert (0 in others_of(name)) == lends


@pytest.mark.parametrize(
    ("broker", "why"),
    [
        (SYSTEMS["Outbox"], "handles the copies one after the other"),
        (SYSTEMS["InOrder"], "once, in order"),
        (SYSTEMS["LambdaSqs, FIFO"], "is ended, before its message comes back"),
        (PostgresQueue(workers=1, style="lock"), "workers=2 with style='lease' makes it possible"),
    ],
)
def test_why_it_is_impossible(broker: Settings, why: str) -> None:
    assert why in str(broker.why_impossible(Overlap)).replace('"', "'")


@pytest.mark.parametrize(
    ("broker", "fault", "said"),
    [
        (Kafka(partitions=1), (2, 0, 0), "begin e1, take over e1, deliver e1, go on e1, deliver e2, deliver e3"),
        (SqsFifo(), (2, 1, 0), "begin e1, take over e1, deliver e1, deliver e2, go on e1, deliver e3"),
        (RabbitMQ(consumers=2), (0, 0, 1), "begin e1, deliver e2, go on e1, deliver e3"),
        (SqsStandard(), (0, 9, 1), "begin e1, deliver e2, deliver e3, go on e1"),
        (Webhook(), (1, 1, 0), "begin e1, take over e1, deliver e1, deliver e2, go on e1, deliver e3"),
        (RabbitMQ(consumers=1), (0, 0, 1), "deliver e1, deliver e2, deliver e3"),
        (Kafka(partitions=1), (0, 0, 1), "deliver e1, deliver e2, deliver e3"),
    ],
)
def test_it_goes_on_when_others_were_run(broker: Settings, fault: tuple[int, int, int], said: str) -> None:
    overlap = Overlap("e1", *fault)
    steps = Scenario(THREE, broker, [overlap]).schedule()
    assert ", ".join(f"{step.action} {step.event or ''}".strip() for step in steps) == said
    for step in steps:
        assert (step.point is not None) == (step.action == "begin")
        if step.action in ("begin", "go on", "take over"):
            assert step.fault == overlap


@pytest.mark.parametrize("name", OVERLAPS)
def test_one_that_stops_before_it_begins_is_a_zombie_or_an_overtake(name: str) -> None:
    """The same messages are run, in the same order, but for the step in which it began."""
    model, met = SYSTEMS[name].model(STREAM), 0
    for others in others_of(name):
        leasing = getattr(SYSTEMS[name].stages(), "leasing", None)
        if others and (leasing is None or not leasing.in_order):
            continue  # an Overtake there is a message that comes late, and no consumer has it; or a partition
        for id_ in STREAM.ids:
            plain = Overtake(id_, 1) if others else Zombie(id_, 0, 1)
            outside = [step[1:] for step in model.play([plain])]
            steps = list(model.play([Overlap(id_, 0, 1, others)]))
            met += any(what_of(step) == Do.BEGIN for step in steps)
            if any(what_of(step) == Do.BEGIN for step in steps):
                assert [step[1:] for step in steps if what_of(step) != Do.BEGIN] == outside, (name, id_, others)
    assert met or others_of(name) == [1]


def mixtures(broker: Settings, salt: int) -> Iterator[tuple[Plan, Plan]]:
    """Plans of other kinds, and the same with an overlap or two, or with one and a death."""
    chance, model = random.Random(salt), broker.model(STREAM)
    for plan in Plans(model, broker.kinds(), salt).mixtures():
        more = []
        for _ in range(chance.choice((1, 1, 2))):
            position = chance.randrange(len(STREAM))
            arguments = model.arguments(Overlap, position)
            assert arguments is not None
            at, by, others = STREAM.ids[position], chance.choice(arguments[1]), chance.choice(arguments[2])
            more.append(Overlap(at, chance.randrange(4), by, others))
        if chance.random() < 0.2 and broker.why_impossible(Crash) is None:
            more.append(Crash(chance.choice(STREAM.ids), 1))
        yield plan[:5], (*plan[:5], *more)


@pytest.mark.parametrize("name", OVERLAPS)
def test_the_judge_permits_every_overlap_and_what_has_begun_goes_on(name: str) -> None:
    broker = SYSTEMS[name]
    model, met = broker.model(STREAM), 0
    for _, (without, plan) in zip(range(PLANS), mixtures(broker, 1), strict=False):
        steps = list(model.play(plan))
        begun = sorted(step[1:5] for step in steps if what_of(step) == Do.BEGIN)
        met += len(begun)
        assert begun == sorted(step[1:5] for step in steps if what_of(step) == Do.GO_ON), plan
        # What the two readings disagree about without any overlap is none of its.
        if broker.permits(model.trace(without, list(model.play(without)), ())):
            permitted = broker.permits(model.trace(plan, steps, ()))
            assert permitted, f"{plan}\n{permitted}"
    assert met >= PLANS // 4


@pytest.mark.parametrize(
    "broker",
    [
        Kafka(consumers=2), Kafka(consumers=3, on_error="stop"),
        Kafka(consumers=2, commit_every=2), EventHubs(processors=2, partitions_added=True),
        Kinesis(workers=2, parent_first=False), RabbitMQStream(consumers=2),
    ],
)  # fmt: skip
def test_while_a_key_moves_two_of_its_messages_are_run_at_once(broker: Settings) -> None:
    model, chance, met = broker.model(STREAM), random.Random(1), 0
    for plan, _ in zip(Plans(model, broker.kinds(), 1).mixtures(), range(60), strict=False):
        key = chance.choice("abc")
        at, grows = (chance.choice([p for p in range(7) if STREAM[p].key == key]) for _ in range(2))
        ranges, others = model.arguments(Rehash, grows), model.arguments(Overlap, at)
        if ranges is None or others is None:
            continue
        growth = Rehash(STREAM.ids[grows], *map(chance.choice, ranges))
        without = (*plan[:2], growth)
        faults = (*without, Overlap(STREAM.ids[at], 1, chance.choice(others[1]), 1))
        steps = list(model.play(faults))
        begun = [number for number, step in enumerate(steps) if what_of(step) == Do.BEGIN]
        for number in begun:
            consumer = steps[number][1]
            rest = [step for step in steps[number + 1 :] if what_of(step) not in (Do.PUT_BACK, Do.PARK)]
            until = next(n for n, step in enumerate(rest) if step[1] == consumer)
            assert what_of(rest[until]) == Do.GO_ON
            met += any(STREAM[step[2]].key == key for step in rest[:until])
        if broker.permits(model.trace(without, list(model.play(without)), ())):
            assert broker.permits(model.trace(faults, steps, ())), faults
    assert met


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        (
            [Fail("e1"), Overlap("e1", 2, 0, 1)],
            "fail e1, park e1, deliver e2, put back e1, begin e1 at 1, deliver e3, go on e1 at 1, deliver e4",
        ),
        (
            [Fail("e1"), Overlap("e2", 2, 0, 1)],
            "fail e1, park e1, begin e2, put back e1, deliver e1 at 1, go on e2, deliver e3, deliver e4",
        ),
        (
            [Fail("e1", 1), Overlap("e1", 2, 5, 1)],
            "fail e1, park e1, deliver e2, deliver e3, put back e1, begin e1 at 1, deliver e4, go on e1 at 1",
        ),
        ([Overlap("e2", 2, 0, 1)], "deliver e1, deliver e2, deliver e3, deliver e4"),
    ],
)
def test_a_retry_topic_is_read_beside_its_topic(faults: list[Fault], said: str) -> None:
    """One of the two listeners stops, and the other one runs what it has. At 1: the listener of the retry topic."""
    broker, stream = Kafka(partitions=1, on_error="retry_topic"), Stream.of([Event("a", i) for i in range(4)])
    scenario = Scenario(stream.events, broker, faults)
    steps = scenario.schedule()
    found = (f"{step.action} {step.event}{f' at {step.consumer}' if step.consumer else ''}" for step in steps)
    assert ", ".join(found) == said
    assert broker.permits(scenario.trace())


def test_whatever_goes_wrong_beside_a_retry_topic_is_permitted() -> None:
    chance, beside = random.Random(1), 0
    for salt in range(120):
        broker = Kafka(
            partitions=chance.choice((1, 2)), consumers=chance.choice((1, 2)), on_error="retry_topic", max_attempts=3,
            commit_every=chance.choice((None, 2)),
        )  # fmt: skip
        model = broker.model(STREAM)
        plan = next(Plans(model, broker.kinds(), salt).mixtures())[:3]
        failed = [Fail(chance.choice(STREAM.ids), chance.randrange(3)) for _ in range(chance.choice((1, 2)))]
        stops = [Overlap(chance.choice(STREAM.ids), 1, chance.randrange(4), 1) for _ in range(2)]
        dies = [Crash(chance.choice(STREAM.ids))] * chance.randrange(2)
        faults, refused = (*plan, *failed, *stops, *dies), set[int]()
        play, steps, answer = model.play(faults), list[Raw](), None
        while len(steps) < 200:
            try:
                steps.append(play.send(answer))
            except StopIteration:
                break
            answer = (what_of(steps[-1]) in (Do.DELIVER, Do.GO_ON) and chance.random() < 0.1) or None
            refused |= {len(steps) - 1} if answer else set()
        begun = [step[1:5] for step in steps if what_of(step) == Do.BEGIN]
        assert sorted(begun) == sorted(step[1:5] for step in steps if what_of(step) == Do.GO_ON), faults
        beside += bool(begun)
        answer = broker.permits(model.trace(faults, steps, sorted(refused)))
        assert answer, f"{faults}\n{answer}"
    assert beside > 30
