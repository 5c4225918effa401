"""Question 9: what does a delivery cost that comes in a batch, against one that comes alone?"""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.measure import CPU, Expected, Figure, Row, Section, in_turn, medians, say
from benchmarks.subjects import Deliver, ints
from chaoskit import Kafka, Kinesis, SqsStandard, check

SIZE = 10
SCHEDULES = 3000
BROKERS: dict[str, Any] = {"Kafka": Kafka(), "SqsStandard": SqsStandard(), "Kinesis": Kinesis(consumer="lambda")}
EXPECTED = Expected(3, at_least=False)


def measure(quick: bool) -> Section:
    rows = tuple(_row(name, 3 if quick else 5) for name in BROKERS)
    note = (
        f"CPU time of a check of {SCHEDULES:,} schedules over its deliveries: streams of {SIZE} ints, and a correct "
        "handler (the value with the greatest `seq` wins) with `batch=True`, against the same with single messages. "
        "Lambda's calls of Kinesis have to be told apart also where each has one record."
    )
    return Section("Time of a delivery, in batches and alone", "in batches", "alone", note, rows)


def _row(name: str, repetitions: int) -> Row:
    say(f"batches: {name}")
    sides = {"batch": partial(_seconds, name, True), "alone": partial(_seconds, name, False)}
    found = medians(in_turn(sides, repetitions))
    one, other = found["batch"], found["alone"]
    figures = Figure(one * 1e6, "µs"), Figure(other * 1e6, "µs")
    return Row(name, one / other, *figures, f"median of {repetitions}", EXPECTED)


def _seconds(name: str, batch: bool, seed: int) -> float:
    def test(deliver: Deliver) -> dict[str, Any]:
        newest: dict[str, Any] = {}

        def handle(message: Any) -> None:
            if message.seq > newest.get(message.key, (0, 0))[0]:
                newest[message.key] = message.seq, message.value

        def handle_all(messages: Any) -> None:
            for message in messages:
                handle(message)

        if batch:
            deliver(handle_all, batch=True)
        else:
            deliver(handle)
        return newest

    started = CPU()
    verdict = check(test, ints(SIZE), BROKERS[name], schedules=SCHEDULES, seed=seed)
    seconds = CPU() - started
    assert verdict.status == "held", verdict.reasons
    return seconds / verdict.tally.deliveries
