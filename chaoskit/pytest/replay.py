"""Run pytest over the tests that repro files name. The names are checked first and never become options."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest

from chaoskit.repro.location import outside, root_of
from chaoskit.repro.read import Repro
from chaoskit.repro.replay import Answer

NOT_COLLECTED = (
    "{test} is not a chaos test that pytest collects by itself here (testpaths, python_files, what it ignores), and no "
    "repro file makes it import another. If the file is one of yours, name it: pytest PATH --chaos-replay=REPRO"
)

IMPORTED_ALREADY = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
"""For a pytest in a process that has imported Hypothesis, which pytest would like to rewrite: no error of the
project's."""


class Sink:
    """A pytest plugin that collects the answers of a replay."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.errors: dict[str, str] = {}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.errors[report.nodeid.split("::")[0]] = last_line(report.longreprtext)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and report.when != "call":
            self.errors[report.nodeid] = last_line(report.longreprtext)


def last_line(text: str) -> str:
    """Of an error as pytest prints it: what it says."""
    lines = [line.strip() for line in text.splitlines() if line.startswith("E ")] or text.strip().splitlines()
    return lines[-1].removeprefix("E").strip() if lines else "no reason was given"


def replay_with_pytest(repros: Sequence[Repro], directory: Path, rootdir: Path | None = None) -> list[Answer]:
    """One answer for each repro, in order. `rootdir` is pytest's; else it is looked for from `directory` upwards."""
    answers: dict[int, Answer] = {}
    by_root: dict[Path, list[int]] = {}
    for number, repro in enumerate(repros):
        root = (rootdir or root_of(repro.test, directory)).resolve()
        # Before pytest is started: it would import whatever the file names.
        if why := outside(repro.test, root):
            answers[number] = Answer("CANNOT REPLAY", repro.path, repro.test, why)
        else:
            by_root.setdefault(root, []).append(number)
    for root, numbers in by_root.items():
        sink, code, output = _run([repros[number] for number in numbers], root)
        found = {(answer.path.resolve(), answer.test): answer for answer in sink.answers}
        for number in numbers:
            repro = repros[number]
            missing = Answer("CANNOT REPLAY", repro.path, repro.test, _why(repro, sink, code, output))
            answer = found.get((repro.path.resolve(), repro.test), missing)
            answers[number] = attrs.evolve(answer, path=repro.path)
    return [answers[number] for number in range(len(repros))]


def _run(repros: Sequence[Repro], root: Path) -> tuple[Sink, int, str]:
    options = [f"--chaos-replay={repro.path.resolve()}" for repro in repros]
    quiet = ["-q", *IMPORTED_ALREADY, "--continue-on-collection-errors"]
    # No file is named: pytest collects what it always does here, and of that the plugin takes what is asked for.
    arguments = [f"--rootdir={root}", *quiet, *options]
    sink, output = Sink(), io.StringIO()
    with contextlib.chdir(root), contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = int(pytest.main(arguments, plugins=[sink]))
    return sink, code, output.getvalue()


def _why(repro: Repro, sink: Sink, code: int, output: str) -> str:
    file = repro.test.partition("::")[0]
    for place, error in sink.errors.items():
        if place == repro.test or place == file:
            return f"{place}: {error}"
    if code in (0, 1, 5):
        return NOT_COLLECTED.format(test=repro.test)
    return f"pytest stopped: {last_words(output) or f'exit code {code}'}"


_COUNTS = re.compile(r"[=\s]*(\d+ \w+(, )?)+( in [\d.]+s)?[=\s]*|no tests ran.*|[=!]+.*[=!]+")
"""The line of pytest that counts outcomes, and its rulers: they do not say why it stopped."""


_ERROR = re.compile(r"E  |ERROR(?!: usage)|INTERNALERROR>|[^ ]*: error: ")


def last_words(output: str) -> str:
    """What pytest printed last: errors where there are any, else the last line that says something."""
    lines = [line.strip() for line in output.splitlines() if line.strip() and not _COUNTS.fullmatch(line.strip())]
    errors = [line for line in lines if _ERROR.match(line)]
    last = (errors or lines)[-1:]
    return " ".join(last).removeprefix("E ").removeprefix("INTERNALERROR>").strip()
