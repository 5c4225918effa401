"""The saved repro files of a test: played again, written, and taken away once they are not needed any more."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import pytest

from chaoskit.decorator import ChaosOptions
from chaoskit.repro.location import outside
from chaoskit.repro.read import Repro, read
from chaoskit.repro.replay import Answer, play
from chaoskit.repro.subprocess import VARIABLE, play_as_subprocess, play_in_subprocess
from chaoskit.repro.write import save, slug, write
from chaoskit.search.oracle import Subject
from chaoskit.values.errors import CodecError, ReproError
from chaoskit.values.event import Stream
from chaoskit.values.faults import Fault
from chaoskit.values.invariant import DIED, HANG
from chaoskit.values.names import from_here
from chaoskit.values.verdict import Verdict

UNSHRUNK = ".as-met.json"
"""How the file of a failure ends that was not made minimal yet."""

MOST_NAMED = 8
"""Repro files in one command."""


@attrs.frozen
class Saved:
    """What became of a failure: its file, from rootdir, and the command that plays it; or no file, and the reason."""

    path: str = ""
    replay: str = ""


@attrs.define(eq=False)
class SavedRepros:
    """The repro files of one test of this run. What there is to say of them goes to `notes`."""

    config: pytest.Config
    test: str
    options: ChaosOptions
    notes: list[str]
    left_over: Collection[str] | None = None
    """The files of failures that are not minimal yet which are played, by name; None: all. Another worker may be at the
    others."""
    resume_from: list[tuple[Stream, tuple[Fault, ...]]] = attrs.field(factory=list)
    """The failure of a run that was stopped, with which the search begins."""
    has_failed: bool = False
    """The search has found a failure."""
    _unshrunk: list[Path] = attrs.field(factory=list)

    def all(self) -> Iterator[Repro]:
        """In the order of their names."""
        # By name first, which reads no other test's files; two tests may still have one slug.
        for path in sorted(repro_directory(self.config).glob(f"{slug(self.test)}-*.json")):
            if self.left_over is not None and path.name.endswith(UNSHRUNK) and path.name not in self.left_over:
                continue
            try:
                repro = read(path)
            except ReproError as error:
                self.notes.append(f"saved repro {from_here(path)} cannot be read: {error}")
                continue
            if repro.test == self.test:
                yield repro

    def play(self, repro: Repro, subject: Subject, text: str | None = None) -> Answer:
        """What took its process with it has a process of its own, and a file, which is made of `text` where there is
        none."""
        across, faults = self.options.across_keys, self.options.faults
        if not repro.breaks(DIED):
            return play(repro, subject, across_keys=across, faults=faults)
        status, limit = os.environ.get(VARIABLE), self.config.getoption("chaos_limit")
        if status is not None:
            return play_as_subprocess(repro, subject, Path(status), across_keys=across, faults=faults)
        if text is None:
            return play_in_subprocess(repro, self.config.rootpath, limit)
        with TemporaryDirectory(prefix="chaoskit-") as directory:
            path = write(Path(directory), "shared.json", text)
            return play_in_subprocess(attrs.evolve(repro, path=path), self.config.rootpath, limit)

    def resume(self, repro: Repro, subject: Subject) -> bool:
        """Whether this is a failure that a run left behind when it was stopped. If it still fails the search begins
        with it and makes it minimal; one in a run, the others wait for the next. What does not end, or ends its
        process, is played like any other file."""
        if not repro.path.name.endswith(UNSHRUNK) or repro.breaks(DIED) or repro.breaks(HANG):
            return False
        # One in a run: to make each minimal may take as long as a search.
        if self.resume_from:
            return True
        answer, left = self.play(repro, subject), f"{from_here(repro.path)}, left by a run that was stopped,"
        if answer.failure is not None:
            self.notes.append(f"a run that was stopped had met a failure: {from_here(repro.path)} was tried first")
            self.resume_from.append((repro.stream(), repro.faults))
            self._unshrunk.append(repro.path)
        elif answer.became == "FIXED":
            self.notes.append(f"{left} is fixed: removed")
            repro.path.unlink(missing_ok=True)
        else:
            self.notes.append(f"{left} {in_words(answer)}: {answer.reason}")
        return True

    def save_unshrunk(self, verdict: Verdict) -> None:
        """For whoever stops the run before the failure is minimal; the file goes away when that one is saved."""
        self.has_failed = True
        with suppress(ReproError, CodecError):  # the minimal one has the same trouble, and `save` says so
            directory = repro_directory(self.config)
            self._unshrunk.append(save(attrs.evolve(verdict, test=self.test), directory, suffix=UNSHRUNK))

    def remove_unshrunk(self) -> None:
        for path in self._unshrunk:
            path.unlink(missing_ok=True)

    def save(self, verdict: Verdict, played: Path | None = None) -> Saved:
        """Save a failure, unless it is that of the file which was `played`. It is reported also where no file can be
        written."""
        try:
            # What fails as it was saved has its file already.
            if played is None or played.name.endswith(UNSHRUNK):
                played = save(verdict, repro_directory(self.config))
            # Only when the minimal one is on the disk.
            self.remove_unshrunk()
        except CodecError as error:
            return Saved(replay=f"no repro file that can be replayed: {error}")
        except ReproError as error:
            return Saved(replay=f"no repro file: {str(error).removeprefix('no repro file: ')}")
        root = self.config.rootpath
        # From rootdir, as pytest names tests: xdist's workers and the report may be elsewhere.
        path = str(played.relative_to(root) if played.is_relative_to(root) else played)
        return Saved(path, replay_command(self.config, [path]))


def in_words(answer: Answer) -> str:
    words = {"FIXED": "is fixed and stays as a regression test", "CANNOT REPLAY": "cannot be replayed"}
    return words.get(answer.became, f"is {answer.became.lower()}")


def repro_directory(config: pytest.Config) -> Path:
    """Where repro files are saved and looked for."""
    return config.rootpath / str(config.getoption("chaos_repros"))


def idle_repros(config: pytest.Config) -> list[str]:
    """A line for each saved file that no test plays any more: it cannot be read, or its test has another name now."""
    lines = []
    for path in sorted(repro_directory(config).glob("*.json")):
        try:
            test = read(path).test
        except ReproError as error:
            lines.append(f"{from_here(path)} cannot be read, and checks nothing: {error}")
            continue
        names = test.split("::")[1:]
        if names and (outside(test, config.rootpath) or not _defines(config.rootpath, test)):
            lines.append(f"{from_here(path)} checks nothing: there is no {test} any more")
    return lines


def _defines(root: Path, test: str) -> bool:
    file, name = root / test.partition("::")[0], test.split("::")[-1].partition("[")[0]
    try:
        # By its text: to import a file that this run did not collect would run it.
        return re.search(rf"\bdef {re.escape(name)}\b", file.read_text(encoding="utf-8")) is not None
    except (OSError, UnicodeDecodeError):
        return False


def replay_command(config: pytest.Config, repros: Sequence[str]) -> str:
    """The command that plays these files again from here; of many, their directory."""
    files = [config.rootpath / repro for repro in repros]
    if len(files) > MOST_NAMED:
        files = list(dict.fromkeys(file.parent for file in files))
    root = "" if Path.cwd() == config.rootpath else f" --rootdir {shlex.quote(str(config.rootpath))}"
    return f"chaoskit replay {' '.join(shlex.quote(from_here(file)) for file in files)}{root}"
