"""What pytest knows around a chaos test: its node id, the options, the saved repros; and how it says the outcome."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import attrs
import hypothesis
import pytest
from _pytest._code.code import ReprEntryNative, ReprExceptionInfo, ReprFileLocation, ReprTraceback
from hypothesis import HealthCheck
from hypothesis.database import DirectoryBasedExampleDatabase, InMemoryExampleDatabase

from chaoskit.decorator import SCHEDULES, ChaosOptions
from chaoskit.execution.execute import ReferenceRefused
from chaoskit.execution.limit import LIMIT, Limit, why_no_limit
from chaoskit.pytest.progress import Progress, stderr_of
from chaoskit.pytest.replay import NOT_COLLECTED, Sink
from chaoskit.pytest.reports import on_github, write_reports
from chaoskit.report.github import Entry, entry_of, packed
from chaoskit.report.summary import traceback_of
from chaoskit.report.terminal import as_text, headline, held_lines
from chaoskit.repro.corpus import Corpus, database_of
from chaoskit.repro.files import Repro, document, read, save, slug, text_of, write
from chaoskit.repro.replay import Answer, play
from chaoskit.repro.subprocess import VARIABLE, play_apart, play_here
from chaoskit.repro.test_file import outside
from chaoskit.runner import Asked, as_seed
from chaoskit.search.evidence import Evidence
from chaoskit.search.investigate import MEMORY_KEPT
from chaoskit.search.oracle import Subject
from chaoskit.values.duration import seconds, shown
from chaoskit.values.errors import ChaosError, CodecError, ReproError
from chaoskit.values.invariant import DIED, HANG
from chaoskit.values.names import from_here
from chaoskit.values.texts import for_log, in_line
from chaoskit.values.verdict import ChaosFailure, Verdict

PROPERTY = "chaoskit"
REPRO = "chaoskit-repro"
MEMORY = "chaoskit-memory"
"""What a report says of its test, the repro file of one that failed, and that a handler's memory survived restarts;
they stand in JUnit's XML, too."""
GITHUB = "chaoskit-github"
"""What GitHub shows of a test, where it runs there."""
_REPLAYS: pytest.StashKey[list[Repro]] = pytest.StashKey()
_CORPUS: pytest.StashKey[Corpus | None] = pytest.StashKey()


AS_MET = ".as-met.json"
"""How the file of a failure ends that was not made minimal yet."""


DEFAULT_TIME = 60.0
"""Seconds after which a test begins no new stream where nobody says how much is to be tried."""


class PytestAsked(Asked):
    """The runner of one chaos test in pytest."""

    test: str
    patience = DEFAULT_TIME

    def __init__(self, item: pytest.Item) -> None:
        self._item = item
        self._config = item.config
        self._notes: list[str] = []
        self.test = item.nodeid
        self.schedules = item.config.getoption("chaos_schedules")
        given = item.config.getoption("chaos_time")
        self.budget = None if given is None else seconds(given)
        given = item.config.getoption("chaos_limit")
        self._is_limited = given is not None
        self.limit = Limit(LIMIT if given is None else seconds(given), stacks_to=stderr_of(item.config))
        self.limit.hard = not item.config.getini("faulthandler_timeout")  # there is one such timer in a process
        self.evidence = Evidence()
        self._as_met: list[Path] = []
        self._failing: Path | None = None
        """The saved file that still fails, if it is one that is reported."""
        self._has_met = False
        self.line = ""
        self.headline = ""
        self.saved = ""
        self._kept = ""
        self._entry: Entry | None = None

    @property
    def _options(self) -> ChaosOptions:
        options: ChaosOptions = self._item.obj.chaos_options  # type: ignore[attr-defined]
        return options

    @property
    def _directory(self) -> Path:
        return repro_directory(self._config)

    def seed(self, decorated: Any) -> tuple[int, bool]:
        """--chaos-seed, then @seed, then --hypothesis-seed; else random, or fixed under Hypothesis' CI profile."""
        given = self._config.getoption("chaos_seed")
        for chosen in (given, decorated, self._config.getoption("--hypothesis-seed", None)):
            if chosen is not None:
                return as_seed(chosen), True
        if hypothesis.settings.default.derandomize:  # type: ignore[union-attr]
            return 0, True
        return super().seed(None)

    @contextmanager
    def limited(self) -> Iterator[None]:
        assert self.limit is not None
        why = why_no_limit()
        if why is not None or VARIABLE in os.environ:  # played apart: it arms its own
            if why is not None and self._is_limited:
                self._notes.append(f"runs have no limit of time: {why}")
            yield
            return
        with self.limit.armed(), self._followed():
            yield

    @contextmanager
    def _followed(self) -> Iterator[None]:
        """Within this it is told how a long search stands."""
        assert self.limit is not None
        progress = Progress(self._config, self._standing)
        self.limit.between = progress.look
        try:
            yield
        finally:
            self.limit.between = None
            progress.close()

    def _standing(self, elapsed: float) -> str:
        """How the search stands, in a line."""
        assert self.evidence is not None
        tried, time = f"{self.evidence.schedules:,}", shown(elapsed)
        if self.budget is not None:
            time += f" of {shown(self.budget)}"
        else:
            tried += f" of {self.schedules or self._options.schedules or SCHEDULES:,}"
        met = "; a failure was found and is made minimal" if self._has_met else ""
        return f"chaoskit: {self.test}: {tried} schedules, {time}{met}"

    # Saved repros.

    def before_search(self, subject: Subject) -> Verdict | None:
        across = self._options.across_keys
        if _REPLAYS in self._config.stash:
            return self._replay_only(subject, across)
        for repro in self.saved_repros():
            if self.take_up(repro, subject, across):
                continue
            answer, name = self._play(repro, subject, across), from_here(repro.path)
            if answer.failure is not None:
                self._notes.append(f"saved repro {name} {answer.became.lower()}; nothing was searched")
                self._failing = repro.path
                return answer.failure
            why = f" ({answer.reason})" if answer.reason else ""
            self._notes.append(f"saved repro {name} {_said(answer)}{why}")
        return None if self.first else self._shared_failure(subject, across)

    def saved_repros(self) -> Iterator[Repro]:
        """The saved files of this test, in the order of their names."""
        for path in sorted(self._directory.glob(f"{slug(self.test)}-*.json")):
            if not self.may_play(path):
                continue
            try:
                repro = read(path)
            except ReproError as error:
                self._notes.append(f"saved repro {from_here(path)} cannot be read: {error}")
                continue
            if repro.test == self.test:
                yield repro

    def may_play(self, path: Path) -> bool:
        """Whether nobody else is at this file."""
        return True

    def take_up(self, repro: Repro, subject: Subject, across: str) -> bool:
        """Whether this is a failure that a run left behind when it was stopped. If it still fails the search begins
        with it and makes it minimal; one in a run, the others wait for the next. What does not end, or ends its
        process, is played like any other file."""
        if not repro.path.name.endswith(AS_MET) or repro.breaks(DIED) or repro.breaks(HANG):
            return False
        if self.first:
            return True
        answer, left = self._play(repro, subject, across), f"{from_here(repro.path)}, left by a run that was stopped,"
        if answer.failure is not None:
            self._notes.append(f"a run that was stopped had met a failure: {from_here(repro.path)} was tried first")
            self.first = [(repro.stream(), repro.faults)]
            self._as_met.append(repro.path)
        elif answer.became == "FIXED":
            self._notes.append(f"{left} is fixed: removed")
            repro.path.unlink(missing_ok=True)
        else:
            self._notes.append(f"{left} {_said(answer)}: {answer.reason}")
        return True

    def _shared_failure(self, subject: Subject, across: str) -> Verdict | None:
        """One that another machine has found."""
        corpus = shared_corpus(self._config)
        for repro, text in [] if corpus is None else corpus.failures(self.test):
            answer = self._play(repro, subject, across, text)
            if answer.failure is not None:
                self._notes.append("another machine found this, and the shared corpus had it; nothing was searched")
                return answer.failure
            if corpus is not None and answer.became == "CANNOT REPLAY":
                corpus.leave_out(answer.reason)
            if corpus is not None and answer.is_settled:
                corpus.drop(self.test, text)
        if corpus is not None:
            self._notes += corpus.take_notes()
        return None

    def _share(self, verdict: Verdict) -> None:
        corpus = shared_corpus(self._config)
        if corpus is not None:
            with suppress(CodecError):  # told where the file is saved
                corpus.add(self.test, text_of(document(attrs.evolve(verdict, test=self.test))))
            self._notes += corpus.take_notes()

    def _play(self, repro: Repro, subject: Subject, across: str, text: str | None = None) -> Answer:
        """What took its process with it has a process of its own, and a file, which is made of `text` where there is
        none."""
        if repro.breaks(DIED):
            told, limit = os.environ.get(VARIABLE), self._config.getoption("chaos_limit")
            if told is None and text is not None:
                with TemporaryDirectory(prefix="chaoskit-") as directory:
                    path = write(Path(directory), "shared.json", text)
                    return play_apart(attrs.evolve(repro, path=path), self._config.rootpath, limit)
            if told is None:
                return play_apart(repro, self._config.rootpath, limit)
            return play_here(repro, subject, Path(told), across_keys=across, faults=self._options.faults)
        return play(repro, subject, across_keys=across, faults=self._options.faults)

    def _replay_only(self, subject: Subject, across: str) -> Verdict:
        """--chaos-replay: the answers of this test's files; the first that fails is the verdict."""
        failed: Verdict | None = None
        cannot: list[str] = []
        for repro in self._config.stash[_REPLAYS]:
            if repro.test != self._item.nodeid:
                continue
            answer = self._play(repro, subject, across)
            for sink in _sinks(self._config):
                sink.answers.append(answer)
            why = f" ({answer.reason})" if answer.reason else ""
            self._notes.append(f"{answer.became} {from_here(repro.path)}{why}")
            if answer.became == "CANNOT REPLAY":
                cannot.append(f"{from_here(repro.path)}: {answer.reason}")
            elif failed is None and answer.verdict is not None and answer.verdict.status == "violated":
                failed = answer.verdict
        if failed is None and cannot:
            raise ReproError("cannot replay " + "; ".join(cannot))
        return failed or Verdict("held", notes=("replayed",), test=self._item.nodeid)

    # What is said.

    def tell(self, verdict: Verdict) -> None:
        self._forget_as_met()
        said = [] if verdict.notes == ("replayed",) else held_lines(verdict)
        if MEMORY_KEPT in said:
            said.remove(MEMORY_KEPT)
            self._kept = MEMORY_KEPT
        replayed = _REPLAYS in self._config.stash
        why_no_report = "" if replayed else write_reports(self._config, attrs.evolve(verdict, test=self.test))
        self.line = "\n".join([*said, *self._notes, *([why_no_report] if why_no_report else [])])
        told = "; ".join([*said, *self._notes]).removeprefix("held: ")
        self._entry = Entry(self._item.nodeid, "held", told)

    def met(self, verdict: Verdict) -> None:
        """Kept for whoever stops the run before the failure is minimal; deleted when that is saved."""
        self._has_met = True
        with suppress(ReproError, CodecError):  # the minimal one has the same trouble, and tells it
            self._as_met.append(save(attrs.evolve(verdict, test=self.test), self._directory, suffix=AS_MET))

    def _forget_as_met(self) -> None:
        for path in self._as_met:
            path.unlink(missing_ok=True)

    def skip(self, why: str, verdict: Verdict) -> NoReturn:
        self._entry = Entry(self._item.nodeid, "skipped", why)
        pytest.skip(why)

    def report(self, verdict: Verdict) -> str:
        self.headline = headline(verdict)
        replay = self._replay_command(verdict) if verdict.status == "violated" else None
        if verdict.status == "violated" and _REPLAYS not in self._config.stash:
            self._share(verdict)
        text = as_text(verdict, replay=replay, width=width_of(self._config), seed_option="--chaos-seed=")
        if verdict.status == "unknown":
            self._forget_as_met()
        written = write_reports(self._config, verdict, replay=replay, name=Path(self.saved).stem)
        notes = "".join(f"\n{note}\n" for note in [*self._notes, *([written] if written else [])])
        self._entry = entry_of(verdict, replay=replay) if on_github() else None
        return f"{self.headline}\n{text}{notes}"

    def _replay_command(self, verdict: Verdict) -> str:
        """Save the repro. A failure is reported also where no file can be written, with the reason."""
        self.saved = ""
        if _REPLAYS in self._config.stash:
            return ""
        try:
            path = self._saved(verdict)
            self._forget_as_met()
        except CodecError as error:
            return f"no repro file that can be replayed: {error}"
        except ReproError as error:
            return f"no repro file: {str(error).removeprefix('no repro file: ')}"
        root = self._config.rootpath
        self.saved = str(path.relative_to(root) if path.is_relative_to(root) else path)
        return replay_command(self._config, [self.saved])

    def _saved(self, verdict: Verdict) -> Path:
        """The file with this failure: the one that was played, or a new one."""
        if self._failing is not None and not self._failing.name.endswith(AS_MET):
            return self._failing
        return save(verdict, self._directory)

    def complete(self, report: pytest.TestReport, excinfo: pytest.ExceptionInfo[BaseException] | None) -> None:
        """Add to pytest's report what is to be said of the test, also where it comes from xdist's workers."""
        named = ((PROPERTY, self.line), (REPRO, self.saved), (MEMORY, self._kept))
        properties = [(name, text) for name, text in named if text]
        report.user_properties += properties
        self._item.user_properties += properties  # JUnit's XML takes them from the report of the teardown
        if excinfo is not None:
            self.shorten(report, excinfo)
        if said := self._for_github(report, excinfo):
            report.user_properties.append((GITHUB, said))

    def shorten(self, report: pytest.TestReport, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Put the report in place of a traceback through chaoskit."""
        error = excinfo.value
        if not isinstance(error, (ChaosFailure, ChaosError)) or self._config.getoption("fulltrace", False):
            return
        text = str(error) if isinstance(error, ChaosFailure) else f"{type(error).__name__}: {error}"
        if isinstance(error, ReferenceRefused) and error.__cause__ is not None:
            text = f"{text}\n\n{traceback_of(error.__cause__)}"
        text = "\n\n".join([text, *getattr(error, "__notes__", ())])
        path, line, _ = self._item.location
        text = for_log(text)
        crash = ReprFileLocation(path, (line or 0) + 1, for_log(self.headline) or text.splitlines()[0])
        entry = ReprEntryNative([f"{text.rstrip()}\n"])
        report.longrepr = ReprExceptionInfo(ReprTraceback([entry], None, "native"), crash)

    def _for_github(self, report: pytest.TestReport, excinfo: pytest.ExceptionInfo[BaseException] | None) -> str:
        """What GitHub is to show of this test; nothing elsewhere, and where `chaoskit replay` runs this pytest."""
        if not on_github() or _sinks(self._config):
            return ""
        if self._entry is None and excinfo is not None and report.failed:
            said = f"{excinfo.type.__name__}: {excinfo.value}"
            self._entry = Entry(self._item.nodeid, "error", said)
        return packed(self._entry) if self._entry is not None else ""


def width_of(config: pytest.Config) -> int:
    """Columns of the terminal in which this run is read."""
    summary: Any = config.pluginmanager.get_plugin("chaoskit-summary")
    return int(summary.width)


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


def shared_corpus(config: pytest.Config) -> Corpus | None:
    """Where an ordinary run shares failures: in --chaos-corpus, or in the database of Hypothesis' profile, unless that
    is a directory of this machine, which has .chaoskit/."""
    if _CORPUS not in config.stash:
        place = config.getoption("chaos_corpus")
        database = database_of(place, config.rootpath)
        here = place is None and isinstance(database, (DirectoryBasedExampleDatabase, InMemoryExampleDatabase))
        config.stash[_CORPUS] = None if database is None or here else Corpus(database)
    return config.stash[_CORPUS]


MOST_NAMED = 8
"""Repro files in one command."""


def _sinks(config: pytest.Config) -> list[Sink]:
    """Who waits for the answers: `chaoskit replay`, if it runs this pytest."""
    return [plugin for plugin in config.pluginmanager.get_plugins() if isinstance(plugin, Sink)]


def _said(answer: Answer) -> str:
    said = {"FIXED": "is fixed and stays as a regression test", "CANNOT REPLAY": "cannot be replayed"}
    return said.get(answer.became, f"is {answer.became.lower()}")


def allow_fixtures(item: pytest.Item) -> None:
    """Fixtures beside `deliver` are made once per test, which is what we document: Hypothesis' check is for @given."""
    test: Any = item.obj  # type: ignore[attr-defined]
    function: Any = getattr(test, "__func__", test)
    settings = function._hypothesis_internal_use_settings
    checks = {
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
        *settings.suppress_health_check,
    }
    function._hypothesis_internal_use_settings = hypothesis.settings(settings, suppress_health_check=list(checks))


# --chaos-replay.


def prepare_replay(config: pytest.Config) -> None:
    """Read the files before anything is collected, and collect only the files of their tests."""
    repros = []
    for given in config.getoption("chaos_replay"):
        path = config.invocation_params.dir / given
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not files:
            raise pytest.UsageError(f"--chaos-replay {given}: no repro file in this directory")
        for file in files:
            try:
                repro = read(file)
            except ReproError as error:
                raise pytest.UsageError(f"--chaos-replay {in_line(str(file))}: {error}") from None
            if why := outside(repro.test, config.rootpath):
                raise pytest.UsageError(f"--chaos-replay {in_line(str(file))}: {in_line(why)}")
            repros.append(repro)
    config.stash[_REPLAYS] = repros
    if config.args_source != pytest.Config.ArgsSource.ARGS:
        config.args = _collected_here(config)


def _collected_here(config: pytest.Config) -> list[str]:
    """What pytest collects where it is called from rootdir without arguments."""
    found = [path for given in config.getini("testpaths") for path in sorted(config.rootpath.glob(given))]
    return [str(path) for path in found or [config.rootpath]]


def is_not_replayed(config: pytest.Config, path: Path) -> bool:
    """Whether nothing in this file or directory is replayed, so that it is not even imported. A file that is replayed
    is not named to pytest either: a stranger's repro file may name any, and pytest imports what it is told to."""
    wanted = [config.rootpath / repro.test.partition("::")[0] for repro in config.stash[_REPLAYS]]
    return not any(file == path or file.is_relative_to(path) for file in wanted)


def select_replayed(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = {repro.test for repro in config.stash[_REPLAYS]}
    chosen = [item for item in items if item.nodeid in wanted and hasattr(getattr(item, "obj", None), "chaos_options")]
    missing = sorted(wanted - {item.nodeid for item in chosen})
    if missing and not _sinks(config):
        raise pytest.UsageError(f"--chaos-replay: {NOT_COLLECTED.format(test=missing[0])}")
    deselected = [item for item in items if item not in chosen]
    if deselected:
        config.hook.pytest_deselected(items=deselected)
    items[:] = chosen
