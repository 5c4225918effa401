"""The command line."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile

import attrs
import click
from rich.console import Console, RenderableType
from rich.text import Text

from chaoskit import __version__
from chaoskit.brokers import BROKERS
from chaoskit.brokers.facts import facts, in_one_sentence
from chaoskit.errors import ReproError, did_you_mean
from chaoskit.replays import EXIT_CODES, Answer
from chaoskit.report.brokers import listing, sheet
from chaoskit.report.saved import saved_report
from chaoskit.report.terminal import plain, report
from chaoskit.repro import Repro, read
from chaoskit.run_pytest import replay_with_pytest

LARGEST_REPRO = 64 * 1024 * 1024
"""Bytes of a file in a zip file."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="chaoskit")
def main() -> None:
    """Message handlers under every delivery that their broker can really make.

    Exit codes: 0 held, fixed or no longer possible; 1 violated, still fails, changed or unknown; 2 usage, unreadable
    or cannot replay; 3 an error of chaoskit itself. Of several files the worst counts.
    """


@main.command()
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
    with _own_errors():
        sys.exit(_replay(paths, rootdir))


@main.command()
@click.argument("path", type=click.Path(path_type=Path))
def show(path: Path) -> None:
    """Print a repro file as a report: what differed, the delivery, why. Nothing is run."""
    with _own_errors():
        sys.exit(_show(path))


@main.command()
@click.argument("name", required=False, metavar="[NAME]")
def brokers(name: str | None) -> None:
    """List the brokers, or tell all about one.

    Without NAME: each broker in one line. With NAME, such as `chaoskit brokers SqsFifo` (upper and lower case are the
    same): what it promises, what can go wrong under its default settings and what rules that out, what cannot go wrong
    and which setting would allow it, all its settings, and where these facts are from.
    """
    with _own_errors():
        _print(_brokers(name))


class _own_errors:
    """Anything unforeseen is ours: say so, with exit code 3."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, (click.ClickException, BrokenPipeError)):
            import traceback

            traceback.print_exception(error)
            click.echo("chaoskit: an error of chaoskit itself; please report it with the lines above", err=True)
            sys.exit(3)


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
        _print(report(answer.verdict))
        click.echo()


def _show(path: Path) -> int:
    if path.is_dir():
        raise click.UsageError(f"{path} is a directory; show takes one repro file")
    try:
        repro = read(path)
    except ReproError as error:
        click.echo(f"{path}: {error}", err=True)
        return 2
    _print(saved_report(repro))
    return 0


def _brokers(name: str | None) -> RenderableType:
    if name is None:
        return listing((known, in_one_sentence(broker)) for known, broker in BROKERS.items())
    by_name = {known.lower(): broker for known, broker in BROKERS.items()}
    if name.lower() not in by_name:
        raise click.UsageError(f"no broker is called {name!r}{did_you_mean(name, BROKERS)}")
    return sheet(facts(by_name[name.lower()]))


def _print(renderable: RenderableType) -> None:
    """As wide as the terminal; 100 columns in a log."""
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(renderable, crop=False)
    else:
        for line in plain(renderable).splitlines():
            click.echo(line)
