"""The job itself: a pytest plugin in the process that was started. It hands out slices and receives their results."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
from _pytest.reports import BaseReport
from xdist.workermanage import parse_tx_spec_config  # type: ignore[import-untyped]

from chaoskit.fuzz.dead_worker import finding_of
from chaoskit.fuzz.job import ENDS, Finding, Job, SliceResult, result_of, to_plain
from chaoskit.fuzz.junit import Junit
from chaoskit.fuzz.screen import Screen, entry, progress_line
from chaoskit.fuzz.slice import ATTRIBUTE
from chaoskit.fuzz.standing import Standing
from chaoskit.fuzz.worker import INPUT, MAIN, work_for
from chaoskit.pytest.reports import append_summary, commands, on_github
from chaoskit.pytest.saved import UNSHRUNK, replay_command, repro_directory
from chaoskit.report.github import packed
from chaoskit.report.saved import saved_report
from chaoskit.report.terminal import plain
from chaoskit.repro.read import read, refused_as_one_line
from chaoskit.repro.write import failure_name, file_name_of, write
from chaoskit.values.clock import now
from chaoskit.values.errors import ReproError

MOST_DEATHS = 2
"""Workers that a test may cost before it gets no more time, where nobody knows why they died."""

AHEAD = 2
"""Slices that a worker has to know of: xdist begins a test when it knows the next one."""


@attrs.define(eq=False)
class Session:
    """The plugin. `job.time` counts from `started`, when the first worker begins to search: a slow import takes nothing
    away from it."""

    job: Job
    screen: Screen
    standing: Standing = attrs.field(factory=Standing)
    started: float | None = None
    received: float = 0.0
    """Seconds of search after which the last result of a worker came."""
    errors: dict[str, str] = attrs.field(factory=dict)
    """What could not be collected, by its place."""
    notes: dict[str, None] = attrs.field(factory=dict)
    config: pytest.Config = attrs.field(init=False)
    _died_at_start: int = 0
    junit: Junit | None = None
    """Where the file of --junitxml was asked for."""
    files: frozenset[Path] = frozenset()
    """Repro files that were there before."""

    @property
    def elapsed(self) -> float:
        """Seconds of search so far."""
        return 0.0 if self.started is None else now() - self.started

    def begin(self, names: Sequence[str]) -> None:
        """A worker has collected these tests, and begins."""
        self.standing.know(names)
        if self.started is None:
            self.started = now()
            if self.job.records is not None and self.job.time is not None:
                Path(self.job.records, ENDS).write_text(str(self.started + self.job.time))

    @property
    def timed_out(self) -> bool:
        return self.job.time is not None and self.elapsed >= self.job.time

    @property
    def is_over(self) -> bool:
        """No test gets more time."""
        return self.timed_out or not self.standing.searching

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        self.config = config
        self.files = frozenset(repro_directory(self.config).glob("*.json"))
        self.junit = Junit.instead_of(config)
        # A line for each slice would be thousands; the screen says what is new.
        for name in ("terminalreporter", "chaoskit-summary"):
            if (reporter := config.pluginmanager.get_plugin(name)) is not None:
                config.pluginmanager.unregister(reporter)
        # pytest says so only when it collects, which is in a worker here.
        for given in [] if config.getoption("pyargs") else config.args:
            if not (config.invocation_params.dir / given.partition("::")[0]).exists():
                raise pytest.UsageError(f"file or directory not found: {given}")
        left_over = tuple(path.name for path in sorted(self.files) if path.name.endswith(UNSHRUNK))
        self.job = attrs.evolve(self.job, left_over=left_over)
        if config.getoption("dist", "no") == "no":
            work_for(config, self._job_now(), MAIN)
        else:
            self.job = attrs.evolve(self.job, workers=len(parse_tx_spec_config(config)))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object | None) -> None:
        """A worker that dies before it has collected anything would be replaced for ever."""
        if error and self.started is None:
            self._died_at_start += 1
            if self._died_at_start >= MOST_DEATHS:
                reason = "its workers die before they have collected a test"
                self.errors["pytest"] = reason
                self.config.pluginmanager.get_plugin("dsession")._max_worker_restart = 0  # type: ignore[union-attr]

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[INPUT] = to_plain(self._job_now())

    def _job_now(self) -> Job:
        if self.job.time is None or self.started is None:
            return self.job
        return attrs.evolve(self.job, time=max(0.0, self.job.time - self.elapsed))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Slices:
        return Slices(self)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Without xdist: one worker, in this process."""
        if self.config.getoption("dist", "no") != "no":
            return None
        names = [item.nodeid for item in session.items]
        self.begin(names)
        place = None if self.is_over else self.standing.next_for(names, MAIN)
        while place is not None:
            # Asked for before the present one has ended, as with xdist: pytest tears down fixtures by what comes next.
            following = self.standing.next_for(names, MAIN)
            item = session.items[place]
            nextitem = None if following is None else session.items[following]
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=nextitem)
            place = None if self.is_over else following
        return True

    def pytest_keyboard_interrupt(self) -> None:
        self.screen.stopping()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.errors.setdefault(report.nodeid, report.longreprtext)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self.junit is not None:
            self.junit.note(report)
        carried = getattr(report, ATTRIBUTE, None)
        if carried is not None:
            self.receive(result_of(carried))
        elif report.when in ("setup", "teardown") and not report.passed:
            status = "skipped" if report.skipped else "broken"
            self.receive(SliceResult(report.nodeid, "", status, _reason(report)))  # type: ignore[arg-type]

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport, sched: Any) -> None:
        """The worker that was at this test died. Where that is the test's doing it is not tried again: the next worker
        would die, too. Once may be somebody else's doing."""
        if self.standing.tests[crashitem].ended == "died":  # a slice that was given before that was known
            return
        node: Any = report.node
        record = Path(self.job.records or "") / str(node.gateway.id)
        limit = self.config.getoption("chaos_limit")
        found = finding_of(record, crashitem, self.config, limit)
        test = self.standing.tests[crashitem]
        test.deaths += 1
        self.received = self.elapsed
        if not isinstance(found, str):
            test.ended = "died"
            for finding in test.add([found]):
                self.screen.found(finding)
        else:
            self.screen.note(crashitem, found)
            test.uncertain = found
            if test.deaths >= MOST_DEATHS and not test.ended:
                test.ended, test.trouble = "broken", found

    def receive(self, result: SliceResult) -> None:
        """Print what is new in the result of a slice, and count the rest."""
        self.standing.know([result.test])
        self.received = self.elapsed
        for note in result.notes:
            if note not in self.notes:
                self.notes[note] = None
                self.screen.note(result.test, note)
        test = self.standing.tests[result.test]
        for finding in test.take(result):
            test.findings[finding.name] = here = self._with_file_here(finding)
            self.screen.found(here)
        self.screen.progress(self.line(), self.elapsed)

    def line(self) -> str:
        """How the job stands now."""
        return progress_line(self.standing, self.elapsed, self.job.time)

    def _with_file_here(self, finding: Finding) -> Finding:
        """The same with a file here, too: a worker on another host has saved it there."""
        if not finding.document or finding.trouble:
            return finding
        if finding.source == "saved" and (repro_directory(self.config) / finding.saved).exists():
            return finding
        try:
            path = write(repro_directory(self.config), finding.saved, finding.document)
        except ReproError as error:
            return attrs.evolve(finding, trouble=str(error))
        return attrs.evolve(finding, saved=path.name)

    def collect_left_behind(self) -> None:
        """Failures that workers have saved, and did not come to report as they were stopped."""
        for path in sorted(set(repro_directory(self.config).glob("*.json")) - self.files):
            try:
                repro = read(path)
                with refused_as_one_line():
                    report = plain(saved_report(repro))
            except ReproError:  # a worker was killed while it wrote, or somebody else has put it there
                continue
            test = self.standing.tests.get(repro.test)
            text = path.read_text(encoding="utf-8")
            # The name by which findings are known, wherever the file lies and whatever it is called.
            name = failure_name(file_name_of(repro), text)
            known = test is None or name in test.findings or (path.name.endswith(UNSHRUNK) and test.findings)
            # A file of no test of this job is somebody else's.
            if test is not None and not known:
                title = f"{repro.violations[0].get('message', 'it failed')}"
                finding = Finding(name, text, title, f"{repro.test}: {title}\n{report}", saved=path.name)
                for new in test.add([finding]):
                    self.screen.found(new)


def _reason(report: BaseReport) -> str:
    longrepr = report.longrepr
    return str(longrepr[2]) if isinstance(longrepr, tuple) else report.longreprtext


def run(session: Session, arguments: Sequence[str]) -> int:
    """Run pytest with these arguments as this job. Gives the exit code of the command."""
    output = io.StringIO()
    # pytest's own words are for the case that it breaks; else the screen has the terminal.
    with session.screen.follows(session.line), contextlib.redirect_stdout(output):
        code = int(pytest.main([*arguments], plugins=[session]))
    standing, interrupted = session.standing, code == pytest.ExitCode.INTERRUPTED
    if code == pytest.ExitCode.USAGE_ERROR:
        return 2
    if code == pytest.ExitCode.INTERNAL_ERROR:
        session.screen.line(output.getvalue())
        raise RuntimeError("pytest ended with an internal error")
    if interrupted and not standing.tests and not session.errors:
        session.screen.line("stopped before any test was collected: nothing was searched")
        return 1
    if not standing.tests and not session.errors:
        session.screen.line("no chaos test was found here: nothing was searched")
        return 2
    session.collect_left_behind()
    if session.junit is not None:
        session.junit.write(standing, session.errors)
    why = ", and was stopped" if interrupted else "" if session.timed_out else ": no test gets more time"
    session.screen.summary(standing, session.errors, session.received, why)
    if on_github():
        _tell_github(session)
    directory = repro_directory(session.config)
    names = sorted(finding.saved for finding in standing.findings if finding.document and not finding.trouble)
    if names:
        command = replay_command(session.config, [str(directory / name) for name in names])
        session.screen.line(f"To replay: {command}")
    return _exit_code(session)


def _tell_github(session: Session) -> None:
    """An annotation for each failure, and the summary of the step, in which every test has its place."""
    tests = session.standing.tests.values()
    located = [((f.file, f.line, ""), f.github) for test in tests for f in test.findings.values() if f.github]
    others = [(("", None, ""), packed(entry(test))) for test in tests if not test.findings]
    for line in commands(session.config, [*located, *others]):
        session.screen.command_to_github(line)
    if trouble := append_summary([*located, *others]):
        session.screen.line(trouble)


def _exit_code(session: Session) -> int:
    tests = session.standing.tests.values()
    if any(test.findings or (test.unknown and not test.allowed) or test.ended == "broken" for test in tests):
        return 1
    # After the failures: something was found out, though not all could be collected.
    if session.errors:
        return 2
    return 0 if all(test.latest or test.ended == "skipped" for test in tests) else 1


class Slices:
    """xdist's scheduler: each worker gets slice after slice, of the test that had the fewest."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.config = session.config
        self._names: dict[Any, list[str]] = {}
        self._pending: dict[Any, list[int]] = {}

    @property
    def nodes(self) -> list[Any]:
        return list(self._pending)

    @property
    def collection_is_completed(self) -> bool:
        return bool(self._names)

    @property
    def tests_finished(self) -> bool:
        return bool(self._names) and self._session.is_over and all(len(p) < AHEAD for p in self._pending.values())

    @property
    def has_pending(self) -> bool:
        return any(self._pending.values())

    def add_node(self, node: Any) -> None:
        self._pending[node] = []

    def add_node_collection(self, node: Any, collection: Sequence[str]) -> None:
        self._names[node] = list(collection)
        self._session.begin(collection)

    def schedule(self) -> None:
        for node in self._pending:
            self._top_up(node)

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        self._pending[node].remove(item_index)
        self._top_up(node)

    def _top_up(self, node: Any) -> None:
        pending, names = self._pending[node], self._names.get(node)
        while names and len(pending) < AHEAD and not self._session.is_over:
            place = self._session.standing.next_for(names, node.gateway.id, list(self._pending).index(node))
            if place is None:
                return
            pending.append(place)
            node.send_runtest_some([place])

    def mark_test_pending(self, item: str) -> None:
        raise NotImplementedError("a slice is never given twice")

    def remove_pending_tests_from_node(self, node: Any, indices: Sequence[int]) -> None:
        raise NotImplementedError("no slice is taken back")

    def remove_node(self, node: Any) -> str | None:
        """The test that this worker was at, if it did not end by itself."""
        pending = self._pending.pop(node)
        names = self._names.pop(node, [])
        return names[pending[0]] if pending else None
