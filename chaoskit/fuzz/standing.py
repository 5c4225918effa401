"""How the job stands: what is known of each test, which one is next, and when nothing new is seen any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import attrs

from chaoskit.fuzz.job import Finding, SliceResult
from chaoskit.search.distinct import Distinct
from chaoskit.values.faults import KIND_BY_NAME

WINDOW = 0.25
"""The share of its schedules, the last ones, in which a search must have seen something new."""
FEWEST = 20_000
"""Schedules before that is asked."""
NEW = 0.005
"""The share of the schedules of the window that must have been new."""
MOST_SATURATED = 2
"""Slices in a row that may say that they saw nothing new."""


@attrs.define(eq=False)
class Searched:
    """One test. `given`: how many slices of it each worker got. `ended`: why it gets no more time; empty as long as it
    does."""

    name: str
    given: Counter[str] = attrs.field(factory=Counter)
    ended: str = ""
    latest: dict[str, SliceResult] = attrs.field(factory=dict)
    distinct: Distinct = attrs.field(factory=Distinct)
    findings: dict[str, Finding] = attrs.field(factory=dict)
    trouble: str = ""
    """What keeps it from being searched: an error of the test, or the reason of a skip."""
    allowed: str = ""
    """Why it may show nothing."""
    uncertain: str = ""
    """Why a slice of it gave no result; until another one does."""
    deaths: int = 0
    """Workers that died while they were at it."""
    _history: list[tuple[int, int]] = attrs.field(factory=list)
    _saturated: int = 0

    def take(self, result: SliceResult) -> list[Finding]:
        """Count the result of a slice. Gives the findings that are new."""
        if result.status in ("broken", "skipped"):
            self.ended, self.trouble = result.status, result.text
        else:
            self.latest[result.worker] = result
            self.uncertain, self.allowed = "", result.allowed
            self.distinct.merge(result.fresh)
            self._note_saturation(result)
        return self.add(result.findings)

    def add(self, findings: Iterable[Finding]) -> list[Finding]:
        new = [finding for finding in findings if finding.name not in self.findings]
        self.findings |= {finding.name: finding for finding in new}
        return new

    def _note_saturation(self, result: SliceResult) -> None:
        if result.exhausted:
            self.ended = "exhausted"
            return
        self._saturated = self._saturated + 1 if result.saturated else 0
        self._history.append((self.schedules, self.distinct.estimate))
        if self._saturated >= MOST_SATURATED or self._nothing_new():
            self.ended = "saturated"

    def _nothing_new(self) -> bool:
        schedules, distinct = self._history[-1]
        if schedules < FEWEST:  # of few schedules nearly all are new by chance
            return False
        before = [entry for entry in self._history if entry[0] <= schedules * (1 - WINDOW)]
        # What lies further back is not asked for any more: a job of days keeps its memory flat.
        self._history = before[-1:] + self._history[len(before) :]
        return bool(before) and distinct - before[-1][1] < NEW * (schedules - before[-1][0])

    @property
    def schedules(self) -> int:
        return sum(result.schedules for result in self.latest.values())

    @property
    def different(self) -> int:
        """Distinct schedules, about."""
        # It is an estimate above some thousands, and must not claim more than were run.
        return min(self.distinct.estimate, self.schedules)

    @property
    def effective(self) -> list[str]:
        """The kinds of fault that changed something, on any worker."""
        return [kind for kind in KIND_BY_NAME if any(kind in result.effective for result in self.latest.values())]

    @property
    def not_tried(self) -> list[str]:
        """Those that could, and did not."""
        named = {kind for result in self.latest.values() for kind in result.not_tried}
        return [kind for kind in KIND_BY_NAME if kind in named and kind not in self.effective]

    @property
    def left_out(self) -> str:
        """What the comparison leaves out; empty for nothing."""
        return next((result.left_out for result in self.latest.values() if result.left_out), "")

    @property
    def unknown(self) -> tuple[str, ...]:
        """Why the search has shown nothing: what the last worker says whose reasons are fewest; empty if it has."""
        if self.findings or not (self.latest or self.uncertain):
            return ()
        if self.uncertain:
            return (self.uncertain,)
        # One worker that has shown something is enough.
        return min((result.reasons for result in self.latest.values()), key=len)


@attrs.define(eq=False)
class Standing:
    """All tests, by name."""

    tests: dict[str, Searched] = attrs.field(factory=dict)

    def know(self, names: Sequence[str]) -> None:
        for name in names:
            self.tests.setdefault(name, Searched(name))

    def next_for(self, names: Sequence[str], worker: str, first: int = 0) -> int | None:
        """The place in `names` of the test of which this worker had the fewest slices; None where no test gets more
        time. It does not depend on how fast others are. Workers with another `first` begin with other tests."""
        tests = [self.tests[name] for name in names]
        places = [place for place, test in enumerate(tests) if not test.ended]
        if not places:
            return None
        # By what this worker had, and not by what all had: so which seeds it tries depends on nobody's speed.
        place = min(places, key=lambda place: (tests[place].given[worker], (place - first) % len(tests)))
        tests[place].given[worker] += 1
        return place

    @property
    def searching(self) -> bool:
        """Whether some test still gets time."""
        return any(not test.ended for test in self.tests.values())

    @property
    def findings(self) -> list[Finding]:
        return [finding for test in self.tests.values() for finding in test.findings.values()]

    @property
    def schedules(self) -> int:
        return sum(test.schedules for test in self.tests.values())

    @property
    def distinct(self) -> int:
        return sum(test.different for test in self.tests.values())

    @property
    def effective(self) -> list[str]:
        return [kind for kind in KIND_BY_NAME if any(kind in test.effective for test in self.tests.values())]
