"""A report of a hang says what came before it."""

from __future__ import annotations

import time

import chaoskit
from chaoskit import Crash, Event, Kafka, Scenario, Stream
from chaoskit.execution.deliver import Deliver


def test_a_hang_hides_neither_the_death_before_it_nor_what_the_handler_raised() -> None:
    attempts: list[str] = []

    def test(deliver: Deliver) -> str:
        attempts.clear()

        def handle(message: object) -> None:
            attempts.append("begun")
            if len(attempts) == 2:
                raise LookupError("database is locked")
            if len(attempts) == 3:
                while True:
                    time.sleep(0.01)
            deliver.point("done")

        deliver(spawn=lambda: handle)
        return "handled"

    scenario = Scenario(Stream((Event("k", 1, id="e1", seq=1),)), Kafka(), faults=[Crash("e1", 1)])
    verdict = chaoskit.run(test, scenario, limit=0.3)
    assert verdict.violations[0].invariant == "hang"
    report = verdict.report()
    assert "LookupError: database is locked" in report
    assert "Where the process was killed" in report
