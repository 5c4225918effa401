"""The delivery as a table: one row for each step, one lane for each partition, deviations marked."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from chaoskit.event import Event
from chaoskit.faults import Fault, Rehash
from chaoskit.scenario import Scenario
from chaoskit.schedule import Schedule, Step

MOST_STEPS = 60
WIDTH = 100
"""Columns of a line; values are cut to fit. Where a terminal is narrower they are folded."""
NARROWEST_VALUE = 24


def timeline(scenario: Scenario, schedule: Schedule) -> Table:
    """Time runs down. `←` points to the fault behind a step; the numbers are those of the sentences below it."""
    lanes = sorted({step.partition for step in schedule if step.partition is not None})
    consumers = len({step.consumer for step in schedule})
    events = {event.id: event for event in scenario.events}
    order: dict[Fault, int] = {}
    headings = ["", *(["consumer"] if consumers > 1 else []), *(f"partition {lane}" for lane in lanes), ""]
    rows: list[list[str]] = []
    values: list[str] = []
    seen: set[tuple[int | None, int | None]] = set()
    for number, step in enumerate(schedule.steps[:MOST_STEPS], start=1):
        cells = [_cell(step, step.partition == lane) for lane in lanes]
        mark = _mark(step, order, (step.partition, step.offset) in seen)
        rows.append([str(number), *([str(step.consumer)] if consumers > 1 else []), *cells, mark])
        values.append(_value(events[step.event]) if step.action == "deliver" and step.event in events else "")
        seen.add((step.partition, step.offset))
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    used = 2
    for place, heading in enumerate(headings):
        width = max(len(text) for text in [heading, *(row[place] for row in rows)])
        style = "dim" if place == 0 else "yellow" if place == len(headings) - 1 else ""
        table.add_column(heading, no_wrap=True, min_width=width, style=style, justify="left" if place else "right")
        used += width + 2
    table.add_column("value", overflow="fold")
    room = max(NARROWEST_VALUE, WIDTH - used)
    for row, value in zip(rows, values, strict=True):
        table.add_row(*map(Text, [*row, value if len(value) <= room else value[: room - 1] + "…"]))
    if len(schedule.steps) > MOST_STEPS:
        table.add_row("", f"… and {len(schedule.steps) - MOST_STEPS} more steps")
    return table


def _cell(step: Step, here: bool) -> str:
    if not here:
        return "·" if step.action == "restart" else ""
    if step.action == "deliver":
        return f"{step.offset}: {step.event}" + (" raised" if step.raised else "")
    if step.action == "put back":
        return f"{step.offset}: ({step.event})"
    return f"{step.offset}: [{step.event}]"


def _mark(step: Step, order: dict[Fault, int], again: bool) -> str:
    what = {
        "restart": f"consumer {step.consumer} restarts",
        "park": "to the dead-letter topic",
        "put back": "put back",
        "skip": "skipped",
        "refuse": "refused to the end",
        "deliver": "again" if again else "",
    }[step.action]
    if step.fault is None:
        return what
    number = order.setdefault(step.fault, len(order) + 1)
    if not what:
        what = "rehashed" if isinstance(step.fault, Rehash) and step.event == step.fault.at else "late"
    return f"{what} ← {number}"


def _value(event: Event) -> str:
    return f"{event.key!r} {event.value!r}" if event.key is not None else repr(event.value)
