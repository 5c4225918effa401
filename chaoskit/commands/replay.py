"""`chaoskit replay`: saved repro files against the present code."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile

import attrs
import click
from rich.console import Console
from rich.text import Text

from chaoskit.commands.console import own_errors, show_renderable
from chaoskit.errors import ReproError
from chaoskit.replays import EXIT_CODES, Answer
from chaoskit.report.terminal import report
from chaoskit.repro import Repro, read
from chaoskit.run_pytest import replay_with_pytest

LARGEST_REPRO = 64 * 1024 * 1024
"""Bytes of a file in a zip file."""


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option(
    "--rootdir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The repository's root, from which the tests in the files are named. Default: pytest's, from here.",
)
def replay(paths: tuple[Path, ...], rootdir: Path | None) -> None:
    """Play saved repro files against the present code.

    PATH is a repro file, a directory of them, or the zip file of a CI artifact. The answer for each is FIXED, STILL
    FAILS, CHANGED (it fails differently), NO LONGER POSSIBLE (the test's broker cannot make it any more) or CANNOT
    REPLAY (and why).
    """
    with own_errors():
        sys.exit(_replay(paths, rootdir))


def _replay(paths: Sequence[Path], rootdir: Path | None) -> int:
    found: list[Repro | Answer] = []
    with TemporaryDirectory(prefix="chaoskit-") as unpacked:
        names = dict(_files(paths, Path(unpacked)))
        for path in names:
            try:
                found.append(read(path))
            except ReproError as error:
                found.append(Answer("CANNOT REPLAY", path, reason=str(error)))
        repros = [repro for repro in found if isinstance(repro, Repro)]
        played = iter(replay_with_pytest(repros, Path.cwd(), rootdir))
        answers = [next(played) if isinstance(each, Repro) else each for each in found]
    answers = [attrs.evolve(answer, path=names[answer.path]) for answer in answers]
    for answer in answers:
        _print_answer(answer)
    if len(answers) > 1:
        click.echo(", ".join(f"{sum(a.became == b for a in answers)} {b.lower()}" for b in EXIT_CODES
                             if any(a.became == b for a in answers)))  # fmt: skip
    return max(EXIT_CODES[answer.became] for answer in answers)


def _files(paths: Sequence[Path], unpacked: Path) -> Iterator[tuple[Path, Path]]:
    """The files, and what they are called: those of a zip file are `unpacked` first."""
    for number, path in enumerate(paths):
        if path.is_dir():
            files = sorted(path.glob("*.json")) or sorted(path.rglob("*.json"))
            if not files:
                raise click.UsageError(f"{path}: no repro file (*.json) in this directory, or below it")
            yield from zip(files, files, strict=True)
        elif path.suffix.lower() == ".zip" and path.is_file():
            yield from _from_zip(path, unpacked / str(number))
        else:
            yield path, path


def _from_zip(path: Path, directory: Path) -> Iterator[tuple[Path, Path]]:
    """The repro files of a downloaded artifact. Names in it never become places on this machine."""
    directory.mkdir()
    try:
        with ZipFile(path) as archive:
            members = [member for member in archive.infolist() if member.filename.lower().endswith(".json")]
            if not members:
                raise click.UsageError(f"{path}: no repro file (*.json) in this zip file")
            for number, member in enumerate(sorted(members, key=lambda member: member.filename)):
                if member.file_size > LARGEST_REPRO:
                    raise click.UsageError(f"{path}: {member.filename} is too large for a repro file")
                file = directory / f"{number}.json"
                file.write_bytes(archive.read(member))
                yield file, path / member.filename
    except (BadZipFile, RuntimeError, NotImplementedError) as error:  # cut off, encrypted, an unknown compression
        raise click.UsageError(f"{path}: cannot be unpacked: {error}") from error


def _print_answer(answer: Answer) -> None:
    console = Console(highlight=False)
    style = {0: "bold green", 1: "bold red", 2: "bold yellow"}[EXIT_CODES[answer.became]]
    why = f": {answer.reason}" if answer.reason else ""
    console.print(Text.assemble((answer.became, style), f"  {answer.path}  {answer.test}{why}"), soft_wrap=True)
    if answer.verdict is not None and answer.verdict.status == "violated":
        show_renderable(report(answer.verdict))
        click.echo()
