"""`--chaos-self-check`: a pass says which known bugs the test would have noticed, and one that would have noticed none
has shown nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from plugin.projects import HEAD, MODES, Project, mode_name

TESTS = """
class Rows:
    def __init__(self):
        self.rows = {}

    def handle(self, message):
        if message.seq > self.rows.get(message.key, (0, 0))[0]:
            self.rows[message.key] = (message.seq, message.value)

@pytest.fixture
def start():
    return {}

@chaos(PAYMENTS, broker=Kafka(partitions=6), schedules=200)
def test_good(deliver, start):
    table = Rows()
    deliver(table.handle)
    return table.rows | start

@chaos(PAYMENTS, broker=Kafka(partitions=6), schedules=200)
def test_length(deliver):
    table = Rows()
    deliver(table.handle)
    return len(table.rows)

@chaos(PAYMENTS, broker=Kafka(partitions=6), schedules=200, invariants=[invariants.no_error()])
def test_nothing(deliver):
    table = Rows()
    deliver(table.handle)
    return table.rows

@chaos(PAYMENTS, broker=Kafka(partitions=6), schedules=200, allow_unknown="only errors count",
       invariants=[invariants.no_error()])
def test_nothing_allowed(deliver):
    deliver(Rows().handle)

@chaos(PAYMENTS, broker=SqsFifo(), schedules=200)
async def test_async(deliver):
    table = Rows()
    async def handle(message):
        table.handle(message)
    await deliver(handle)
    return table.rows

@chaos(PAYMENTS, broker=Kafka(partitions=6), schedules=200, without={Overlap})
def test_spawn(deliver):
    table = Rows()
    deliver(spawn=lambda: table.handle)
    return table.rows

@chaos(PAYMENTS, broker=Kafka(partitions=6), schedules=200)
def test_buggy(deliver):
    rows = {}
    deliver(lambda message: rows.update({message.key: message.value}))
    return rows
"""
ALL = "forgets ids, ignores versions, drops an effect, applies after failing, acknowledges first"
STATES = "a state that is frozen, constant, only its length"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    head = f"{HEAD}from chaoskit import invariants\n"
    return Project.at(tmp_path_factory.mktemp("self-check"), test_rows=head + TESTS)


@pytest.mark.parametrize("mode", MODES, ids=mode_name)
def test_a_pass_says_what_it_would_have_noticed(project: Project, mode: tuple[str, ...]) -> None:
    """In one process and over workers; async, with spawn= and with fixtures."""
    ran = project.pytest("--chaos-self-check", "--chaos-seed=1", "--chaos-report=pages", *mode)
    assert ran.code == 1
    assert "3 failed, 3 passed, 1 skipped" in ran.out
    output = ran.said_of()
    assert f"self-check: 8 of 8 known bugs would be noticed: {ALL}; {STATES}" in output["test_rows.py::test_good"]
    inside = "marks first, effect outside the transaction"
    assert f"10 of 10 known bugs would be noticed: {ALL}, {inside}; {STATES}" in output["test_rows.py::test_spawn"]
    fifo = output["test_rows.py::test_async"]
    assert "self-check: 7 of 7 known bugs would be noticed: forgets ids, drops an effect" in fifo
    assert "self-check: cannot happen here: ignores versions (no message of a key came behind its successor)" in fifo
    text = " ".join(ran.out.split())
    for test in ("test_length", "test_nothing"):
        assert f"{test} has shown nothing: " in text
    none = f"the test would have noticed none of them ({ALL}): it asserts nothing of what the handler does"
    assert text.count(f"- the self-check planted bugs around the handler, and {none}") == 2
    assert f"Self-check: 3 of 8 known bugs would be noticed: {STATES}." in text
    assert "Self-check: 0 of 8 known bugs would be noticed." in text
    assert "test_buggy does not survive" in text
    ran.assert_quiet_about_us()


def test_it_stands_in_the_files_too(project: Project) -> None:
    """JSON lines of the same run, and the page of a test that has shown nothing."""
    lines = report_of(project, "good")
    assert [line["bug"] for line in lines if line["type"] == "planted"] == [
        *ALL.split(", "), "frozen", "constant", "only its length"
    ]  # fmt: skip
    first = next(line for line in lines if line["type"] == "planted")
    assert (first["place"], first["status"], first["text"]) == ("handler", "caught", "")
    assert first["breaks"]
    assert not [line for line in report_of(project, "buggy") if line["type"] == "planted"]
    (page,) = (project.root / "pages").glob("*length*.html")
    assert "Self-check: NOT noticed: " in page.read_text()


def report_of(project: Project, name: str) -> list[dict[str, Any]]:
    (lines,) = (project.root / "pages").glob(f"*{name}*.jsonl")
    return [json.loads(line) for line in lines.read_text().splitlines()]


def test_nobody_pays_who_has_not_asked(project: Project) -> None:
    """And what only counts errors passes, as it always has."""
    ran = project.pytest("--chaos-seed=1", "-k", "nothing or good")
    assert ran.code == 0, ran.text
    assert "self-check:" not in ran.text
