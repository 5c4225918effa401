"""What the documents show is what happens."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Duplicate, Redeliver, chaos, check
from chaoskit.brokers import BROKERS, Kafka, RabbitMQ, SqsStandard
from chaoskit.execution.deliver import Deliver
from chaoskit.invariants import effects_exactly_once, final_state
from chaoskit.report.broker_facts import facts
from chaoskit.strategies import events, lifecycle
from chaoskit.values.event import Message

ROOT = Path(__file__).parent.parent


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.long
@pytest.mark.parametrize("page", ["README.md", "docs/order.md"])
def test_the_outputs_in_a_page_are_those_of_its_commands(page: str) -> None:
    """Running the examples of the README gives the README, and no page with outputs is left out."""
    outputs, text = load(ROOT / "docs" / "outputs.py"), (ROOT / page).read_text(encoding="utf-8")
    assert ROOT / page in outputs.PAGES
    assert outputs.with_outputs(text) == text


def test_the_page_of_brokers_says_what_the_brokers_say() -> None:
    """Making docs/brokers.md, and the README's table of brokers, anew changes nothing."""
    made = load(ROOT / "docs" / "brokers.py")
    for page in (path.read_text(encoding="utf-8") for path in made.PAGES):
        assert made.with_facts(page) == page, "docs/brokers.md or the README is of yesterday: make docs"


def test_the_readme_names_every_broker_and_each_of_kafkas_settings() -> None:
    """Whoever adds one says so there, too."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in BROKERS if f"`{name}`" not in readme] == []
    written = " ".join(readme[readme.index("`Kafka(partitions=") :].split("`")[1].split())
    assert written == f"Kafka({', '.join(f'{s.name}={s.default}' for s in facts(Kafka).settings if s.name != 'topic')})"


def test_the_readme_names_every_field_of_a_message() -> None:
    """So that nobody has to read the source for what a handler gets."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme[readme.index("## The streams") : readme.index("## The test\n")]
    assert [field.name for field in attrs.fields(Message) if f"`{field.name}`" not in table] == []


def test_the_readmes_dependent_stream_can_be_handled_in_order() -> None:
    """Each order is created before it is paid or cancelled, and a right handler holds under it."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- block: subscriptions -->\n```python\n(.*?)```", readme, re.DOTALL)
    assert block is not None
    names: dict[str, Any] = {"st": st, "lifecycle": lifecycle}
    exec(block[1], names)

    def billed(deliver: Deliver) -> dict[str, int]:
        due: dict[str, int] = {}
        seen: set[str] = set()

        def handle(message: Message) -> None:
            if message.id not in seen:
                if message.value["kind"] == "created":
                    assert message.key not in due
                    due[message.key] = message.value["total"]
                due[message.key] -= message.value.get("amount", 0)
                seen.add(str(message.id))

        deliver(handle)
        return due

    kinds = {Duplicate, Redeliver}
    verdict = check(billed, names["orders"], Kafka(), faults=kinds, seed=1, schedules=100)
    assert verdict.status == "held", verdict.report()


INSIDE = {
    "buffer": ("test_ledger", "violated"),
    "halves": ("test_halves", "violated"),
    "finally": ("test_orders_are_marked", "violated"),
    "update": ("test_update", "violated"),
    "fetch": ("test_profile", "held"),
    "forgets": ("test_forgets", "violated"),
    "mail": ("test_orders", "violated"),
    "steps": ("test_versions", "violated"),
}
"""The examples of docs/inside.md, and what it says of each."""


@pytest.mark.parametrize("name", INSIDE)
def test_the_examples_inside_a_handler_do_what_the_page_says(name: str, tmp_path: Path) -> None:
    """Each of its tests, searched as it stands there."""
    page = (ROOT / "docs" / "inside.md").read_text(encoding="utf-8")
    blocks = dict(re.findall(r"<!-- block: (\w+) -->\n```python\n(.*?)```", page, re.DOTALL))
    assert blocks.keys() == INSIDE.keys()
    payments = events(st.integers(1, 9), keys=st.sampled_from(["alice", "bob"]))
    names: dict[str, Any] = {
        "chaos": chaos, "Kafka": Kafka, "SqsStandard": SqsStandard, "payments": payments,
        "contextmanager": contextmanager, "final_state": final_state, "effects_exactly_once": effects_exactly_once,
        "chaoskit": chaoskit, "RabbitMQ": RabbitMQ,
    }  # fmt: skip
    file = tmp_path / "test_orders.py"  # without a file there is no code of the user's to step into
    file.write_text(blocks[name], encoding="utf-8")
    exec(compile(blocks[name], file, "exec"), names)
    test, status = INSIDE[name]
    verdict = check(names[test], payments, seed=1, schedules=300)
    assert verdict.status == status, verdict.report()
    if name == "halves":
        reported = re.search(r"\*(the process of consumer 0 was killed[^*]*)\*", page)
        assert reported is not None
        assert " ".join(reported[1].split()) in " ".join(verdict.report().split())
    if name == "finally":
        reported = re.search(r"\*(`orders.save[^*]*)\*", page)
        assert reported is not None
        assert " ".join(reported[1].split()) in " ".join(verdict.report().split())
    if name == "mail":
        assert "mail of 'e7' ('thanks for 1') took place twice, in order once" in page
        assert verdict.violations[0].message.endswith("('thanks for 1') took place twice, in order once")


def test_the_documents_lead_somewhere() -> None:
    """Each relative link and each anchor of the README and of docs/ exists."""
    for document in (ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))):
        for path, anchor in re.findall(r"\]\(([\w./-]*)(?:#([\w-]+))?\)", document.read_text(encoding="utf-8")):
            target = document.parent / path if path else document
            assert target.exists(), f"{document.name} leads to {path}"
            assert not anchor or anchor in anchors(target), f"{document.name} leads to {path}#{anchor}"


def anchors(document: Path) -> set[str]:
    """As GitHub makes them of headings: small letters, a dash for each blank, no other signs."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.long
def test_the_demo_finds_the_bug_and_sees_it_repaired() -> None:
    """The demo's own expectations hold: found, STILL FAILS, FIXED, not flagged."""
    demo = [sys.executable, str(ROOT / "examples" / "wallet" / "demo.py")]
    done = subprocess.run(demo, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("STILL FAILS") == 1
    assert done.stdout.count("FIXED") == 1
    assert "\033[" not in done.stdout, "colours where there is no terminal"
