"""Before anything is tried: does each run begin afresh, and does the handler agree with itself?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import attrs

from chaoskit.execution.failures import HungInOrder, ReferenceRefused
from chaoskit.execution.limit import Hung, ends_the_test
from chaoskit.execution.script import Run
from chaoskit.search.fresh import fresh_state
from chaoskit.search.oracle import Case, Subject
from chaoskit.values.errors import ChaosError, NotDeterministic, StaleState, UsageError
from chaoskit.values.event import Stream
from chaoskit.values.faults import DeadLetter
from chaoskit.values.outcome import Outcome
from chaoskit.values.scenario import called
from chaoskit.values.state import differences, same, snapshot

MOST_AGAIN = 8
"""Streams that are run in order once more, each with the one before it, to see whether a store remembers others."""


@attrs.define
class Preflight:
    """What the runs in order show of the test itself. `fixtures`: the names of those that are made once."""

    subject: Subject
    fixtures: Sequence[str]
    memory_kept: bool = False
    spawns: bool = False
    """`deliver(spawn=…)` says what dies with a process."""
    notes: list[str] = attrs.field(factory=list)
    _done: bool = False
    _ran_again: int = 0
    _before: tuple[Case, Outcome] | None = None

    def look_at(self, case: Case) -> None:
        """Raises StaleState or NotDeterministic where this stream shows that runs are not independent."""
        if not self._done:
            self._run_around(case)
        self._must_remember_nothing(case, case.reference())

    def _run_around(self, case: Case) -> None:
        """Empty, the first half, in order, and all three again, and calm. Repeated until a stream moved the state."""
        stream = case.model.stream
        empty, half = self.subject.on(Stream(())), self.subject.on(stream.keep(range(len(stream) // 2)))
        first_empty = self._run_empty(empty)
        first_half = _tried(half)
        in_order = self._in_order(case, 0 if first_half is _RAISED else len(half.model.stream)).outcome
        first = snapshot(in_order.state)  # before the next run, which may change the same objects
        second_empty, second_half = self._run_empty(empty), _tried(half)
        again = self._in_order(case, len(stream))
        self.memory_kept, self.spawns = again.remembers, not again.memory_kept
        self._must_agree(first_empty, second_empty, "two runs over no events")
        self._must_agree(first_half, second_half, "two in-order runs of one stream, with a longer one between,")
        self._must_agree(first, again.outcome.state, "two in-order runs of the same stream")
        if self.subject.needs_effects:
            what = "the effects of two in-order runs of the same stream"
            self._must_agree(_recorded(in_order), _recorded(again.outcome), what, "effects")
        if not case.fails_in_order():
            check_calm(case)
        # Over a state that no stream has moved yet nothing could be held over that shows.
        self._done = first_empty is _RAISED or not self.subject.needs_state or not same(first_empty, first)

    def _must_remember_nothing(self, case: Case, reference: Outcome) -> None:
        """One stream, another one, and both again: what a store keeps of others shows in neither of them alone where it
        takes what it has already, as an upsert or a maximum does."""
        before, this = self._before, (case, reference)
        self._before = this
        # Each costs two runs; a store that remembers shows it in the first few streams.
        if before is None or self._ran_again >= MOST_AGAIN:
            return
        self._ran_again += 1
        for one, first in (before, this):
            again = self._in_order(one, len(one.model.stream))
            self._must_agree(first.state, again.outcome.state, "two in-order runs of one stream, with another between,")

    def _in_order(self, case: Case, taken: int) -> Run:
        """A stream of whose events the handler took so many in an earlier in-order run, and refused none."""
        try:
            return case.in_order()
        except ReferenceRefused as refused:
            # It was never taken before: the user's error, and not one of freshness.
            if refused.event not in case.model.stream.ids[:taken]:
                raise
            error = refused.__cause__
            raise StaleState(
                f"state of an earlier run is still there: of two in-order runs the handler took {refused.event} in the "
                f"first and raised {type(error).__name__} on it in the second: {error}. {self._afresh()}"
            ) from error

    def _afresh(self) -> str:
        fixtures = f" Fixtures of this test: {', '.join(self.fixtures)}." if self.fixtures else ""
        return (
            "The body runs once per schedule and must make its state afresh; fixtures are made once per test."
            f"{fixtures}"
        )

    def _run_empty(self, empty: Case) -> Any:
        try:
            return snapshot(empty.in_order().outcome.state)
        except ChaosError:
            raise
        except Exception as error:  # noqa: BLE001 - the body is the user's
            note = f"freshness not checked on an empty stream: the test raised {type(error).__name__} there"
            if note not in self.notes:  # the preflight may be run for several streams
                self.notes.append(note)
            return _RAISED

    def _must_agree(self, first: Any, second: Any, what: str, path: str = "state") -> None:
        if first is _RAISED or second is _RAISED or same(first, second):
            return
        difference = next(differences(first, second, path))
        then = f"{difference.observed!r}"
        if difference.beside:
            then += f" (the == of {difference.beside} does not look there: chaoskit does)"
        raise StaleState(
            f"state of an earlier run is still there, or cannot be compared: {what} differ at {difference.path}: "
            f"first {difference.expected!r}, then {then}. {self._afresh()}{fresh_state()} A clock, uuid4 or an "
            f"object without __eq__ in the {path} differs too: leave it out"
            f"{', or project it away with final_state(project=…)' if path == 'state' else ''}"
        )


def _recorded(outcome: Outcome) -> list[dict[str, Any]]:
    return [{"name": each.name, "key": each.key, "value": each.value} for each in outcome.effects]


_RAISED = object()


def _tried(case: Case) -> Any:
    """The state after an in-order run of a stream that may mean nothing to the test."""
    try:
        return snapshot(case.in_order().outcome.state)
    except (Hung, HungInOrder, StaleState):
        raise
    except BaseException as error:  # also pytest.fail and assume, of a test to which half a stream is none
        if ends_the_test(error):
            raise
        return _RAISED


def check_calm(case: Case) -> None:
    """Raise where the broker's own delivery without any fault differs from that in order."""
    calm = case.run(())
    if not case.violations(calm):
        return
    # It differs, but for a reason that can be named.
    if case.subject.poison and calm.outcome.unseen:
        _waits_for_ever(case, calm)
    consumers = len({step[1] for step in calm.steps})
    found = next(differences(case.reference().state, calm.outcome.state), None)
    where = f" at {found.path}: in order {found.expected!r}, now {found.observed!r}" if found else ""
    # Each consumer is a process of its own: what a handler keeps in memory is in several places.
    if consumers > 1:
        raise StaleState(
            f"differs without any fault: the memory is split over {consumers} consumers{where}. Keep the state "
            "where every consumer sees it, or run with consumers=1"
        )
    raise NotDeterministic(f"the handler is not deterministic: two runs of one order differ{where}")


def _waits_for_ever(case: Case, calm: Run) -> NoReturn:
    broker, outcome = case.subject.broker, calm.outcome
    refused = ", ".join(str(each.event) for each in outcome.refused)
    why = broker.why_impossible(DeadLetter)
    raise UsageError(
        f"poison says that {refused} can never be handled, and {called(broker)} waits for it for ever under "
        f"these settings: {', '.join(map(str, outcome.unseen))}, behind it, is never delivered. Choose settings "
        f"that give a message up{f' ({why})' if why else ''}, or leave such values out of the stream"
    )
