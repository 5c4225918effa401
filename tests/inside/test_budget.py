"""How much of a search is spent inside the handler, and what a search of all schedules meets there."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

import chaoskit
from chaoskit.search.oracle import Case
from chaoskit.values.faults import reaches_in
from handlers.inside import LOG, PAIRS, QUEUE


def test_at_most_a_third_of_the_plans_reach_in_and_none_more_than_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody says what is to be tried."""
    played: list[int] = []
    run = Case.run

    def counted(self: Case, plan: Any, *given: Any, **more: Any) -> Any:
        played.append(sum(map(reaches_in, plan)))
        return run(self, plan, *given, **more)

    monkeypatch.setattr(Case, "run", counted)
    pair = PAIRS["check, then insert"]
    assert chaoskit.check(pair.right, pair.values, QUEUE, seed=1).status == "held"
    share = Counter(played)
    assert set(share) == {0, 1, 2}
    assert share[1] + share[2] <= len(played) / 3


@pytest.mark.parametrize("name", ["work, then mark", "check, then insert", "finally marks"])
def test_every_schedule_with_one_fault_has_those_inside(name: str) -> None:
    pair = PAIRS[name]
    small = {"exhaustive": 1, "exhaustive_events": 2, "seed": 1}
    found = chaoskit.check(pair.wrong, pair.values, LOG, **small)
    assert found.scenario is not None
    assert tuple(map(type, found.scenario.faults)) == pair.kinds
    assert found.scenario.faults[0].point == pair.point  # type: ignore[union-attr]
    right = chaoskit.check(pair.right, pair.values, LOG, **small)
    assert right.status == "held", right.report()
    assert {"Crash", "Overlap", "Fail"} <= set(right.tally.by_kind)
