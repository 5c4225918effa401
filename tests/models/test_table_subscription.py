"""What docs/brokers.md says of a subscription over a table, run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Message, chaos, check
from chaoskit.brokers import Outbox, Settings
from chaoskit.strategies import events
from chaoskit.values.faults import Lose

PAGE = (Path(__file__).parents[2] / "docs" / "brokers.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## A subscription over a table\n")[2].partition("\n## ")[0]
PAYMENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]))


def projection(balances: dict[str, int]) -> Any:
    seen: set[Any] = set()

    def handle(message: Message) -> None:
        if message.id not in seen:
            seen.add(message.id)
            balances[message.key] = balances.get(message.key, 0) + message.value

    return handle


def documented() -> Any:
    """The test of the page, defined as it stands there."""
    (code,) = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
    names: dict[str, Any] = {"chaos": chaos, "payments": PAYMENTS, "Outbox": Outbox, "projection": projection}
    exec(code, names)
    return names["test_balances"]


def test_the_subscription_of_the_page_fails_as_it_says() -> None:
    verdict = check(documented(), PAYMENTS, schedules=300, seed=1)
    assert verdict.status == "violated"
    assert verdict.scenario is not None
    assert [type(fault) for fault in verdict.scenario.faults] == [Lose]
    assert len(verdict.scenario.events) == 1
    shown = re.sub(r"\be\d+\b", "e1", " ".join(verdict.report().split()))
    assert re.findall(r'"(the transaction .*?)"', " ".join(SECTION.split()))[0] in shown


@pytest.mark.parametrize("broker", [Outbox(cursor="xid"), Outbox()])
def test_the_cursors_that_lose_nothing_hold(broker: Settings) -> None:
    assert check(documented(), PAYMENTS, broker, schedules=300, seed=1).status == "held"
