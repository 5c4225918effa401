"""Where an execution stopped inside the handler, and what it and the others did then: two columns of lines."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.report.deaths import MOST_HAPPENED, at, underlined
from chaoskit.values.schedule import Schedule, Step, StoppedAt

STOPPED = "Two executions at once"
MOST_LINES = 24
"""Lines beside each other that are shown: the first ones after the stop."""
WIDEST = 44
"""Letters of the left column."""


def overlap_lines(schedule: Schedule) -> Iterator[str]:
    """Lines of a text with a fixed width."""
    last = None
    for step in schedule:
        if step.stopped is not None and step.stopped != last:  # once for a call with many messages
            yield from _lines(step, step.stopped)
        last = step.stopped


def _lines(step: Step, stopped: StoppedAt) -> Iterator[str]:
    yield f"{step.event} stopped before this{at(stopped)}:"
    yield from underlined(stopped.source, stopped.before, stopped.column)
    happened = stopped.happened[-MOST_HAPPENED:]
    left = [f"… ({len(stopped.happened) - len(happened)} more)"] if len(happened) < len(stopped.happened) else []
    rows = [(text, "") for text in (*left, *happened)]
    beside = stopped.beside[:MOST_LINES]
    rows += [("", f"{event}: {text}") if event else (text, "") for event, text in beside]
    if len(beside) < len(stopped.beside):
        rows.append((f"… ({len(stopped.beside) - len(beside)} more)", ""))
    first = f"{step.event}, consumer {step.consumer}"
    width = min(WIDEST, max(len(text) for text in (first, *(text for text, _ in rows))))
    yield f"    {first:<{width}}  | meanwhile"
    for text, other in rows:
        yield f"    {_cut(text, width):<{width}}  | {other}".rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
