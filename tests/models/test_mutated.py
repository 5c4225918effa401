"""The judge says no to what is nearly a run: one word of a run that settles by hand, dies or stops, in another way."""

from __future__ import annotations

from random import Random

import pytest
from settling.test_permitted import driven

from chaoskit import Event, Kafka, Stream
from chaoskit.brokers import Settings
from chaoskit.search.plans import Plans
from chaoskit.values.faults import Crash, Fault, Gather, Overlap
from models.systems import SYSTEMS

TRACES = 12
"""Of each system."""
SETTLED_IS_GONE = [
    "Kafka, share group", "LambdaSqs, FIFO", "SqsFifo", "SqsFifo, dead letters", "PubSub, exactly once", "Pulsar",
    "Pulsar, Shared", "Pulsar, Key_Shared", "RabbitMQ", "RabbitMQ, classic", "RabbitMQ, single active", "RedisStreams",
    "RedisList", "JetStream", "JetStream, AckAll", "JetStream, max_deliver", "ServiceBus", "ServiceBus, sessions",
    "PostgresQueue, leases",
]  # fmt: skip
"""Where nobody is shown again what was acknowledged in time; SQS standard and Pub/Sub may."""
OWN = [name for name in SETTLED_IS_GONE if SYSTEMS[name].model(Stream.of([Event("a", 1)])).verbs.names]


def plans(broker: Settings, stream: Stream, random: Random) -> tuple[tuple[Fault, ...], int]:
    """Whatever goes wrong, also inside the handler, or in a call of several messages; and how many it may have."""
    faults = next(Plans(broker.model(stream), broker.kinds(), random.getrandbits(32)).mixtures())[:2]
    if random.random() < 0.4:
        faults = (*faults, Crash(random.choice(stream.ids), 1))
    if broker.why_impossible(Gather) is None and random.random() < 0.4:
        return (Gather(random.choice(stream.ids[:-1]), random.randint(0, 2)), *faults), 4
    if broker.why_impossible(Overlap) is None and random.random() < 0.4:
        position = random.randrange(len(stream))
        _, by, others = broker.model(stream).arguments(Overlap, position)  # type: ignore[misc]
        faults = (*faults, Overlap(stream.ids[position], 1, random.choice(by), random.choice(others)))
    return faults, 0


def trace(broker: Settings, random: Random) -> list[str]:
    stream = Stream.of([Event(random.choice("ab"), n) for n in range(random.randint(2, 7))])
    faults, most = plans(broker, stream, random)
    steps, refused, settled = driven(broker, stream, faults, random, most)
    model = broker.model(stream)
    if most:
        model.in_batches(most, by_hand=True)
    made = model.trace(faults, steps, sorted(refused), settled)
    assert broker.permits(made), f"{faults}\n{made}\n{broker.permits(made)}"
    return made.split(" ")


@pytest.mark.parametrize("name", OWN)
def test_what_was_acknowledged_is_not_shown_again_nor_anything_twice_as_new(name: str) -> None:
    broker, random, tried = SYSTEMS[name], Random(f"mutated {name}"), 0
    for _ in range(TRACES):
        words = trace(broker, random)
        acknowledged = [at for at, word in enumerate(words) if word == "|ack"]
        if not acknowledged:
            continue
        tried += 1
        end = random.choice(acknowledged) + 2
        label, rest = words[end - 1], words[end:]
        assert not broker.permits(" ".join([*words[:end], f"A:{label}r", *rest])), (end, words)
        assert not broker.permits(" ".join([*words[:end], f"A:{label}", *rest])), (end, words)
    assert tried > TRACES // 2


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ("|put 1 |put 2 A:2 B:1'", ""),  # it is published to the retry topic when it has failed, and not before
        ("|put 1 A:1 A: |c=2 |put 2 B:1' A:2", "1 was accepted already"),
        ("|put 1 A:1! A: |dead 1 A: |c=2 B:1' B:1'", "was shown before"),
        ("|put 1 A:1! A: |dead 1 A: |c=2 |put 2 B:1' A: |c=3", "2 was not run yet"),
        ("|put 1 A:1! A: |dead 1 |put 2 B:1' A:2 A:1", "was shown before"),
    ],
)
def test_beside_a_retry_topic_its_topic_is_read_as_ever(seen: str, why: str) -> None:
    answer = Kafka(partitions=1, on_error="retry_topic").permits(seen)
    assert not answer
    assert why in str(answer)


def test_a_position_behind_all_that_was_put_is_the_end() -> None:
    """It was taken for one before all of it, where nothing is committed too early."""
    broker = Kafka(partitions=1)
    assert broker.permits("|put 1 |put 2 A:1 A: |c=2 A:2 A: |c=3")
    assert not broker.permits("|put 1 |put 2 A:1 A: |c=3 A:2")
    assert Kafka(partitions=1, commit_ahead=True).permits("|put 1 |put 2 A:1 A: |c=3 A:2")
