"""`chaoskit show`: a repro file as a report."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from chaoskit.commands.console import command_to_github, own_errors, say, show_renderable, write_out
from chaoskit.errors import ReproError
from chaoskit.report.saved import saved_replay, saved_report, saved_verdict
from chaoskit.repro import Repro, read, refused_as_one_line
from chaoskit.texts import in_line

STANDARD_OUTPUT = Path("-")


@click.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--html", metavar="OUT", type=click.Path(path_type=Path), help="Write a page for a browser.")
@click.option("--svg", metavar="OUT", type=click.Path(path_type=Path), help="Write the delivery as a picture.")
@click.option("--jsonl", metavar="OUT", type=click.Path(path_type=Path), help="Write JSON lines for other tools.")
@click.option(
    "--github",
    is_flag=True,
    help="Print an annotation for GitHub Actions, and append to the summary of the step where GITHUB_STEP_SUMMARY "
    "names its file.",
)
@click.option("--states", is_flag=True, help="Print the state after each step, too.")
def show(path: Path, html: Path | None, svg: Path | None, jsonl: Path | None, github: bool, states: bool) -> None:
    """Print a repro file as a report: what differed, the delivery, why. Nothing is run.

    With --html, --svg, --jsonl or --github it is written instead; OUT is a file, which is overwritten, or - for
    standard output.
    """
    outputs = {name: out for name, out in (("html", html), ("svg", svg), ("jsonl", jsonl)) if out is not None}
    with own_errors():
        sys.exit(_show(path, outputs, github, states))


def _show(path: Path, outputs: Mapping[str, Path], github: bool, states: bool) -> int:
    if path.is_dir():
        raise click.UsageError(f"{path} is a directory; show takes one repro file")
    _check(path, outputs, github or states)
    try:
        repro = read(path)
        with refused_as_one_line():
            return _reported(repro, outputs, github, states)
    except ReproError as error:
        say(f"{in_line(str(path))}: {error}", err=True)
        return 2


def _reported(repro: Repro, outputs: Mapping[str, Path], github: bool, states: bool) -> int:
    if states or not (outputs or github):
        show_renderable(saved_report(repro, states=states))
    code = max((_written(repro, kind, out) for kind, out in outputs.items()), default=0)
    return max(code, _github(repro) if github else 0)


def _check(path: Path, outputs: Mapping[str, Path], github: bool) -> None:
    """Nothing is written where two outputs would be one, or the repro file itself."""
    named = [out for out in outputs.values() if out != STANDARD_OUTPUT]
    if len(outputs) - len(named) + github > 1:
        raise click.UsageError("only one report can go to standard output")
    if len({out.resolve() for out in named}) < len(named):
        raise click.UsageError("two reports cannot be one file")
    for out in named:
        if out.resolve() == path.resolve():
            raise click.UsageError(f"{out} is the repro file itself; the report needs another name")
        if out.is_dir():
            raise click.UsageError(f"{out} is a directory; the report needs the name of a file")


def _written(repro: Repro, kind: str, out: Path) -> int:
    from chaoskit.report.files import why_not, write

    text = _text(repro, kind)
    if out == STANDARD_OUTPUT:
        write_out(text.encode())
        return 0
    try:
        write(out, text)
    except OSError as error:
        say(why_not(out, error), err=True)
        return 2
    return 0


def _text(repro: Repro, kind: str) -> str:
    from chaoskit.report.lines import json_lines
    from chaoskit.report.page import page
    from chaoskit.report.picture import svg

    verdict = saved_verdict(repro)
    if kind == "svg":
        return svg(verdict)
    if kind == "html":
        return page(verdict, replay=saved_replay(repro))
    return json_lines(verdict, replay=saved_replay(repro))


def _github(repro: Repro) -> int:
    from chaoskit.report.files import why_not
    from chaoskit.report.github import annotation, entry_of, summary

    one = entry_of(saved_verdict(repro), replay=saved_replay(repro))
    command_to_github(annotation(one, file=repro.test.partition("::")[0]))
    target = os.environ.get("GITHUB_STEP_SUMMARY")
    if not target:
        return 0
    try:
        with open(target, "a", encoding="utf-8") as file:
            file.write(summary([one]))
    except OSError as error:
        say(why_not(Path(target), error), err=True)
        return 2
    return 0
