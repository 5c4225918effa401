"""The examples of docs/settling.md do what it says of them."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import chaos, check
from chaoskit.brokers import RabbitMQ, SqsStandard
from chaoskit.strategies import events

PAGE = (Path(__file__).parents[2] / "docs" / "settling.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- block: (\w+) -->\n```python\n(.*?)```", PAGE, re.DOTALL))
EXAMPLES = {
    "right": ("test_ledger", "held"),
    "forgotten": ("test_once", "violated"),
    "waits": ("test_statement", "held"),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_does_what_the_page_says(name: str, tmp_path: Path) -> None:
    assert BLOCKS.keys() == EXAMPLES.keys()
    payments = events(st.integers(1, 9), keys=st.sampled_from(["alice", "bob"]), max_size=8)
    names: dict[str, Any] = {
        "chaos": chaos, "payments": payments, "contextmanager": contextmanager, "RabbitMQ": RabbitMQ,
        "SqsStandard": SqsStandard,
    }  # fmt: skip
    file = tmp_path / "test_ledger.py"  # without a file there is no code of the user's to step into
    file.write_text(BLOCKS[name], encoding="utf-8")
    exec(compile(BLOCKS[name], file, "exec"), names)
    test, status = EXAMPLES[name]
    verdict = check(names[test], payments, seed=1, schedules=150)
    assert verdict.status == status, verdict.report()
    if name == "forgotten":
        reported = re.search(r"> e4 (was handled[^\n]*)\n", PAGE)
        assert reported is not None
        assert verdict.violations[0].message.split(" ", 1)[1].startswith(reported[1])
