"""A model that is made simpler or faster goes on making the same steps: those of so many plans, as one number a system.

`python -m models.test_same_steps` in tests/ writes the numbers again where an issue has changed what a broker does.
CHAOSKIT_PLANS=5000 compares all that are written down; without it the first 200 of each system.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaoskit import Event, Stream
from chaoskit.search.plans import Plan, Plans
from chaoskit.values.scenario import Broker, Model
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
    """Deliveries are refused now and then, so that what follows from a refusal is compared, too."""
    digest = hashlib.sha256()
    models = [broker.model(stream) for stream in (STREAM, ONE_KEY)]
    drawn = [plans(model, broker, salt) for salt, model in enumerate(models)]
    for number in range(1, most + 1):
        model, plan = models[number % 2], next(drawn[number % 2])
        refused = number % 5 if number % 3 == 0 else None
        digest.update(repr(plan).encode())
        for step in _steps(model, plan, refused):
            digest.update(repr(step).encode())
        if number in AT:
            yield digest.hexdigest()[:16]


def _steps(model: Model, plan: Plan, refused: int | None) -> Iterator[tuple[int, ...]]:
    """The delivery with the number `refused` is refused, and each fifth one after it."""
    play, answer, deliveries = model.play(plan), None, 0
    try:
        while True:
            step = play.send(answer)
            yield tuple(int(part) for part in step)
            answer = None
            if step[0] == 0:
                answer = True if refused is not None and deliveries % 5 == refused else None
                deliveries += 1
    except StopIteration:
        return


@pytest.mark.parametrize("system", [name for name, broker in SYSTEMS.items() if broker.kinds()])
def test_the_steps_are_the_same(system: str) -> None:
    expected = json.loads(WRITTEN.read_text(encoding="utf-8"))[system]
    found = list(numbers(SYSTEMS[system], PLANS))
    assert found == expected[: len(found)], f"{system} makes other steps: {__doc__}"


def test_every_system_is_written_down() -> None:
    assert json.loads(WRITTEN.read_text(encoding="utf-8")).keys() == {n for n, b in SYSTEMS.items() if b.kinds()}


if __name__ == "__main__":
    written = {name: list(numbers(broker, AT[-1])) for name, broker in SYSTEMS.items() if broker.kinds()}
    sys.stdout.write(json.dumps(written, indent=1) + "\n")
    WRITTEN.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
