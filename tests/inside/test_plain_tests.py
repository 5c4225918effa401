"""Two executions at once and a call that failed, from the saved failure to a plain test of it."""

from __future__ import annotations

import re
from pathlib import Path

from plugin.projects import HEAD, Project

SHOP = """
def inserting(table):
    def handle(message):
        if not table.knows(message):
            table.insert(message)
    return handle


def marking(table):
    def handle(message):
        if table.knows(message):
            return
        try:
            table.add(message)
        finally:
            table.mark(message)
    return handle
"""
REPAIRED = """
def inserting(table):
    def handle(message):
        table.add_and_mark(message)
    return handle


marking = inserting
"""
TESTS = """
import chaoskit
import shop


class Table:
    def __init__(self):
        self.ids, self.rows = set(), {}

    @chaoskit.atomic
    def knows(self, message):
        return message.id in self.ids

    @chaoskit.atomic
    def mark(self, message):
        self.ids.add(message.id)

    @chaoskit.atomic
    def add(self, message):
        self.rows[message.key] = self.rows.get(message.key, 0) + message.value

    @chaoskit.atomic
    def insert(self, message):
        self.add(message)
        self.mark(message)

    @chaoskit.atomic
    def add_and_mark(self, message):
        if not self.knows(message):  # its key
            self.insert(message)


@chaos(PAYMENTS, broker=Kafka(partitions=1), faults={Overlap})
def test_inserting(deliver):
    table = Table()
    deliver(spawn=lambda: shop.inserting(table))
    return table.rows


@chaos(PAYMENTS, broker=Kafka(partitions=1), faults={Fail})
def test_marking(deliver):
    table = Table()
    deliver(spawn=lambda: shop.marking(table))
    return table.rows
"""


def test_the_plain_tests_fail_until_the_handlers_are_repaired(tmp_path: Path) -> None:
    project = Project.at(tmp_path, shop=SHOP, test_shop=HEAD + TESTS)
    assert "2 failed" in project.pytest("--chaos-seed=1").out
    names = [f"test_written_{number}.py" for number, _ in enumerate(project.repros)]
    for name, repro in zip(names, project.repros, strict=True):
        shown = project.chaoskit("replay", "--as-test", f".chaoskit/{repro.name}", "-o", name)
        assert shown.code == 0, shown.text
    texts = [(tmp_path / name).read_text() for name in names]
    faults = sorted(fault for text in texts for fault in re.findall(r"\[((?:Overlap|Fail)\(.*?\))\]", text))
    assert [re.sub(r'"e\d+"', "e", fault) for fault in faults] == ["Fail(e, point=2)", "Overlap(e, point=1)"], texts
    failed = project.pytest(*names)
    assert "2 failed" in failed.out, failed.text
    project.write("shop.py", REPAIRED)
    passed = project.pytest(*names)
    assert "2 passed" in passed.out, passed.text
