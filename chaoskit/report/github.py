"""What GitHub Actions shows: an annotation at the line of a test, and a summary of the run in Markdown.

Texts of the user's stand in annotations with GitHub's own escapes, and in Markdown as character references or in blocks
of code, where no sign has a meaning.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import attrs

from chaoskit.report.delivery import DeliveryTable
from chaoskit.report.files import why_not
from chaoskit.report.markdown import code, plain_markdown
from chaoskit.report.repairs import repair_lines
from chaoskit.report.summary import headline, held_lines, summary_of
from chaoskit.report.terminal import plain
from chaoskit.report.tolerance import as_markdown
from chaoskit.report.traced import Traced, traced
from chaoskit.report.values import cut, visible
from chaoskit.values.texts import for_log
from chaoskit.values.verdict import Verdict

MOST_BYTES = 1000 * 1024
"""GitHub drops a step's summary of more than 1 MiB whole."""
MOST_OF_MESSAGE = 4000
MOST_OF_TITLE = 160
MOST_OF_TIMELINE = 20_000
MOST_OF_SHOWN = 500
WIDTH = 120
"""Of a delivery in a summary."""

EntryStatus = Literal["held", "violated", "unknown", "error", "skipped"]


@attrs.frozen
class ReportEntry:
    """What one chaos test has to say. `shown`: what a passing run has shown, or why it did not pass, in a line;
    `timeline`, `happened`, `traced` and `replay` are there for a failure. `tolerance`: what it tolerates, as
    Markdown."""

    test: str
    status: EntryStatus
    shown: str = ""
    timeline: str = ""
    happened: tuple[str, ...] = ()
    replay: str = ""
    tolerance: str = ""
    traced: tuple[Traced, ...] = ()

    @property
    def failed(self) -> bool:
        return self.status in ("violated", "unknown", "error")


def entry_of(verdict: Verdict, *, replay: str | None = None) -> ReportEntry:
    entry = _entry(verdict, replay)
    return entry if verdict.tolerance is None else attrs.evolve(entry, tolerance=as_markdown(verdict.tolerance))


def _entry(verdict: Verdict, replay: str | None) -> ReportEntry:
    test = verdict.test or "a function without a name"
    if verdict.status == "held":
        return ReportEntry(test, "held", "; ".join(held_lines(verdict)).removeprefix("held: "))
    if verdict.status == "unknown":
        return ReportEntry(test, "unknown", headline(verdict))
    found = summary_of(verdict)
    return ReportEntry(
        test,
        "violated",
        found.headline,
        cut(plain(DeliveryTable(found.grid, found.read), WIDTH), MOST_OF_TIMELINE),
        tuple(f"{number}. {sentence}." for number, sentence in enumerate(found.sentences, start=1))
        + tuple(f"{line}." for line in found.besides)
        + ((found.label,) if found.label else ())
        + tuple(f"What rules it out: {kind}: {remedy}." for kind, remedy in found.remedies)
        + tuple(f"In the handler: {advice}." for _, advice in found.advice)
        + tuple(repair_lines(verdict))
        + found.boundary,
        replay or "",
        traced=traced(found),
    )


def packed(one: ReportEntry) -> str:
    """As a text that a test report can carry."""
    return json.dumps(attrs.asdict(one))


def unpacked(text: str) -> ReportEntry:
    data = json.loads(text)
    lines = tuple(Traced(each["heading"], tuple(each["lines"])) for each in data["traced"])
    return ReportEntry(**(data | {"happened": tuple(data["happened"]), "traced": lines}))


# Annotations.


def annotation(one: ReportEntry, *, file: str, line: int | None = None) -> str:
    """`::error file=…,line=…,title=…::message`, one line. `line` counts from 1."""
    place = {"file": file, "line": None if line is None else str(line), "title": cut(one.shown, MOST_OF_TITLE)}
    properties = ",".join(f"{name}={_property(value)}" for name, value in place.items() if value)
    lines = (line for part in one.traced for line in (f"{part.heading}:", *(f"  {line}" for line in part.lines)))
    replay = f"\nTo replay: {one.replay}" if one.replay else ""
    message = cut("\n".join([one.shown, *one.happened, *lines]), max(0, MOST_OF_MESSAGE - len(replay)))
    return f"::error {properties}::{_message(cut(f'{message}{replay}', MOST_OF_MESSAGE))}"


def _message(text: str) -> str:
    """GitHub's own escapes of what would end a command; the per cent sign first, which they are made of."""
    return for_log(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


# The step summary.


def summary(entries: Iterable[ReportEntry], most: int = MOST_BYTES) -> str:
    """The table of all tests, and below it each failure, for as long as there is room: `most` bytes of UTF-8."""
    # Failures first, as what comes last may have no room.
    known = sorted(entries, key=lambda one: (not one.failed, one.test))
    parts = ["## chaoskit\n\n", "| | test | what it has shown |\n|---|---|---|\n"]
    parts += [_table_row(one) for one in known]
    parts += [_failure(one) for one in known if one.failed and (one.timeline or one.replay)]
    parts += [f"\n{one.tolerance}" for one in known if one.tolerance]
    return _fitting(parts, most)


def append_to_step_summary(entries: Iterable[ReportEntry]) -> str:
    """Append to the file that GITHUB_STEP_SUMMARY names, if it does. The answer says what went wrong."""
    target = os.environ.get("GITHUB_STEP_SUMMARY")
    if not target:
        return ""
    try:
        with open(target, "a", encoding="utf-8") as file:  # to it: earlier commands of the step have written there
            file.write(summary(entries))
    except OSError as error:
        return why_not(Path(target), error)
    return ""


def _fitting(parts: Sequence[str], most: int) -> str:
    """Whole rows and whole failures, those that come first; and how many there was no room for."""
    whole: list[str] = []
    left = most - 100  # for the sentence about those that are left out
    for number, part in enumerate(parts):
        left -= len(part.encode())
        if left < 0:
            return "".join([*whole, f"\n\nThere is no room here for {len(parts) - number} more.\n"])
        whole.append(part)
    return "".join(whole)


_WORDS: dict[EntryStatus, str] = {
    "held": "✅ held",
    "violated": "❌ violated",
    "unknown": "❔ unknown",
    "error": "⚠️ error",
    "skipped": "⏭️ skipped",
}


def _table_row(one: ReportEntry) -> str:
    return f"| {_WORDS[one.status]} | {code(one.test)} | {plain_markdown(cut(one.shown, MOST_OF_SHOWN))} |\n"


def _failure(one: ReportEntry) -> str:
    lines = [f"\n### {code(one.test)}\n", f"{plain_markdown(one.shown)}\n"]
    if one.timeline:
        lines.append(_block(one.timeline))
    lines += [f"{plain_markdown(sentence)}\n" for sentence in one.happened]
    for part in one.traced:
        lines += [f"{plain_markdown(part.heading)}\n", _block(cut("\n".join(part.lines), MOST_OF_TIMELINE))]
    if one.replay:
        lines.append(_block(one.replay))
    return "\n".join(lines)


def _block(text: str) -> str:
    """A code block whose fence is longer than any in the text."""
    shown = visible(text).rstrip("\n")
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", shown)), default=0))
    return f"{fence}text\n{shown}\n{fence}\n"
