"""`chaoskit replay`: saved repro files against the present code."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile, ZipInfo

import attrs
import click
from rich.text import Text

from chaoskit.commands.console import own_errors, say, show_renderable, write_out
from chaoskit.generate.as_test import regression_test
from chaoskit.pytest.replay import replay_with_pytest
from chaoskit.report.console import HarmlessConsole
from chaoskit.report.terminal import report
from chaoskit.repro import bounds
from chaoskit.repro.location import outside, root_of
from chaoskit.repro.read import Repro, read, refused_as_one_line
from chaoskit.repro.replay import EXIT_CODES, Answer
from chaoskit.values.errors import ReproError
from chaoskit.values.texts import in_line

MOST_LISTED = 12
"""Repro files of which --as-test names each, where it is given several."""


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option(
    "--rootdir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The repository's root, from which the tests in the files are named. Default: pytest's, from here.",
)
@click.option(
    "--as-test",
    is_flag=True,
    help="Replay nothing: write a plain pytest test of one repro file, with its events and faults and without a "
    "search, which fails until the handler is right. It imports the chaos test's module and stands in a file beside "
    "it, so that its fixtures are found.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The new file for --as-test, such as tests/test_dead_letter.py. Default: standard output.",
)
def replay(paths: tuple[Path, ...], rootdir: Path | None, as_test: bool, output: Path | None) -> None:
    """Play saved repro files against the present code, or turn one into a plain test.

    PATH is a repro file, a directory of them, or the zip file of a CI artifact. The answer for each is FIXED, STILL
    FAILS, CHANGED (it fails differently), NO LONGER POSSIBLE (the test's broker cannot make it any more) or CANNOT
    REPLAY (and why).
    """
    with own_errors():
        if output is not None and not as_test:
            raise click.UsageError("--output is where --as-test writes its test; give both")
        sys.exit(_write_test(paths, rootdir, output) if as_test else _replay(paths, rootdir))


def _replay(paths: Sequence[Path], rootdir: Path | None) -> int:
    found: list[Repro | Answer] = []
    with TemporaryDirectory(prefix="chaoskit-") as unpacked:
        names = dict(repro_files(paths, Path(unpacked)))
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
        say(", ".join(f"{sum(a.became == b for a in answers)} {b.lower()}" for b in EXIT_CODES
                             if any(a.became == b for a in answers)))  # fmt: skip
    # The worst of them, so that one file that cannot be replayed is not hidden by those that hold.
    return max(EXIT_CODES[answer.became] for answer in answers)


def _write_test(paths: Sequence[Path], rootdir: Path | None, output: Path | None) -> int:
    with TemporaryDirectory(prefix="chaoskit-") as unpacked:
        names = dict(repro_files(paths, Path(unpacked)))
        if len(names) > 1:
            shown = [in_line(str(name)) for name in names.values()]
            more = [f"and {len(shown) - MOST_LISTED} more"] if len(shown) > MOST_LISTED else []
            refused = f"--as-test makes a test of one repro file, and these are {len(names)}: name one of"
            raise click.UsageError(f"{refused} {', '.join([*shown[:MOST_LISTED], *more])}")
        ((path, name),) = names.items()
        try:
            repro = read(path)
            root = (rootdir or root_of(repro.test, Path.cwd())).resolve()
            if why := outside(repro.test, root):
                raise ReproError(why)
            with refused_as_one_line():
                source = regression_test(repro, root, name)
            if output is None:
                write_out(source.encode())
            else:
                _write_new(output, source, beside=root / repro.test.partition("::")[0])
        except ReproError as error:
            say(f"{in_line(str(name))}: {error}", err=True)
            return 2
    return 0


def _write_new(output: Path, source: str, beside: Path) -> None:
    if output.parent.resolve() != beside.parent.resolve():
        raise ReproError(f"the test imports {beside.name} and has to stand beside it; {output} is another directory")
    try:
        # "x": a test that somebody has written must not be lost, nor between a look and the writing.
        with output.open("x", encoding="utf-8", newline="\n") as file:
            file.write(source)
    except FileExistsError:
        raise ReproError(f"{output} is there already, and is not overwritten; choose another name") from None
    except OSError as error:
        raise ReproError(f"{output} cannot be written: {error.strerror or error}") from error
    say(f"{output} is written: `pytest {output}` fails until the handler is right", err=True)


def repro_files(paths: Sequence[Path], unpacked: Path) -> Iterator[tuple[Path, Path]]:
    """The files, and what they are called: those of a zip file are `unpacked` first. So many and no more: they are in
    memory together."""
    left, most = bounds.LARGEST_SUM, bounds.MOST_FILES
    for number, (path, name) in enumerate(_each(paths, unpacked), start=1):
        left -= min(path.stat().st_size, bounds.LARGEST_FILE) if path.is_file() else 0  # no more of it is read
        if number > most or left < 0:
            raise click.UsageError(
                f"{in_line(str(name))}: with this one it is more than {most:,} repro files or "
                f"{bounds.LARGEST_SUM:,} bytes: name fewer at once"
            )
        yield path, name


def _each(paths: Sequence[Path], unpacked: Path) -> Iterator[tuple[Path, Path]]:
    for number, path in enumerate(paths):
        if path.is_dir():
            # Below it only where it has none itself, as an artifact that was unpacked has.
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
    if path.stat().st_size > bounds.LARGEST_ZIP:
        raise click.UsageError(f"{path}: larger than {bounds.LARGEST_ZIP:,} bytes: unpack it, and name its files")
    try:
        with ZipFile(path) as archive, refused_as_one_line():
            members = _members(archive)
            for number, member in enumerate(members):
                # A name of ours: one in the archive may lead anywhere.
                file = directory / f"{number}.json"
                with archive.open(member) as packed:
                    # Bounded here, too: what the archive says of its sizes need not be true.
                    file.write_bytes(packed.read(bounds.LARGEST_FILE + 1))
                yield file, path / member.filename
    except (BadZipFile, RuntimeError, NotImplementedError) as error:  # cut off, encrypted, an unknown compression
        raise click.UsageError(f"{path}: cannot be unpacked: {error}") from None
    except ReproError as error:
        raise click.UsageError(f"{path}: {error}") from None


def _members(archive: ZipFile) -> list[ZipInfo]:
    """The repro files, if all of them may be unpacked. What they would become is looked at before any is."""
    members = [member for member in archive.infolist() if member.filename.lower().endswith(".json")]
    if not members:
        raise ReproError("no repro file (*.json) in this zip file")
    for member in members:
        if member.file_size > bounds.LARGEST_FILE:
            raise ReproError(f"{in_line(member.filename)} is too large for a repro file")
    total = sum(member.file_size for member in members)
    if len(members) > bounds.MOST_FILES or total > bounds.LARGEST_SUM:
        raise ReproError(
            f"its {len(members):,} repro files would become {total:,} bytes; {bounds.MOST_FILES:,} files and "
            f"{bounds.LARGEST_SUM:,} bytes are the most"
        )
    return sorted(members, key=lambda member: member.filename)


def _print_answer(answer: Answer) -> None:
    console = HarmlessConsole(highlight=False)
    style = {0: "bold green", 1: "bold red", 2: "bold yellow"}[EXIT_CODES[answer.became]]
    why = f": {answer.reason}" if answer.reason else ""
    place = f"  {in_line(str(answer.path))}  {answer.test}{why}"
    console.print(Text.assemble((answer.became, style), place), soft_wrap=True)
    if answer.verdict is not None and answer.verdict.status == "violated":
        show_renderable(report(answer.verdict))
        say()
