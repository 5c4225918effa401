"""The pytest plugin. Every pytest run imports this file: what costs time is imported when a chaos test runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from chaoskit.pytest.session import ItemRunner

_RUNNER: pytest.StashKey[ItemRunner] = pytest.StashKey()
LOG = 120  # as in `report.terminal`, which a run without a chaos test does not import
"""Columns where there is no terminal to ask."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("chaoskit", "chaoskit: message handlers under every possible delivery")
    _add_search_options(group)
    _add_question_options(group)
    _add_file_options(group)


def _add_search_options(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--chaos-schedules",
        type=int,
        metavar="N",
        help="distinct schedules per chaos test (overrides the decorator; default: 1,000, or what 60s allow; "
        "max_examples of a Hypothesis profile does not count)",
    )
    group.addoption(
        "--chaos-exhaustive",
        type=_positive,
        metavar="K",
        help="run every schedule of up to K faults over short streams, equal ones once, instead of searching",
    )
    group.addoption(
        "--chaos-exhaustive-events",
        type=_positive,
        metavar="N",
        default=4,
        help="with --chaos-exhaustive: streams of up to N events (default: 4)",
    )
    group.addoption(
        "--chaos-time",
        metavar="TIME",
        help="search each chaos test for this long, such as 30s, 5m or 1h30m, instead of for a number of schedules; "
        "with --chaos-schedules, too, whichever comes first",
    )
    group.addoption(
        "--chaos-limit",
        metavar="TIME",
        help="the longest that one run of a test under one schedule may take; one that takes longer hangs, which is a "
        "failure (default: 30s)",
    )
    group.addoption(
        "--chaos-seed",
        metavar="SEED",
        help="seed of every chaos test, mixed with its node id; the same seed, the same result",
    )


def _add_question_options(group: pytest.OptionGroup) -> None:
    """What can be asked of each chaos test besides whether it holds."""
    group.addoption(
        "--chaos-repair",
        action="store_true",
        help="for each failure, try which move repairs it: remember message ids, drop stale versions, hold back until "
        "the gap in seq closes, one key for all. Each is put around the handler and searched again",
    )
    group.addoption(
        "--chaos-boundary",
        action="store_true",
        help="for each chaos test, find what has to stay in order: the finest key (as it is, a field of the value, two "
        "fields, one for all) under which every order that it permits gives the in-order result",
    )
    group.addoption(
        "--chaos-tolerance",
        action="store_true",
        help="for each chaos test, a table of what it tolerates: each kind of fault that its broker can make is "
        "searched alone, and then together those that do not break it",
    )
    group.addoption(
        "--chaos-broker",
        metavar="BROKER",
        action="append",
        default=[],
        help="with --chaos-tolerance: ask this broker in place of the test's own, such as 'RabbitMQ(prefetch=1)'; may "
        "be given more than once, for several side by side",
    )
    group.addoption(
        "--chaos-self-check",
        action="store_true",
        help="for each chaos test that holds, plant known bugs around its handler and in the state that it gives, and "
        "say which of them it would have noticed; one that would have noticed none has shown nothing",
    )


def _positive(text: str) -> int:
    """The number of an option."""
    from argparse import ArgumentTypeError

    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r}: a whole number, 1 or more, is needed")
    return int(text)


def _add_file_options(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--chaos-corpus",
        metavar="PLACE",
        help="share failures through a database of Hypothesis: a directory, or redis://host:port/0 "
        "(default: that of Hypothesis' settings profile)",
    )
    group.addoption(
        "--chaos-repros", metavar="DIR", default=".chaoskit",
        help="where repro files are saved and looked for (default: .chaoskit, relative to rootdir)",
    )  # fmt: skip
    group.addoption(
        "--chaos-replay", metavar="PATH", action="append", default=[],
        help="replay a saved repro file, or all of a directory, instead of searching; may be given more than once",
    )  # fmt: skip
    group.addoption(
        "--chaos-report", metavar="DIR",
        help="write a page, a picture and JSON lines for each failing chaos test into this directory (relative to "
        "rootdir), and JSON lines for each passing one",
    )  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    if config.getoption("chaos_replay"):
        # Before xdist reads them: a replay has a few tests at most, and its answers go to a plugin of this process.
        for name, value in (("numprocesses", None), ("tx", []), ("dist", "no")):
            if hasattr(config.option, name):
                setattr(config.option, name, value)


def pytest_configure(config: pytest.Config) -> None:
    schedules = config.getoption("chaos_schedules")
    if schedules is not None and schedules < 1:
        raise pytest.UsageError(f"--chaos-schedules={schedules}: a whole number, 1 or more, is needed")
    for option in ("time", "limit"):
        # Read now, and refused before an hour of tests has run.
        if (given := config.getoption(f"chaos_{option}")) is not None:
            from chaoskit.values.duration import seconds
            from chaoskit.values.errors import UsageError

            try:
                seconds(given)
            except UsageError as error:
                raise pytest.UsageError(f"--chaos-{option}: {error}") from None
    if config.getoption("chaos_broker"):
        _check_brokers(config)
    if config.getoption("chaos_corpus") is not None:
        from chaoskit.repro.corpus import database_of
        from chaoskit.values.errors import UsageError

        try:
            database_of(config.getoption("chaos_corpus"), config.rootpath)
        except UsageError as error:
            raise pytest.UsageError(f"--chaos-corpus: {error}") from None
    config.pluginmanager.register(TerminalSummary(_width(config)), "chaoskit-summary")
    # By the text and not by `fuzz.worker.INPUT`: that would import the job in every pytest run.
    if "chaoskit_fuzz" in getattr(config, "workerinput", {}):
        from chaoskit.fuzz.worker import work_for_xdist

        work_for_xdist(config)
    if config.getoption("chaos_replay"):
        from chaoskit.pytest.replay_option import prepare_replay

        prepare_replay(config)


def _check_brokers(config: pytest.Config) -> None:
    from chaoskit.brokers.written import broker_of
    from chaoskit.values.errors import UsageError

    if not config.getoption("chaos_tolerance"):
        raise pytest.UsageError("--chaos-broker says for which broker --chaos-tolerance asks; give both")
    for given in config.getoption("chaos_broker"):
        try:
            broker_of(given)
        except UsageError as error:
            raise pytest.UsageError(f"--chaos-broker: {error}") from None


def _width(config: pytest.Config) -> int:
    """Asked now: while tests run, standard output is no terminal, and in a worker it never is."""
    given = getattr(config, "workerinput", {}).get("chaoskit_width")
    if given:
        os.environ["COLUMNS"] = str(given)  # xdist says 80 there, where it knows nothing
        return int(given)
    return shutil.get_terminal_size((LOG, 24)).columns


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """A worker's reports are read in our terminal."""
    node.workerinput["chaoskit_width"] = _width(node.config)


@pytest.fixture
def deliver() -> None:
    """Stands in for the `deliver` that @chaos gives; a test that asks for this fixture lacks the decorator."""
    pytest.fail("`deliver` is given by @chaos: decorate the test with @chaos(events, broker=…)", pytrace=False)


@pytest.hookimpl(tryfirst=True)
def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if not config.getoption("chaos_replay"):
        return None
    from chaoskit.pytest.replay_option import is_not_replayed

    return is_not_replayed(config, collection_path) or None  # None leaves it to pytest and to others


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("chaos_replay"):
        from chaoskit.pytest.replay_option import select_replayed

        select_replayed(config, items)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    if not hasattr(getattr(item, "obj", None), "chaos_options"):
        return (yield)
    from chaoskit.pytest.session import PytestRunner, allow_fixtures
    from chaoskit.runner import within

    allow_fixtures(item)
    worker = item.config.pluginmanager.get_plugin("chaoskit-fuzz-worker")
    runner = item.stash[_RUNNER] = PytestRunner(item) if worker is None else worker.runner(item)
    with within(runner):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if _RUNNER in item.stash and call.when == "call":
        item.stash[_RUNNER].complete(report, call.excinfo)
    return report


def _write(terminal: Any, line: str) -> None:
    """Names, notes and errors may hold what a stranger wrote."""
    from chaoskit.values.texts import for_log

    terminal.write_line(for_log(line))


class TerminalSummary:
    """What the passing chaos tests have shown, and how to replay the failures, printed at the end; also for reports
    that come from xdist's workers. `width`: columns of the terminal in which this is read; 120 in a log."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._lines_of_tests: list[tuple[str, str]] = []
        self._memory: dict[str, list[str]] = {}
        self._repros: dict[str, None] = {}
        self._github: list[Any] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self._lines_of_tests += [
                (report.nodeid, str(text)) for name, text in report.user_properties if name == "chaoskit"
            ]
            for note in (str(note) for name, note in report.user_properties if name == "chaoskit-memory"):
                self._memory.setdefault(note, []).append(report.nodeid)
            self._repros |= {str(path): None for name, path in report.user_properties if name == "chaoskit-repro"}
            self._github += [(report.location, it) for name, it in report.user_properties if name == "chaoskit-github"]

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._lines_of_tests:
            terminalreporter.section("chaoskit")
        for nodeid, text in sorted(self._lines_of_tests):  # xdist's workers report in any order
            _write(terminalreporter, nodeid)
            for line in text.splitlines():
                _write(terminalreporter, f"  {line}".rstrip())
        for note, tests in self._memory.items():  # the same of every test, so that it is reported once
            _write(terminalreporter, f"{note}{self._of_which(tests)}")
        # Only where chaos tests ran: a run of others has nothing to say of saved files.
        if self._lines_of_tests or self._repros:
            from chaoskit.pytest.saved import idle_repros

            for line in idle_repros(terminalreporter.config):
                _write(terminalreporter, line)
        # A worker has a reporter, too, and would write the summary twice.
        if self._github and not hasattr(terminalreporter.config, "workerinput"):
            from chaoskit.pytest.reports import append_summary, commands

            for line in commands(terminalreporter.config, self._github):
                terminalreporter.write_line(line)  # texts in it have GitHub's own escapes
            if trouble := append_summary(self._github):
                _write(terminalreporter, trouble)

    def _of_which(self, tests: Sequence[str]) -> str:
        """Nothing, where it is reported of all of them."""
        if len(tests) == len(self._lines_of_tests):
            return ""
        named = sorted(tests)[:3]
        more = f" and {len(tests) - len(named)} more" if len(tests) > len(named) else ""
        return f" ({', '.join(named)}{more})"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """The last line of a failing run is the command that plays it again."""
        result = yield
        terminal = session.config.pluginmanager.get_plugin("terminalreporter")
        if self._repros and terminal is not None:
            from chaoskit.pytest.saved import replay_command

            _write(terminal, f"To replay: {replay_command(session.config, sorted(self._repros))}")
        return result
