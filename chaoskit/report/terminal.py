"""The report of a verdict as text: what differs, the delivery, why, what rules it out, how to replay it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from io import StringIO

from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chaoskit.report.console import PROSE, HarmlessConsole
from chaoskit.report.deaths import DIED, FAILED
from chaoskit.report.delivery import DeliveryTable
from chaoskit.report.effects import EFFECTS, MOST_ROWS
from chaoskit.report.overlaps import STOPPED
from chaoskit.report.self_check import self_check_remarks
from chaoskit.report.summary import NO_STATES, Beside, Summary, found_lines, pair, summary_of, tried
from chaoskit.report.summary import headline as headline
from chaoskit.report.summary import held_lines as held_lines
from chaoskit.report.summary import short as short
from chaoskit.report.tolerance import TOLERATES, ToleranceTable
from chaoskit.report.values import visible
from chaoskit.values.tolerance import Tolerance
from chaoskit.values.verdict import Verdict

LOG = 120
"""Columns where there is no terminal to ask."""
NARROWEST = 60


def width_here() -> int:
    """Of the terminal, or of COLUMNS; 120 in a log."""
    return max(NARROWEST, shutil.get_terminal_size((LOG, 24)).columns)


def as_text(
    verdict: Verdict, *, replay: str | None = None, width: int | None = None, seed_option: str = "seed="
) -> str:
    """The report without colours, for logs and files. `width`: in columns; None: as wide as the terminal.
    `seed_option` is what takes the seed that finds it again."""
    text = plain(report(verdict, replay=replay), width)
    found = [] if verdict.status == "held" else found_lines(verdict, seed_option)
    return "\n".join([text, *found, ""]) if found else text


def plain(renderable: RenderableType, width: int | None = None) -> str:
    """Without colours and trailing blanks."""
    console = HarmlessConsole(
        file=StringIO(), width=width or width_here(), color_system=None, force_terminal=False, highlight=False
    )
    # Not cropped: a command to copy may be longer than any terminal.
    console.print(renderable, crop=False)
    assert isinstance(console.file, StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().split("\n")).rstrip("\n") + "\n"


def report(verdict: Verdict, *, replay: str | None = None, states: bool = False) -> RenderableType:
    """The report as something rich can print. `replay` is the command that plays the failure again, or why there is
    no file. `states`: with the state after each step."""
    if verdict.status == "unknown":
        return Group(*_unknown(verdict), *_tolerance(verdict.tolerance))
    if verdict.status == "held":
        lines = [Text(line, style="green" if number == 0 else "") for number, line in enumerate(held_lines(verdict))]
        return Group(*lines, *_tolerance(verdict.tolerance))
    return Group(*_violated(verdict, replay, states))


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _indented(text: str) -> RenderableType:
    """A paragraph."""
    return Constrain(Padding(Text(visible(text)), (0, 0, 0, 2)), PROSE)


def _unknown(verdict: Verdict) -> Iterator[RenderableType]:
    yield Text("unknown: this run has shown nothing, so it does not pass.", style="bold yellow")
    for reason in verdict.reasons:
        yield _indented(f"- {reason}")
    if shown := tried(verdict):
        yield _indented(f"Tried: {shown}.")
    yield from map(_indented, self_check_remarks(verdict.self_check))
    yield Text('If that is all that can be shown here, say why: chaos(..., allow_unknown="why") skips visibly.')


def _violated(verdict: Verdict, replay: str | None, states: bool) -> Iterator[RenderableType]:
    found = summary_of(verdict)
    yield _heading("What differs")
    yield from _differences(found)
    if found.effects:
        yield _heading(EFFECTS)
        yield from _effects(found)
    yield _heading(f"The delivery ({found.size})")
    yield _indented_renderable(DeliveryTable(found.grid, found.read))
    if states:
        yield _heading("The state after each step")
        yield from _states(found)
    yield from _what_happened(found)
    yield from _remedies(found)
    yield from _repairs(found)
    if found.boundary:
        yield _heading("What has to stay in order")
        yield from (_indented(f"{line[0].upper()}{line[1:]}.") for line in found.boundary)
    yield from _tolerance(verdict.tolerance)
    if replay:
        yield _heading("Replay")
        yield _uncut(replay, style="bold cyan")


def _what_happened(found: Summary) -> Iterator[RenderableType]:
    """In sentences, and then in the source: where the handler was when something happened inside of it."""
    yield _heading("What happened")
    for number, sentence in enumerate(found.sentences, start=1):
        yield _indented(f"{number}. {sentence}.")
    for line in found.besides:
        yield _indented(f"{line}.")
    if found.label:
        yield _indented(found.label)
    for heading, lines in ((DIED, found.deaths), (FAILED, found.failures), (STOPPED, found.overlaps)):
        if lines:
            yield _heading(heading)
            yield from map(_uncut, lines)


def _remedies(found: Summary) -> Iterator[RenderableType]:
    if found.remedies:
        yield _heading("What rules it out")
    for kind, remedy in found.remedies:
        yield _indented(f"{kind}: {remedy}.")
    for _, advice in found.advice:
        yield _indented(f"In the handler: {advice}.")


def _tolerance(tolerance: Tolerance | None) -> Iterator[RenderableType]:
    """Where somebody has asked for it."""
    if tolerance is not None:
        yield _heading(TOLERATES)
        yield _indented_renderable(ToleranceTable(tolerance))


def tolerance_lines(tolerance: Tolerance | None, width: int) -> list[str]:
    """The same without colours, for lines that stand under the name of a test that passes."""
    return plain(Group(*_tolerance(tolerance)), width).strip("\n").splitlines() if tolerance is not None else []


def _repairs(found: Summary) -> Iterator[RenderableType]:
    """Where somebody has asked for it."""
    if not (found.repairs or found.clashes):
        return
    yield _heading("What repairs it")
    if found.damage:
        yield _indented(f"{found.damage}.")
    if found.no_repair:
        yield _indented(found.no_repair)
    for text in found.repairs:
        yield _indented(text.says)
        if text.needs:
            yield Padding(_indented(text.needs), (0, 0, 0, 2))
        yield from (_uncut(f"    {line}") for line in text.code.splitlines())
    for clash in found.clashes:
        yield _indented(clash)


def _uncut(line: str, style: str = "") -> Text:
    """A line that is to be copied, or that somebody else made: never wrapped."""
    return Text(f"  {visible(line)}", style=style, no_wrap=True, overflow="ignore")


def _indented_renderable(renderable: RenderableType) -> Padding:
    return Padding(renderable, (0, 0, 0, 2))


def _differences(found: Summary) -> Iterator[RenderableType]:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
    for column in ("", "in order", "observed"):
        table.add_column(column, overflow="fold")
    for difference in found.differences:
        cells = (difference.path, *pair(difference.expected, difference.observed))
        table.add_row(*(Text(visible(cell)) for cell in cells))
    if found.differences:
        yield _indented_renderable(table)
    if found.more:
        yield _indented(f"and {found.more} more")
    yield from map(_indented, found.remarks)
    for text in found.tracebacks:
        yield from (_uncut(line) for line in text.splitlines())


def _effects(found: Summary) -> Iterator[RenderableType]:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
    for column in ("", "in order", "observed"):
        table.add_column(column, overflow="fold")
    for row in found.effects[:MOST_ROWS]:
        table.add_row(*(Text(visible(cell)) for cell in (row.what, row.in_order, row.observed)))
    yield _indented_renderable(table)
    if len(found.effects) > MOST_ROWS:
        yield _indented(f"and {len(found.effects) - MOST_ROWS} more")


def _states(found: Summary) -> Iterator[RenderableType]:
    """One line for each step that is shown. What a file of before does not have cannot be shown."""
    if not found.beside:
        yield _indented(NO_STATES)
        return
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
    table.add_column("", justify="right", style="dim")
    for column in ("in order", "", "observed", ""):
        table.add_column(column, overflow="fold")
    for row in found.grid.rows:
        beside = found.beside[row.last - 1]
        number = str(row.last)
        mark = "← the first difference" if beside.first_difference else ""
        style = "bold red" if beside.first_difference else ""
        cells = (number, state_text(beside.in_order), in_order_note(beside), state_text(beside.observed), mark)
        table.add_row(*(Text(visible(cell), style=style) for cell in cells))
    yield _indented_renderable(table)


def state_text(state: object) -> str:
    return "–" if state is None else short(state)


def in_order_note(beside: Beside) -> str:
    """With what the in-order state is to be compared."""
    if beside.in_order_after is None:
        return ""
    missing = ", ".join(map(str, beside.missing))
    return f"after {beside.in_order_after}" + (f"; here {missing} is still missing" if missing else "")
