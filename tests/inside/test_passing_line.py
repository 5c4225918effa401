"""What a pass says of the inside: which kinds were tried, how many places there are, and how many were reached."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Kafka
from chaoskit.strategies import events
from plugin.projects import HEAD, Project

SHOP = """
def plain(table):
    def handle(message):
        table.put("bank", message.id, message.value)
        table.put("customer", message.id, message.value)

    return handle


def awaiting(table):
    async def handle(message):
        await table.aput("bank", message.id, message.value)
        await table.aput("customer", message.id, message.value)

    return handle


def settling(table):
    def handle(message):
        plain(table)(message)
        message.commit()

    return handle


def batching(table):
    def handle(messages):
        for message in messages:
            plain(table)(message)

    return handle


def consume(consumer, table):
    for message in consumer:
        plain(table)(message)
"""

TESTS = """
import chaoskit
import shop

ONE = Kafka(partitions=1)


class Table:
    def __init__(self):
        self.rows = {}

    @chaoskit.atomic
    def put(self, table, id, value):
        self.rows[table, str(id)] = value

    @chaoskit.atomic
    async def aput(self, table, id, value):
        self.rows[table, str(id)] = value


@chaos(PAYMENTS, broker=ONE, schedules=100)
def test_plain(deliver):
    table = Table()
    deliver(spawn=lambda: shop.plain(table))
    return table.rows


@chaos(PAYMENTS, broker=ONE, schedules=100)
async def test_awaiting(deliver):
    table = Table()
    await deliver(spawn=lambda: shop.awaiting(table))
    return table.rows


@chaos(PAYMENTS, broker=ONE, schedules=100)
def test_settling(deliver):
    table = Table()
    deliver(spawn=lambda: shop.settling(table), settle="handler")
    return table.rows


@chaos(PAYMENTS, broker=ONE, schedules=100)
def test_batching(deliver):
    table = Table()
    deliver(spawn=lambda: shop.batching(table), batch=True)
    return table.rows


@chaos(PAYMENTS, broker=ONE, schedules=100)
def test_consume(deliver):
    table = Table()

    def process():
        with deliver.consumer() as consumer:
            shop.consume(consumer, table)

    deliver(spawn=process)
    return table.rows
"""

FAILED = r"calls failed inside the handler at 2 of the 2 places where they can \(Fail\)"
STOPPED = r"of two executions at once one stopped before \d of its \d effects \(Overlap\)"
DIED = r"processes died inside the handler before \d of its \d effects \(Crash\)"
SAYS = {
    "plain": (DIED, STOPPED, FAILED),
    "awaiting": (DIED, STOPPED, FAILED),
    "settling": (DIED, STOPPED, FAILED),
    "batching": (DIED, STOPPED, FAILED),
    "consume": (DIED, STOPPED, FAILED),
}


def test_a_pass_names_the_kinds_the_places_and_those_that_were_reached(tmp_path: Path) -> None:
    """Of a handler that is called, awaited, settles by itself or takes batches; and of a loop."""
    project = Project.at(tmp_path, shop=SHOP, test_line=HEAD + TESTS)
    ran = project.pytest("--chaos-seed=1")
    assert ran.code == 0, ran.text
    parts = re.split(r"test_line\.py::test_(\w+)", ran.out)
    said = {name: " ".join(text.split()) for name, text in zip(parts[1::2], parts[2::2], strict=True)}
    for name, wanted in SAYS.items():
        for part in wanted:
            assert re.search(part, said[name]), said[name]


def looping(deliver: Any) -> dict[Any, Any]:
    rows: dict[Any, Any] = {}

    def process() -> None:
        with deliver.consumer() as consumer:
            for message in consumer:
                rows[message.id] = message.value

    deliver(spawn=process)
    return rows


def handling(deliver: Any) -> dict[Any, Any]:
    rows: dict[Any, Any] = {}
    deliver(spawn=lambda: lambda message: rows.update({message.id: message.value}))
    return rows


@pytest.mark.parametrize(("test", "whose"), [(looping, "the loop"), (handling, "the handler")])
def test_where_no_call_failed_the_line_says_whose_and_which_could(test: Any, whose: str) -> None:
    """Of a loop, which calls its consumer, it is said that this is none of them."""
    payments = events(st.integers(1, 9), keys=st.just("a"), max_size=3)
    verdict = chaoskit.check(test, payments, Kafka(partitions=1), seed=1, schedules=40)
    (line,) = [note for note in verdict.notes if note.startswith("no call failed inside the handler (Fail): ")]
    assert f"(Fail): {whose} makes none that can fail" in line
    assert "calls of a database or of a service, of what chaoskit.atomic marks, and deliver.point" in line
    assert ("those of its consumer, such as a commit, are not among them" in line) == (whose == "the loop")
