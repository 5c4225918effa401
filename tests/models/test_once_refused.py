"""Once a model and its judge disagreed about these, the smallest inputs of each: the fact sheet decided who was wrong.

`test_generated.py` looks for more of them.
"""

from __future__ import annotations

from collections import Counter

import pytest

from chaoskit import Event, Stream
from chaoskit.values.faults import (
    DeadLetter,
    Duplicate,
    Fault,
    Overtake,
    Redeliver,
    Zombie,
)
from models.systems import SYSTEMS
from models.test_generated import refusing

Attempts = set[tuple[int, int]]
"""The position of an event, and which delivery of it is refused."""


def first(position: int, attempts: int) -> Attempts:
    return {(position, number) for number in range(1, attempts + 1)}


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
