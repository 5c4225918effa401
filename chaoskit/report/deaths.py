"""Where a process died inside the handler: what had happened by then, and the expression that did not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaoskit.report.columns import WIDEST_LINE, narrow, underlined
from chaoskit.values.schedule import DiedAt, Schedule, Step

DIED = "Where the process was killed"
FAILED = "Where a call failed"
SETTLE_AFTER = "Settle the message, such as by a commit or an ack, after the effect and not before it"
MOST_HAPPENED = 8
"""Effects that are listed: the last ones before the death."""


def death_lines(schedule: Schedule) -> Iterator[str]:
    """Lines of a text with a fixed width. Nothing of a death when all was done."""
    for step in schedule:
        if step.died is not None and step.died.before:
            yield from _lines(f"{step.event}", step.died)


def settled_first(schedule: Schedule) -> bool:
    """Whether a message at which a process died never came again."""
    steps = schedule.steps
    return any(
        step.action == "die" and not step.raised and all(step.event != later.event for later in steps[number:])
        for number, step in enumerate(steps, start=1)
    )


def died_in_one_call(steps: Sequence[Step]) -> set[int]:
    """The numbers of the deliveries, from 1, that came in one call with the message at which its process died: what
    was done of them by then is reported with the death."""
    found, call, left = set[int](), list[int](), 0
    for number, step in enumerate(steps, start=1):
        if step.action == "batch":
            call, left = [], step.size or 0
        elif left:
            left -= 1
            call.append(number)
            if step.action == "die":
                found.update(call)
    return found


def _lines(event: str, death: DiedAt) -> Iterator[str]:
    happened = death.happened[-MOST_HAPPENED:]
    if happened:
        yield f"{event}: this was done,"
        if len(happened) < len(death.happened):
            yield f"    … ({len(death.happened) - len(happened)} more)"
        yield from (f"    {narrow(line, WIDEST_LINE)}" for line in happened)
        yield f"and then the process was killed, before this{at(death)}:"
    else:
        yield f"{event}: the process was killed before its first effect{at(death)}:"
    yield from (f"    {line}" for line in underlined(death.source, death.before, death.column))


def at(death: DiedAt) -> str:
    return f" ({death.place})" if death.place else ""
