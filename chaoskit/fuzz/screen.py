"""What a job says: a live line in a terminal, plain lines now and then in a log, findings at once, and a summary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.live import Live
from rich.table import Table
from rich.text import Text

from chaoskit.fuzz.job import Finding
from chaoskit.fuzz.standing import Searched, Standing
from chaoskit.report.console import HarmlessConsole
from chaoskit.report.github import EntryStatus, ReportEntry
from chaoskit.search.distinct import EXACT
from chaoskit.values.duration import shown

EVERY = 10.0
"""Seconds between two lines in a log; later more, up to `RARELY`."""
RARELY = 60.0


class Screen:
    """Writes to `console`: in a terminal a last line that is always of now, in a log a line now and then."""

    def __init__(self, console: HarmlessConsole) -> None:
        self.console = console
        self._live: Live | None = None
        self._shown_at = 0.0

    @contextmanager
    def follows(self, line: Callable[[], str]) -> Iterator[None]:
        """Within this the last line of a terminal is what `line` gives."""
        if not self.console.is_terminal:
            yield
            return
        shown = Live(get_renderable=lambda: Text(line(), style="dim"), console=self.console, transient=True)
        with shown as self._live:
            yield
        self._live = None

    def begins(self, what: str) -> None:
        self.console.print(Text(what, style="bold"), soft_wrap=True)

    def say(self, what: str) -> None:
        self.console.print(Text(what), soft_wrap=True)

    def progress(self, line: str, elapsed: float) -> None:
        """For a log: this line, if it is some time since the last one."""
        # Ever more rarely: a night of a line each ten seconds is three thousand lines.
        if self._live is None and elapsed - self._shown_at >= min(RARELY, max(EVERY, elapsed / 10)):
            self._shown_at = elapsed
            self.console.print(Text(line), soft_wrap=True)

    def stopping(self) -> None:
        self.console.print(Text("stopping: the workers end what they are at, which takes some seconds", style="bold"))

    def note(self, test: str, note: str) -> None:
        self.console.print(Text.assemble(("note  ", "bold yellow"), f"{test}: {note}"), soft_wrap=True)

    def found(self, finding: Finding) -> None:
        """The whole report, at once: whoever stops the job has it already."""
        known = {"saved": " (a saved repro)", "corpus": " (from the shared corpus)"}.get(finding.source, "")
        report = Text.assemble((f"\nFOUND{known} ", "bold red"), f"{finding.report.strip()}\n")
        self.console.print(report, soft_wrap=True)

    def line(self, line: str) -> None:
        """A line that is not wrapped, such as a command to copy."""
        self.console.print(line, markup=False, soft_wrap=True)

    def command_to_github(self, line: str) -> None:
        """An annotation. Texts in it have GitHub's own escapes."""
        self.console.file.write(f"{line}\n")

    def summary(self, standing: Standing, errors: dict[str, str], elapsed: float, why: str) -> None:
        for line in summary(standing, errors, elapsed, why):
            self.console.print(line, soft_wrap=True)


def progress_line(standing: Standing, elapsed: float, time: float | None) -> str:
    """How the job stands, in one line."""
    if not standing.tests:
        return "collecting tests …"
    schedules, found = standing.schedules, len(standing.findings)
    rate = schedules / elapsed if elapsed else 0
    parts = [
        f"{shown(max(0.0, time - elapsed))} left" if time is not None else shown(elapsed),
        f"{schedules:,} schedules ({rate:,.0f}/s), {_about(standing.distinct)} distinct",
        " ".join(standing.effective) or "no fault yet",
        _count(found, "failure") if found else "no failure",
    ]
    return "  ".join(parts)


def _about(number: int) -> str:
    """Counted exactly only while there are few."""
    return f"{number:,}" if number < EXACT else f"about {float(f'{number:.3g}'):,.0f}"


def summary(standing: Standing, errors: dict[str, str], elapsed: float, why: str) -> Iterator[Text | Table]:
    """The job in the end: each test in a line, then what to do."""
    yield Text(f"\nSearched {_count(len(standing.tests), 'test')} for {shown(elapsed)}{why}.", style="bold")
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading in ("", "test", "schedules", "distinct", "kinds of fault"):
        table.add_column(heading, justify="left" if heading in ("", "test") else "right", overflow="fold")
    for test in sorted(standing.tests.values(), key=lambda test: test.name):
        word, style = _word(test)
        kinds = f"{len(test.effective)} of {len(test.effective) + len(test.not_tried)}"
        numbers = f"{test.schedules:,}", _about(test.different), kinds
        table.add_row(Text(word, style=style), Text(test.name), *map(Text, numbers))
    yield table
    for test in sorted(standing.tests.values(), key=lambda test: test.name):
        yield from (Text(finding.headline) for finding in test.findings.values())
        yield from (Text(f"{test.name}: {line}") for line in _remarks(test))
    for place, error in errors.items():
        yield Text(f"{place} could not be collected:\n{error}")
    yield Text(total(standing), style="bold red" if standing.findings else "bold")


def _word(test: Searched) -> tuple[str, str]:
    if test.findings:
        return "FAILED", "bold red"
    if test.ended == "broken" or (test.trouble and not test.latest and test.ended != "skipped"):
        return "ERROR", "bold red"
    if test.ended == "skipped":
        return "skipped", "yellow"
    if test.unknown and test.allowed:
        return "skipped", "yellow"
    return ("UNKNOWN", "bold yellow") if test.unknown or not test.latest else ("held", "green")


def _remarks(test: Searched) -> Iterator[str]:
    if test.trouble:
        yield test.trouble
    if test.not_tried:
        yield f"never came about: {', '.join(test.not_tried)}"
    if test.left_out:
        yield test.left_out
    if test.ended == "exhausted":
        yield "every kind of fault fails already: repair it, then there is more to search"
    if test.ended == "died":
        yield "it was not searched any further, since it takes its worker with it"
    if test.ended == "saturated":
        yield "the search sees nothing new any more: longer streams, more keys or partitions would give it more to try"
    if test.unknown and test.allowed:
        yield test.allowed
    if not test.trouble:
        yield from (f"unknown: {reason}" for reason in test.unknown)
        if not test.latest and not test.findings:
            yield "unknown: no slice of it ended in this time"


def entry(test: Searched) -> ReportEntry:
    """A test without a failure, for GitHub."""
    words: dict[str, EntryStatus] = {"ERROR": "error", "skipped": "skipped", "UNKNOWN": "unknown", "held": "held"}
    tried = f"{test.schedules:,} schedules, {_about(test.different)} distinct ({', '.join(test.effective)})"
    return ReportEntry(
        test.name, words[_word(test)[0]], "; ".join([*([tried] if test.latest else []), *_remarks(test)])
    )


def total(standing: Standing) -> str:
    """The last but one line: how much was tried, and what was found."""
    found = len(standing.findings)
    tried = f"{standing.schedules:,} schedules, {_about(standing.distinct)} distinct"
    return f"{tried}, {_count(found, 'failure') if found else 'no failure'}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
