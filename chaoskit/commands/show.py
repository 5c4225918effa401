"""`chaoskit show`: repro files as reports."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import click

from chaoskit.commands.console import command_to_github, own_errors, say, show_renderable, write_out
from chaoskit.commands.replay import repro_files
from chaoskit.report.files import why_not, write
from chaoskit.report.github import annotation, append_to_step_summary, entry_of
from chaoskit.report.lines import json_lines
from chaoskit.report.page import page
from chaoskit.report.picture import svg
from chaoskit.report.saved import saved_replay, saved_report, saved_verdict
from chaoskit.repro.read import Repro, read, refused_as_one_line
from chaoskit.values.errors import ReproError
from chaoskit.values.texts import in_line

STANDARD_OUTPUT = Path("-")


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
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
def show(
    paths: tuple[Path, ...], html: Path | None, svg: Path | None, jsonl: Path | None, github: bool, states: bool
) -> None:
    """Print repro files as reports: what differed, the delivery, why. Nothing is run.

    PATH is a repro file, a directory of them, or the zip file of a CI artifact, as for `chaoskit replay`. With --html,
    --svg, --jsonl or --github they are written instead; OUT is a file, which is overwritten, or - for standard output.
    Of several repro files OUT is a directory, in which each report has the name of its file.
    """
    outputs = {name: out for name, out in (("html", html), ("svg", svg), ("jsonl", jsonl)) if out is not None}
    with own_errors():
        sys.exit(_show(paths, outputs, github, states))


def _show(paths: Sequence[Path], outputs: Mapping[str, Path], github: bool, states: bool) -> int:
    with TemporaryDirectory(prefix="chaoskit-") as unpacked:
        names = dict(repro_files(paths, Path(unpacked)))
        # A directory is several, also with one file in it: what it gives must not depend on how many there are.
        several = tuple(names) != paths[:1]
        _check(paths, outputs, github or states, several)
        repros, code = [], 0
        for path, name in names.items():
            try:
                repros.append(attrs.evolve(read(path), path=name))
            except ReproError as error:
                code = _refused(name, error)
    shown = []
    for number, repro in enumerate(repros):
        try:
            with refused_as_one_line():
                if several and (states or not (outputs or github)):
                    say(f"{'' if number == 0 else chr(10)}{in_line(str(repro.path))}  {in_line(repro.test)}")
                code = max(code, _reported(repro, outputs, states or not (outputs or github), states, several))
                shown.append(repro)
        except ReproError as error:
            code = _refused(repro.path, error)
    return max(code, _github(shown) if github and shown else 0)


def _refused(name: Path, error: ReproError) -> int:
    say(f"{in_line(str(name))}: {error}", err=True)
    return 2


def _reported(repro: Repro, outputs: Mapping[str, Path], terminal: bool, states: bool, several: bool) -> int:
    if terminal:
        show_renderable(saved_report(repro, states=states))
    code = 0
    for kind, out in outputs.items():
        code = max(code, _written(repro, kind, _place(repro, kind, out) if several else out, several))
    return code


def _place(repro: Repro, kind: str, out: Path) -> Path:
    """In a directory, by the name of the repro file."""
    return out if out == STANDARD_OUTPUT else out / f"{repro.path.stem}.{kind}"


def _check(paths: Sequence[Path], outputs: Mapping[str, Path], github: bool, several: bool) -> None:
    """Nothing is written where two outputs would be one, or the repro file itself."""
    named = [out for out in outputs.values() if out != STANDARD_OUTPUT]
    if len(outputs) - len(named) + github > 1:
        raise click.UsageError("only one report can go to standard output")
    if several:
        _check_directories(outputs)
        return
    if len({out.resolve() for out in named}) < len(named):
        raise click.UsageError("two reports cannot be one file")
    for out in named:
        # Resolved, as two names may be one file.
        if out.resolve() in [path.resolve() for path in paths]:
            raise click.UsageError(f"{out} is the repro file itself; the report needs another name")
        if out.is_dir():
            raise click.UsageError(f"{out} is a directory; the report needs the name of a file")


def _check_directories(outputs: Mapping[str, Path]) -> None:
    """JSON lines of several files are lines; of pages and pictures only one fits into a file."""
    for kind, out in outputs.items():
        if out == STANDARD_OUTPUT and kind != "jsonl":
            raise click.UsageError(f"--{kind} - takes one repro file, and these are several; name a directory")
        if out != STANDARD_OUTPUT and out.exists() and not out.is_dir():
            raise click.UsageError(f"{out} is a file, and these are several reports; name a directory")


def _written(repro: Repro, kind: str, out: Path, new_directory: bool) -> int:
    text = _text(repro, kind)
    if out == STANDARD_OUTPUT:
        write_out(text.encode())
        return 0
    try:
        if new_directory:
            out.parent.mkdir(parents=True, exist_ok=True)
        write(out, text)
    except OSError as error:
        say(why_not(out, error), err=True)
        return 2
    return 0


def _text(repro: Repro, kind: str) -> str:
    verdict = saved_verdict(repro)
    if kind == "svg":
        return svg(verdict)
    if kind == "html":
        return page(verdict, replay=saved_replay(repro))
    return json_lines(verdict, replay=saved_replay(repro))


def _github(repros: Sequence[Repro]) -> int:
    entries = [entry_of(saved_verdict(repro), replay=saved_replay(repro)) for repro in repros]
    for one, repro in zip(entries, repros, strict=True):
        command_to_github(annotation(one, file=repro.test.partition("::")[0]))
    if trouble := append_to_step_summary(entries):
        say(trouble, err=True)
        return 2
    return 0
