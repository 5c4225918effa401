"""Question 5: does a delivery cost more in a long stream?"""

from __future__ import annotations

from functools import partial

from benchmarks.measure import CPU, Expected, Figure, Row, Section, in_turn, medians, say
from benchmarks.subjects import newest_wins
from chaoskit import Event, Kafka, check

SHORT, LONG = 1_000, 10_000
KEYS = 100
EXPECTED = Expected(1.5, at_least=False)


def measure(quick: bool) -> Section:
    repetitions, schedules = (3, 10) if quick else (9, 30)
    say(f"scaling: {SHORT:,} and {LONG:,} events")
    sides = {str(size): partial(_per_delivery, size, schedules) for size in (LONG, SHORT)}
    found = medians(in_turn(sides, repetitions))
    one, other = found[str(LONG)], found[str(SHORT)]
    figures = Figure(one, "µs"), Figure(other, "µs")
    note = (
        f"CPU time of `check` per delivery of the counted schedules, {schedules} schedules of one literal stream of "
        f"ints with {KEYS} keys, `Kafka()`. All that a check does is in it."
    )
    row = Row("per delivery", one / other, *figures, f"median of {repetitions}", EXPECTED)
    return Section("Long streams", f"{LONG:,} events", f"{SHORT:,} events", note, (row,))


def _per_delivery(size: int, schedules: int, repetition: int) -> float:
    """Microseconds."""
    stream = [Event(f"key-{number * 7 % KEYS}", number % 1000) for number in range(size)]
    started = CPU()
    verdict = check(newest_wins, stream, Kafka(), schedules=schedules, seed=repetition)
    seconds = CPU() - started
    assert verdict.status != "violated", verdict.violations
    assert verdict.tally.schedules == schedules
    return seconds / verdict.tally.deliveries * 1e6
