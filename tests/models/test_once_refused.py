"""Once a model and its judge disagreed about these, the smallest inputs of each: the fact sheet decided who was wrong.

`test_generated.py` looks for more of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

import pytest

from chaoskit import Event, Stream
from chaoskit.values.answers import answer_of, begun_at
from chaoskit.values.faults import (
    Crash,
    DeadLetter,
    Duplicate,
    Fail,
    Fault,
    Overlap,
    Overtake,
    Redeliver,
    Rehash,
    Resend,
    Zombie,
)
from chaoskit.values.schedule import Do, Raw, what_of
from chaoskit.values.settling import Settles
from models.systems import SYSTEMS
from models.test_generated import refusing

Attempts = set[tuple[int, int]]
"""The position of an event, and which delivery of it is refused."""


def first(position: int, attempts: int) -> Attempts:
    return firsts([position], attempts)


def firsts(positions: Iterable[int], attempts: int) -> Attempts:
    return {(position, number) for position in positions for number in range(1, attempts + 1)}


@pytest.mark.parametrize(
    ("system", "keys", "faults", "refused", "trace"),
    [
        pytest.param(
            "Kafka, parallel consumer",
            "ab",
            [Redeliver("e2", 0)],
            first(0, 2),
            "|put p4/ka1 A:p4/ka1! |put p2/kb2 A:p2/kb2 A:⚡ A:p4/ka1r! A:p2/kb2r A:p4/ka1r",
            id="what was read of a log comes again when its reader dies, whatever else it has to do",
        ),
        pytest.param(
            "Kinesis, Lambda, bisects and skips",
            "aa",
            [Duplicate("e1")],
            {(0, 2)},
            "|put p0/1 A:p0/1! A:p0/1r! |drop p0/1 |put p0/2 A:p0/2",
            id="a batch of one whose answer was lost is not halved",
        ),
        pytest.param(
            "RedisList",
            "aaaaaaaa",
            [Zombie("e7", 1, 0)],
            {(0, 1), *first(6, 5)} - {(6, 2)},
            None,
            id="what is recovered to the tail comes in the order of its recovery",
        ),
        pytest.param(
            "Debezium",
            "abab",
            [],
            first(0, 20),
            None,
            id="what waits behind a refused message for ever was published all the same",
        ),
        pytest.param(
            "Debezium, dead letters",
            "a",
            [Redeliver("e1", 0), DeadLetter("e1", 0)],
            {(0, 1)},
            "A: |dead p4/1 A:p4/1'! A:p4/1'r A:⚡ A:p4/1''",
            id="what was put back is retried in place without a restart of the connector",
        ),
        pytest.param(
            "Outbox, two relays",
            "aa",
            [],
            first(0, 10),
            f"A:1! {'A:1r! ' * 9}A:1r A:2",
            id="the consumer behind two relays waits for what it refuses",
        ),
        pytest.param(
            "Outbox, two relays",
            "aa",
            [Overtake("e1", 0)],
            {(1, 1)},
            "A:2! A:2r A:1",
            id="and retries it before anything else",
        ),
        pytest.param(
            "Kinesis, Lambda, bisects and skips",
            "aaaa",
            [],
            {(3, 1), (1, 2), *first(0, 4), (3, 2)} - {(0, 1), (0, 2)},
            "|put p0/1 A:p0/1 |put p0/2 A:p0/2 |put p0/3 A:p0/3 |put p0/4 A:p0/4! A:p0/1r A:p0/2r! A:p0/1r! A:p0/1r! "
            "|drop p0/1 A:p0/2r A:p0/3r A:p0/4r! A:p0/3r A:p0/4r",
            id="a half that is given up is followed by the other one, as large as it was",
        ),
        pytest.param(
            "LambdaSqs, FIFO, partial",
            "abcaca",
            [Fail("e3", 2), Crash("e5", 1, 0)],
            {(0, 1)},
            None,
            id="nobody goes on with any receive of a process that died",
        ),
        pytest.param(
            "RabbitMQ, no delivery limit",
            "aa",
            [Resend("e1", 0), Overtake("e1", 0), Overtake("e1", 0), Overtake("e1", 0)],
            {(1, 1)},
            None,
            id="a consumer that is slow once more at its first message is so at what it holds behind it",
        ),
        pytest.param(
            "RabbitMQ, classic",
            "aaaaaaa",
            [],
            firsts(range(6), 20),
            None,
            id="what a consumer keeps and what it gives back fill its prefetch together",
        ),
        pytest.param(
            "RabbitMQStream, confirm by confirm",
            "aaa",
            [Resend("e2", 1), Rehash("e3", 4, 0, 0, 0)],
            first(0, 20),
            None,
            id="what was sent first may stand in a partition of which nothing is shown",
        ),
        pytest.param(
            "RabbitMQ, no delivery limit",
            "aaaaa",
            [Zombie("e4", 0, 0), Zombie("e3", 1, 1)],
            {(0, 1), (0, 2), (1, 1), (2, 1)},
            None,
            id="who was taken for dead with a message runs it before it loses it once more",
        ),
        pytest.param(
            "RabbitMQ, no delivery limit",
            "aaaaaa",
            [Zombie("e1", 0, 6), Overlap("e2", 0, 0, 0)],
            firsts((0, 2, 3), 20),
            None,
            id="where one that came in another's place is full, whoever is free takes the next message",
        ),
        pytest.param(
            "RabbitMQ, no delivery limit",
            "aaaaaa",
            [Redeliver("e2", 6), Resend("e4", 1), Resend("e2", 0)],
            first(0, 20) | first(3, 20),
            None,
            id="a consumer whose prefetch is full loses its connection before it is handed more",
        ),
        pytest.param(
            "RabbitMQ, classic",
            "aaaaaa",
            [Zombie("e4", 2, 0)],
            firsts(range(3), 20),
            None,
            id="what a consumer keeps takes up room in what it fetches",
        ),
        pytest.param(
            "RabbitMQ, classic",
            "aaaaa",
            [Zombie("e1", 2, 0), Overtake("e2", 0), Overtake("e1", 0)],
            set(),
            None,
            id="and so does what it was handed and has not run",
        ),
        pytest.param(
            "RabbitMQ, classic",
            "aaaaaa",
            [Redeliver("e1", 4), Overtake("e6", 0), Overtake("e5", 0)],
            set(),
            None,
            id="and what it was shown since the first that it has not settled",
        ),
        pytest.param(
            "JetStream",
            "aaaa",
            [Overtake("e3", 0), Zombie("e2", 1, 0), Overtake("e1", 1)],
            {(3, 1)},
            None,
            id="a slow consumer runs what it has in the order in which it was handed that",
        ),
        pytest.param(
            "SqsFifo, skips",
            "aa",
            [],
            first(0, 11) | first(1, 10),
            None,
            id="of two that were given up in one group the second goes on with the first",
        ),
    ],
)
def test_both_readings_agree(system: str, keys: str, faults: list[Fault], refused: Attempts, trace: str | None) -> None:
    broker, stream = SYSTEMS[system], Stream.of([Event(key, number) for number, key in enumerate(keys)])
    shown: Counter[int] = Counter()

    def refuses(position: int) -> bool:
        shown[position] += 1
        return (position, shown[position]) in refused

    steps, raised = refusing(broker, stream, tuple(faults), refuses)
    made = broker.model(stream).trace(tuple(faults), steps, sorted(raised))
    assert trace in (made, None)
    assert broker.permits(made), f"{made}\n{broker.permits(made)}"


@pytest.mark.parametrize(
    ("system", "keys", "faults", "refused", "settled"),
    [
        pytest.param(
            "JetStream, max_deliver",
            "abc",
            [Redeliver("e1", 2)],
            set(),
            {2: "reject 2"},
            id="a rejection is sent in the delivery, before anything else follows from that",
        ),
        pytest.param(
            "JetStream, max_deliver",
            "ba",
            [Redeliver("e2", 1), Zombie("e1", 0, 0)],
            {1},
            {1: "nack 1", 2: "", 3: "", 4: "", 6: "", 7: ""},
            id="what a dead consumer had open comes no more where its deliveries are used up",
        ),
        pytest.param(
            "SqsFifo, dead letters",
            "aa",
            [Fail("e1", 0), Fail("e1", 0), Crash("e1", 1, 3)],
            set(),
            {2: ""},
            id="what is open at a death in its last delivery goes to the dead letters",
        ),
        pytest.param(
            "JetStream, AckAll",
            "baaa",
            [Duplicate("e3")],
            set(),
            {0: "", 1: "", 2: "", 3: "ack 1 ack 0", 4: "ack 4 ack 3", 5: "", 6: "ack 2 ack 5"},
            id="an acknowledgement of a later message is one of this, too",
        ),
        pytest.param(
            "Pulsar, batches",
            "aa",
            [Crash("e1"), Overlap("e1", 0, 0, 0)],
            {2},
            {0: "ack 0", 2: "", 3: ""},
            id="what was stored with others comes again with them, though its dead consumer had acknowledged it",
        ),
    ],
)
def test_both_readings_agree_on_what_a_handler_settles(
    system: str, keys: str, faults: list[Fault], refused: set[int], settled: dict[int, str]
) -> None:
    """`settled`: by the number of a step, the verbs and the numbers of the steps that they settle."""
    broker, stream = SYSTEMS[system], Stream.of([Event(key, number) for number, key in enumerate(keys)])
    given: dict[int, Settles] = {
        number: tuple((verb, int(at)) for verb, at in pairwise(words.split()) if verb.isalpha())  # type: ignore[misc]
        for number, words in settled.items()
    }
    play, answer, steps = broker.model(stream).play(tuple(faults)), None, list[Raw]()
    while True:
        try:
            steps.append(play.send(answer))
        except StopIteration:
            break
        number = len(steps) - 1
        if what_of(steps[-1]) in (Do.DELIVER, Do.GO_ON):
            given.setdefault(number, (("ack", begun_at(steps, number)),))
        if number in given:
            answer = answer_of(steps, number, given, refused=number in refused or "reject" in settled.get(number, ""))
        else:
            answer = False
    raised = sorted(refused | {number for number, words in settled.items() if "reject" in words})
    made = broker.model(stream).trace(tuple(faults), steps, raised, given)
    assert broker.permits(made), f"{made}\n{broker.permits(made)}"
