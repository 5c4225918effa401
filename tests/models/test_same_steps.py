"""A model that is made simpler or faster goes on making the same steps: those of so many plans, as one number a system.

`python -m models.test_same_steps` in tests/ writes the numbers again where an issue has changed what a broker does.
CHAOSKIT_PLANS=5000 compares all that are written down, as `make thorough` does; else the first 200 of each system.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaoskit import Event, Stream
from chaoskit.models.refusals import Refusals
from chaoskit.search.plans import Plan, Plans
from chaoskit.values.scenario import Broker, Model
from chaoskit.values.schedule import Do
from models.systems import SYSTEMS

WRITTEN = Path(__file__).with_name("same_steps.json")
AT = (200, 5000)
"""After so many plans a number is taken."""
PLANS = int(os.environ.get("CHAOSKIT_PLANS", AT[0]))
STREAM = Stream.of([Event("abc"[(7 * i) % 3], i) for i in range(9)])
ONE_KEY = Stream.of([Event("a", i) for i in range(4)])


def plans(model: Model, broker: Broker, salt: int) -> Iterator[Plan]:
    """Single faults first, and then mixtures, as a search tries them."""
    made = Plans(model, broker.kinds(), salt)
    return itertools.chain(itertools.islice(made.every_single(10_000) or [], 40), made.mixtures())


def numbers(broker: Broker, most: int) -> Iterator[str]:
    """Of three plans one has a handler that refuses each fifth delivery, and one a handler that refuses two events for
    ever, so that what follows from a refusal is compared, too: also second chances, which no order of sets decides."""
    digest = hashlib.sha256()
    models = [broker.model(stream) for stream in (STREAM, ONE_KEY)]
    drawn = [plans(model, broker, salt) for salt, model in enumerate(models)]
    for number in range(1, most + 1):
        model, plan = models[number % 2], next(drawn[number % 2])
        digest.update(repr(plan).encode())
        for step in _steps(model, plan, _refuses(number, len(model.stream))):
            digest.update(repr(step).encode())
        if number in AT:
            yield digest.hexdigest()[:16]


Refuses = Callable[[int, int], bool]
"""Whether the delivery of this number is refused, of the event at this position."""


def _refuses(number: int, events: int) -> Refuses:
    if number % 3 == 0:
        return lambda delivery, _: delivery % 5 == number % 5
    if number % 3 == 1:
        return lambda _, position: position in (number % events, 3 * number % events)
    return lambda _, __: False


def _steps(model: Model, plan: Plan, refuses: Refuses) -> Iterator[tuple[int, ...]]:
    play, answer, deliveries = model.play(plan), None, 0
    try:
        while True:
            step = play.send(answer)
            yield tuple(int(part) for part in step)
            answer = None
            if step[0] == 0:
                answer = refuses(deliveries, step[2]) or None
                deliveries += 1
    except StopIteration:
        return


@pytest.mark.many
@pytest.mark.parametrize("system", [name for name, broker in SYSTEMS.items() if broker.kinds()])
def test_the_steps_are_the_same(system: str) -> None:
    expected = json.loads(WRITTEN.read_text(encoding="utf-8"))[system]
    found = list(numbers(SYSTEMS[system], PLANS))
    assert found == expected[: len(found)], f"{system} makes other steps: {__doc__}"


def test_every_system_is_written_down() -> None:
    assert json.loads(WRITTEN.read_text(encoding="utf-8")).keys() == {n for n, b in SYSTEMS.items() if b.kinds()}


def test_of_several_messages_of_one_event_the_last_that_was_given_up_has_the_next_chance() -> None:
    """Whatever the order of a set of their lanes is: that of texts is another one in each process."""
    refusals, lanes = Refusals(), [("queue", number) for number in range(8)]
    for number, lane in enumerate(lanes):
        refusals.give_up((0, number), lane, (int(Do.DELIVER), 0, 3, 0, number))
    chances = [refusals.next_chance() for _ in lanes]
    assert [chance and chance[0] for chance in chances] == lanes[::-1]


if __name__ == "__main__":
    written = {name: list(numbers(broker, AT[-1])) for name, broker in SYSTEMS.items() if broker.kinds()}
    sys.stdout.write(json.dumps(written, indent=1) + "\n")
    WRITTEN.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
