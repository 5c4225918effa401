"""The JSON lines of `chaoskit show --jsonl` and of the pytest option, as docs/reports.md describes them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import chaoskit.report.lines
from chaoskit import Event, Kafka, Redeliver, Scenario
from chaoskit.execution.deliver import Deliver
from plugin.projects import HEAD, Project
from reports.cases import DEAD_LETTER, EVIL, HOSTILE, LONG, log, saved, shown, wallet

CLASSES = """
import attrs

@attrs.frozen
class Money:
    amount: int

class Till:
    def __init__(self, amount):
        self.amount = amount
    def __eq__(self, other):
        return self.amount == other.amount
    def __hash__(self):
        return 1
    def __repr__(self):
        return f"<Till of {self.amount} at 0x7f00>"

@chaos(events(st.builds(Money, st.just(3)), keys=st.just("alice")), faults={Duplicate})
def test_money(deliver):
    seen = []
    deliver(lambda message: seen.append(message.value))
    return {"till": Till(len(seen)), "last": (seen[-1] if seen else None), "all": {"count": len(seen)}}
"""

DOCS = Path(__file__).parent.parent.parent / "docs" / "reports.md"


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def of(kind: str, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in found if line["type"] == kind]


def test_a_failure_is_told_line_by_line(tmp_path: Path) -> None:
    """The verdict first; then what differs, events, faults and steps with their states, and what is said of them."""
    repro = saved(wallet, DEAD_LETTER, tmp_path)
    found = lines(shown("jsonl", repro))
    assert [line["type"] for line in found] == [
        "verdict", "violation", "difference", "event", "event", "fault", "step", "step", "step", "step", "sentence",
        "remedy", "replay",
    ]  # fmt: skip
    verdict = found[0]
    assert (verdict["status"], verdict["test"], verdict["label"]) == (
        "violated", "tests/test_shop.py::test_wallet", "within",
    )  # fmt: skip
    assert (verdict["broker"]["kind"], verdict["first_difference"]) == ("Kafka", 4)
    assert of("difference", found) == [{"type": "difference", "path": "state['alice']", "in_order": 0, "observed": 1}]
    assert [(e["id"], e["value"], e["state"]) for e in of("event", found)] == [
        ("e1", 1, {"alice": 1}), ("e2", -1, {"alice": 0}),
    ]  # fmt: skip
    assert [(s["number"], s["action"], s["state"], s.get("from")) for s in of("step", found)] == [
        (1, "park", {}, None), (2, "deliver", {}, None), (3, "put back", {}, 1), (4, "deliver", {"alice": 1}, 3),
    ]  # fmt: skip
    assert [step.get("sentence") for step in of("step", found)] == [1, None, 1, 1]
    assert found[-1]["command"] == f"chaoskit replay {repro}"


def test_each_line_is_one_line_of_ascii_whatever_a_value_contains(tmp_path: Path) -> None:
    """Split at newlines only, and read back to what it was."""
    text = shown("jsonl", saved(log, HOSTILE, tmp_path))
    assert text.isascii()
    assert not [sign for sign in text if ord(sign) < 32 and sign != "\n"]
    assert of("event", lines(text))[0]["value"] == EVIL


def test_a_place_that_one_state_does_not_have_has_no_field(tmp_path: Path) -> None:
    """None is a value; nothing is nothing."""

    def twice(deliver: Deliver) -> dict[Any, Any]:
        seen: dict[Any, Any] = {}

        def handle(message: Any) -> None:
            seen[f"{message.id} again" if message.id in seen else message.id] = None

        deliver(handle)
        return seen

    scenario = Scenario([Event("a", 1), Event("a", 2)], Kafka(), [Redeliver("e1")])
    found = of("difference", lines(shown("jsonl", saved(twice, scenario, tmp_path))))
    assert found == [{"type": "difference", "path": "state['e1 again']", "observed": None}]


def test_a_long_delivery_has_all_its_steps_without_states(tmp_path: Path) -> None:
    """More than a timeline shows."""
    found = of("step", lines(shown("jsonl", saved(log, LONG, tmp_path))))
    assert [step["number"] for step in found] == list(range(1, 72))
    assert not any("state" in step for step in found)


def test_values_are_written_as_in_repro_files_also_without_their_classes(tmp_path: Path) -> None:
    """What the run says with the classes at hand is what `show` says later without them."""
    project = Project.at(tmp_path, test_money=HEAD + CLASSES)
    ran = project.pytest("--chaos-seed=1", "--chaos-report=out")
    assert ran.code == 1, ran.text
    (written,) = (tmp_path / "out").glob("*.jsonl")
    during, later = lines(written.read_text()), lines(shown("jsonl", project.only_repro()))
    money = {"$object": "test_money:Money", "fields": {"amount": 3}}
    for kind in ("event", "step"):
        assert of(kind, during) == of(kind, later)
    assert of("event", later)[0]["value"] == money
    assert of("step", later)[-1]["state"] == {
        "till": {"$repr": "<Till of 2>"}, "last": money, "all": {"count": 2},
    }  # fmt: skip


def documented(text: str) -> dict[str, set[str]]:
    """The types and their fields in a table: names between backticks."""
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE)
    return {kind: set(re.findall(r"`(\w+)`", fields)) for kind, fields in rows}


def test_the_documents_name_every_type_and_field(tmp_path: Path) -> None:
    """The docstring and docs/reports.md say the same, and no line has a field that they do not name."""
    output = documented(chaoskit.report.lines.__doc__ or "")
    assert output == documented(DOCS.read_text(encoding="utf-8").partition("## The repro file")[0])
    project = Project.at(tmp_path / "shop", test_money=HEAD + CLASSES)
    assert project.pytest("--chaos-seed=1", "--chaos-report=out").code == 1
    texts = [file.read_text() for file in (tmp_path / "shop" / "out").glob("*.jsonl")]
    texts += [shown("jsonl", saved(log, HOSTILE, tmp_path)), shown("jsonl", saved(wallet, DEAD_LETTER, tmp_path))]
    for line in (line for text in texts for line in lines(text)):
        parameters = {"after"} if line["type"] == "fault" else set()
        assert set(line) - {"type"} <= output[line["type"]] | parameters, line


@pytest.mark.parametrize("returned", ["3", "balances"], ids=["unknown", "held"])
def test_a_run_that_fails_nothing_is_told_too(tmp_path: Path, returned: str) -> None:
    """Its tally, and why it is unknown or what has to be known."""
    source = f"""
@chaos(PAYMENTS, schedules=100)
def test_wallet(deliver):
    balances, seen = {{}}, set()
    def handle(message):
        if message.id not in seen:
            seen.add(message.id)
            balances[message.key] = balances.get(message.key, 0) + message.value
    deliver(handle)
    return {returned}
"""
    project = Project.at(tmp_path, test_wallet=HEAD + source)
    project.pytest("--chaos-seed=1", "--chaos-report=out")
    found = lines((tmp_path / "out" / "test-wallet-test-wallet.jsonl").read_text())
    assert found[0]["status"] == ("unknown" if returned == "3" else "held")
    assert (found[0]["schedules"], found[0]["seed"]) == (100, 1)
    assert "Duplicate" in found[0]["effective"]
    output = of("reason" if returned == "3" else "note", found)
    assert len(output) == 1
    assert output[0]["text"]
