"""No field of JSON lines or of a repro file is undocumented: every class that is written whole is looked at, too."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from values.test_several import drops_early_payments, orders, payments

from chaoskit import Crash, DeadLetter, Event, Fail, Gather, Kafka, Overlap, Scenario, SqsFifo, check, run
from chaoskit.invariants import effects_exactly_once, final_state
from chaoskit.report.lines import lines
from chaoskit.repro.write import document
from chaoskit.values.outcome import Effect
from chaoskit.values.planted import Planted
from chaoskit.values.repair import Repair
from chaoskit.values.schedule import Copy, DiedAt, FailedAt, Step, StoppedAt
from chaoskit.values.verdict import Bound, Damage, Exhausted, States, Tally, Verdict
from reports.test_inside import ONE, mails, marks_in_finally

DOCS = (Path(__file__).parent.parent.parent / "docs" / "reports.md").read_text(encoding="utf-8")
LINES, _, FILE = DOCS.partition("## The repro file")
OF_LINES = {
    kind: set(re.findall(r"`(\w+)`", fields)) for kind, fields in re.findall(r"^\| `(\w+)` \| (.*)$", LINES, re.M)
}
OF_FILE = set(re.findall(r"`(\w+)`", FILE))
WRITTEN_WHOLE = [("step", Step), ("step", Copy), ("step", DiedAt), ("step", StoppedAt), ("step", FailedAt)]
WRITTEN_WHOLE += [("effect", Effect), ("event", Event), ("verdict", Damage), ("verdict", Tally), ("verdict", Bound)]
WRITTEN_WHOLE += [("verdict", Exhausted), ("repair", Repair), ("planted", Planted)]
THEIRS = {
    "value",
    "key",
    "state",
    "in_order",
    "observed",
    "expected",
    "initial",
    "broker",
    "by_kind",
    "versions",
    "effects",
}
"""What is below these is the user's, or named after something else than fields."""
OTHERWISE = {
    ("repair", "scenario"),
    ("repair", "reasons"),
    ("repair", "kinds"),
    ("planted", "scenario"),
    ("planted", "why"),
}
"""Fields that are not written under this name."""


def names(data: Any) -> Iterator[str]:
    """The names of all fields, at any depth."""
    for inner in data if isinstance(data, list | tuple) else ():
        yield from names(inner)
    for name, inner in data.items() if isinstance(data, dict) else ():
        yield name
        if name not in THEIRS:
            yield from names(inner)


def settles_by_hand(deliver: Any) -> list[Any]:
    seen: list[Any] = []

    def handle(message: Any) -> None:
        seen.append(message.id)
        message.ack()

    deliver(handle, settle="handler")
    return seen


def ends_of_batches(deliver: Any) -> list[int]:
    calls: list[int] = []
    deliver(lambda messages: calls.append(len(messages)), batch=True)
    return calls


@pytest.fixture(scope="module")
def verdicts() -> list[Verdict]:
    """With each part that a step can have, and with what a search knows besides."""
    both = [final_state(), effects_exactly_once()]
    one = Kafka(partitions=1)
    found = [run(mails, Scenario(ONE, one, [fault]), invariants=both) for fault in (Crash("e1", 2), Overlap("e1", 1))]
    found.append(run(marks_in_finally, Scenario(ONE, one, [Fail("e1", point=2)]), invariants=both))
    two = [Event("a", 1), Event("a", 2)]
    found.append(run(settles_by_hand, Scenario(two, SqsFifo(max_receive_count=2), [DeadLetter("e1")])))
    found.append(run(ends_of_batches, Scenario(two, one, [Gather("e1")])))
    found.append(check(drops_early_payments, {orders: Kafka(), payments: SqsFifo()}, schedules=100, seed=1))
    assert [verdict.status for verdict in found] == ["violated"] * len(found)
    return found


def test_every_field_of_a_line_is_documented(verdicts: list[Verdict]) -> None:
    for line in (json.loads(json.dumps(line)) for verdict in verdicts for line in lines(verdict)):
        parameters = set(names(line)) if line["type"] == "fault" else set()
        assert set(names(line)) - {"type"} <= OF_LINES[line["type"]] | parameters, line


@pytest.mark.parametrize(("kind", "of"), WRITTEN_WHOLE, ids=lambda each: getattr(each, "__name__", each))
def test_a_field_that_is_added_to_a_class_has_to_be_documented(kind: str, of: type) -> None:
    """Also one that no run here has."""
    fields = {field.name for field in attrs.fields(of)}  # type: ignore[arg-type]  # each is one of attrs
    assert {name for name in fields if (kind, name) not in OTHERWISE} <= OF_LINES[kind]


def test_every_field_of_a_file_is_documented(verdicts: list[Verdict]) -> None:
    for verdict in verdicts:
        data = json.loads(json.dumps(document(verdict)))
        faults = [name for fault in data["faults"] + data.get("found_faults", []) for name in fault]
        errors = data.get("told", {}).get("errors", {})
        assert set(names(data)) - set(faults) - set(errors) <= OF_FILE
    for of in (Step, Copy, DiedAt, StoppedAt, FailedAt, Event, States, Effect):
        assert {field.name for field in attrs.fields(of)} <= OF_FILE, of


def test_each_part_of_a_step_was_met(verdicts: list[Verdict]) -> None:
    """Else what is said above is said of nothing."""
    steps = {name for verdict in verdicts for step in document(verdict)["schedule"] for name in step}
    assert {"died", "stopped", "failed", "settled", "size", "copy", "point", "attempt"} <= steps
