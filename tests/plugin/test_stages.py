"""How a long test stands names what is at work: the search, or what is asked besides."""

from __future__ import annotations

from pathlib import Path

from plugin.projects import HEAD, Project

SAID = """
from chaoskit.pytest.session import PytestRunner

asks = PytestRunner.asks


def asks_and_says(runner, what, part):
    asks(runner, what, part)
    with open("stages.txt", "a") as file:
        print(runner._standing(2.0), file=file)


PytestRunner.asks = asks_and_says
"""

TESTS = """
@chaos(PAYMENTS, broker=Kafka(partitions=6), schedules=60)
def test_adds(deliver):
    balances = {}
    deliver(lambda m: balances.update({m.key: balances.get(m.key, 0) + m.value}))
    return balances


@chaos(PAYMENTS, broker=Kafka(partitions=6), schedules=60)
def test_remembers(deliver):
    balances, seen = {}, set()

    def handle(message):
        if message.id not in seen:
            seen.add(message.id)
            balances[message.key] = balances.get(message.key, 0) + message.value

    deliver(handle)
    return balances
"""


def test_each_stage_is_named(tmp_path: Path) -> None:
    """In the order in which they come; of a failure that is repaired, and of a test that holds."""
    project = Project.at(tmp_path, conftest=SAID, test_stages=HEAD + TESTS)
    asked = ("--chaos-repair", "--chaos-self-check", "--chaos-boundary", "--chaos-tolerance")
    ran = project.pytest("--chaos-seed=1", *asked)
    shown = (project.root / "stages.txt").read_text().splitlines()
    adds, remembers = (
        [line.partition(f"::test_{name}: ")[2] for line in shown if f"::test_{name}: " in line]
        for name in ("adds", "remembers")
    )
    assert adds[0] == "which move repairs it: Remember message ids, 2.0 s", ran.text
    assert adds[1] == "which move repairs it: Drop stale versions, 2.0 s"
    assert "what it tolerates: Redeliver on Kafka, 2.0 s" in adds
    assert "what it tolerates: which move repairs Redeliver on Kafka, 2.0 s" in adds
    assert remembers[0] == "which known bugs it would notice: forgets ids, 2.0 s"
    assert "what has to stay in order, 2.0 s" in remembers
    assert not [line for line in shown if "schedules" in line]
