"""The examples of docs/streams.md do what the page says."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from chaoskit import Kafka, SqsStandard, Webhook, chaos, check
from chaoskit.strategies import events, events_from, lifecycle

PAGE = (Path(__file__).parent.parent / "docs" / "streams.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- block: (\w+) -->\n```python\n(.*?)```", PAGE, re.DOTALL))
TESTS = {"models": "test_orders", "lifecycle": "test_status", "recorded": "test_recorded", "several": "test_paid"}


@pytest.mark.parametrize("name", TESTS)
def test_an_example_finds_its_bug(name: str, tmp_path: Path) -> None:
    """Two events are enough for each: an older one wins, or one that needs the other comes first."""
    lines = [{"order": {"id": id_, "status": status}} for id_ in (7, 8) for status in ("open", "paid", "sent")]
    (tmp_path / "orders.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    names: dict[str, Any] = {
        "chaos": chaos, "Kafka": Kafka, "SqsStandard": SqsStandard, "Webhook": Webhook, "events": events, "st": st,
        "lifecycle": lifecycle, "events_from": events_from, "BaseModel": BaseModel, "Field": Field,
        "Decimal": Decimal, "Literal": Literal, "__file__": str(tmp_path / "test_orders.py"), "__name__": __name__,
    }  # fmt: skip
    exec(BLOCKS[name], names)
    test = names[TESTS[name]]
    verdict = check(test, test.chaos_options.events, test.chaos_options.broker, seed=1, schedules=200)
    assert verdict.status == "violated", verdict.report()
    assert verdict.scenario is not None
    assert len(verdict.scenario.events) == 2


def test_every_example_is_run() -> None:
    assert BLOCKS.keys() == TESTS.keys()
