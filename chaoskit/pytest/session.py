"""A chaos test in pytest: its runner knows the options and the saved repros, and adds to pytest's own report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, Protocol

import attrs
import hypothesis
import pytest
from hypothesis import HealthCheck

from chaoskit.brokers.written import broker_of
from chaoskit.decorator import SCHEDULES, ChaosOptions
from chaoskit.execution.script import RunObserver
from chaoskit.pytest.comparison import NOT_SEARCHED, comparison_of
from chaoskit.pytest.limits import armed, limit_of
from chaoskit.pytest.longrepr import longrepr_of
from chaoskit.pytest.progress import Progress
from chaoskit.pytest.replay_option import REPLAYED, is_replay, replayed, sinks
from chaoskit.pytest.reports import on_github, write_reports
from chaoskit.pytest.saved import Saved, SavedRepros, in_words
from chaoskit.pytest.shared import share, shared_failure
from chaoskit.report.github import ReportEntry, entry_of, packed
from chaoskit.report.terminal import as_text, headline, held_lines, tolerance_lines
from chaoskit.report.tolerance import as_markdown
from chaoskit.runner import Runner, SearchOptions, as_seed, fresh_seed
from chaoskit.search.evidence import Evidence
from chaoskit.search.investigate import MEMORY_KEPT
from chaoskit.search.oracle import Subject
from chaoskit.values.duration import seconds, shown
from chaoskit.values.names import from_here
from chaoskit.values.scenario import Broker
from chaoskit.values.verdict import Verdict

PROPERTY = "chaoskit"
REPRO = "chaoskit-repro"
MEMORY = "chaoskit-memory"
"""What a report says of its test, the repro file of one that failed, and that a handler's memory survived restarts;
they stand in JUnit's XML, too."""
GITHUB = "chaoskit-github"
"""What GitHub shows of a test, where it runs there."""


DEFAULT_TIME = 60.0
"""Seconds after which a test begins no new stream where nobody says how much is to be tried."""


class ItemRunner(Runner, Protocol):
    """The runner of an item of pytest's."""

    def complete(self, report: pytest.TestReport, excinfo: pytest.ExceptionInfo[BaseException] | None) -> None:
        """Add to pytest's report what is to be reported of the test, also where it comes from xdist's workers."""


class PytestRunner:
    """The runner of one chaos test in an ordinary run of pytest."""

    observer: RunObserver | None = None

    def __init__(self, item: pytest.Item) -> None:
        self._item = item
        self._config = item.config
        self._options = options_of(item)
        self._notes: list[str] = []
        self.test = item.nodeid
        self._schedules: int | None = item.config.getoption("chaos_schedules")
        self._exhaustive = exhaustive_of(item.config)
        given = item.config.getoption("chaos_time")
        self.advises: bool = item.config.getoption("chaos_repair")
        self.bounds: bool = item.config.getoption("chaos_boundary")
        self.checks_itself: bool = item.config.getoption("chaos_self_check")
        self.tolerates = brokers_asked(item.config)
        self._asking = ""
        """What is asked besides the search, where that is at work: what it tolerates, which move repairs it."""
        self._budget = None if given is None else seconds(given)
        self.wants = SearchOptions(schedules=self._schedules, budget=self._budget, patience=DEFAULT_TIME)
        self.limit = limit_of(item.config)
        self._evidence = Evidence()
        self._repros = SavedRepros(item.config, item.nodeid, self._options, self._notes)
        self._failing: Path | None = None
        """The saved file that still fails, if it is one that is reported."""
        self._saved = Saved()
        self._pages = ""
        self._line = ""
        self._headline = ""
        self._memory = ""
        self._entry: ReportEntry | None = None

    def seed(self, decorated: Any) -> tuple[int, bool]:
        """--chaos-seed, then @seed, then --hypothesis-seed; else random, or fixed under Hypothesis' CI profile."""
        given = self._config.getoption("chaos_seed")
        # The most particular first: whoever gives our option wants it for this run.
        for chosen in (given, decorated, self._config.getoption("--hypothesis-seed", None)):
            if chosen is not None:
                return as_seed(chosen), True
        if hypothesis.settings.default.derandomize:  # type: ignore[union-attr]
            return 0, True
        comparison = comparison_of(self._config)
        return (fresh_seed() if comparison is None else comparison.seed), False

    @contextmanager
    def limited(self) -> Iterator[None]:
        """The limit of each run holds, and a long search shows how it stands."""
        asked = self._config.getoption("chaos_limit") is not None
        with armed(self.limit, self._notes, is_asked=asked) as holds:
            if not holds:
                yield
                return
            progress = Progress(self._config, self._standing)
            self.limit.between = progress.look
            try:
                yield
            finally:
                self.limit.between = None
                progress.close()

    def asks(self, what: str, part: str) -> None:
        self._asking = ": ".join(filter(None, (what, part)))
        if (comparison := comparison_of(self._config)) is not None:
            comparison.asks(self.test, part)

    def _standing(self, elapsed: float) -> str:
        """How the search stands, in a line."""
        if self._asking:
            return f"chaoskit: {self.test}: {self._asking}, {shown(elapsed)}"
        tried, time = f"{self._evidence.schedules:,}", shown(elapsed)
        if self._exhaustive is not None:
            tried += " distinct"
        elif self._budget is not None:
            time += f" of {shown(self._budget)}"
        else:
            tried += f" of {self._schedules or self._options.schedules or SCHEDULES:,}"
        found = "; a failure was found and is made minimal" if self._repros.has_failed else ""
        return f"chaoskit: {self.test}: {tried} schedules, {time}{found}"

    def before_search(self, subject: Subject) -> Verdict | SearchOptions:
        if is_replay(self._config):
            return replayed(self._config, self._repros, subject)
        if comparison_of(self._config) is not None:
            return Verdict("held", notes=NOT_SEARCHED)
        # What is known to fail costs one run; a search behind it would only find it again.
        failure = self._saved_failure(subject)
        # The search begins with one failure: shared ones are there next time, too.
        if failure is None and not self._repros.resume_from:
            failure = shared_failure(self._config, self._repros, subject)
        return failure or attrs.evolve(
            self.wants,
            exhaustive=self._exhaustive,
            evidence=self._evidence,
            resume_from=self._repros.resume_from,
        )

    def _saved_failure(self, subject: Subject) -> Verdict | None:
        """The first of the saved files that still fails."""
        for repro in self._repros.all():
            if self._repros.resume(repro, subject):
                continue
            answer, name = self._repros.play(repro, subject), from_here(repro.path)
            if answer.failure is not None:
                self._notes.append(f"saved repro {name} {answer.became.lower()}; nothing was searched")
                self._failing = repro.path
                return answer.failure
            why = f" ({answer.reason})" if answer.reason else ""
            self._notes.append(f"saved repro {name} {in_words(answer)}{why}")
        return None

    def on_failure(self, verdict: Verdict) -> None:
        self._repros.save_unshrunk(verdict)

    def passed(self, verdict: Verdict) -> None:
        self._repros.remove_unshrunk()
        if (comparison := comparison_of(self._config)) is not None and verdict.tolerance is not None:
            comparison.tolerances[self.test] = verdict.tolerance
        lines = [] if verdict.notes in (REPLAYED, NOT_SEARCHED) else held_lines(verdict)
        # Reported once for all tests at the end: many handlers are such.
        if MEMORY_KEPT in lines:
            lines.remove(MEMORY_KEPT)
            self._memory = MEMORY_KEPT
        lines += self._notes
        self._entry = ReportEntry(
            self._item.nodeid, "held", "; ".join(lines).removeprefix("held: "),
            tolerance="" if verdict.tolerance is None else as_markdown(verdict.tolerance),
        )  # fmt: skip
        lines += tolerance_lines(verdict.tolerance, width_of(self._config) - 2)
        if verdict.tolerance is not None and any(column.breaks for column in verdict.tolerance.columns):
            lines.append(f"Found with --chaos-seed={verdict.tolerance.seed}")
        if not is_replay(self._config):
            trouble = write_reports(self._config, attrs.evolve(verdict, test=self.test))
            lines += [trouble] if trouble else []
        self._line = "\n".join(lines)

    def skip(self, why: str, verdict: Verdict) -> NoReturn:
        self._entry = ReportEntry(self._item.nodeid, "skipped", why)
        pytest.skip(why)

    def failed(self, verdict: Verdict) -> None:
        self._headline = headline(verdict)
        if verdict.status == "unknown":
            self._repros.remove_unshrunk()
        elif not is_replay(self._config):
            self._saved = self._repros.save(verdict, self._failing)
            share(self._config, verdict, self.test, self._notes)
        replay = self._replay(verdict)
        self._pages = write_reports(self._config, verdict, replay=replay, name=Path(self._saved.path).stem)
        # Nobody else reads it, and it has the whole report in it.
        self._entry = entry_of(verdict, replay=replay) if on_github() else None

    def _replay(self, verdict: Verdict) -> str | None:
        return self._saved.replay if verdict.status == "violated" else None

    def text(self, verdict: Verdict) -> str:
        width = width_of(self._config)
        text = as_text(verdict, replay=self._replay(verdict), width=width, seed_option="--chaos-seed=")
        notes = [*self._notes, *([self._pages] if self._pages else [])]
        return "".join([f"{self._headline}\n{text}", *(f"\n{note}\n" for note in notes)])

    def complete(self, report: pytest.TestReport, excinfo: pytest.ExceptionInfo[BaseException] | None) -> None:
        named = ((PROPERTY, self._line), (REPRO, self._saved.path), (MEMORY, self._memory))
        properties = [(name, text) for name, text in named if text]
        report.user_properties += properties
        self._item.user_properties += properties  # JUnit's XML takes them from the report of the teardown
        if excinfo is not None:
            report.longrepr = longrepr_of(excinfo.value, self._item, self._headline) or report.longrepr
        if entry := self._for_github(report, excinfo):
            report.user_properties.append((GITHUB, entry))

    def _for_github(self, report: pytest.TestReport, excinfo: pytest.ExceptionInfo[BaseException] | None) -> str:
        """What GitHub is to show of this test; nothing elsewhere, and where `chaoskit replay` runs this pytest."""
        if not on_github() or sinks(self._config) or comparison_of(self._config) is not None:
            return ""
        if self._entry is None and excinfo is not None and report.failed:
            self._entry = ReportEntry(self._item.nodeid, "error", f"{excinfo.type.__name__}: {excinfo.value}")
        return packed(self._entry) if self._entry is not None else ""


def exhaustive_of(config: pytest.Config) -> tuple[int, int] | None:
    """Faults and events of --chaos-exhaustive, as the numbers that a search takes."""
    faults = config.getoption("chaos_exhaustive")
    return None if faults is None else (faults, config.getoption("chaos_exhaustive_events"))


def options_of(item: pytest.Item) -> ChaosOptions:
    """What `@chaos` was given on this test."""
    options: ChaosOptions = item.obj.chaos_options  # type: ignore[attr-defined]
    return options


def brokers_asked(config: pytest.Config) -> tuple[Broker, ...] | None:
    """For --chaos-tolerance: those of --chaos-broker, none for the test's own. None: it was not asked."""
    if not config.getoption("chaos_tolerance"):
        return None
    return tuple(map(broker_of, config.getoption("chaos_broker")))


def width_of(config: pytest.Config) -> int:
    """Columns of the terminal in which this run is read."""
    summary: Any = config.pluginmanager.get_plugin("chaoskit-summary")
    return int(summary.width)


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
