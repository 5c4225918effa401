"""The search over streams: single faults, then mixtures, and when it is enough."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import attrs

from chaoskit.execution.failures import NoThreads, what_dies
from chaoskit.execution.started import noted
from chaoskit.search.batched import NO_BATCHES, in_batches
from chaoskit.search.evidence import Evidence
from chaoskit.search.failing import (
    NO_CALLS,
    NO_CALLS_OF_LOOP,
    NO_SPAWN,
    calls_of,
    failing_plans,
    in_turn,
    that_fail,
    with_attempts,
)
from chaoskit.search.forgotten import why_never
from chaoskit.search.found import Found
from chaoskit.search.inside import NO_POINTS, candidates, inside_plans, passed_points, whole, with_inside
from chaoskit.search.labels import looks_across
from chaoskit.search.oracle import Case, Subject, with_state_copied
from chaoskit.search.plans import Plan, Plans
from chaoskit.search.preflight import Preflight, check_calm
from chaoskit.search.question import EARLY, FEW, SCHEDULES_PER_STREAM, UNLIMITED, Question, SearchSettings
from chaoskit.search.sensitivity import leave_out, note_effect, note_stream
from chaoskit.search.shape import fingerprint, has_two_values
from chaoskit.values.clock import now
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Stream
from chaoskit.values.faults import CUTS, INSIDE, Fail, FaultKind, reaches_in
from chaoskit.values.schedule import RESTART, Raw, deliveries
from chaoskit.values.verdict import Tally

LITERAL_ROUND = 1000
"""Schedules of a literal stream between two looks at the clock."""

MONOTONOUS_SHARE = 10
"""Schedules for a stream in which no key has two different values: an overwrite cannot go wrong there. The first
stream that Hypothesis draws, the simplest, is one. Such a stream does not count as one of those asked for, unless the
strategy makes no others."""

SINGLES = 0.25
"""Of a stream that has too many single faults for all of them, the share of its schedules that have one."""

MOST_ASKED = 20
"""Streams with siblings after which it is settled that leaving one out never changes the state."""

AT_LEAST = 50
"""Schedules of a literal stream that are run however little time there is."""

PATIENCE = 60
"""Plans in a row that give no new schedule before the stream is given up."""


@attrs.define
class Campaign:
    """One search. `streams` is how many are expected, and `most_per_stream` how many schedules are run on each;
    `ignore_across`: a failure that an order without faults explains is none. `literal`: the streams are the user's own
    and all there are."""

    subject: Subject
    kinds: Sequence[FaultKind]
    settings: SearchSettings
    streams: int
    literal: bool
    most_per_stream: int
    ignore_across: bool
    preflight: Preflight
    asks_inside: bool = False
    """A kind that reaches inside the handler was asked for by name."""
    asks_cuts: bool = False
    """Where a batch ends was asked for by name."""
    started: float = attrs.field(factory=now)
    streams_done: int = 0
    done: int = 0
    found: Found | None = None
    error: BaseException | None = None
    saturated: bool = False
    why_not_inside: str = ""
    """Why no process died inside the handler."""
    why_no_call_failed: str = ""
    """Why no call failed inside the handler."""
    _died: int = 0
    """How many schedules of this stream had something go wrong inside the handler."""
    _mixes_since: int = 0
    """How many schedules were run before the first mixture of this stream."""

    @classmethod
    def of(cls, question: Question) -> Campaign:
        settings, subject = question.settings, question.subject
        timed = LITERAL_ROUND if question.is_literal else SCHEDULES_PER_STREAM
        return cls(
            subject,
            question.kinds,
            settings,
            streams=question.streams + len(settings.examples),
            literal=question.is_literal,
            most_per_stream=UNLIMITED if settings.budget is None else timed,
            ignore_across=settings.across_keys == "any",
            preflight=Preflight(subject, settings.fixtures),
            asks_inside=question.asks_inside,
            asks_cuts=question.asks_cuts,
        )

    def try_stream(self, stream: Stream, salt: int) -> None:
        """Run this stream's share of the schedules. The first failure is stored in `found` and ends the search."""
        if self.found is not None or not self.wants_more or not len(stream):
            return
        case = self.begin(stream)
        if case is None:
            return
        share, usual = self._take_share(stream)
        print_ = fingerprint(stream)
        self.evidence.seen.add(hash((print_, tuple(case.steps(())))))
        # What dies inside the handler has plans of its own, so that all others are those of a test without `spawn`.
        plans = Plans(case.model, [kind for kind in self.kinds if kind not in INSIDE], salt)
        singles = plans.every_single(max(1, usual // 2))
        if singles is not None and share < usual and not self._has_had_singles:
            share = max(share, len(singles))
        self._mixes_since, self._died = UNLIMITED, 0
        self._try_plans(case, print_, self._all_plans(case, plans, singles, share, salt), share)
        if self.done > self._mixes_since:
            mixed = max(0, self.done - self._mixes_since - self._died)
            self.evidence.mixtures[len(stream), plans.most_kinds] += mixed

    def begin(self, stream: Stream) -> Case | None:
        """The stream in order, and what that shows of the test itself. None where it fails already: that is stored."""
        self.evidence.streams_seen += 1
        case = self.subject.on(stream)
        self.preflight.look_at(case)
        note_stream(self.evidence, case)
        if case.fails_in_order():
            self.found = Found(case, (), with_state_copied(case.run(())))
            return None
        # One consumer delivers this as the reference did; only several can split the memory of a process.
        if len({step[1] for step in case.steps(())}) > 1:
            check_calm(case)
        self._look_at_batches()
        self._look_inside(case)
        self._look_at_calls(case)
        return case

    def _look_at_batches(self) -> None:
        """Where a batch ends is tried where the handler takes batches."""
        if self.subject.batches.most is not None or set(CUTS).isdisjoint(self.kinds):
            return
        if self.asks_cuts:
            raise UsageError(NO_BATCHES)
        self.kinds = tuple(kind for kind in self.kinds if kind not in CUTS)

    def _look_inside(self, case: Case) -> None:
        """Count the points of this stream, where a process may die inside the handler."""
        if set(INSIDE).isdisjoint(self.kinds):
            return
        why = None if self.preflight.spawns else what_dies(self.kinds)
        if why is None:
            try:
                with noted() as started:
                    passed = passed_points(case)
                self.evidence.started_at |= started
            except NoThreads as error:
                why, passed = str(error), {}
            tried = whole if self.subject.whole else candidates
            case.points = {position: tried(each) for position, each in passed.items()}
            self.evidence.points.update(itertools.chain.from_iterable(passed.values()))
            why = why or (None if self.evidence.points else NO_POINTS)
        if why is not None and self.asks_inside:
            raise UsageError(why)
        if why is not None:
            self.why_not_inside = why
            self.kinds = tuple(kind for kind in self.kinds if kind not in INSIDE)

    def _look_at_calls(self, case: Case) -> None:
        """Count the calls of this stream that can fail inside the handler."""
        if Fail not in self.kinds or self.subject.whole:  # what is done whole fails whole, as an attempt does
            return
        if not self.preflight.spawns and self.subject.fails_with is None:
            self.why_no_call_failed = NO_SPAWN
            return
        calls = calls_of(case)
        case.calls = that_fail(calls)
        self.evidence.calls.update(itertools.chain.from_iterable(calls.values()))
        self.why_no_call_failed = "" if self.evidence.calls else NO_CALLS_OF_LOOP if case.is_loop else NO_CALLS

    def _take_share(self, stream: Stream) -> tuple[int, int]:
        """How many schedules this stream has, and how many it would have if it were none of the early ones."""
        shown = self.evidence
        usual = -(-(self.settings.schedules - self.done) // max(1, self.streams - self.streams_done))
        usual = min(usual, self.most_per_stream)
        if not self.literal and not has_two_values(stream) and not shown.is_monotonous:
            shown.monotonous += not shown.two_values
            # Of few schedules a fifth at most: a stream in which an overwrite can go wrong is still to come.
            few = min(usual, MONOTONOUS_SHARE, self.settings.schedules // 5)
            return few, few
        share = min(usual, FEW) if self._is_early else usual
        self.streams_done += 1
        shown.streams += 1
        return share, usual

    def _try_plans(self, case: Case, print_: int, plans: Iterator[Plan], share: int) -> None:
        shown, misses = self.evidence, 0
        for plan in plans:
            if share <= 0 or misses > PATIENCE or (self.literal and self._is_late):
                return
            plan = self._unknown_part(plan)
            steps = case.steps(plan)
            # By what it does, not by its faults: many plans come to the same schedule, which is run once.
            known = hash((print_, tuple(steps)))
            if known in shown.seen or not plan:
                misses += 1
                continue
            shown.remember(known)
            share, misses = share - 1, 0
            if self.fails(case, plan, steps):
                return

    def _all_plans(self, case: Case, plans: Plans, singles: list[Plan] | None, share: int, salt: int) -> Iterator[Plan]:
        """Of those that die or fail inside the handler a third, where there are any."""
        dying = None if set(INSIDE).isdisjoint(self.kinds) else inside_plans(case, self.kinds, case.points, salt)
        if dying is None and not case.calls:
            return self._plans(plans, singles, share, salt)
        dying = None if dying is None else with_attempts(dying, self.kinds, salt)
        inside = in_turn(dying, failing_plans(case, self.kinds, salt) if case.calls else None)
        if set(INSIDE).issuperset(self.kinds):
            return inside
        return with_inside(self._plans(plans, singles, share, salt), inside)

    def _plans(self, plans: Plans, singles: list[Plan] | None, share: int, salt: int) -> Iterator[Plan]:
        if self._has_had_singles:
            pass
        elif singles is not None:
            yield from singles
            self.evidence.singles_up_to = max(self.evidence.singles_up_to, plans.events)
        else:
            self.evidence.all_singles = False
            for _, plan in zip(range(int(share * SINGLES)), plans.some_singles(), strict=False):
                yield plan
        self._mixes_since = self.done
        mixtures = plans.mixtures()
        yield from mixtures if set(CUTS).isdisjoint(self.kinds) else in_batches(mixtures, plans, salt)

    def _unknown_part(self, plan: Plan) -> Plan:
        """The plan without what fails for certain: of each set of kinds that is known to fail, the last is left out."""
        for kinds in self.settings.known:
            if kinds.issubset(map(type, plan)):
                last = [kind for kind in self.kinds if kind in kinds][-1:]
                plan = tuple(fault for fault in plan if type(fault) not in last)
        return plan

    def fails(self, case: Case, plan: Plan, steps: Sequence[Raw]) -> bool:
        """Run one schedule. A failure is stored in `found`."""
        self.done += 1
        shown = self.evidence
        shown.schedules += 1
        run = case.run(plan, steps)
        for kind in set(map(type, plan)):
            shown.by_kind[kind] += 1
        shown.left_threads = shown.left_threads or not run.is_swept
        if case.points or case.calls:
            self._died += any(map(reaches_in, plan))
        if run.deaths or run.failures:
            shown.note_inside(run)
        if run.settled is not None and (shown.schedules == 1 or shown.never_settled):
            shown.never_settled = why_never(run, case.model.verbs.names)
        if run.outcome.lost and run.settled is None:
            shown.gave_up = True
        shown.deliveries += deliveries(steps)
        if not shown.restarted:
            shown.restarted = any(step[0] == RESTART for step in steps)
        note_effect(shown, self.kinds, case, plan, steps)
        if not case.violations(run):
            return False
        run = with_state_copied(run)
        if self.ignore_across and looks_across(case, run):
            return False
        # A handler that is not deterministic fails here and there under faults that have nothing to do with it.
        check_calm(case)
        self.found = Found(case, plan, run)
        return True

    def ask(self, stream: Stream) -> bool:
        """Ask in order only whether the state shows anything. Whether that is answered."""
        shown = self.evidence
        if len(stream):
            leave_out(shown, self.subject.on(stream))
        return shown.sibling_matters or shown.siblings_asked >= MOST_ASKED or self._is_late

    @property
    def evidence(self) -> Evidence:
        return self.settings.evidence

    @property
    def stopped(self) -> bool:
        """A failure was found, or something that is none of the handler's went wrong."""
        return self.found is not None or self.error is not None

    @property
    def wants_more(self) -> bool:
        return self.done < self.settings.schedules and (self._is_in_time or not self.streams_done)

    @property
    def lost_patience(self) -> bool:
        """Schedules are left, and the time that nobody asked for has ended it."""
        done = self.done >= self.settings.schedules or self.saturated
        return self.settings.budget is None and not self._is_in_time and not done

    @property
    def elapsed(self) -> float:
        """Seconds since the search began."""
        return now() - self.started

    @property
    def _is_in_time(self) -> bool:
        time = self.settings.patience if self.settings.budget is None else self.settings.budget
        return time is None or self.elapsed < time

    @property
    def _is_late(self) -> bool:
        """The time is over, and something was tried. Only a literal stream, which has no end, ends within itself."""
        return self.done >= AT_LEAST and not self._is_in_time

    @property
    def _is_early(self) -> bool:
        """At least as many streams come later, so that no schedule of those that were asked for is left out."""
        return not self.literal and self.streams_done < min(EARLY, self.streams // 2)

    @property
    def _has_had_singles(self) -> bool:
        return self.literal and self.evidence.streams_seen > 1

    def unknown(self) -> list[str]:
        """Why a search without a failure has shown nothing, or less than it was asked for; empty if it has."""
        if not self.kinds and self.why_not_inside:
            return [self.why_not_inside]
        return self.evidence.unknown(self.kinds, self.subject, literal=self.literal)

    def tally(self) -> Tally:
        return self.evidence.tally(self.kinds, self.subject.kinds_that_lose())
