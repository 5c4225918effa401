"""What docs/batches.md shows is what happens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Event, Gather, Kafka, LambdaSqs, Scenario, chaos, check, run
from chaoskit.strategies import events

PAGE = (Path(__file__).parent.parent.parent / "docs" / "batches.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- block: (\w+) -->\n```python\n(.*?)```", PAGE, re.DOTALL))
PAYMENTS = events(st.integers(1, 9), keys=st.sampled_from(["a", "b"]))


def test_of(block: str) -> Any:
    names: dict[str, Any] = {"chaos": chaos, "Kafka": Kafka, "LambdaSqs": LambdaSqs, "payments": PAYMENTS}
    exec(BLOCKS[block], names)
    return next(value for name, value in names.items() if name.startswith("test_"))


test_of.__test__ = False  # type: ignore[attr-defined]


@pytest.mark.parametrize(("block", "status"), [("upsert", "violated"), ("partial", "held")])
def test_the_examples_do_what_the_page_says(block: str, status: str) -> None:
    verdict = check(test_of(block), PAYMENTS, seed=1, schedules=300)
    assert verdict.status == status, verdict.report()


def test_the_report_on_the_page_is_the_one_that_is_printed() -> None:
    stream = [Event("a", 1), Event("a", 2)]
    report = run(test_of("upsert"), Scenario(stream, Kafka(), [Gather("e1")])).report().splitlines()
    shown = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    printed = [line.rstrip() for line in report]
    for line in filter(None, shown[1].splitlines()):
        assert line.replace("test_rows", "the test") in printed, "\n".join(report)
