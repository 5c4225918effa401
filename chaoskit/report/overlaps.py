"""Where an execution stopped inside the handler, and what it and the others did then: two columns of lines."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.report.columns import fitted, narrow, underlined
from chaoskit.report.deaths import MOST_HAPPENED, at
from chaoskit.values.schedule import Schedule, Step, StoppedAt
from chaoskit.values.texts import in_line

STOPPED = "Two executions at once"
MOST_LINES = 24
"""Lines beside each other that are shown: the first ones after the stop."""
WIDEST = (44, 60)
"""Columns of what the one execution did, and of what the others did."""


def overlap_lines(schedule: Schedule) -> Iterator[str]:
    """Lines of a text with a fixed width."""
    for step in schedule:
        if step.stopped is not None:
            yield from _lines(step, step.stopped)


def _lines(step: Step, stopped: StoppedAt) -> Iterator[str]:
    yield f"{step.event}: this execution paused before this{at(stopped)}:"
    yield from (f"    {line}" for line in underlined(stopped.source, stopped.before, stopped.column))
    happened = stopped.happened[-MOST_HAPPENED:]
    left = [f"… ({len(stopped.happened) - len(happened)} more)"] if len(happened) < len(stopped.happened) else []
    rows = [(f"{step.event}, this execution", "meanwhile"), *((text, "") for text in (*left, *happened))]
    beside = stopped.beside[:MOST_LINES]
    rows += [("", f"{event}: {text}") if event else (text, "") for event, text in beside]
    if len(beside) < len(stopped.beside):
        rows.append((f"… ({len(stopped.beside) - len(beside)} more)", ""))
    mine = fitted([text for text, _ in rows], WIDEST[0])
    for text, (_, other) in zip(mine, rows, strict=True):
        yield f"    {text}  | {narrow(in_line(other), WIDEST[1])}".rstrip()
