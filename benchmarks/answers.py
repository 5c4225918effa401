"""Question 8: what do the answers beyond a verdict cost?"""

from __future__ import annotations

from statistics import geometric_mean, median

import chaoskit
from benchmarks.measure import CPU, Expected, Figure, Row, Section, say
from benchmarks.subjects import buggy, ints, newest_wins
from chaoskit import Event, Kafka, check

BROKER = Kafka(partitions=1, consumers=1, idempotent_producer=False)
SIZE = 10
SHORT = [Event("alice", 1), Event("bob", 2), Event("alice", 3)]
SEEDS, QUICK = range(5), range(2)
EXPECTED = Expected(4, at_least=False)


def measure(quick: bool) -> Section:
    seeds = QUICK if quick else SEEDS
    note = (
        "CPU time, against a search of 1,000 schedules that finds nothing. Repairs: for each of the ten handlers of "
        "tests/handlers/buggy all moves are run around it, each searched with 1,000 schedules; the geometric mean of "
        "their medians, and the dearest. Boundary: of the same handlers, with 1,000 orders a candidate. Exhaustive: "
        "distinct schedules that are covered, and those that the search runs in the same time."
    )
    rows = (*_repairs(seeds), _boundary(seeds), _exhaustive(seeds))
    return Section("Answers", "answer", "search", note, rows)


def _repairs(seeds: range) -> tuple[Row, Row]:
    search = median(_search(seed) for seed in seeds)
    costs = {}
    for handler in buggy():
        name = handler.__name__.rpartition(".")[2]
        say(f"answers: repairs of {name}")
        taken = []
        for seed in seeds:
            verdict = check(handler.test, handler.EVENTS, BROKER, seed=seed)
            started = CPU()
            assert verdict.repairs
            taken.append(CPU() - started)
        costs[name] = median(taken)
    dearest = max(costs, key=lambda each: costs[each])
    mean, most = geometric_mean(costs.values()), costs[dearest]
    measured = f"medians of {len(seeds)}"
    return (
        Row("repairs of a failure, over a search", mean / search, *_ms(mean, search), measured, EXPECTED),
        Row(f"the dearest of them, {dearest}", most / search, *_ms(most, search), measured),
    )


def _search(seed: int) -> float:
    started = CPU()
    assert check(newest_wins, ints(SIZE), BROKER, seed=seed).status == "held"
    return CPU() - started


def _boundary(seeds: range) -> Row:
    say("answers: boundary")
    search, taken = median(_search(seed) for seed in seeds), []
    for handler in buggy():
        started = CPU()
        chaoskit.boundary(handler.test, handler.EVENTS, BROKER, seed=0)
        taken.append(CPU() - started)
    mean = geometric_mean(taken)
    return Row("boundary of a handler, over a search", mean / search, *_ms(mean, search), "once each")


def _exhaustive(seeds: range) -> Row:
    say("answers: exhaustive")
    rates = []
    for seed in seeds:
        started = CPU()
        verdict = check(newest_wins, SHORT, BROKER, seed=seed, exhaustive=2)
        assert verdict.exhausted is not None
        rates.append(verdict.exhausted.schedules / (CPU() - started))
    search = 1000 / median(_search(seed) for seed in seeds)
    rate = median(rates)
    return Row(
        "distinct schedules covered by --chaos-exhaustive 2, three events, against a search",
        rate / search, Figure(rate, "/s"), Figure(search, "/s"), f"median of {len(seeds)}",
    )  # fmt: skip


def _ms(one: float, other: float) -> tuple[Figure, Figure]:
    return Figure(one * 1000, "ms"), Figure(other * 1000, "ms")
