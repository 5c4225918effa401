"""Rows of the report, expectations, and the clocks."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Mapping
from statistics import median

import attrs

Clock = Callable[[], float]

CPU: Clock = time.process_time
"""Seconds that this process computed: other work on the machine does not count."""

WALL: Clock = time.perf_counter

COMPILED = not (importlib.util.find_spec("chaoskit.models.queue.run").origin or "").endswith(".py")  # type: ignore[union-attr]
"""Whether the models that are measured are compiled."""


@attrs.frozen
class Figure:
    """One side of a ratio: a number and its unit."""

    value: float
    unit: str

    def __str__(self) -> str:
        return f"{_rounded(self.value)} {self.unit}"


@attrs.frozen
class Expected:
    """A bound that was promised for a ratio, and another one with compiled models where that is given. With another
    unit it is one for the first figure, which is in it."""

    pure: float
    at_least: bool
    compiled: float | None = None
    unit: str = "x"

    @property
    def bound(self) -> float:
        return self.compiled if COMPILED and self.compiled is not None else self.pure

    def met(self, found: float) -> bool:
        return found >= self.bound if self.at_least else found <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}{'x' if self.unit == 'x' else f' {self.unit}'}"


@attrs.frozen
class Row:
    """One line of the report: `ratio` is what the two figures give, `of` says what they are of how many."""

    what: str
    ratio: float
    one: Figure
    other: Figure
    of: str
    expected: Expected | None = None

    @property
    def met(self) -> bool:
        if self.expected is None:
            return True
        return self.expected.met(self.ratio if self.expected.unit == "x" else self.one.value)

    def cells(self) -> tuple[str, ...]:
        verdict = "" if self.expected is None else "met" if self.met else "**missed**"
        bound = "" if self.expected is None else str(self.expected)
        return self.what, f"{_ratio(self.ratio)}x", bound, verdict, str(self.one), str(self.other), self.of


@attrs.frozen
class Section:
    """The answer to one question. `one` and `other` name the two figures; `note` says how they were measured."""

    title: str
    one: str
    other: str
    note: str
    rows: tuple[Row, ...]

    def markdown(self) -> str:
        head = ("", "ratio", "expected", "", self.one, self.other, "measured")
        lines = [head, ("---", "--:", "--:", "---", "--:", "--:", "---"), *(row.cells() for row in self.rows)]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"### {self.title}\n\n{table}\n\n{self.note}\n"


def in_turn(sides: Mapping[str, Callable[[int], float]], repetitions: int) -> dict[str, list[float]]:
    """Measure every side once, then every side again, so that a slow minute of the machine hits all of them."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for repetition in range(repetitions):
        for name, side in sides.items():
            found[name].append(side(repetition))
        say(f"  repetition {repetition + 1} of {repetitions}")
    return found


def medians(found: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: median(figures) for name, figures in found.items()}


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
