"""The file of --junitxml: one case a test, however many slices it had, with the report of what was found as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import attrs
import pytest
from _pytest._code.code import ReprEntryNative, ReprExceptionInfo, ReprFileLocation, ReprTraceback
from _pytest.junitxml import LogXML, xml_key

from chaoskit.fuzz.screen import entry
from chaoskit.fuzz.standing import Searched, Standing
from chaoskit.pytest.session import PROPERTY, REPRO

Location = tuple[str, int | None, str]


@attrs.define(eq=False)
class Junit:
    """Writes in the end what pytest's own writer would write slice by slice."""

    writer: LogXML
    repros: str
    """The directory of the repro files, from the root."""
    seconds: dict[str, float] = attrs.field(factory=dict)
    locations: dict[str, Location] = attrs.field(factory=dict)

    @classmethod
    def instead_of(cls, config: pytest.Config) -> Junit | None:
        """Take pytest's writer out of the run, which has a case for each slice; None where no file was asked for."""
        writer = config.stash.get(xml_key, None)
        if writer is None:
            return None
        config.pluginmanager.unregister(writer)
        del config.stash[xml_key]  # else pytest would unregister it once more in the end
        writer.pytest_sessionstart()  # from which it counts its seconds
        return cls(writer, str(config.getoption("chaos_repros")))

    def note(self, report: pytest.TestReport) -> None:
        """A part of a slice is over."""
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        self.locations[report.nodeid] = report.location

    def write(self, standing: Standing, errors: dict[str, str]) -> None:
        """All tests by name, and what could not be collected."""
        for test in sorted(standing.tests.values(), key=lambda test: test.name):
            for report in self._reports(test):
                self.writer.pytest_runtest_logreport(report)
        for place, error in errors.items():
            self.writer.pytest_collectreport(pytest.CollectReport(place, "failed", error, []))
        self.writer.pytest_sessionfinish()

    def _reports(self, test: Searched) -> Iterator[pytest.TestReport]:
        location = self.locations.get(test.name, (test.name.partition("::")[0], None, test.name))
        files = [finding.saved for finding in test.findings.values() if finding.document and not finding.trouble]
        properties = [(REPRO, f"{self.repros}/{name}") for name in files]
        outcome: Literal["passed", "failed", "skipped"] = "passed"
        text: ReprExceptionInfo | tuple[str, int, str] | None = None
        if test.findings:
            outcome, text = "failed", _found(test, location)
        else:
            given = entry(test)
            properties.append((PROPERTY, given.shown))
            if given.failed:
                outcome, text = "failed", _as_failure(given.shown, given.shown, location)
            elif given.status == "skipped":
                outcome, text = "skipped", (*_line(location), given.shown)
        seconds = self.seconds.get(test.name, 0.0)
        yield pytest.TestReport(test.name, location, {}, outcome, text, "call", duration=seconds)
        # pytest's writer takes properties, and closes a case, at the teardown.
        yield pytest.TestReport(test.name, location, {}, "passed", None, "teardown", user_properties=properties)


def _line(location: Location) -> tuple[str, int]:
    return location[0], (location[1] or 0) + 1


def _found(test: Searched, location: Location) -> ReprExceptionInfo:
    """The report of each failure."""
    found = test.findings.values()
    message = "; ".join(finding.headline for finding in found)
    return _as_failure("\n\n".join(finding.report.strip() for finding in found), message, location)


def _as_failure(text: str, message: str, location: Location) -> ReprExceptionInfo:
    native = ReprEntryNative([f"{text}\n"])
    return ReprExceptionInfo(ReprTraceback([native], None, "native"), ReprFileLocation(*_line(location), message))
