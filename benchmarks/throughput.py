"""Question 1: how many schedules per second, against tests by hand?"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis.strategies import SearchStrategy

from benchmarks.baselines import by_hand, by_machine, fixed_deliveries
from benchmarks.measure import CPU, Expected, Figure, Row, Section, in_turn, medians, say
from benchmarks.subjects import ints, newest_wins, parts, payments
from chaoskit import Kafka, check

PAYLOADS: dict[str, Callable[[int], SearchStrategy[Any]]] = {"ints": ints, "payments": payments}
MANY = {10: 4000, 50: 1000}
"""Schedules of one measured check, by events in the stream: enough that what a check costs once is small."""

DEFAULT = 1000
EXPECTED = {
    (10, "ints"): Expected(30, at_least=True, compiled=50),
    (10, "payments"): Expected(40, at_least=True, compiled=70),
    (50, "ints"): Expected(35, at_least=True, compiled=60),
    (50, "payments"): Expected(35, at_least=True, compiled=60),
}


def measure(quick: bool) -> Section:
    repetitions = 3 if quick else 5
    rows = [row for name in PAYLOADS for size in MANY for row in _rows(name, size, repetitions, quick)]
    note = (
        "Schedules per second of CPU time on a correct handler (the value with the greatest `seq` wins), two keys, "
        f"`Kafka()`. A check runs {MANY[10]:,} schedules at 10 events, {MANY[50]:,} at 50; {DEFAULT:,} is the "
        "default. By hand: `given` a list of events, a permutation of the positions and one copy. Machine: a "
        "`RuleBasedStateMachine` that delivers what waits or what came. Baselines only generate: no deadline, "
        "no database, no health checks."
    )
    return Section("Schedules per second", "chaoskit", "baseline", note, tuple(rows))


def _rows(name: str, size: int, repetitions: int, quick: bool) -> list[Row]:
    say(f"throughput: {size} events, {name}")
    events = PAYLOADS[name](size)
    examples = (100 if quick else 150) * 10 // size
    sides = {
        "check": partial(_check, events, MANY[size]),
        "by hand": partial(_by_hand, events, size, examples),
    }
    pairs = [("check", "by hand")]
    if size == 10:
        sides["default"] = partial(_check, events, DEFAULT)
        sides["machine"] = partial(_machine, events, size, examples // 2)
        pairs += [("default", "by hand"), ("check", "machine")]
    _check(events, DEFAULT, repetitions)  # imports, and makes the payloads
    found = medians(in_turn(sides, repetitions))
    return [
        Row(
            f"{size} events, {name}, against {other}" + (f", {DEFAULT:,} schedules" if one == "default" else ""),
            found[one] / found[other],
            Figure(found[one], "/s"),
            Figure(found[other], "/s"),
            f"median of {repetitions}",
            EXPECTED[size, name] if (one, other) == ("check", "by hand") else None,
        )
        for one, other in pairs
    ]


def _check(events: SearchStrategy[Any], schedules: int, repetition: int) -> float:
    started = CPU()
    verdict = check(newest_wins, events, Kafka(), schedules=schedules, seed=repetition)
    seconds = CPU() - started
    assert verdict.status == "held", verdict.reasons
    return verdict.tally.schedules / seconds


def _by_hand(events: SearchStrategy[Any], size: int, examples: int, repetition: int) -> float:
    trial = by_hand(newest_wins, fixed_deliveries(parts(events), size), examples, repetition, shrink=False)
    return trial.schedules / trial.seconds


def _machine(events: SearchStrategy[Any], size: int, examples: int, repetition: int) -> float:
    trial = by_machine(newest_wins, parts(events), size + 2, examples, repetition, shrink=False, size=size)
    return trial.schedules / trial.seconds
