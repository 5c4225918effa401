"""Run pytest for what its chaos tests tolerate on several brokers, and for nothing else: nothing besides is searched,
and nothing is saved."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence

import pytest

from chaoskit.pytest.replay import IMPORTED_ALREADY, last_line, last_words
from chaoskit.runner import fresh_seed
from chaoskit.values.tolerance import Tolerance

NOT_SEARCHED = ("not searched: only what it tolerates was asked",)
"""The notes of a verdict in such a run."""


class Comparison:
    """A pytest plugin that collects the tables, by the node ids of their tests, and why there is none instead: of tests
    that end in an error or are skipped, and of files that cannot be imported. `says` is called with what is asked
    next."""

    def __init__(self, says: Callable[[str], None]) -> None:
        self.seed = fresh_seed()
        """Of all tests, where nobody has chosen one."""
        self.tolerances: dict[str, Tolerance] = {}
        self.errors: dict[str, str] = {}
        self.skipped: dict[str, str] = {}
        self.broken_files: dict[str, str] = {}
        self._says = says

    def asks(self, test: str, what: str) -> None:
        self._says(f"{test}: {what}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> None:
        """Before xdist reads them: the tables go to a plugin of this process."""
        for name, value in (("numprocesses", None), ("tx", []), ("dist", "no")):
            if hasattr(config.option, name):
                setattr(config.option, name, value)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Chaos tests alone. In place, as pytest goes on with the list that it gave."""
        items[:] = [item for item in items if hasattr(getattr(item, "obj", None), "chaos_options")]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.broken_files[report.nodeid] = last_line(report.longreprtext)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.nodeid in self.tolerances:  # it was marked as one that fails, say: its table is there all the same
            return
        if report.failed:
            self.errors[report.nodeid] = last_line(report.longreprtext)
        elif report.skipped and isinstance(report.longrepr, tuple):
            self.skipped[report.nodeid] = report.longrepr[2]


def comparison_of(config: pytest.Config) -> Comparison | None:
    """Whoever waits for the tables: `chaoskit compare`, if it runs this pytest."""
    return next((each for each in config.pluginmanager.get_plugins() if isinstance(each, Comparison)), None)


def compared(brokers: Sequence[str], arguments: Sequence[str], says: Callable[[str], None]) -> tuple[Comparison, str]:
    """The tables of all chaos tests that pytest collects with these arguments, and why it has stopped before, if it
    has. `brokers` are written as --chaos-broker takes them."""
    options = ["-q", "-p", "no:cacheprovider", *IMPORTED_ALREADY, "--continue-on-collection-errors", "--maxfail=0"]
    options += ["--chaos-tolerance", *(f"--chaos-broker={broker}" for broker in brokers)]
    comparison, output = Comparison(says), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = int(pytest.main([*options, *arguments], plugins=[comparison]))
    stopped = code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
    if not stopped or comparison.broken_files:
        return comparison, ""
    return comparison, f"pytest stopped: {last_words(output.getvalue()) or f'exit code {code}'}"
