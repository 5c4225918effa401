"""Question 3: how long until a bug is found, and until it is small?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import geometric_mean, median
from types import ModuleType
from typing import Any
from unittest.mock import patch

import attrs

import chaoskit.search.investigate as stages
import chaoskit.search.minimal as last_stage
from benchmarks.baselines import Trial, by_hand, by_machine, deliveries
from benchmarks.measure import CPU, Expected, Figure, Row, Section, say
from benchmarks.subjects import buggy, parts
from chaoskit import Kafka, check
from chaoskit.search.draw import simpler_values
from chaoskit.search.investigate import _settle as settle_failure

BROKER = Kafka(partitions=1, consumers=1, idempotent_producer=False)
BUDGET = 1000
"""Schedules of a check, examples of a baseline. A side that finds nothing is charged for all of it."""

STEPS = 16
"""Deliveries that the state machine chooses, of streams of up to twelve events; the rest come in order."""

QUICK = {"chaoskit": 3, "by hand": 1, "machine": 1}
FULL = {"chaoskit": 9, "by hand": 3, "machine": 2}
"""Seeds."""

STAGES = {
    "first": "first failure",
    "structure": "first failure, fewest events and faults",
    "values": "the same, and simplest values",
}
EXPECTED = {
    ("structure", "by hand"): Expected(20, at_least=True, compiled=25),
    ("values", "by hand"): Expected(1.5, at_least=True),
}


@attrs.frozen
class Times:
    """CPU seconds to the end of each stage."""

    first: float
    structure: float
    values: float
    found: int = 1


def measure(quick: bool) -> Section:
    seeds = QUICK if quick else FULL
    times = {_name(handler): {side: _times(handler, side, seeds[side]) for side in SIDES} for handler in buggy()}
    rows = []
    for other in ("by hand", "machine"):
        of = f"medians of {seeds['chaoskit']} and {seeds[other]} seeds"
        both = {name: (sides["chaoskit"], sides[other]) for name, sides in times.items()}
        rows += [
            _mean(f"all, {other}: {says}", list(both.values()), stage, of, EXPECTED.get((stage, other)))
            for stage, says in STAGES.items()
        ]
        easy = [pair for pair in both.values() if pair[1].found == seeds[other]]
        if 0 < len(easy) < len(both):
            rows.append(_mean(f"{len(easy)} that {other} always finds: {STAGES['structure']}", easy, "structure", of))
        if other == "by hand":
            rows += [
                _mean(f"{name}, found {ours.found} and {theirs.found} times", [(ours, theirs)], "structure", of)
                for name, (ours, theirs) in both.items()
            ]
    missed = [name for name, sides in times.items() if sides["chaoskit"].found < seeds["chaoskit"]]
    note = (
        f"CPU time on the handlers of tests/handlers/buggy, `Kafka(partitions=1, consumers=1, "
        f"idempotent_producer=False)`, budget {BUDGET:,} schedules or examples, charged whole where nothing is found. "
        "Of several handlers: the geometric mean of their medians. Lines of one handler are for fewest events and "
        "faults. Baselines know permutations and copies, generate and shrink (which is structure and values in one), "
        f"and do not explain. chaoskit missed: {', '.join(missed) or 'none'}."
    )
    return Section("Time to a failure (how many times faster)", "chaoskit", "baseline", note, tuple(rows))


def _mean(
    what: str, pairs: Sequence[tuple[Times, Times]], stage: str, of: str, expected: Expected | None = None
) -> Row:
    one = geometric_mean([getattr(ours, stage) for ours, _ in pairs])
    other = geometric_mean([getattr(theirs, stage) for _, theirs in pairs])
    return Row(what, other / one, Figure(one * 1000, "ms"), Figure(other * 1000, "ms"), of, expected)


def _times(handler: ModuleType, side: str, seeds: int) -> Times:
    """The median of each stage over the seeds."""
    found = [SIDES[side](handler, seed) for seed in range(seeds)]
    middle = Times(
        first=median(times.first for times in found),
        structure=median(times.structure for times in found),
        values=median(times.values for times in found),
        found=sum(times.found for times in found),
    )
    say(f"finding: {_name(handler)}, {side}: {middle.structure * 1000:,.1f} ms")
    return middle


def _chaoskit(handler: ModuleType, seed: int) -> Times:
    """One check, with the time at which it begins to settle a failure and the time that it spends on values."""
    settled: list[float] = []
    on_values = [0.0]

    def settle(*given: Any) -> Any:
        settled.append(CPU())
        return settle_failure(*given)

    def values(*given: Any) -> Any:
        began = CPU()
        try:
            return simpler_values(*given)
        finally:
            on_values[0] += CPU() - began

    with patch.object(stages, "_settle", settle), patch.object(last_stage, "simpler_values", values):
        started = CPU()
        verdict = check(handler.test, handler.EVENTS, BROKER, schedules=BUDGET, seed=seed)
        all_of_it = CPU() - started
    first = settled[0] - started if settled else all_of_it
    return Times(first, all_of_it - on_values[0], all_of_it, int(verdict.status == "violated"))


def _by_hand(handler: ModuleType, seed: int) -> Times:
    drawn = deliveries(parts(handler.EVENTS))
    return _of_trial(by_hand(handler.test, drawn, BUDGET, seed, shrink=True))


def _machine(handler: ModuleType, seed: int) -> Times:
    return _of_trial(by_machine(handler.test, parts(handler.EVENTS), STEPS, BUDGET, seed, shrink=True))


def _of_trial(trial: Trial) -> Times:
    found = int(trial.first_failure is not None)
    return Times(trial.seconds_to_failure, trial.seconds, trial.seconds, found)


def _name(handler: ModuleType) -> str:
    return handler.__name__.rpartition(".")[2]


SIDES: dict[str, Callable[[ModuleType, int], Times]] = {
    "chaoskit": _chaoskit,
    "by hand": _by_hand,
    "machine": _machine,
}
