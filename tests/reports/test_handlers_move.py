"""Beside the settings of the broker the report names the handler's own move, by what the state has."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import attrs
import pytest

import chaoskit
from chaoskit import Event, Kafka, Overlap, Overtake, RabbitMQ, Scenario, SqsStandard, Verdict, Zombie
from chaoskit.report.github import entry_of, summary
from chaoskit.report.lines import lines
from chaoskit.report.page import page
from chaoskit.values.repair import Advice, Later, Repair

TWO = [Event("a", 1), Event("a", 2)]
ONE_OBJECT = [Event(key, value) for key, value in [("a", 1), ("b", 2), ("c", 3), ("d", 4)]]


def latest(deliver: Any) -> Any:
    rows: dict[str, int] = {}
    deliver(lambda message: rows.update(object=message.value))
    return rows


def sums(deliver: Any) -> Any:
    rows = {"sum": 0}
    deliver(lambda message: rows.update(sum=rows["sum"] + message.value))
    return rows


def advice(verdict: Verdict) -> list[str]:
    assert verdict.status == "violated", verdict
    return [str(line["text"]) for line in lines(verdict) if line["type"] == "advice"]


@pytest.mark.parametrize(
    ("test", "scenario", "says"),
    [
        (latest, Scenario(TWO, RabbitMQ(consumers=2), [Overtake("e1", 1)]), "Compare `seq`, or a version of the"),
        (sums, Scenario(TWO, SqsStandard(), [Zombie("e1")]), "Remember the ids of events where the effect is"),
    ],
    ids=["older", "twice"],
)
def test_every_report_names_the_move_beside_the_settings(test: Any, scenario: Scenario, says: str) -> None:
    verdict = chaoskit.run(test, scenario)
    (found,) = advice(verdict)
    assert says in found
    reports: list[Callable[[Verdict], str]] = [Verdict.report, page, lambda verdict: summary([entry_of(verdict)])]
    for report in reports:
        text = " ".join(html.unescape(report(verdict)).split()).replace("<code>", "`").replace("</code>", "`")
        assert says in text
        assert scenario.broker.ruled_out_by(type(scenario.faults[0])).split("(")[0] in text


def test_between_keys_the_last_write_wins_by_something_else_than_seq() -> None:
    """Each key counts by itself."""
    events = chaoskit.Stream.of(ONE_OBJECT)
    verdict = chaoskit.check(latest, events, Kafka(partitions=3), faults={Overtake}, seed=1, schedules=50)
    assert verdict.label == "across keys"
    (found,) = advice(verdict)
    assert "Let the last write win" in found
    assert "`seq` counts each key by itself and does not help here" in found


def test_a_move_that_was_run_and_does_not_repair_it_is_no_advice() -> None:
    verdict = chaoskit.run(latest, Scenario(TWO, RabbitMQ(consumers=2), [Overtake("e1", 1)]))
    for status, named in (("violated", 0), ("held", 1), ("unknown", 1)):
        known = Advice((Repair("version", status),))  # type: ignore[arg-type]
        assert len(advice(attrs.evolve(verdict, advice=Later(known=known)))) == named


def test_an_overlap_has_two_short_lines() -> None:
    """What the handler can do, and what a setting can do against what took place."""

    def test(deliver: Any) -> Any:
        rows = {"sum": 0}

        @chaoskit.atomic
        def put(value: int) -> None:
            rows["sum"] = value

        def handle(message: Any) -> None:
            before = rows["sum"]
            put(before + message.value)

        deliver(spawn=lambda: handle)
        return rows

    verdict = chaoskit.run(test, Scenario(TWO, SqsStandard(), [Overlap("e1", others=1)]))
    handler, setting = [str(line["text"]) for line in lines(verdict) if line["type"] == "remedy"]
    assert handler.startswith("in the handler, a row lock (SELECT … FOR UPDATE)")
    assert setting.startswith("for two messages of one key at once: a FIFO queue (SqsFifo)")
