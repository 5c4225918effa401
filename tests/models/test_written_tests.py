"""A plain test from a repro file has the scenario that was saved, on every broker, also where messages are refused."""

from __future__ import annotations

import itertools
import re
import textwrap
from pathlib import Path
from typing import Any

import attrs
import pytest

import chaoskit
from chaoskit import Event, Scenario, Stream, Verdict, run
from chaoskit.brokers import Settings
from chaoskit.generate.as_test import regression_test
from chaoskit.repro.read import read
from chaoskit.repro.write import save
from chaoskit.search.plans import Plans
from chaoskit.values.faults import FaultKind
from models.systems import SYSTEMS

STREAM = Stream.of([Event(key, number) for number, key in enumerate(["alice", "bob", "alice", "carol", "alice"])])
TEST = "from chaoskit import chaos\n\n@chaos(None)\ndef test_it(deliver):\n    pass\n"


def arrivals(deliver: Any) -> list[Any]:
    """Depends on everything: the order, and how often."""
    seen: list[Any] = []
    deliver(lambda message: seen.append(message.id))
    return seen


def impatient(deliver: Any) -> list[Any]:
    """Refuses what is early, after it has noted it."""
    seen: list[Any] = []
    last: dict[Any, int] = {}

    def handle(message: Any) -> None:
        seen.append(message.id)
        if message.seq > last.get(message.key, 0) + 1:
            raise RuntimeError("not yet")
        last[message.key] = message.seq

    deliver(handle)
    return seen


@pytest.mark.parametrize("name", [name for name, broker in SYSTEMS.items() if broker.kinds()])
def test_what_was_saved_is_what_is_written(name: str, tmp_path: Path) -> None:
    """For each kind of fault alone: no file is taken for one that was edited, and the scenario gives the same again."""
    (tmp_path / "test_it.py").write_text(TEST)
    broker: Settings = SYSTEMS[name]
    count = 0
    for test in (arrivals, impatient):
        for kind in broker.kinds():
            verdict = broken(test, broker, kind)
            if verdict is None or verdict.scenario is None:
                continue
            path = save(attrs.evolve(verdict, test="test_it.py::test_it"), tmp_path / test.__name__)
            source = regression_test(read(path), tmp_path, path)
            scenario = scenario_in(source)
            assert scenario == verdict.scenario
            again = run(test, scenario)
            assert (again.status, again.observed) == ("violated", verdict.observed)
            count += 1
    assert count, "nothing was found"


def broken(test: Any, broker: Settings, kind: FaultKind) -> Verdict | None:
    """The first of twenty mixtures of one kind that changes what the handler sees."""
    plans = Plans(broker.model(STREAM), (kind,), 3)
    if not any(plans.choices(position) for position in range(len(STREAM))):
        return None
    verdicts = (run(test, Scenario(STREAM.events, broker, plan)) for plan in itertools.islice(plans.mixtures(), 20))
    return next((verdict for verdict in verdicts if verdict.status == "violated"), None)


def scenario_in(source: str) -> Any:
    """What the test calls its scenario."""
    statement = re.search(r"^    scenario = Scenario\(.*?^    \)$", source, re.MULTILINE | re.DOTALL)
    assert statement, source
    space = {name: getattr(chaoskit, name) for name in chaoskit.__all__}
    exec(textwrap.dedent(statement[0]), space)
    return space["scenario"]
