"""Question 2: what does `check` cost over the handler's own time?"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from statistics import median
from typing import Any

from benchmarks.measure import WALL, Expected, Figure, Row, Section, say
from benchmarks.subjects import Deliver, ints
from chaoskit import Event, Kafka, Verdict, check

SIZE = 10
SCHEDULES = 1000
EXPECTED = {10: Expected(1.4, at_least=False, compiled=1.2), 100: Expected(1.05, at_least=False, compiled=1.03)}
QUICK, FULL = {0: 3, 10: 3, 100: 3, 1000: 1}, {0: 5, 10: 5, 100: 5, 1000: 2}
"""Repetitions, by microseconds per event."""

STREAM = [Event(("alice", "bob")[number % 2], number, f"e{number}", 1 + number // 2) for number in range(SIZE)]

Handler = Callable[[Any], None]


def measure(quick: bool) -> Section:
    rows = tuple(_row(micros, repetitions) for micros, repetitions in (QUICK if quick else FULL).items())
    note = (
        f"Wall time of `check` ({SCHEDULES:,} schedules, streams of {SIZE} ints, `Kafka()`) over the time that the "
        "handler needs for the deliveries of the counted schedules, at its time per call outside chaoskit. It waits "
        "busily. Reference runs and the runs before the search are cost."
    )
    return Section("Time of check over the time of the handler alone", "check", "handler alone", note, rows)


def _row(micros: int, repetitions: int) -> Row:
    say(f"overhead: {micros:,} µs per event")
    checks, handlers = [], []
    for seed in range(repetitions):
        deliveries = _deliveries(seed)
        before = _per_call(micros)
        started = WALL()
        _check(micros, seed)
        checks.append(WALL() - started)
        handlers.append(deliveries * (before + _per_call(micros)) / 2)
        say(f"  repetition {seed + 1} of {repetitions}")
    one, other = median(checks), median(handlers)
    figures = Figure(one * 1000, "ms"), Figure(other * 1000, "ms")
    return Row(f"{micros:,} µs per event", one / other, *figures, f"median of {repetitions}", EXPECTED.get(micros))


def _check(micros: int, seed: int, called: Callable[[], None] | None = None) -> Verdict:
    def test(deliver: Deliver) -> dict[str, int]:
        rows: dict[str, int] = {}
        deliver(_handler(micros, rows, called))
        return rows

    verdict = check(test, ints(SIZE), Kafka(), schedules=SCHEDULES, seed=seed)
    assert verdict.status == "held", verdict.reasons
    return verdict


def _handler(micros: int, rows: dict[str, int], called: Callable[[], None] | None = None) -> Handler:
    """The value with the greatest `seq` wins, after so many microseconds."""
    newest: dict[str, int] = {}
    clock, nanos = time.perf_counter_ns, micros * 1000

    def handle(message: Any) -> None:
        if message.seq > newest.get(message.key, 0):
            newest[message.key] = message.seq
            rows[message.key] = message.value

    def handle_slowly(message: Any) -> None:
        until = clock() + nanos
        handle(message)
        while clock() < until:
            pass

    def handle_and_tell(message: Any) -> None:
        assert called is not None
        called()
        handle(message)

    if called is not None:
        return handle_and_tell
    return handle_slowly if micros else handle


@cache
def _deliveries(seed: int) -> int:
    """Deliveries of the counted schedules: the tally, but never more calls than the handler really had."""
    calls: list[None] = []
    deliveries = _check(0, seed, lambda: calls.append(None)).tally.deliveries
    if deliveries > len(calls):
        say(f"  the tally says {deliveries:,} deliveries, the handler had {len(calls):,} calls: taking the calls")
    return min(deliveries, len(calls))


def _per_call(micros: int) -> float:
    """Seconds per call, outside chaoskit, of handlers that start afresh with each stream."""
    rounds = max(5, 2000 // (1 + micros))
    handlers = [_handler(micros, {}) for _ in range(rounds)]
    started = WALL()
    for handle in handlers:
        for event in STREAM:
            handle(event)
    return (WALL() - started) / (rounds * SIZE)
