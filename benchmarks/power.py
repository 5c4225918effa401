"""Question 13: how many schedules does it take to find what is wrong, and is what is shown the least?"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

from benchmarks.finding import BROKER, BUDGET
from benchmarks.measure import Expected, Figure, Row, Section, say
from benchmarks.subjects import buggy, imported_from, of_the_tests
from chaoskit import SqsFifo, check
from chaoskit.brokers import Settings
from chaoskit.values.verdict import Verdict

EXAMPLE = Path(__file__).parent.parent / "examples" / "warehouse"
SEEDS = {"buggy": 20, "two missing": 50, "warehouse": 12}
QUICK = {"buggy": 5, "two missing": 5, "warehouse": 2}
NEEDS_THE_NIGHT = Expected(20, at_least=False, unit="%")
"""A quick run should seldom meet the example's bug, or it would be no example of what only the night finds."""


def measure(quick: bool) -> Section:
    seeds = QUICK if quick else SEEDS
    found = {handler.__name__.rpartition(".")[2]: _searched(handler, seeds["buggy"]) for handler in buggy()}
    note = (
        f"Checks of {BUDGET:,} schedules. Of the handlers of tests/handlers/buggy the median of the schedules to the "
        "first failure, charged whole where nothing is found, and which verdicts have as few events and faults as any "
        "order that breaks the handler. Two missing: what the example had at first, a bug of three faults at one of "
        "twelve keys."
    )
    return Section("Schedules to a failure", "here", "beside it", note, (_mean(found), _minima(found), *_rare(seeds)))


def _searched(handler: Any, seeds: int) -> tuple[float, int, int]:
    """The median of the schedules to find it, how many verdicts are minimal, and how many there are."""
    say(f"power: {handler.__name__}")
    verdicts = [check(handler.test, handler.EVENTS, BROKER, schedules=BUDGET, seed=seed) for seed in range(seeds)]
    least = min(handler.TRUTH.values())
    return median(verdict.tally.schedules for verdict in verdicts), sum(_size(v) == least for v in verdicts), seeds


def _size(verdict: Verdict) -> tuple[int, int] | None:
    found = verdict.scenario
    return None if found is None else (len(found.events), len(found.faults))


def _mean(found: dict[str, tuple[float, int, int]]) -> Row:
    medians = {name: schedules for name, (schedules, _, _) in found.items()}
    mean, hardest = geometric_mean(medians.values()), max(medians, key=lambda name: medians[name])
    of = f"geometric mean of {len(found)} medians; beside it {hardest}"
    expected = Expected(8, at_least=False, unit="schedules")
    one, other = Figure(mean, "schedules"), Figure(medians[hardest], "schedules")
    return Row("to find a buggy handler, and the hardest", medians[hardest] / mean, one, other, of, expected)


def _minima(found: dict[str, tuple[float, int, int]]) -> Row:
    exact, asked = sum(n for _, n, _ in found.values()), sum(n for _, _, n in found.values())
    expected = Expected(100, at_least=True, unit="%")
    of = f"{exact} of {asked} verdicts"
    return Row(
        "exact minima of the buggy handlers",
        exact / asked,
        Figure(100 * exact / asked, "%"),
        Figure(100, "%"),
        of,
        expected,
    )


def _rare(seeds: dict[str, int]) -> list[Row]:
    at_first = of_the_tests("quality.test_power").two_missing
    imported_from(EXAMPLE / "src", "warehouse.stock")
    example = imported_from(EXAMPLE / "tests", "test_stock")
    movements, broker = example.MOVEMENTS, SqsFifo(max_receive_count=5)
    return [
        _share("two missing", at_first, movements, broker, seeds["two missing"], Expected(80, at_least=True, unit="%")),
        _share(
            "the warehouse's bug", example.test_pieces_in_stock, movements, broker, seeds["warehouse"], NEEDS_THE_NIGHT
        ),
    ]


def _share(name: str, test: Any, events: Any, broker: Settings, seeds: int, expected: Expected) -> Row:
    say(f"power: {name}")
    verdicts = [check(test, events, broker, schedules=BUDGET, seed=seed) for seed in range(seeds)]
    found = Counter(verdict.status for verdict in verdicts)["violated"]
    one, other = Figure(100 * found / seeds, "%"), Figure(100, "%")
    return Row(f"{name}, in a default run", found / seeds, one, other, f"{found} of {seeds} seeds", expected)
