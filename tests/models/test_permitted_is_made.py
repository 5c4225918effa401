"""What is permitted is made: the other direction of test_generated.py.

For each broker all beginnings of up to four deliveries of three messages of one key that the judge permits (of five,
where an order is kept) are looked for among what the model makes with up to three faults. A handler that only such a
beginning breaks would be called held.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chaoskit import Event, Fail, Overtake, Redeliver, Scenario, Stream
from chaoskit.brokers import Settings
from models.made import begins
from models.systems import NOT_MADE, SOME, SYSTEMS

MESSAGES, DELIVERIES, FAULTS = 3, 4, 3
ONE_MORE = (
    "Kafka, one partition",
    "Kinesis, Lambda, partial",
    "SqsFifo",
    "JetStream, one at a time",
    "PubSub, ordered",
)
"""Of these, few beginnings of one more delivery are permitted."""
KEPT = 6
"""Ways to write one beginning that are gone on with: by whom, and as which copy."""

Beginning = tuple[int, ...]


def needed(beginning: Beginning) -> int:
    """Faults, at least: one for each delivery of a message after its first, one for each that others pass."""
    firsts = list(dict.fromkeys(beginning))
    first = {number: place for place, number in enumerate(firsts)}
    later = {m: [n for n in firsts[: first.get(m, len(firsts))] if n > m] for m in range(1, max(firsts))}
    passed = [m for m, others in later.items() if others]
    return len(beginning) - len(firsts) + len(passed)


def permitted(broker: Settings, deliveries: int) -> Iterator[Beginning]:
    """All beginnings that the judge permits, the shortest first. All three messages were sent before."""
    sent = " ".join(f"|put {number}" for number in range(1, MESSAGES + 1))
    ways: dict[Beginning, list[str]] = {(): [""]}
    for _ in range(deliveries):
        longer: dict[Beginning, list[str]] = {}
        for beginning, traces in ways.items():
            for number in range(1, MESSAGES + 1):
                again = [f"{number}r"] if number in beginning else [f"{number}"]
                tries = (f"{trace} {who}:{name}" for trace in traces for who in "AB" for name in again)
                found = [trace for trace in tries if broker.permits(f"{sent}{trace}")][:KEPT]
                if found:
                    longer[(*beginning, number)] = found
                    yield (*beginning, number)
        ways = longer


@pytest.mark.parametrize("name", SOME)
def test_what_is_permitted_is_made(name: str) -> None:
    """Each difference is one that more faults would make, or stands in the table with its reason."""
    broker, excused = SYSTEMS[name], NOT_MADE.get(name, {})
    missing = [
        "".join(map(str, beginning))
        for beginning in permitted(broker, DELIVERIES + (name in ONE_MORE))
        if needed(beginning) <= FAULTS and begins(broker, beginning, FAULTS) is None
    ]
    assert sorted(missing) == sorted(excused)


def test_what_the_search_does_not_draw_the_model_can_make() -> None:
    """The one difference is a matter of what is drawn: a failed attempt counts as a delivery, too."""
    stream = Stream.of([Event("a", number) for number in range(1, MESSAGES + 1)])
    one, two, three = stream.ids
    broker = SYSTEMS["RabbitMQ, classic"]
    scenario = Scenario(stream.events, broker, [Overtake(one, 3), Fail(two, 1), Redeliver(three)])
    assert scenario.schedule().delivered[:3] == (three, two, three)
    assert broker.permits(scenario.trace())
