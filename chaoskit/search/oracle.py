"""The user's test as a function of a stream and its faults: run it, judge it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

import attrs

from chaoskit.execution import forks
from chaoskit.execution.deliver import Body
from chaoskit.execution.execute import execute
from chaoskit.execution.failing import checked_fails_with
from chaoskit.execution.failures import ProcessEnded
from chaoskit.execution.frozen import frozen
from chaoskit.execution.limit import Limit
from chaoskit.execution.points import Points, checked_points
from chaoskit.execution.script import FailsWith, Mailbox, Move, Run, RunObserver, Script
from chaoskit.execution.stepping import Passed
from chaoskit.search.forgotten import settling_violations
from chaoskit.values.epoch import EPOCH
from chaoskit.values.errors import ChaosError, UsageError, did_you_mean
from chaoskit.values.event import EventId, Stream
from chaoskit.values.faults import Crash, Fail, Fault, FaultKind, Lose
from chaoskit.values.invariant import BODY, ENDED, Invariant, Violation
from chaoskit.values.outcome import Outcome
from chaoskit.values.scenario import Broker, Model
from chaoskit.values.schedule import DELIVER, Raw, is_handed
from chaoskit.values.settling import Settles
from chaoskit.values.state import snapshot
from chaoskit.values.verdict import Loss

ModelOf = Callable[[Broker, Stream], Model]

MOST_HALF_DONE = 4
"""Messages that were gone with their processes, each of which may have been done or not."""


class CheckerFailed(Exception):
    """An invariant raised: what it would have found is unknown."""

    def __init__(self, invariant: str, error: Exception) -> None:
        super().__init__(f"the invariant {invariant} raised {type(error).__name__}: {error}")


def _known_loss(instance: object, attribute: attrs.Attribute[str], value: object) -> None:
    if value not in get_args(Loss):
        raise UsageError(
            f"loss={value!r}: 'left out' or 'violation' is needed{did_you_mean(str(value), get_args(Loss))}"
        )


def poisons(given: Any) -> tuple[type[Exception], ...]:
    """The exceptions of `poison=`. Raises UsageError for what is none."""
    found = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
    for kind in found:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise UsageError(
                f"poison contains {kind!r}: the classes of exceptions are needed that mean that a message can never be "
                "handled, such as poison=(ValueError,)"
            )
    return found


@attrs.define
class InCalls:
    """Of a handler that takes batches, what its last run has asked for: messages of one call; None: it takes single
    ones."""

    most: int | None = None


@attrs.frozen
class Subject:
    """What is asked about: the test, the broker, what must hold. `loss`: what becomes of a message that the settings
    lose. `poison`: exceptions that mean "this message can never be handled". `epoch`: when the producer begins.
    `move`: makes what stands between `deliver` and the handler, anew for each run. `model_of`: makes the model of a
    stream where that is not the broker's own, as under other keys. `one_process`: no restart costs a handler its
    memory. `bug`: makes what stands there in a run under faults, and only there. `view`: what the invariants are given
    of a state. `points`: what is stepped into to let a process die inside. `fails_with`: makes what a call raises that
    fails inside. `whole`: what a handler does for a message is done whole or not at all, as in one transaction.
    `freeze_time`: Python's clocks follow the run's."""

    body: Body
    broker: Broker
    invariants: tuple[Invariant, ...]
    is_async: bool = False
    limit: Limit | None = None
    observer: RunObserver | None = None
    loss: Loss = attrs.field(default="left out", validator=_known_loss)
    poison: tuple[type[Exception], ...] = ()
    epoch: float = EPOCH
    move: Callable[[], Move] | None = None
    model_of: ModelOf | None = None
    one_process: bool = False
    bug: Callable[[Script], Move] | None = None
    view: Callable[[Any], Any] | None = None
    points: Points = attrs.field(default=None, converter=checked_points)
    fails_with: FailsWith | None = attrs.field(default=None, converter=checked_fails_with)
    whole: bool = False
    freeze_time: bool = False
    forked_before: int = attrs.field(factory=forks.made)
    batches: InCalls = attrs.field(factory=InCalls, eq=False)
    needs_state: bool = attrs.field(init=False)
    looks_at_states: bool = attrs.field(init=False)
    needs_effects: bool = attrs.field(init=False)

    @needs_state.default
    def _any_state(self) -> bool:
        return any(invariant.needs_state for invariant in self.invariants)

    @looks_at_states.default
    def _any_states(self) -> bool:
        return any(invariant.needs_states or invariant.takes_states for invariant in self.invariants)

    @needs_effects.default
    def _any_effects(self) -> bool:
        return any(invariant.needs_effects for invariant in self.invariants)

    def leaves_out(self, kinds: Collection[FaultKind]) -> str:
        """What has to be stated of a pass where these kinds were tried: what it leaves out; empty for nothing."""
        named = self.broker.loses
        if self.loss == "violation" or not (Lose in kinds or (named and not {Fail, Crash}.isdisjoint(kinds))):
            return ""
        by = f" ({named})" if named else ""
        return (
            f"these settings can lose messages{by}: compared without what was lost; loss='violation' makes it a failure"
        )

    def kinds_that_lose(self) -> set[FaultKind]:
        """The kinds of which a pass says nothing, because the comparison leaves out what they lose."""
        if self.loss == "violation":
            return set()
        return {Lose, Fail} if self.broker.drops() else {Lose}

    def on(self, stream: Stream) -> Case:
        return Case(self, self.model(stream))

    def model(self, stream: Stream) -> Model:
        """The stream in this broker."""
        model = self.broker.model(stream) if self.model_of is None else self.model_of(self.broker, stream)
        if self.batches.most is not None:
            model.in_batches(self.batches.most)
        return model

    def execute(self, script: Script) -> Run:
        run = self._watched(script)
        self.batches.most = run.most_together
        if run.outcome.failure is None and (run.outcome.state is None or self.looks_at_states):
            self._must_have_states(run)
        return run if self.view is None else _viewed(run, self.view)

    def _must_have_states(self, run: Run) -> None:
        for invariant in self.invariants:
            if invariant.needs_states and not run.has_state:
                raise UsageError(
                    f"{invariant.name} looks at the state after each delivery: give it, "
                    "deliver(handler, state=lambda: …)"
                )
            if run.outcome.state is None and (invariant.needs_state or (invariant.takes_states and not run.has_state)):
                does = "compares what it returns" if invariant.needs_state else "looks at the state"
                raise UsageError(
                    f"the test returned None, and {invariant.name} {does}. Return the final state "
                    "(`return wallet.balances`), or give it: deliver(handler, state=lambda: …)"
                )

    def _run(self, script: Script) -> Run:
        return execute(
            frozen(self.body) if self.freeze_time else self.body,
            script,
            forked_before=self.forked_before,
            is_async=self.is_async,
            record_states=self.looks_at_states,
            move=self._move(script),
            one_process=self.one_process,
            limit=self.limit,
        )

    def _move(self, script: Script) -> Move | None:
        if self.bug is not None and script.faults:
            return self.bug(script)
        return None if self.move is None else self.move()

    def _watched(self, script: Script) -> Run:
        if self.observer is None:
            return self._run(script)
        self.observer.begins(script)
        try:
            return self._run(script)
        finally:
            self.observer.ends()

    def judge(self, reference: Outcome, outcome: Outcome) -> tuple[Violation, ...]:
        """What is violated. Raises CheckerFailed where an invariant raises."""
        # The usual case, a thousand times a search, without a generator.
        if outcome.failure is None and not outcome.refused and not outcome.forgets and len(self.invariants) == 1:
            return self._ask(self.invariants[0], reference, outcome)
        return tuple(self._judge(reference, outcome))

    def _judge(self, reference: Outcome, outcome: Outcome) -> Iterator[Violation]:
        expected = {refused.event for refused in reference.refused}
        for refused in outcome.refused:
            if refused.event in expected:  # what it needs was lost: it is refused without any fault, too
                continue
            error = refused.error
            yield Violation(
                "refused", f"the handler refused {refused.event} to the end: {type(error).__name__}: {error}"
            )
        yield from settling_violations(reference, outcome)
        if outcome.failure is not None:
            failure = outcome.failure
            if isinstance(failure, ProcessEnded):
                yield Violation(ENDED, str(failure))
                return
            where = "after the deliveries"
            if outcome.failed_at is not None:
                where = f"after step {outcome.failed_at}, the delivery of {outcome.failed_event}"
            yield Violation(BODY, f"the test raised {type(failure).__name__} {where}: {failure}")
            return
        for invariant in self.invariants:
            yield from self._ask(invariant, reference, outcome)

    def blames(self, reference: Outcome, outcome: Outcome, *, same_events: bool) -> bool:
        """Whether something is violated already in the middle of a run. Without `same_events` the reference has handled
        others, and only what looks at each state by itself is asked."""
        if same_events:
            return bool(self.judge(reference, outcome))
        each = [
            invariant
            for invariant in self.invariants
            if (invariant.needs_states or (invariant.takes_states and outcome.states)) and not invariant.needs_state
        ]
        return any(self._ask(invariant, reference, outcome) for invariant in each)

    def agree(self, reference: Outcome, one: Outcome, two: Outcome) -> bool:
        """Whether two outcomes are the same to every invariant: equal where states or effects are compared, else blamed
        alike."""
        for invariant in self.invariants:
            if invariant.needs_state or invariant.needs_effects:
                if self._ask(invariant, two, one):
                    return False
            elif bool(self._ask(invariant, reference, one)) != bool(self._ask(invariant, reference, two)):
                return False
        return True

    def _ask(self, invariant: Invariant, reference: Outcome, outcome: Outcome) -> tuple[Violation, ...]:
        try:
            return tuple(invariant.check(reference, outcome))
        except ChaosError:
            raise
        except Exception as error:
            raise CheckerFailed(invariant.name, error) from error


def with_state_copied(run: Run) -> Run:
    """The run with a copy of its state, which later runs of the same test do not reach."""
    return attrs.evolve(run, outcome=attrs.evolve(run.outcome, state=snapshot(run.outcome.state)))


def _viewed(run: Run, view: Callable[[Any], Any]) -> Run:
    outcome = run.outcome
    state = None if outcome.state is None else view(outcome.state)
    return attrs.evolve(run, outcome=attrs.evolve(outcome, state=state, states=tuple(map(view, outcome.states))))


class Case:
    """The subject on one stream. The reference is run once."""

    def __init__(self, subject: Subject, model: Model) -> None:
        self.subject = subject
        self.model = model
        self._mailbox = Mailbox(model, subject.epoch)
        # One step for each event, of the model's own places: what a message carries in order is what its broker would
        # give it.
        self._in_order: list[Raw] = sorted(model.play(()), key=lambda step: step[2])
        self._skips = model.skips_refused
        self._leaves_out = subject.loss == "left out"
        self._inside: dict[str, Any] = {"points": subject.points, "fails_with": subject.fails_with}
        self.points: dict[int, tuple[int, ...]] = {}
        """At which of its effects a process may die, by the position of the event, where they were counted."""
        self.calls: dict[int, tuple[int, ...]] = {}
        """Which of the handler's calls may fail, by the position of the event, where they were counted."""
        self.is_loop = False
        """The consumers are runs of the user's own loop, as far as is known."""
        self._references: dict[tuple[tuple[EventId, ...], bool | None], Outcome] = {}

    def steps(self, faults: Sequence[Fault]) -> list[Raw]:
        return list(self.model.play(faults))

    def run(self, faults: Sequence[Fault], steps: Sequence[Raw] | None = None) -> Run:
        played = self.steps(faults) if steps is None else steps
        script = Script(self._mailbox, played, tuple(faults), leaves_out=self._leaves_out, **self._inside)
        run = self.subject.execute(script)
        # The reference of such a run has to be made yet, and that run might change a state that both share; else no
        # copy is needed.
        return with_state_copied(run) if run.outcome.lost or run.outcome.unseen else run

    def follow(
        self,
        faults: Sequence[Fault],
        steps: Sequence[Raw],
        refusals: frozenset[int],
        settled: Mapping[int, Settles] | None = None,
    ) -> Run:
        """Run recorded steps. `settled`: what was settled then at each, where the handler does that itself."""
        inside = {**self._inside, "settled": settled}
        script = Script(self._mailbox, steps, tuple(faults), refusals, leaves_out=self._leaves_out, **inside)
        return with_state_copied(self.subject.execute(script))

    def in_order(self, order: Sequence[int] | None = None, *, strict: bool = True, skips: bool | None = None) -> Run:
        """Each event once, in produce order or in `order`, in one process. With `strict` a refusal is an error, but for
        poison; else what is refused is lost where the broker `skips` it, or tried again at the end."""
        steps = self._in_order
        if order is not None:
            steps = [steps[position] for position in order]
        # All at consumer 0: in order there is one process, which never restarts.
        steps = [(DELIVER, 0, *step[2:]) for step in steps]
        retries = None if strict else not (self._skips if skips is None else skips)
        poison = self.subject.poison if strict else ()
        return self.subject.execute(
            Script(self._mailbox, steps, None if strict else (), retries=retries, poison=poison)
        )

    def counted(self, passed: dict[int, list[Passed]]) -> Run:
        """In order, in a process that is a thread, and stepped through: `passed` are the points of each event then."""
        steps = [(DELIVER, 0, *step[2:]) for step in self._in_order]
        return self.subject.execute(
            Script(self._mailbox, steps, poison=self.subject.poison, points=self.subject.points, counted=passed)
        )

    def counted_calls(self, calls: dict[int, list[Passed]]) -> Run:
        """In order, and `calls` are those of each event then that can fail."""
        steps = [(DELIVER, 0, *step[2:]) for step in self._in_order]
        return self.subject.execute(
            Script(self._mailbox, steps, poison=self.subject.poison, points=self.subject.points, calls=calls)
        )

    def reference(self, lost: tuple[EventId, ...] = (), *, skips: bool | None = None) -> Outcome:
        """The in-order outcome, without the events that were lost. Its state is a copy."""
        found = self._references.get((lost, skips))
        if found is None:
            ids = self.model.stream.ids
            # With something lost, what depends on it may be refused rightly: hence not strict.
            order = [i for i in range(len(ids)) if ids[i] not in lost] if lost else None
            outcome = self.in_order(order, strict=not lost, skips=skips).outcome
            found = self._references[lost, skips] = attrs.evolve(outcome, state=snapshot(outcome.state))
        return found

    def reference_of(self, run: Run) -> Outcome:
        """The in-order outcome that this run is compared with."""
        lost, skips = self.left_out(run)
        return self.reference(lost, skips=skips)

    def left_out(self, run: Run) -> tuple[tuple[EventId, ...], bool | None]:
        """The events that the reference of this run is without, and whether it skips what is refused. Where something
        was lost, nobody can help that what needs it is refused: what waits behind that is left out, too; and where the
        broker skips it, a copy that comes later may be taken or not."""
        lost = run.outcome.lost
        if self.subject.loss == "violation":
            return (), None
        if lost and run.outcome.unseen:
            return lost + run.outcome.unseen, None
        if lost and not set(self.reference(lost).dropped) <= set(run.outcome.dropped):
            return lost, False
        return lost, None

    def violations(self, run: Run) -> tuple[Violation, ...]:
        found = self.subject.judge(self.reference_of(run), run.outcome)
        return () if found and self._is_right_without(run) else found

    def _is_right_without(self, run: Run) -> bool:
        """Whether the result is right for somebody who never got what was settled before a process died at it. Whole or
        not at all: anything between is half done."""
        half_done = run.outcome.half_done[:MOST_HALF_DONE]
        if not half_done or self.subject.loss == "violation":
            return False
        lost, skips = self.left_out(run)
        return any(
            not self.subject.judge(self.reference((*lost, *gone), skips=skips), run.outcome)
            for count in range(1, len(half_done) + 1)
            for gone in itertools.combinations(half_done, count)
        )

    def fails_in_order(self) -> tuple[Violation, ...]:
        """What is violated although every message comes once and in order. What is compared with that never is."""
        reference = self.reference()
        return self.subject.judge(reference, reference)


def differing_step(one: Run, two: Run) -> int | None:
    """The number of the first step in which two runs differ, counted from 1."""
    for number, (left, right) in enumerate(itertools.zip_longest(one.steps, two.steps), start=1):
        if left != right:
            return number
    return None


def key_sequences(steps: Sequence[Raw], keys: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    """For each key the positions of its events as the handler saw them."""
    seen: dict[Hashable, list[int]] = {}
    for step in steps:
        if is_handed(step):
            seen.setdefault(keys[step[2]], []).append(step[2])
    return seen
