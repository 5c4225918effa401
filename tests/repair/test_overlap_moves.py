"""What repairs two executions at once: a lock and a unique key are run, and a fencing token is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaoskit import Overlap, check
from databases import pairs
from databases.test_pairs import over_sql
from handlers.inside import LOG, PAIRS, QUEUE


def asked(verdict: Any) -> dict[str, tuple[str, int]]:
    assert verdict.scenario is not None
    assert [type(fault) for fault in verdict.scenario.faults] == [Overlap]
    return {repair.move: (repair.status, repair.schedules) for repair in verdict.repairs}


@pytest.mark.parametrize(("name", "broker"), [("lost update", QUEUE), ("check, then insert", LOG)])
def test_executions_that_follow_each_other_are_right(name: str, broker: Any) -> None:
    """Each move holds under all kinds; what only the broker can count is named, and the report begins with the lock."""
    pair = PAIRS[name]
    verdict = check(pair.wrong, pair.values, broker, seed=1, schedules=200)
    assert asked(verdict) == {"lock": ("held", 200), "unique key": ("held", 200), "fence": ("unknown", 0)}
    assert {"Crash", "Overlap"} <= set(verdict.repairs[0].kinds)
    text = " ".join(verdict.report().split())
    assert "Lock the row before it is read, or compare its version: repairs this delivery, and holds" in text
    assert "Give each owner a fencing token: not known" in text


def test_over_a_real_sqlite(tmp_path: Path) -> None:
    """The moves are run around the handler and its own connections."""
    with pairs.sqlite(tmp_path / "pairs.db") as own:
        verdict = check(
            over_sql(own, pairs.reads_before_it_locks), PAIRS["lost update"].values, QUEUE,
            faults={Overlap}, seed=1, schedules=60,
        )  # fmt: skip
        assert asked(verdict) == {"lock": ("held", 60), "unique key": ("held", 60), "fence": ("unknown", 0)}
