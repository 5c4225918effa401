"""What a job says in the end, also of tests to which it did not come."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from chaoskit.fuzz.job import SliceResult
from chaoskit.fuzz.screen import Screen, entry
from chaoskit.fuzz.standing import Standing


def standing() -> Standing:
    """One test that held, one that showed nothing, one that no slice of ended, one that is skipped, one that broke."""
    found = Standing()
    found.know(["held", "nothing", "never", "skipped", "broken"])
    shown = {"schedules": 1200, "effective": ("Duplicate",), "fresh": tuple(range(1, 4000, 4))}
    found.tests["held"].take(SliceResult("held", "gw0", "searched", **shown))  # type: ignore[arg-type]
    found.tests["nothing"].take(
        SliceResult("nothing", "gw0", "searched", reasons=("the state never changed",), schedules=50)
    )
    found.tests["skipped"].take(SliceResult("skipped", "gw0", "skipped", "no database here"))
    found.tests["broken"].take(SliceResult("broken", "gw0", "broken", "ValueError: no such table"))
    return found


@pytest.fixture
def lines() -> list[str]:
    out = io.StringIO()
    Screen(Console(file=out, width=200)).summary(standing(), {}, 60.0, "")
    return out.getvalue().splitlines()


@pytest.mark.parametrize(
    ("test", "word"),
    [("held", "held"), ("nothing", "UNKNOWN"), ("never", "UNKNOWN"), ("skipped", "skipped"), ("broken", "ERROR")],
)
def test_each_test_has_its_word_in_the_table(lines: list[str], test: str, word: str) -> None:
    """One that was never searched is not held."""
    (row,) = (line.split() for line in lines if line.split()[1:2] == [test])
    assert row[0] == word


@pytest.mark.parametrize(
    ("test", "remark"),
    [
        ("nothing", "unknown: the state never changed"),
        ("never", "unknown: no slice of it ended in this time"),
        ("skipped", "no database here"),
        ("broken", "ValueError: no such table"),
    ],
)
def test_each_test_that_is_not_held_has_its_reason(lines: list[str], test: str, remark: str) -> None:
    """And no other one."""
    assert [line for line in lines if line.startswith(f"{test}: ")] == [f"{test}: {remark}"]


def test_a_test_that_held_needs_no_remark(lines: list[str]) -> None:
    assert not [line for line in lines if line.startswith("held: ")]


def test_github_is_told_the_same() -> None:
    """What was tried only where something was."""
    tests = standing().tests
    assert {name: entry(test).status for name, test in tests.items()} == {
        "held": "held", "nothing": "unknown", "never": "unknown", "skipped": "skipped", "broken": "error"
    }  # fmt: skip
    assert entry(tests["never"]).shown == "unknown: no slice of it ended in this time"
    assert entry(tests["held"]).shown.startswith("1,200 schedules, ")
