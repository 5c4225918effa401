"""The delivery as a picture: a standalone SVG file, and the same inside the page.

Time runs down, a lane is a column. A full box is a message that the handler saw, a dashed one a message that it was not
shown or refused, an arrow leads from a message to where it comes again, a number in a circle to a sentence.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

import attrs
from rich.cells import cell_len

from chaoskit.report.effects import MOST_ROWS
from chaoskit.report.style import PICTURE, palette
from chaoskit.report.summary import Summary, summary_of
from chaoskit.report.timeline import Grid, Row
from chaoskit.report.traced import Traced, traced
from chaoskit.report.values import cut, in_markup, visible
from chaoskit.values.verdict import Verdict

ROW = 36
"""Height of a step, in pixels as all that follows."""
HEAD = 34
NODE = 24
LETTER = 7.4
"""The width of a letter of a cell, a little more than any usual font needs."""
GUTTER = 40
CONSUMER = 92
BEND = 26
"""The room beside a box."""
MOST_LETTERS = 28
"""Of a lane's name or a cell."""
MOST_OF_MARK = 40
LINE = 84
"""Letters of a line of text in the standalone file."""
STEP = 20
"""From one line of text to the next."""
MOST_TRACED = 80
"""Lines of source and effects below it."""


@attrs.frozen
class PictureLayout:
    """Where things are: the left edge and the width of the lanes, the column of what is written beside a step."""

    left: float
    lane: float
    lanes: int
    marks: float
    width: float
    top: float

    def middle(self, lane: int) -> float:
        return self.left + (lane + 0.5) * self.lane

    def y(self, place: int) -> float:
        return self.top + HEAD + (place + 0.5) * ROW


def svg(verdict: Verdict) -> str:
    """A violated verdict as a file of its own: title, description, the delivery, and the sentences below it."""
    return "\n".join(_standalone(summary_of(verdict))) + "\n"


def picture(found: Summary) -> str:
    """The delivery alone, for a page that brings the style; its table says the same in words."""
    layout = _layout(found.grid, 0)
    height = _height(found.grid, layout) + 8
    lines = [_opening(layout.width, height, "The delivery as a picture; the table below says the same"), *_body(found)]
    return "\n".join([*lines, "</svg>"])


def _standalone(found: Summary) -> Iterator[str]:
    heading = _wrapped(found.headline, LINE - 10)
    top = 26 + STEP * len(heading)
    layout = _layout(found.grid, top)
    notes = [
        (f"{number}." if place == 0 else "", line)
        for number, sentence in enumerate(found.sentences, start=1)
        for place, line in enumerate(_wrapped(f"{sentence}.", LINE))
    ]
    y = _height(found.grid, layout) + 24
    below = _traced_lines(traced(found))
    widest = max((cell_len(line) for line, is_heading in below if not is_heading), default=0)
    width = max(layout.width, max(LINE, widest) * LETTER + 40)
    height = y + STEP * (len(notes) + len(below))
    yield _opening(width, height, None)
    yield f'<title id="chaoskit-title">{_text(found.headline)}</title>'
    yield f'<desc id="chaoskit-desc">{_text(_description(found))}</desc>'
    yield f"<style>{palette('.picture')}{PICTURE}.picture {{ background: var(--paper); }}</style>"
    yield f'<rect width="{width:g}" height="{height:g}" fill="var(--paper)"/>'
    for place, line in enumerate(heading):
        yield f'<text x="12" y="{28 + STEP * place}" class="title">{_text(line)}</text>'
    yield from _body(found, top)
    for place, (number, line) in enumerate(notes):
        yield f'<text class="mark" x="12" y="{y + STEP * place:g}">{number}</text>'
        yield f'<text x="34" y="{y + STEP * place:g}">{_text(line)}</text>'
    for place, (line, is_heading) in enumerate(below, start=len(notes)):
        kind = "heading" if is_heading else "traced"
        yield f'<text class="{kind}" x="12" y="{y + STEP * place:g}" xml:space="preserve">{_text(line)}</text>'
    yield "</svg>"


def _traced_lines(parts: Sequence[Traced]) -> list[tuple[str, bool]]:
    """The lines, each with whether it is a heading, above which one is left free."""
    lines = [each for part in parts for each in (("", False), (part.heading, True), *_lines(part))]
    return [*lines[:MOST_TRACED], ("…", False)] if len(lines) > MOST_TRACED else lines


def _lines(part: Traced) -> Iterator[tuple[str, bool]]:
    return ((visible(line), False) for line in part.lines)


def _opening(width: float, height: float, label: str | None) -> str:
    named = f'aria-label="{label}"' if label else 'aria-labelledby="chaoskit-title chaoskit-desc"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="picture" role="img" {named} '
        f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}">'
    )


def _layout(grid: Grid, top: float) -> PictureLayout:
    cell = max((len(_short(row.cell)) for row in grid.rows if row.boxed), default=0)
    name = max((len(_short(name)) for name in grid.lanes), default=0)
    lane = max(104.0, cell * LETTER + 2 * BEND + 12, name * LETTER + 16)
    left = GUTTER + (CONSUMER if grid.workers else 0)
    lanes = max(1, len(grid.lanes))
    marks = left + lanes * lane + 10
    longest = max((len(_short(row.mark, MOST_OF_MARK)) for row in grid.rows), default=0)
    return PictureLayout(left, lane, lanes, marks, marks + 34 + max(longest, 16) * LETTER + 12, top)


def _height(grid: Grid, layout: PictureLayout) -> float:
    return layout.y(len(grid.rows) + bool(grid.left_out)) - ROW / 2


def _body(found: Summary, top: float = 0) -> Iterator[str]:
    grid, layout = found.grid, _layout(found.grid, top)
    places = {row.number: place for place, row in enumerate(grid.rows)}
    yield (
        '<defs><marker id="chaoskit-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path class="head" d="M0 0 8 4 0 8z"/></marker></defs>'
    )
    for lane, name in enumerate(grid.lanes):
        x = layout.middle(lane)
        yield f'<text class="lane" x="{x:g}" y="{top + 20:g}" text-anchor="middle">{_text(_short(name))}</text>'
        yield (f'<line class="track" x1="{x:g}" x2="{x:g}" y1="{top + HEAD - 4:g}" y2="{_height(grid, layout):g}"/>')
    for row in grid.rows:
        if row.origin in places and row.boxed:
            yield _arrow(layout, grid.rows[places[row.origin]], row, places)
    for place, row in enumerate(grid.rows):
        first = bool(found.beside) and found.beside[row.last - 1].first_difference
        yield from _row(layout, row, place, grid.workers, first)
    if grid.left_out:
        y = layout.y(len(grid.rows)) + 4
        yield f'<text class="number" x="{layout.left:g}" y="{y:g}">… and {grid.left_out} more steps</text>'


def _row(layout: PictureLayout, row: Row, place: int, workers: bool, first: bool) -> Iterator[str]:
    y = layout.y(place)
    number = str(row.number) if row.last == row.number else f"{row.number}–{row.last}"
    yield f'<g data-step="{row.number}" class="{_kind(row)}">'
    yield f'<rect class="row" x="0" y="{y - ROW / 2:g}" width="{layout.width:g}" height="{ROW}"/>'
    if first:
        yield f'<line class="first-line" x1="1" x2="1" y1="{y - ROW / 2:g}" y2="{y + ROW / 2:g}"/>'
    yield f'<text class="number" x="{GUTTER - 12}" y="{y + 4:g}" text-anchor="end">{number}</text>'
    if workers and row.step is not None:
        yield f'<text class="number" x="{GUTTER}" y="{y + 4:g}">consumer {row.step.consumer}</text>'
    if row.boxed:
        yield from _node(layout, row, y)
    elif row.step is not None:
        left = layout.left if row.lane is None else layout.left + row.lane * layout.lane
        right = layout.marks - 10 if row.lane is None else left + layout.lane
        yield f'<line class="stop" x1="{left + 6:g}" x2="{right - 6:g}" y1="{y:g}" y2="{y:g}"/>'
    yield from _mark(layout, row, y, first)
    yield "</g>"


def _kind(row: Row) -> str:
    """What the box looks like."""
    kinds = ["odd"] if row.sentence is not None else []
    if row.step is not None and row.step.action not in ("deliver", "die", "begin", "go on", "put back"):
        kinds.append("unseen")
    if row.step is not None and row.step.raised:
        kinds.append("raised")
    return " ".join(kinds)


def _node(layout: PictureLayout, row: Row, y: float) -> Iterator[str]:
    assert row.lane is not None
    x, text = layout.middle(row.lane), _short(row.cell)
    width = _node_width(row)
    yield (
        f'<rect class="node" x="{x - width / 2:g}" y="{y - NODE / 2:g}" width="{width:g}" height="{NODE}" '
        f'rx="{NODE / 2:g}"/>'
    )
    yield f'<text class="cell" x="{x:g}" y="{y + 4:g}" text-anchor="middle">{_text(text)}</text>'


def _node_width(row: Row) -> float:
    return max(44, len(_short(row.cell)) * LETTER + 22)


def _mark(layout: PictureLayout, row: Row, y: float, first: bool) -> Iterator[str]:
    x = layout.marks
    if row.sentence is not None:
        yield f'<circle class="badge" cx="{x + 9:g}" cy="{y:g}" r="9"/>'
        yield f'<text class="badge-number" x="{x + 9:g}" y="{y + 4:g}">{row.sentence}</text>'
    if first:
        # Two lines beside the step share its height.
        lift = 3 if row.mark else -4
        yield f'<text class="first" x="{x + 26:g}" y="{y - lift:g}" font-size="12">first difference</text>'
        y += 12 if row.mark else 0
    if row.mark:
        yield f'<text class="mark" x="{x + 26:g}" y="{y + 4:g}">{_text(_short(row.mark, MOST_OF_MARK))}</text>'


def _arrow(layout: PictureLayout, origin: Row, row: Row, places: dict[int, int]) -> str:
    """From the nearer sides of two boxes. Within a lane it swings out to the right, the further the longer it is."""
    start = row.lane if origin.lane is None else origin.lane
    assert start is not None
    assert row.lane is not None
    y1, y2 = layout.y(places[origin.number]), layout.y(places[row.number])
    if start == row.lane:
        x1 = layout.middle(start) + _node_width(origin) / 2
        x2 = layout.middle(start) + _node_width(row) / 2 + 1
        # Arrows of different lengths do not lie upon each other; after eight rows there is no more room.
        out = max(x1, x2) + 14 + 4 * min(8, places[row.number] - places[origin.number])
        path = f"M{x1:g} {y1:g}C{out:g} {y1:g} {out:g} {y2:g} {x2:g} {y2:g}"
    else:
        side = 1 if start < row.lane else -1
        x1 = layout.middle(start) + side * _node_width(origin) / 2
        x2 = layout.middle(row.lane) - side * (_node_width(row) / 2 + 1)
        half = (x1 + x2) / 2
        path = f"M{x1:g} {y1:g}C{half:g} {y1:g} {half:g} {y2:g} {x2:g} {y2:g}"
    return f'<path class="arrow" marker-end="url(#chaoskit-arrow)" d="{path}"/>'


def _description(found: Summary) -> str:
    """The picture in words, for who does not see it."""
    steps = [_in_words(row, found.grid.lanes) for row in found.grid.rows]
    sentences = [f"{number}: {line}." for number, line in enumerate(found.sentences, start=1)]
    effects = [f"{row.what}: in order {row.in_order}, observed {row.observed}." for row in found.effects[:MOST_ROWS]]
    return " ".join([*steps, *sentences, *effects])


def _in_words(row: Row, lanes: Sequence[str]) -> str:
    where = f" in {lanes[row.lane]}" if row.lane is not None else ""
    why = f", see {row.sentence}" if row.sentence is not None else ""
    what = ", ".join(part for part in (row.cell if row.boxed else "", row.mark) if part)
    return f"Step {row.number}{where}: {what}{why}."


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(cut(visible(text), 2000), width, break_long_words=True) or [""]


def _short(text: str, most: int = MOST_LETTERS) -> str:
    return cut(" ".join(visible(text).split()), most)


def _text(text: str) -> str:
    return in_markup(text)
