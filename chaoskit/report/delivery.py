"""The delivery as a table, as wide as the terminal is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from chaoskit.report.shortened import shortened
from chaoskit.report.timeline import Grid, Row, value_of
from chaoskit.report.values import cut, visible
from chaoskit.values.event import Event, EventId

NARROWEST_VALUE = 24
"""Columns of a value beside its step; with fewer it stands below only."""
MOST_OF_VALUE = 2000
"""Letters of a value that is shown whole."""
GAP = 2


@attrs.frozen(eq=False)
class DeliveryTable:
    """For rich: a lane is a column where there is room for all of them, else a word. Values stand beside the steps, cut
    to the fields that matter, and whole below where they were cut."""

    grid: Grid
    read: tuple[str, ...] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        width = options.max_width
        headings, rows = _columns(self.grid, width)
        room = width - _used(headings, rows)
        events = list({row.event.id: row.event for row in self.grid.rows if row.event is not None}.values())
        whole = {event.id: visible(value_of(event)) for event in events}
        # Values that are short fit, however little room there is.
        beside = room >= NARROWEST_VALUE or all(len(text) <= room for text in whole.values())
        short = {event.id: _short(event, events, self.read, room) for event in events} if beside else {}
        yield _table(headings, rows, self.grid, short if beside else None)
        if cut_off := [event.id for event in events if short.get(event.id) != whole[event.id]]:
            yield ""
            yield _whole(cut_off, whole)


def _columns(grid: Grid, width: int) -> tuple[list[str], list[list[str]]]:
    """Headings and cells without the values."""
    consumer = ["consumer"] if grid.workers else []
    lanes = list(grid.lanes)
    headings = ["", *consumer, *lanes, ""]
    rows = [_cells(row, grid, [_in_lane(row, lane) for lane in range(len(lanes))]) for row in grid.rows]
    # One lane has no narrower form.
    if _used(headings, rows) <= width or len(lanes) < 2:
        return headings, rows
    headings = ["", *consumer, "where", "what", ""]
    return headings, [_cells(row, grid, [_lane(row, grid), row.cell]) for row in grid.rows]


def _in_lane(row: Row, lane: int) -> str:
    return row.cell if row.lane in (lane, None) else ""


def _lane(row: Row, grid: Grid) -> str:
    return "" if row.lane is None else grid.lanes[row.lane]


def _cells(row: Row, grid: Grid, cells: Sequence[str]) -> list[str]:
    if row.step is None:
        return [f"{row.number}–{row.last}", *[""] * (len(cells) + grid.workers), row.mark]
    mark = f"{row.mark} ← {row.sentence}".lstrip() if row.sentence is not None else row.mark
    consumer = [str(row.step.consumer)] if grid.workers else []
    return [_line(text) for text in (str(row.number), *consumer, *cells, mark)]


def _line(text: str) -> str:
    return " ".join(visible(text).split())


def _used(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    return sum(_widest(headings, rows, place) + GAP for place in range(len(headings)))


def _widest(headings: Sequence[str], rows: Sequence[Sequence[str]], place: int) -> int:
    return max(len(text) for text in (headings[place], *(row[place] for row in rows)))


def _short(event: Event, events: Sequence[Event], read: Sequence[str], room: int) -> str:
    """The key, and of the value what there is room for."""
    whole = visible(value_of(event))
    if len(whole) <= room:
        return whole
    key = f"{event.key!r} " if event.key is not None else ""
    if room - len(key) < NARROWEST_VALUE // 2:
        return cut(whole, room)
    # What tells this value from the others is what matters of it.
    others = [other.value for other in events if other.id != event.id]
    return cut(visible(key + shortened(event.value, others, read, room - len(key))), room)


def _table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], grid: Grid, short: dict[EventId, str] | None
) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, GAP, 0, 0))
    for place, heading in enumerate(headings):
        style = "dim" if place == 0 else "yellow" if place == len(headings) - 1 else ""
        width = _widest(headings, rows, place)
        table.add_column(heading, no_wrap=True, min_width=width, style=style, justify="left" if place else "right")
    if short is not None:
        table.add_column("value", overflow="fold", no_wrap=True)
    for row, cells in zip(grid.rows, rows, strict=True):
        value = [] if short is None else ["" if row.event is None else short[row.event.id]]
        table.add_row(*map(Text, [*cells, *value]))
    # Stated, so that nobody takes the part for the whole.
    if grid.left_out > 0:
        table.add_row("", f"… and {grid.left_out} more steps")
    return table


def _whole(cut_off: Sequence[EventId], whole: dict[EventId, str]) -> Table:
    """Key and value of each event whose value was cut."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, GAP, 0, 0))
    table.add_column("", no_wrap=True)
    table.add_column("", overflow="fold")
    for id_ in cut_off:
        table.add_row(Text(_line(str(id_)), style="dim"), Text(cut(whole[id_], MOST_OF_VALUE)))
    return table
