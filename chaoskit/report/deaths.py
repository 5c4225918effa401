"""Where a process died inside the handler: what had happened by then, and the expression that did not."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.report.columns import WIDEST_LINE, narrow, underlined
from chaoskit.values.schedule import DiedAt, Schedule

DIED = "Where the process died"
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
        yield f"{event}: this had happened,"
        if len(happened) < len(died.happened):
            yield f"    … ({len(died.happened) - len(happened)} more)"
        yield from (f"    {narrow(line, WIDEST_LINE)}" for line in happened)
        yield f"and then, instead of this{at(died)}, the process died:"
    else:
        yield f"{event}: before anything, instead of this{at(died)}, the process died:"
    yield from (f"    {line}" for line in underlined(died.source, died.before, died.column))


def at(died: DiedAt) -> str:
    return f" ({died.place})" if died.place else ""
