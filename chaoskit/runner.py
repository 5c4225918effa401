"""What surrounds a chaos test: who the test is, how much is searched, and what becomes of its verdict.

The pytest plugin puts its own runner in place for each test; without pytest `PlainRunner` holds.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, NoReturn, Protocol
from unittest import SkipTest

import attrs

from chaoskit.execution.limit import Limit
from chaoskit.execution.script import RunObserver
from chaoskit.search.evidence import Evidence
from chaoskit.search.oracle import Subject
from chaoskit.search.question import derive
from chaoskit.values.clock import today
from chaoskit.values.epoch import seed_at
from chaoskit.values.event import Stream
from chaoskit.values.faults import Fault, FaultKind
from chaoskit.values.scenario import Broker
from chaoskit.values.verdict import Verdict


@attrs.frozen(kw_only=True, eq=False)
class SearchOptions:
    """How much a runner wants to be searched, and from where on. None: as the test itself says, or the defaults."""

    schedules: int | None = None
    budget: float | None = None
    """Seconds for each test."""
    patience: float | None = None
    """Seconds after which no new stream is begun where nobody says how much is to be tried."""
    exhaustive: tuple[int, int] | None = None
    """Up to so many faults, over streams of up to so many events: all schedules of these, and no other."""
    epoch: float | None = None
    """When the producer begins to send; None: when the seed was drawn."""
    evidence: Evidence | None = None
    """What earlier searches of the test have shown."""
    known: Collection[frozenset[FaultKind]] = ()
    """Kinds of fault that are known to fail together, and are not tried again."""
    resume_from: Sequence[tuple[Stream, tuple[Fault, ...]]] = ()
    """Failures that were found by a run which was stopped before it could make them minimal."""


class Runner(Protocol):
    """What `@chaos` asks of whatever runs the test."""

    @property
    def test(self) -> str | None:
        """The name of the test; None where nobody has collected it."""

    @property
    def limit(self) -> Limit | None:
        """For each run of the test."""

    @property
    def observer(self) -> RunObserver | None: ...

    @property
    def advises(self) -> bool:
        """Which move repairs a failure is tried, too."""

    @property
    def bounds(self) -> bool:
        """What has to stay in order is asked, too."""

    @property
    def checks_itself(self) -> bool:
        """Known bugs are planted, to see which of them a test that holds would have noticed."""

    @property
    def tolerates(self) -> Sequence[Broker] | None:
        """Which kinds of fault it survives is asked, too: on these brokers, or on the test's own where there are none
        here. None: it is not asked."""

    @property
    def wants(self) -> SearchOptions:
        """How much is searched of what is asked besides, where the verdict is there without a search."""

    def asks(self, what: str, part: str) -> None:
        """What is searched next, and of what: ("what it tolerates", "DeadLetter on Kafka")."""

    def seed(self, decorated: Any) -> tuple[int, bool]:
        """The seed, and whether somebody chose it. `decorated`: the argument of Hypothesis' @seed."""

    def limited(self) -> AbstractContextManager[object]:
        """Within this the limit holds."""

    def before_search(self, subject: Subject) -> Verdict | SearchOptions:
        """How to search; or a verdict without a search, such as of a saved repro that still fails."""

    def on_failure(self, verdict: Verdict) -> None:
        """The search has found a failure, which is not minimal yet."""

    def passed(self, verdict: Verdict) -> None: ...

    def skip(self, why: str, verdict: Verdict) -> NoReturn: ...

    def failed(self, verdict: Verdict) -> None:
        """The test failed or has shown nothing: write the files that are to be written."""

    def text(self, verdict: Verdict) -> str:
        """The report of a test that failed, after `failed`."""


class PlainRunner:
    """No runner at all: no options, no repros, and a failure is raised with its report."""

    test: str | None = None
    limit: Limit | None = None
    observer: RunObserver | None = None
    advises = bounds = checks_itself = False
    tolerates: Sequence[Broker] | None = None
    wants = SearchOptions()

    def asks(self, what: str, part: str) -> None:
        pass

    def seed(self, decorated: Any) -> tuple[int, bool]:
        return (fresh_seed(), False) if decorated is None else (as_seed(decorated), True)

    def limited(self) -> AbstractContextManager[object]:
        return nullcontext()

    def before_search(self, subject: Subject) -> Verdict | SearchOptions:
        return SearchOptions()

    def on_failure(self, verdict: Verdict) -> None:
        pass

    def passed(self, verdict: Verdict) -> None:
        pass

    def skip(self, why: str, verdict: Verdict) -> NoReturn:
        raise SkipTest(why)

    def failed(self, verdict: Verdict) -> None:
        pass

    def text(self, verdict: Verdict) -> str:
        return verdict.report()


_current: ContextVar[Runner | None] = ContextVar("chaoskit", default=None)


def current() -> Runner:
    """The runner around the present test."""
    return _current.get() or PlainRunner()


@contextmanager
def within(runner: Runner) -> Iterator[None]:
    """Within this it is the runner of the test that is called."""
    token = _current.set(runner)
    try:
        yield
    finally:
        _current.reset(token)


def fresh_seed() -> int:
    """A seed that nobody chose, which has the present hour in it."""
    return seed_at(today(), secrets.randbits(32))


def as_seed(given: Any) -> int:
    """A seed as a number: Hypothesis takes any hashable, so that a text is one, too."""
    try:
        return int(given)
    except (TypeError, ValueError):
        return derive(0, repr(given))
