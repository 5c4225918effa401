"""A death inside the handler from the failing test to the repaired one, as a user goes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from plugin.projects import HEAD, LONELY, Project

SHOP = """
class Wallet:
    def __init__(self, table):
        self.table = table

    def handle(self, message):
        if not self.table.knows(message):
            {then}
"""
TWO = SHOP.format(then="self.table.add(message)\n            self.table.mark(message)")
ONE = SHOP.format(then="self.table.add_and_mark(message)")

TEST = """
from shop import Wallet


class Table:
    # In a file of the tests: each method is one effect.
    def __init__(self):
        self.ids, self.rows = set(), {}

    def knows(self, message):
        return message.id in self.ids

    def mark(self, message):
        self.ids.add(message.id)

    def add(self, message):
        self.rows[message.key] = self.rows.get(message.key, 0) + message.value

    def add_and_mark(self, message):
        if message.id not in self.ids:  # its key
            self.add(message)
            self.mark(message)


@chaos(PAYMENTS, schedules=200)
def test_wallet(deliver):
    table = Table()
    deliver(spawn=lambda: Wallet(table).handle)
    return table.rows
"""


def test_it_is_found_shown_saved_replayed_and_repaired(tmp_path: Path) -> None:
    project = Project.at(tmp_path, shop=TWO, test_wallet=HEAD + TEST)
    failed = project.pytest("--chaos-seed=1")
    assert failed.code == 1, failed.text
    text = " ".join(failed.out.split())
    assert "does not survive Crash" in text, failed.text
    assert "after 2 effects, the last of them `self.table.add(message)`" in text, failed.text
    assert "before `self.table.mark(message)` (shop.py:9)" in text
    (saved,) = (str(path.relative_to(tmp_path)) for path in (tmp_path / ".chaoskit").glob("*.json"))
    again = project.chaoskit("replay", saved)
    assert (again.code, "STILL FAILS" in again.out) == (1, True), again.text
    shown = project.chaoskit("show", saved)
    assert "(shop.py:9)" in shown.out, shown.text
    plain = project.chaoskit("replay", "--as-test", saved)
    assert "Crash(" in plain.out, plain.text
    assert "point=2" in plain.out
    assert re.search(r"before this \(shop\.py:9\):\n +self\.table\.mark\(message\)\n +\^{24}\n", plain.out), plain.text

    # Another line above changes the place, and not the number that is followed.
    project.write("shop.py", "import math\n" + TWO)
    assert "STILL FAILS" in project.chaoskit("replay", saved).out
    project.write("shop.py", ONE)
    fixed = project.chaoskit("replay", saved)
    assert (fixed.code, "FIXED" in fixed.out) == (0, True), fixed.text
    passed = project.pytest("--chaos-seed=1")
    assert passed.code == 0, passed.text
    assert "processes died inside the handler before 2 of its 2 effects (Crash)" in passed.out


def test_a_job_searches_for_it_and_an_exhaustive_run_meets_it(tmp_path: Path) -> None:
    project = Project.at(tmp_path, shop=TWO, test_wallet=HEAD + TEST)
    assert "does not survive Crash" in project.chaoskit("fuzz", "--time", "3s", "--seed", "1").text
    project.write("shop.py", ONE)
    assert project.pytest("--chaos-seed=1", "--chaos-exhaustive=1").code == 0
    project.write("shop.py", TWO)
    # The job has met it as two executions at once, too, and what it has saved is played first.
    assert "does not survive" in project.pytest("--chaos-seed=1", "--chaos-exhaustive=1").out


@pytest.mark.parametrize("how", [("--cov=shop", "--cov-report=term-missing"), ("-n", "2")])
def test_beside_coverage_and_workers_it_finds_the_same(tmp_path: Path, how: tuple[str, ...]) -> None:
    """The same minimum; and of the handler no line is missing in what coverage has seen."""
    project = Project.at(tmp_path, shop=TWO, test_wallet=HEAD + TEST)
    ran = project.run("pytest", "--chaos-seed=1", *how)
    assert ran.code == 1, ran.text
    assert "before `self.table.mark(message)` (shop.py:9)" in " ".join(ran.out.split()), ran.text
    assert "--cov=shop" not in how or re.search(r"shop\.py +7 +0 +100%", ran.out), ran.text


def test_under_a_debugger_it_finds_the_same(tmp_path: Path) -> None:
    """pdb traces the thread of the test by the function that a process traces its own with."""
    project = Project.at(tmp_path, shop=TWO, test_wallet=HEAD + TEST)
    plain = project.pytest("--chaos-seed=1")
    arguments = [*LONELY, "--chaos-seed=1"]  # not behind pdb's own, which it would take for its own
    project.write("run.py", f"import pytest\npytest.main({arguments!r})")
    ran = project.run("pdb", "-c", "continue", "-c", "quit", "run.py")
    assert "before `self.table.mark(message)` (shop.py:9)" in " ".join(ran.out.split()), ran.text
    report = re.compile(r"^What differs.*?^Replay", re.MULTILINE | re.DOTALL)
    assert report.findall(ran.out) == report.findall(plain.out)
