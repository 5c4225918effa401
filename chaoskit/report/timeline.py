"""The delivery as a table: one row for each step, one lane for each partition, deviations marked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from chaoskit.event import Event
from chaoskit.faults import Fault, Rehash, Resend
from chaoskit.scenario import Scenario
from chaoskit.schedule import Schedule, Step

MOST_ROWS = 60
FOLDED = 3
"""So many repetitions of what the handler refused are told in one row."""
WIDTH = 100
"""Columns of a line; values are cut to fit. Where a terminal is narrower they are folded."""
NARROWEST_VALUE = 24


def timeline(scenario: Scenario, schedule: Schedule) -> Table:
    """Time runs down. `←` points to the fault behind a step; the numbers are those of the sentences below it."""
    broker = scenario.broker
    events = {event.id: event for event in scenario.events}
    keys = {event.id: event.key for event in scenario.events}
    places = [broker.lane(step, keys.get(step.event)) for step in schedule]  # type: ignore[arg-type]
    lanes = _in_order({lane for lane in places if lane is not None})
    by_consumer = bool(lanes) and None not in places and len(lanes) == len({step.consumer for step in schedule})
    workers = len({step.consumer for step in schedule}) > 1 and not by_consumer
    told = enumerate(broker.explain(schedule, scenario.events), start=1)
    order = {fault: number for number, (fault, _) in told if fault is not None}
    owners: dict[Fault | None, int] = {}
    headings = ["", *(["consumer"] if workers else []), *lanes, ""]
    rows: list[list[str]] = []
    values: list[str] = []
    seen: set[tuple[int | None, int | None]] = set()
    numbered = any(isinstance(lane, str) and lane.startswith(("partition", "shard")) for lane in lanes)
    repeats = _repeats(schedule.steps)
    shown = 0
    for number, (step, place) in enumerate(zip(schedule.steps, places, strict=True), start=1):
        if number in repeats:
            last, times = repeats[number]
            rows.append([f"{number}–{last}", *[""] * (len(headings) - 2), f"the same, {times} times more"])
            values.append("")
        if any(first <= number <= last for first, (last, _) in repeats.items()):
            continue
        shown = number
        if len(rows) >= MOST_ROWS:
            break
        cells = [_cell(step, numbered) if place in (lane, None) else "" for lane in lanes]
        if step.action == "take over" and step.fault is not None:
            owners[step.fault] = step.consumer
        ran_on = step.fault in owners and step.consumer != owners[step.fault]
        mark = _mark(broker.mark(step), step, order, (step.partition, step.offset) in seen, ran_on)
        rows.append([str(number), *([str(step.consumer)] if workers else []), *cells, mark])
        values.append(_value(events[step.event]) if step.action == "deliver" and step.event in events else "")
        seen.add((step.partition, step.offset))
    left_out = len(schedule.steps) - shown + 1 if len(rows) >= MOST_ROWS else 0
    return _table(headings, rows, values, left_out)


def _repeats(steps: Sequence[Step]) -> dict[int, tuple[int, int]]:
    """Where a refusal, or one and what follows it, comes again and again: from the number of the second time on to the
    last number, and how often."""
    alike = [(s.action, s.consumer, s.partition, s.offset, s.raised) if s.fault is None else s.fault for s in steps]
    found: dict[int, tuple[int, int]] = {}
    at = 0
    while at < len(steps):
        for length in (1, 2):
            block, times = alike[at : at + length], 0
            while alike[(after := at + (times + 1) * length) : after + length] == block:
                times += 1
            if times >= FOLDED and any(step.raised for step in steps[at : at + length]):
                found[at + length + 1] = at + (times + 1) * length, times
                at += (times + 1) * length
                break
        else:
            at += 1
    return found


def _in_order(lanes: set[str]) -> list[str]:
    """By name, and by number where the names end with one."""
    return sorted(lanes, key=lambda lane: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", lane)])


def _table(headings: list[str], rows: list[list[str]], values: list[str], left_out: int) -> Table:
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
    if left_out > 0:
        table.add_row("", f"… and {left_out} more steps")
    return table


def _cell(step: Step, numbered: bool) -> str:
    if step.event is None:
        return "·"
    name = f"{step.offset}: " if numbered else ""
    if step.action == "deliver":
        return f"{name}{step.event}" + (" raised" if step.raised else "")
    if step.action == "put back":
        return f"{name}({step.event})"
    return "·" if step.action == "take over" else f"{name}[{step.event}]"


def _mark(what: str, step: Step, order: Mapping[Fault, int], again: bool, ran_on: bool) -> str:
    """What stands beside a step. `again`: it was shown before; `ran_on`: by a consumer that was taken for dead."""
    if ran_on:
        what = "runs on"
    elif step.action == "deliver":
        what = f"again, attempt {step.attempt}" if (step.attempt or 1) > 1 else "again" if again else ""
    if step.fault is None:
        return what
    if not what:
        what = "late"
        if isinstance(step.fault, Rehash) and step.event == step.fault.at:
            what = "rehashed"
        elif isinstance(step.fault, Resend):
            what = "sent again"
    return f"{what} ← {order[step.fault]}" if step.fault in order else what


def _value(event: Event) -> str:
    return f"{event.key!r} {event.value!r}" if event.key is not None else repr(event.value)
