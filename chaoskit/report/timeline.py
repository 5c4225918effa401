"""The delivery as rows and lanes, one row for each step, deviations marked; and as a table for a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs
from rich.table import Table
from rich.text import Text

from chaoskit.event import Event, EventId
from chaoskit.faults import Fault, Rehash, Resend
from chaoskit.scenario import Scenario
from chaoskit.schedule import Schedule, Step
from chaoskit.texts import printed

MOST_ROWS = 60
FOLDED = 3
"""So many repetitions of what the handler refused are told in one row."""
WIDTH = 100
"""Columns of a line; values are cut to fit. Where a terminal is narrower they are folded."""
NARROWEST_VALUE = 24


@attrs.frozen
class Row:
    """A step: its `number`, counted from 1, what stands in its `lane`, and what is said beside it.

    `lane` is None for a step that stands in all of them. `told` is the number of the sentence that explains it, and
    `origin` the number of an earlier step from which the same event comes again. A row without a `step` stands for
    repetitions up to the step `last`.
    """

    number: int
    last: int
    step: Step | None = None
    lane: int | None = None
    cell: str = ""
    mark: str = ""
    told: int | None = None
    origin: int | None = None
    event: Event | None = None

    @property
    def boxed(self) -> bool:
        """Whether it is about a message in a lane, and not about a consumer."""
        return self.lane is not None and self.step is not None and self.step.action not in ("restart", "take over")


@attrs.frozen
class Grid:
    """The rows of a delivery and the names of its lanes. `workers`: which consumer it is has to be said for each step.
    `left_out`: steps that would be too many."""

    lanes: tuple[str, ...]
    rows: tuple[Row, ...]
    workers: bool
    left_out: int


def grid(scenario: Scenario, schedule: Schedule) -> Grid:
    """Time runs down. The numbers of what is told are those of the sentences of `explain`."""
    broker = scenario.broker
    events = {event.id: event for event in scenario.events}
    keys = {event.id: event.key for event in scenario.events}
    places = [broker.lane(step, keys.get(step.event)) for step in schedule]  # type: ignore[arg-type]
    lanes = _in_order({lane for lane in places if lane is not None})
    by_consumer = bool(lanes) and None not in places and len(lanes) == len({step.consumer for step in schedule})
    told = enumerate(broker.explain(schedule, scenario.events), start=1)
    order = {fault: number for number, (fault, _) in told if fault is not None}
    numbered = any(lane.startswith(("partition", "shard")) for lane in lanes)
    owners: dict[Fault | None, int] = {}
    seen: set[tuple[int | None, int | None]] = set()
    latest: dict[EventId | None, int] = {}
    rows: list[Row] = []
    shown = 0
    repeats = _repeats(schedule.steps)
    for number, (step, place) in enumerate(zip(schedule.steps, places, strict=True), start=1):
        if number in repeats:
            last, times = repeats[number]
            rows.append(Row(number, last, mark=f"the same, {times} times more"))
        if any(first <= number <= last for first, (last, _) in repeats.items()):
            continue
        shown = number
        if len(rows) >= MOST_ROWS:
            break
        if step.action == "take over" and step.fault is not None:
            owners[step.fault] = step.consumer
        ran_on = step.fault in owners and step.consumer != owners[step.fault]
        rows.append(
            Row(
                number,
                number,
                step,
                lane=None if place is None else lanes.index(place),
                cell=_cell(step, numbered),
                mark=_mark(broker.mark(step), step, (step.partition, step.offset) in seen, ran_on),
                told=order.get(step.fault) if step.fault is not None else None,
                origin=latest.get(step.event) if step.event is not None and _comes(step) else None,
                event=events.get(step.event) if step.action == "deliver" and step.event is not None else None,
            )
        )
        seen.add((step.partition, step.offset))
        if step.action in _LEAVES_A_TRACE:
            latest[step.event] = number
    left_out = len(schedule.steps) - shown + 1 if len(rows) >= MOST_ROWS else 0
    workers = len({step.consumer for step in schedule}) > 1 and not by_consumer
    return Grid(tuple(lanes), tuple(rows), workers, max(0, left_out))


_LEAVES_A_TRACE = ("deliver", "fail", "park", "put back", "skip", "refuse")
"""Steps from which a message can come again."""


def _comes(step: Step) -> bool:
    return step.action in ("deliver", "put back")


def timeline(scenario: Scenario, schedule: Schedule) -> Table:
    """`←` points to the fault behind a step."""
    made = grid(scenario, schedule)
    headings = ["", *(["consumer"] if made.workers else []), *made.lanes, ""]
    rows: list[list[str]] = []
    values: list[str] = []
    for row in made.rows:
        if row.step is None:
            rows.append([f"{row.number}–{row.last}", *[""] * (len(headings) - 2), row.mark])
            values.append("")
            continue
        cells = [row.cell if row.lane in (lane, None) else "" for lane in range(len(made.lanes))]
        mark = f"{row.mark} ← {row.told}" if row.told is not None else row.mark
        rows.append([str(row.number), *([str(row.step.consumer)] if made.workers else []), *cells, mark])
        values.append("" if row.event is None else value_of(row.event))
    return _table(headings, rows, values, made.left_out)


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


def _mark(what: str, step: Step, again: bool, ran_on: bool) -> str:
    """What stands beside a step. `again`: it was shown before; `ran_on`: by a consumer that was taken for dead."""
    if ran_on:
        what = "runs on"
    elif step.action == "deliver":
        what = f"again, attempt {step.attempt}" if (step.attempt or 1) > 1 else "again" if again else ""
    if step.fault is None or what:
        return what
    if isinstance(step.fault, Rehash) and step.event == step.fault.at:
        return "rehashed"
    return "sent again" if isinstance(step.fault, Resend) else "late"


def value_of(event: Event) -> str:
    """Key and value in one line."""
    return f"{printed(event.key)} {printed(event.value)}" if event.key is not None else printed(event.value)
