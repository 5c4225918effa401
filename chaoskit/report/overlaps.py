"""Where an execution stopped inside the handler, and what it and the others did then: two columns of lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from chaoskit.brokers.overlaps import ONE_MESSAGE, TWO_MESSAGES
from chaoskit.report.columns import fitted, narrow, underlined
from chaoskit.report.deaths import MOST_HAPPENED, at
from chaoskit.values.faults import Fault, Overlap
from chaoskit.values.schedule import Schedule, Step, StoppedAt
from chaoskit.values.texts import in_line

STOPPED = "Two executions at once"
MOST_LINES = 24
"""Lines beside each other that are shown: the first ones after the stop."""
WIDEST = (44, 60)
"""Columns of what the one execution did, and of what the others did."""


def short_ways(remedy: str, faults: Sequence[Fault]) -> list[str]:
    """What rules these out, by a line for the handler and one for what a setting can do against what took place."""
    handler, *settings = re.split(rf"\. (?={ONE_MESSAGE}|{TWO_MESSAGES})", remedy)
    met = {TWO_MESSAGES if fault.others else ONE_MESSAGE for fault in faults if isinstance(fault, Overlap)}
    # Where a key moves the message of another owner is one of the same key.
    fitting = [text for text in settings if text.startswith(tuple(met))] or settings
    return [f"in the handler, {handler}" if settings else handler, *(text[0].lower() + text[1:] for text in fitting)]


def overlap_lines(schedule: Schedule) -> Iterator[str]:
    """Lines of a text with a fixed width."""
    last = None
    for step in schedule:
        if step.stopped is not None and step.stopped != last:  # once for a call with many messages
            yield from _lines(step, step.stopped)
        last = step.stopped


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
