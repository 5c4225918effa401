"""The search over streams: preflight, single faults, mixtures; what was tried and what it could show."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, NoReturn

import attrs

from chaoskit.execution.failures import HungInOrder, ReferenceRefused
from chaoskit.execution.limit import Hung, ends_the_test
from chaoskit.execution.script import PASS_THROUGH, Run
from chaoskit.search.evidence import Evidence
from chaoskit.search.fresh import fresh_state
from chaoskit.search.oracle import Case, Subject, differing_step, kept, key_sequences
from chaoskit.search.plans import Plan, Plans
from chaoskit.values.clock import now
from chaoskit.values.errors import ChaosError, NotDeterministic, StaleState, UsageError
from chaoskit.values.event import Event, Stream
from chaoskit.values.faults import DeadLetter, Fail, FaultKind, Lose, Overtake
from chaoskit.values.outcome import Outcome
from chaoskit.values.schedule import LOSE, RESTART
from chaoskit.values.state import differences, same, snapshot
from chaoskit.values.verdict import Tally

UNLIMITED = 1 << 60

MONOTONOUS_SHARE = 10
"""Schedules for a stream in which no key has two different values: an overwrite cannot go wrong there. The first
stream that Hypothesis draws, the simplest, is one. Such a stream does not count as one of those asked for, unless the
strategy makes no others."""

SINGLES = 0.25
"""Of a stream that has too many single faults for all of them, the share of its schedules that have one."""

EARLY = 10
"""So many streams come first and have few schedules each: many a bug waits for a stream rather than for an order. What
they leave is for the later ones."""

FEW = 10
"""Schedules of an early stream, if they are enough for every single fault wherever these would be tried."""

MOST_ASKED = 20
"""Streams with siblings after which it is settled that leaving one out never changes the state."""

AT_LEAST = 50
"""Schedules of a literal stream that are run however little time there is."""

MOST_AGAIN = 8
"""Streams that are run in order once more, each with the one before it, to see whether a store remembers others."""

PATIENCE = 60
"""Plans in a row that give no new schedule before the stream is given up."""


@attrs.frozen(eq=False)
class Found:
    """A failing scenario as the search met it; without faults it fails in order."""

    case: Case
    faults: Plan
    run: Run


@attrs.define
class Campaign:
    """One search. `streams` is how many are expected; `ignore_across`: a failure that an order without faults explains
    is none. `literal`: the streams are the user's own and all there are. `evidence` may be that of an earlier search
    of the same test. `known`: sets of kinds that are known to fail together, which are not tried again. `budget`:
    seconds instead of a number of schedules; it ends between streams, not before the first that can show something,
    and `most_per_stream` schedules are run on each. `patience`: seconds after which it ends between streams, too, where
    it is not done."""

    subject: Subject
    kinds: Sequence[FaultKind]
    schedules: int
    streams: int
    ignore_across: bool = False
    literal: bool = False
    evidence: Evidence = attrs.field(factory=Evidence)
    known: Sequence[frozenset[FaultKind]] = ()
    budget: float | None = None
    patience: float | None = None
    most_per_stream: int = UNLIMITED
    started: float = attrs.field(factory=now)
    streams_done: int = 0
    done: int = 0
    found: Found | None = None
    error: BaseException | None = None
    memory_kept: bool = False
    saturated: bool = False
    notes: list[str] = attrs.field(factory=list)
    fixtures: Sequence[str] = ()
    _preflown: bool = False
    _ran_again: int = 0
    _before: tuple[Case, Outcome] | None = None

    def try_stream(self, stream: Stream, salt: int) -> None:
        """Run this stream's share of the schedules. The first failure is kept in `found` and ends the search."""
        if self.found is not None or not self.wants_more:
            return
        if not len(stream):
            return
        shown = self.evidence
        shown.streams_seen += 1
        case = self.subject.on(stream)
        self._look_at(case)
        if case.fails_in_order():
            self.found = Found(case, (), kept(case.run(())))
            return
        usual = -(-(self.schedules - self.done) // max(1, self.streams - self.streams_done))
        share = usual = min(usual, self.most_per_stream)
        if not self.literal and not has_two_values(stream) and not shown.is_monotonous:
            share = usual = min(usual, MONOTONOUS_SHARE, self.schedules // 5)
            shown.monotonous += not shown.two_values
        else:
            if self._is_early:
                share = min(usual, FEW)
            self.streams_done += 1
            shown.streams += 1
        print_ = fingerprint(stream)
        plans = Plans(case.model, self.kinds, salt)
        calm = case.steps(())
        if len({step[1] for step in calm}) > 1:
            self._check_calm(case)
        shown.seen.add(hash((print_, tuple(calm))))
        misses = 0
        singles = plans.every_single(max(1, usual // 2))
        if singles is not None and share < usual and not self._has_had_singles:
            share = max(share, len(singles))
        for plan in self._plans(plans, singles, share):
            if share <= 0 or misses > PATIENCE or (self.literal and self._is_late):
                break
            plan = self._unknown_part(plan)
            steps = case.steps(plan)
            known = hash((print_, tuple(steps)))
            if known in shown.seen or not plan:
                misses += 1
                continue
            shown.remember(known)
            share, misses = share - 1, 0
            if self._fails(case, plan, steps):
                return

    def ask(self, stream: Stream) -> bool:
        """Ask in order only whether the state shows anything. Whether that is answered."""
        shown = self.evidence
        if len(stream):
            case = self.subject.on(stream)
            self._leave_out(case, case.reference())
        return shown.sibling_matters or shown.siblings_asked >= MOST_ASKED or self._is_late

    @property
    def stopped(self) -> bool:
        """A failure was found, or something that is none of the handler's went wrong."""
        return self.found is not None or self.error is not None

    @property
    def wants_more(self) -> bool:
        return self.done < self.schedules and (self._is_in_time or not self.streams_done)

    @property
    def _is_in_time(self) -> bool:
        time = self.patience if self.budget is None else self.budget
        return time is None or self.elapsed < time

    @property
    def lost_patience(self) -> bool:
        """Schedules are left, and the time that nobody asked for has ended it."""
        return self.budget is None and not self._is_in_time and self.done < self.schedules and not self.saturated

    @property
    def _is_late(self) -> bool:
        """The time is over, and something was tried. Only a literal stream, which has no end, ends within itself."""
        return self.done >= AT_LEAST and not self._is_in_time

    @property
    def elapsed(self) -> float:
        """Seconds since the search began."""
        return now() - self.started

    def unknown(self) -> list[str]:
        """Why a search without a failure has shown nothing, or less than it was asked for; empty if it has."""
        return self.evidence.unknown(self.kinds, self.subject, literal=self.literal)

    def tally(self) -> Tally:
        return self.evidence.tally(self.kinds, self.subject.kinds_that_lose())

    @property
    def _is_early(self) -> bool:
        """At least as many streams come later, so that no schedule of those that were asked for is left out."""
        return not self.literal and self.streams_done < min(EARLY, self.streams // 2)

    @property
    def _has_had_singles(self) -> bool:
        return self.literal and self.evidence.streams_seen > 1

    def _plans(self, plans: Plans, singles: list[Plan] | None, share: int) -> Iterator[Plan]:
        if self._has_had_singles:
            pass
        elif singles is not None:
            yield from singles
        else:
            self.evidence.all_singles = False
            for _, plan in zip(range(int(share * SINGLES)), plans.some_singles(), strict=False):
                yield plan
        yield from plans.mixtures()

    def _unknown_part(self, plan: Plan) -> Plan:
        """The plan without what fails for certain: of each set of kinds that is known to fail, the last is left out."""
        for kinds in self.known:
            if kinds.issubset(map(type, plan)):
                last = [kind for kind in self.kinds if kind in kinds][-1:]
                plan = tuple(fault for fault in plan if type(fault) not in last)
        return plan

    def _fails(self, case: Case, plan: Plan, steps: Sequence[Any]) -> bool:
        self.done += 1
        self.evidence.schedules += 1
        run = case.run(plan, steps)
        self.evidence.deliveries += sum(not step[0] for step in steps)
        if not self.evidence.restarted:
            self.evidence.restarted = any(step[0] == RESTART for step in steps)
        if not self.evidence.effective.issuperset(self.kinds):
            self._note_effect(case, plan, steps)
        if not case.violations(run):
            return False
        run = kept(run)
        if self.ignore_across and case.explained_by_order(run, case.likely_orders(run)):
            return False
        self._check_calm(case)
        self.found = Found(case, plan, run)
        return True

    def _note_effect(self, case: Case, plan: Plan, steps: Sequence[Any]) -> None:
        """A kind has shown something once it alone changed what some key's events were seen as.

        A stall of a lane never does: it changes the order between lanes. Nor does a failed attempt where the broker
        keeps the order: that nothing overtook is what it shows.
        """
        shown = self.evidence
        kinds = {type(fault) for fault in plan}
        if Lose in kinds and any(step[0] == LOSE for step in steps):  # which may take another fault, such as growth
            shown.differed = shown.changed = True
            shown.effective.add(Lose)
        kind = kinds.pop() if len(kinds) == 1 else None
        if kind in shown.effective or (kind is None and shown.changed):
            return
        calm = case.steps(())
        if steps == calm:
            return
        shown.differed = True
        keys = [event.key for event in case.model.stream.events]
        if kind in (Overtake, Fail) or key_sequences(steps, keys) != key_sequences(calm, keys):
            shown.changed = True
            shown.effective |= {kind} if kind is not None else set()

    # Before the search: does the state start afresh, and does anything move it?

    def _look_at(self, case: Case) -> None:
        if not self._preflown:
            self._preflight(case)
        reference, shown = case.reference(), self.evidence
        self._must_remember_nothing(case, reference)
        if not shown.two_values:
            shown.siblings = shown.siblings or bool(_with_siblings(case.model.stream))
            shown.two_values = has_two_values(case.model.stream)
        states = reference.states
        if not shown.state_moved:
            shown.state_moved = any(not same(states[0], state) for state in states)
        if self.subject.needs_state and not shown.sibling_matters:
            self._leave_out(case, reference)

    def _preflight(self, case: Case) -> None:
        """Empty, the first half, in order, and all three again, and calm. Repeated until a stream moved the state."""
        stream = case.model.stream
        empty, half = self.subject.on(Stream(())), self.subject.on(stream.keep(range(len(stream) // 2)))
        first_empty = self._run_empty(empty)
        first_half = _tried(half)
        in_order = self._in_order(case, 0 if first_half is _RAISED else len(half.model.stream)).outcome
        first = snapshot(in_order.state)
        second_empty, second_half = self._run_empty(empty), _tried(half)
        again = self._in_order(case, len(stream))
        self.memory_kept = again.remembers
        self._must_agree(first_empty, second_empty, "two runs over no events")
        self._must_agree(first_half, second_half, "two in-order runs of one stream, with a longer one between,")
        self._must_agree(first, again.outcome.state, "two in-order runs of the same stream")
        if not case.fails_in_order():
            self._check_calm(case)
        self._preflown = first_empty is _RAISED or not self.subject.needs_state or not same(first_empty, first)

    def _must_remember_nothing(self, case: Case, reference: Outcome) -> None:
        """One stream, another one, and both again: what a store keeps of others shows in neither of them alone where it
        takes what it has already, as an upsert or a maximum does."""
        before, this = self._before, (case, reference)
        self._before = this
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
            if note not in self.notes:
                self.notes.append(note)
            return _RAISED

    def _must_agree(self, first: Any, second: Any, what: str) -> None:
        if first is _RAISED or second is _RAISED or same(first, second):
            return
        difference = next(differences(first, second))
        then = f"{difference.observed!r}"
        if difference.beside:
            then += f" (the == of {difference.beside} does not look there: chaoskit does)"
        raise StaleState(
            f"state of an earlier run is still there, or cannot be compared: {what} differ at {difference.path}: "
            f"first {difference.expected!r}, then {then}. {self._afresh()}{fresh_state()} A clock, uuid4 or an "
            "object without __eq__ in the state differs too: leave it out, or project it away with "
            "final_state(project=…)"
        )

    def _check_calm(self, case: Case) -> None:
        calm = case.run(())
        if case.violations(calm):
            self._calm_differs(case, calm)

    def _calm_differs(self, case: Case, calm: Run) -> None:
        if self.subject.poison and calm.outcome.unseen:
            self._waits_for_ever(case, calm)
        consumers = len({step[1] for step in calm.steps})
        found = next(differences(case.reference().state, calm.outcome.state), None)
        where = f" at {found.path}: in order {found.expected!r}, now {found.observed!r}" if found else ""
        if consumers > 1:
            raise StaleState(
                f"differs without any fault: the memory is split over {consumers} consumers{where}. Keep the state "
                "where every consumer sees it, or run with consumers=1"
            )
        raise NotDeterministic(f"the handler is not deterministic: two runs of one order differ{where}")

    def _waits_for_ever(self, case: Case, calm: Run) -> NoReturn:
        broker, outcome = self.subject.broker, calm.outcome
        refused = ", ".join(str(each.event) for each in outcome.refused)
        why = broker.why_impossible(DeadLetter)
        raise UsageError(
            f"poison says that {refused} can never be handled, and {type(broker).__name__} waits for it for ever under "
            f"these settings: {', '.join(map(str, outcome.unseen))}, behind it, is never delivered. Choose settings "
            f"that give a message up{f' ({why})' if why else ''}, or leave such values out of the stream"
        )

    def _leave_out(self, case: Case, whole: Outcome) -> None:
        """Ask what leaving out one event does, until one of those that share their key was seen to matter."""
        shown, stream = self.evidence, case.model.stream
        shared, asked = _with_siblings(stream), False
        for position in _spread(len(stream)):
            if position not in shared and shown.event_matters:
                continue
            matters = self._matters(case, position, whole)
            shown.event_matters = shown.event_matters or matters is not False
            if position in shared and matters is not None:
                asked = True
                shown.sibling_matters = matters
            if shown.sibling_matters:
                break
        shown.siblings_asked += asked

    def _matters(self, case: Case, position: int, whole: Outcome) -> bool | None:
        """Whether what is compared is another one without this event. None where the test needs the event: that it
        fails shows nothing of its state."""
        try:
            less = self.subject.on(case.model.stream.without(position)).in_order(strict=False).outcome
        except (ChaosError, *PASS_THROUGH):
            raise
        except (Exception, Hung):  # noqa: BLE001 - the body needs that event
            return None
        poison = {each.event for each in whole.refused}  # refused in any company
        if less.failure is not None or any(each.event not in poison for each in less.refused):
            return None
        return bool(self.subject.judge(whole, less))


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


def _spread(size: int, most: int = 24) -> list[int]:
    """Positions from the last to the first, spread out where there are many."""
    return list(range(size - 1, -1, -max(1, -(-size // most))))


def _with_siblings(stream: Stream) -> frozenset[int]:
    """The positions of the events that are not alone under their key."""
    counts = Counter(event.key for event in stream.events)
    return frozenset(position for position, event in enumerate(stream.events) if counts[event.key] > 1)


def has_two_values(stream: Stream) -> bool:
    """Whether some key has two different ones."""
    first: dict[Hashable, Event] = {}
    return any(not same(first.setdefault(event.key, event).value, event.value) for event in stream.events)


def fingerprint(stream: Stream) -> int:
    """The same for equal streams."""
    try:
        return zlib.crc32(repr(stream.events).encode("utf-8", "backslashreplace"))
    except (ValueError, RecursionError):  # numbers of thousands of digits, values of thousands of levels
        return id(stream)


def confirm(found: Found) -> Run:
    """Run a failing scenario twice more. Raises NotDeterministic where the answers differ."""
    case = found.case
    one, two = kept(case.run(found.faults)), kept(case.run(found.faults))
    for run in (one, two):
        step = differing_step(found.run, run)
        if step is not None:
            raise NotDeterministic(
                f"the handler is not deterministic: the same schedule went another way at step {step}"
            )
        if not same(found.run.outcome.state, run.outcome.state) or not case.violations(run):
            difference = next(differences(found.run.outcome.state, run.outcome.state), None)
            where = f" at {difference.path}" if difference else ""
            raise NotDeterministic(f"the handler is not deterministic: the same schedule gave two states{where}")
    return two
