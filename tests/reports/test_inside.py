"""What took place inside the handler, in every report: where its process was killed, which call failed, what two
executions did at once, and the effects that left."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

import chaoskit
from chaoskit import Crash, Event, Fail, Kafka, Overlap, Scenario
from chaoskit.invariants import effects_exactly_once, final_state
from chaoskit.report.columns import underlined
from reports.cases import EVIL, EVIL_KEY, Page, show, shown

ONE = [Event("alice", 1, id="e1")]
MAIL = 'deliver.effect("mail", message.value, key=message.key)'


class Table:
    """Each method is one effect."""

    def __init__(self) -> None:
        self.rows: dict[Any, Any] = {}
        self.ids: set[Any] = set()

    @chaoskit.atomic
    def knows(self, message: Any) -> bool:
        return message.id in self.ids

    @chaoskit.atomic
    def add(self, message: Any) -> None:
        self.rows[message.key] = self.rows.get(message.key, 0) + 1

    @chaoskit.atomic
    def mark(self, message: Any) -> None:
        self.ids.add(message.id)


def mails(deliver: Any) -> dict[Any, Any]:
    table = Table()

    def process() -> Any:
        def handle(message: Any) -> None:
            if not table.knows(message):
                deliver.effect("mail", message.value, key=message.key)
                table.add(message)
                table.mark(message)

        return handle

    deliver(spawn=process)
    return table.rows


def marks_in_finally(deliver: Any) -> dict[Any, Any]:
    table = Table()

    def handle(message: Any) -> None:
        if not table.knows(message):
            try:
                table.add(message)
                deliver.effect("mail", message.value, key=message.key)
            finally:
                table.mark(message)

    deliver(spawn=lambda: handle)
    return table.rows


def of(fault: Any, test: Any, directory: Path, events: list[Event] = ONE) -> Path:
    """A failure that was run and saved."""
    scenario = Scenario(events, Kafka(partitions=1), [fault])
    verdict = chaoskit.run(test, scenario, invariants=[final_state(), effects_exactly_once()])
    assert verdict.status == "violated"
    return verdict.save(directory)


def all_reports(repro: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """As text, each read by what reads it."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(directory / "summary.md"))
    annotation = show(repro, "--github").output
    markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
    summary = Page(markdown.render((directory / "summary.md").read_text(encoding="utf-8")))
    svg = ElementTree.fromstring(shown("svg", repro))
    return {
        "terminal": show(repro).output,
        "page": "\n".join(each.text for each in Page(shown("html", repro)).all()),
        "picture": "\n".join(each.text or "" for each in svg.iter("{http://www.w3.org/2000/svg}text")),
        "annotation": annotation.replace("%0A", "\n"),
        "summary": "\n".join(unescape(pre.text) for pre in summary.all("pre")),
    }


@pytest.mark.parametrize(
    ("fault", "test", "expression", "effect"),
    [
        (Crash("e1", point=2), mails, "table.add(message)", "once, at e1   twice, in steps 1 and 3"),
        (Fail("e1", point=2), marks_in_finally, "table.add(message)", "once, at e1   never"),
        (Overlap("e1", point=1), mails, MAIL, "once, at e1   twice, in steps 3 and 4"),
    ],
    ids=["killed", "failed", "two at once"],
)  # fmt: skip
def test_every_report_shows_the_place_and_the_effects(
    fault: Any, test: Any, expression: str, effect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file and the line, the expression underlined, and what left, with what keeps it; of two executions both
    columns."""
    repro = of(fault, test, tmp_path)
    for name, text in all_reports(repro, tmp_path, monkeypatch).items():
        underlined_there = rf"\(test_inside\.py:\d+\).*:\n +{re.escape(expression)}\n +\^{{{len(expression)}}}$"
        assert re.search(underlined_there, text, re.M), (name, text)
        if name != "page":  # which has cells
            assert effect in text, (name, text)
        if name in ("terminal", "page"):
            assert "no rollback takes back mail. Write what" in " ".join(text.split()), (name, text)
        if isinstance(fault, Overlap):
            assert re.search(r"e1, this execution +\| meanwhile$", text, re.M), (name, text)
            assert "| e1: table.mark(message)" in text, (name, text)


def test_a_handlers_long_line_is_cut_around_the_expression() -> None:
    """A file of somebody else's makes no report wider than it is; wide letters stand above their underline."""
    line, under = underlined("x = 1; " * 40 + "table.add(message)" + " # y" * 40, "table.add(message)", 280)
    assert len(line) <= 100
    assert line[under.index("^") :].startswith("table.add(message)")
    assert under.count("^") == len("table.add(message)")
    assert underlined('f("日本"); g()', "g()", 9) == ('f("日本"); g()', " " * 11 + "^^^")
    assert underlined("", "g()", 7) == ("g()", "^^^")
    assert underlined("g()", "g()", 10**9)[1].strip(" ^") == ""


def test_values_that_mean_harm_stay_text_in_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and values of effects, and lines of a file that somebody has edited."""
    repro = of(Crash("e1", point=2), mails, tmp_path, [Event(EVIL_KEY, EVIL, id="e1"), Event("bob", "x" * 9000)])
    text = repro.read_text(encoding="utf-8").replace("table.add(message)", r"</text></pre><script>\u001b```")
    repro.write_text(text, encoding="utf-8")
    reports = all_reports(repro, tmp_path, monkeypatch)
    for name, told in reports.items():
        assert "</text></pre><script>\\x1b```" in told, name
        assert not [sign for sign in told if ord(sign) < 32 and sign != "\n"], name
    lines = shown("svg", repro).splitlines()
    assert max(len(re.sub("<[^>]*>", "", unescape(line))) for line in lines if 'class="traced"' in line) <= 120
    assert Page(shown("html", repro)).only("script").text.startswith("\nconst rows")
