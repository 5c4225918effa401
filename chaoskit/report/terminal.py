"""The report of a verdict as text: what differs, the delivery, why, what rules it out, how to replay it."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from io import StringIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chaoskit.faults import Overtake
from chaoskit.invariant import DIED
from chaoskit.outcome import Raised
from chaoskit.report.timeline import timeline
from chaoskit.scenario import Scenario
from chaoskit.state import only_rounding
from chaoskit.verdict import Verdict

WIDTH = 100
MOST_DIFFERENCES = 12


def as_text(verdict: Verdict, *, replay: str | None = None, width: int = WIDTH) -> str:
    """The report without colours, for logs and files."""
    return plain(report(verdict, replay=replay), width)


def plain(renderable: RenderableType, width: int = WIDTH) -> str:
    """Without colours and trailing blanks."""
    console = Console(file=StringIO(), width=width, color_system=None, force_terminal=False, highlight=False)
    console.print(renderable, crop=False)
    assert isinstance(console.file, StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def report(verdict: Verdict, *, replay: str | None = None) -> RenderableType:
    """The report as something rich can print. `replay` is the command that plays the failure again, or why there is
    no file."""
    if verdict.status == "unknown":
        return Group(*_unknown(verdict))
    if verdict.status == "held":
        return Group(
            *[Text(line, style="green" if number == 0 else "") for number, line in enumerate(held_lines(verdict))]
        )
    return Group(*_violated(verdict, replay))


def headline(verdict: Verdict) -> str:
    """One line: what the verdict is."""
    name = verdict.test.rsplit("::", 1)[-1] if verdict.test else "the test"
    if verdict.status == "held":
        return f"{name} held"
    if verdict.status == "unknown":
        return f"{name} has shown nothing: {'; '.join(verdict.reasons)}"
    assert verdict.scenario is not None
    kinds = " and ".join(dict.fromkeys(type(fault).__name__ for fault in verdict.scenario.faults))
    broker = type(verdict.scenario.broker).__name__
    across = " across keys" if verdict.label == "across keys" else ""
    return f"{name} does not survive {kinds}{across}, which {broker} can do: {verdict.violations[0].message}"


def held_lines(verdict: Verdict) -> list[str]:
    """What a passing run has shown, and what has to be known about it."""
    tally = verdict.tally
    shown = [", ".join(tally.effective)] if tally.effective else []
    if tally.all_singles:
        shown.append("every schedule with a single fault")
    if tally.not_tried:
        shown.append(f"never came about: {', '.join(tally.not_tried)}")
    kinds = f" ({'; '.join(shown)})" if shown else ""
    return [f"held: {tally.schedules:,} schedules of {_count(tally.streams, 'stream')}{kinds}", *verdict.notes]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")


def _indented(text: str | Text) -> Padding:
    return Padding(Text(text) if isinstance(text, str) else text, (0, 0, 0, 2))


def _unknown(verdict: Verdict) -> Iterator[RenderableType]:
    yield Text("unknown: this run has shown nothing, so it does not pass.", style="bold yellow")
    for reason in verdict.reasons:
        yield _indented(f"- {reason}")
    if verdict.tally.schedules:
        yield _indented(f"Tried: {held_lines(verdict)[0].removeprefix('held: ')}.")
    yield Text('If that is all that can be shown here, say why: chaos(..., allow_unknown="why") skips visibly.')


def _violated(verdict: Verdict, replay: str | None) -> Iterator[RenderableType]:
    assert verdict.scenario is not None
    assert verdict.schedule is not None
    scenario = verdict.scenario
    broker = type(scenario.broker).__name__
    yield _heading("What differs")
    yield from _differences(verdict)
    yield _heading(f"The delivery ({_size(scenario)}{_smallest(verdict)})")
    yield _indented_renderable(timeline(scenario, verdict.schedule))
    yield _heading("What happened")
    for number, (_, sentence) in enumerate(scenario.broker.explain(verdict.schedule, scenario.events), start=1):
        yield _indented(f"{number}. {sentence}.")
    if verdict.label is not None:
        yield _indented(_label(verdict, broker, scenario.broker.promises_no_order))
    yield _heading("What rules it out")
    kinds = dict.fromkeys(type(fault) for fault in scenario.faults)
    for kind in [Overtake] if verdict.label == "across keys" else kinds:
        yield _indented(f"{kind.__name__}: {scenario.broker.ruled_out_by(kind)}.")
    if replay:
        yield _heading("Replay")
        yield _uncut(replay, style="bold cyan")


def _uncut(line: str, style: str = "") -> Text:
    """A line that is to be copied, or that somebody else made: never wrapped."""
    return Text(f"  {line}", style=style, no_wrap=True, overflow="ignore")


def _indented_renderable(renderable: RenderableType) -> Padding:
    return Padding(renderable, (0, 0, 0, 2))


def _size(scenario: Scenario) -> str:
    return f"{_count(len(scenario.events), 'event')}, {_count(len(scenario.faults), 'fault')}"


def _smallest(verdict: Verdict) -> str:
    """A run that takes its process with it is not made smaller."""
    return ", as drawn" if verdict.violations[0].invariant == DIED else ", minimal"


def _differences(verdict: Verdict) -> Iterator[RenderableType]:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
    for column in ("", "in order", "observed"):
        table.add_column(column, overflow="fold")
    found = [difference for violation in verdict.violations for difference in violation.differences]
    for difference in found[:MOST_DIFFERENCES]:
        cells = (difference.path, _short(difference.expected), _short(difference.observed))
        table.add_row(*map(Text, cells))
    if found:
        yield _indented_renderable(table)
    if len(found) > MOST_DIFFERENCES:
        yield _indented(f"and {len(found) - MOST_DIFFERENCES} more")
    if found and all(map(only_rounding, found)):
        yield _indented("Only rounding differs: the sum of floats depends on their order. Use integers or Decimal.")
    messages = list(dict.fromkeys(v.message for v in verdict.violations if not v.differences))
    yield from (_indented(message) for message in messages[:MOST_DIFFERENCES])
    if verdict.outcome is not None:
        yield from _tracebacks(verdict.outcome.refused, verdict.outcome.failure)


def _tracebacks(refused: Sequence[Raised], failure: Exception | None) -> Iterator[RenderableType]:
    errors = [raised.error for raised in refused] + ([failure] if failure is not None else [])
    for text in list(dict.fromkeys(map(_traceback, errors)))[:3]:
        yield from (_uncut(line) for line in text.splitlines())


def _traceback(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)[1:] or traceback.extract_tb(error.__traceback__)
    return "".join([*traceback.format_list(frames), *traceback.format_exception_only(error)]).rstrip()


def _label(verdict: Verdict, broker: str, no_order: str) -> str:
    if verdict.label == "across keys":
        return (
            f"Across keys: some order that {broker} may choose without any fault gives this result, too. These "
            "events lie in different partitions, and nothing fixed their order. If either result is right, "
            'chaos(across_keys="any") accepts it.'
        )
    if verdict.label == "within" and no_order:
        return f"Within a key: {no_order}"
    if verdict.label == "within":
        return "Within a key or partition: it takes what is told above; no order without a fault gives this result."
    return "Whether an order without any fault gives this result, too, was not decided: there are too many orders."


def _short(value: object, limit: int = 200) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
