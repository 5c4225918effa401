"""What the runner around a chaos test knows: who the test is, the options, where repros are kept.

The pytest plugin puts its own in place for each test; without pytest the defaults here hold.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, NoReturn
from unittest import SkipTest

from chaoskit.execution.execute import RunObserver
from chaoskit.execution.limit import Limit
from chaoskit.search.evidence import Evidence
from chaoskit.search.investigate import derive
from chaoskit.search.oracle import Subject
from chaoskit.values.clock import today
from chaoskit.values.epoch import seed_at
from chaoskit.values.event import Stream
from chaoskit.values.faults import Fault, FaultKind
from chaoskit.values.verdict import Verdict


class Asked:
    """Nobody around: no options, no repros, everything that is to be said is raised."""

    test: str | None = None
    schedules: int | None = None
    budget: float | None = None
    """Seconds for each test."""
    patience: float | None = None
    """Seconds after which no new stream is begun where nobody says how much is to be tried."""
    epoch: float | None = None
    """When the producer begins to send; None: when the seed was drawn."""
    limit: Limit | None = None
    """For each run of a test."""
    recorder: RunObserver | None = None
    evidence: Evidence | None = None
    """What earlier searches of the test have shown."""
    known: Collection[frozenset[FaultKind]] = ()
    """Kinds of fault that are known to fail together, and are not tried again."""
    first: Sequence[tuple[Stream, tuple[Fault, ...]]] = ()
    """Scenarios that a run had met which was stopped before it could make them minimal."""

    def seed(self, decorated: Any) -> tuple[int, bool]:
        """The seed, and whether somebody chose it."""
        if decorated is not None:
            return as_seed(decorated), True
        return fresh_seed(), False

    def limited(self) -> AbstractContextManager[None]:
        """Within this the limit holds."""
        return nullcontext()

    def before_search(self, subject: Subject) -> Verdict | None:
        """A verdict that makes the search unnecessary, such as of a saved repro that still fails."""
        return None

    def met(self, verdict: Verdict) -> None:
        """The search met a failure, which is not minimal yet."""

    def tell(self, verdict: Verdict) -> None:
        """The test passed."""

    def skip(self, why: str, verdict: Verdict) -> NoReturn:
        raise SkipTest(why)

    def report(self, verdict: Verdict) -> str:
        return verdict.report()


_current: ContextVar[Asked | None] = ContextVar("chaoskit", default=None)


def current() -> Asked:
    return _current.get() or Asked()


@contextmanager
def around(asked: Asked) -> Iterator[None]:
    token = _current.set(asked)
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
