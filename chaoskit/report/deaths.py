"""Where a process died inside the handler: what had happened by then, and the expression that did not."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.report.columns import WIDEST_LINE, narrow, underlined
from chaoskit.values.schedule import DiedAt, Schedule

DIED = "Where the process was killed"
FAILED = "Where a call failed"
MOST_HAPPENED = 8
"""Effects that are listed: the last ones before the death."""


def death_lines(schedule: Schedule) -> Iterator[str]:
    """Lines of a text with a fixed width. Nothing of a death when all was done."""
    for step in schedule:
        if step.died is not None and step.died.before:
            yield from _lines(f"{step.event}", step.died)


def _lines(event: str, died: DiedAt) -> Iterator[str]:
    happened = died.happened[-MOST_HAPPENED:]
    if happened:
        yield f"{event}: this was done,"
        if len(happened) < len(died.happened):
            yield f"    … ({len(died.happened) - len(happened)} more)"
        yield from (f"    {narrow(line, WIDEST_LINE)}" for line in happened)
        yield f"and then the process was killed, before this{at(died)}:"
    else:
        yield f"{event}: the process was killed before its first effect{at(died)}:"
    yield from (f"    {line}" for line in underlined(died.source, died.before, died.column))


def at(died: DiedAt) -> str:
    return f" ({died.place})" if died.place else ""
