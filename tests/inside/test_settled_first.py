"""What settles before the effect and dies in between has lost it: nothing comes a second time."""

from __future__ import annotations

import chaoskit
from chaoskit import Crash, Event, Kafka, Scenario, Stream
from chaoskit.execution.deliver import Deliver


def report_of(*, first: str) -> str:
    def test(deliver: Deliver) -> list[object]:
        done: list[object] = []

        def handle(message: chaoskit.Message) -> None:
            for step in ("commit", "effect") if first == "commit" else ("effect", "commit"):
                if step == "commit":
                    message.commit()
                else:
                    done.append(message.value)
                deliver.point(step)

        deliver(spawn=lambda: handle, settle="handler")
        return done

    scenario = Scenario(Stream((Event("k", 1, id="e1", seq=1),)), Kafka(), faults=[Crash("e1", 1)])
    verdict = chaoskit.run(test, scenario)
    assert verdict.status == "violated"
    return " ".join(verdict.report().split())


def test_what_rules_a_death_out_depends_on_what_was_settled_first() -> None:
    assert "after the effect and not before it" in report_of(first="commit")
    assert "refuse the effect the second time" in report_of(first="effect")
