"""Which call failed inside the handler: the expression in its line, and what it raised."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.report.columns import underlined
from chaoskit.values.schedule import Schedule, Step


def failure_lines(schedule: Schedule) -> Iterator[str]:
    """Lines of a text with a fixed width."""
    for step in schedule:
        if step.failed is not None:
            yield from _lines(step)


def _lines(step: Step) -> Iterator[str]:
    failed = step.failed
    assert failed is not None
    place = f" ({failed.place})" if failed.place else ""
    then = "and the handler raised" if step.raised else "and the handler went on as if nothing had happened"
    yield f"{step.event}: this call{place} raised {failed.error}, {then}:"
    yield from (f"    {line}" for line in underlined(failed.source, failed.expression, failed.column))
