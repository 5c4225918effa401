"""What comes again and again stands in one row, which says how often."""

from __future__ import annotations

from chaoskit import Crash, Event, Kafka, Scenario, Stream
from chaoskit.report.timeline import grid
from chaoskit.values.schedule import Schedule, Step


def test_attempts_after_a_death_are_counted_one_by_one() -> None:
    """They have the fault of the death in common with it and the restart, and are another kind of step."""
    crash = Crash("e1", 3)
    steps = [Step("die", 0, "e1", 0, 0, point=3, fault=crash), Step("restart", 0, fault=crash)]
    steps += [Step("deliver", 0, "e1", 0, 0, raised=True, fault=crash)] * 7 + [Step("deliver", 0, "e1", 0, 0)]
    scenario = Scenario(Stream((Event("k", 1, id="e1", seq=1),)), Kafka(partitions=1), faults=(crash,))
    rows = grid(scenario, Schedule(tuple(steps))).rows
    assert [(row.number, row.last) for row in rows] == [(1, 1), (2, 2), (3, 3), (4, 9), (10, 10)]
    assert rows[3].mark == "the same, 6 times more"
