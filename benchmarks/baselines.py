"""What a good engineer writes by hand with Hypothesis: a test over permutations, and a state machine.

They take the same body as `chaoskit.check`: a function of `deliver` that returns the final state. They know of lists
of events, of permutations and of copies, as hand-written tests do, and of no broker: a restart, a dead letter or a new
offset is not in them. A message that comes again has the offset that it had.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import attrs
import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from hypothesis.strategies import SearchStrategy

from benchmarks.measure import CPU
from chaoskit.strategies.streams import Parts

Body = Callable[[Any], Any]
Pair = tuple[Any, Any]
MOST_COPIES = 3


class Note(NamedTuple):
    """A message, as a test by hand makes it."""

    key: Any
    value: Any
    id: str
    seq: int
    partition: int
    offset: int


@attrs.define
class Trial:
    """One run of a baseline: the body under test, and what came of it."""

    body: Body
    schedules: int = 0
    started: float = attrs.field(factory=CPU)
    first_failure: float | None = None
    ended: float = 0.0

    @property
    def seconds(self) -> float:
        """CPU time of all of it: to the shrunk failure, or of the whole budget."""
        return self.ended - self.started

    @property
    def seconds_to_failure(self) -> float:
        """CPU time to the first failing example; of the whole budget where there was none."""
        return (self.ended if self.first_failure is None else self.first_failure) - self.started

    def compare(self, notes: Sequence[Note], order: Sequence[int]) -> None:
        """Deliver in order, deliver as drawn, and compare the final states."""
        expected = self.body(_deliver(notes))
        observed = self.body(_deliver(_as_logged(notes, order)))
        self.schedules += 1
        if observed != expected:
            if self.first_failure is None:
                self.first_failure = CPU()
            raise AssertionError(f"{observed!r} != {expected!r}")


def by_hand(body: Body, deliveries: SearchStrategy[Any], examples: int, seed: int, *, shrink: bool) -> Trial:
    """A test with `given`: `deliveries` draws key and value of each event, and the positions as delivered."""
    trial = Trial(body)

    def test(drawn: tuple[list[Pair], list[int]]) -> None:
        pairs, order = drawn
        trial.compare(_notes(pairs), order)

    decorated = _settings(examples, shrink)(hypothesis.given(deliveries)(test))
    return _run(trial, hypothesis.seed(seed)(decorated))


def by_machine(
    body: Body, parts: Parts, steps: int, examples: int, seed: int, *, shrink: bool, size: int | None = None
) -> Trial:
    """A state machine: deliver one of those that wait, or one of those that came, in turn; then the rest."""
    trial = Trial(body)
    settings = hypothesis.settings(_settings(examples, shrink), stateful_step_count=steps)
    subject = hypothesis.seed(seed)(_machine(trial, parts, size))
    return _run(trial, lambda: run_state_machine_as_test(subject, settings=settings))


def fixed_deliveries(parts: Parts, size: int) -> SearchStrategy[Any]:
    """Exactly `size` events, a permutation, and one of them once more."""

    def with_copy(drawn: tuple[list[Pair], list[int], int, int]) -> tuple[list[Pair], list[int]]:
        pairs, order, again, at = drawn
        return pairs, [*order[:at], again, *order[at:]]

    drawn = st.tuples(_pairs(parts, size), st.permutations(range(size)), st.integers(0, size - 1), st.integers(0, size))
    return drawn.map(with_copy)


@st.composite
def deliveries(draw: st.DrawFn, parts: Parts) -> tuple[list[Pair], list[int]]:
    """Events of any number, a permutation, and up to three copies."""
    pairs = draw(_pairs(parts))
    order = list(draw(st.permutations(range(len(pairs)))))
    copies = st.tuples(st.integers(0, len(pairs) - 1), st.integers(0, len(pairs)))
    for again, at in draw(st.lists(copies, max_size=MOST_COPIES)):
        order.insert(at, again)
    return pairs, order


def _machine(trial: Trial, parts: Parts, size: int | None) -> type[RuleBasedStateMachine]:
    picks = st.integers(0, (size or parts.max_size) - 1)

    class Deliveries(RuleBasedStateMachine):
        @initialize(pairs=_pairs(parts, size))
        def produce(self, pairs: list[Pair]) -> None:
            self.notes = _notes(pairs)
            self.waiting = list(range(len(pairs)))
            self.order: list[int] = []

        # No preconditions: with them Hypothesis rejects nearly half of the runs.

        @rule(pick=picks)
        def deliver(self, pick: int) -> None:
            if self.waiting:
                self.order.append(self.waiting.pop(pick % len(self.waiting)))

        @rule(pick=picks)
        def deliver_again(self, pick: int) -> None:
            if self.order:
                self.order.append(self.order[pick % len(self.order)])

        def teardown(self) -> None:
            if hasattr(self, "notes"):
                trial.compare(self.notes, self.order + self.waiting)

    return Deliveries


def _pairs(parts: Parts, size: int | None = None) -> SearchStrategy[list[Pair]]:
    least, most = (parts.min_size, parts.max_size) if size is None else (size, size)
    return st.lists(st.tuples(parts.keys, parts.values), min_size=least, max_size=most)


def _notes(pairs: Sequence[Pair]) -> list[Note]:
    counts: dict[Any, int] = {}
    notes = []
    for number, (key, value) in enumerate(pairs):
        seq = counts[key] = counts.get(key, 0) + 1
        notes.append(Note(key, value, f"e{number + 1}", seq, 0, number))
    return notes


def _as_logged(notes: Sequence[Note], order: Sequence[int]) -> list[Note]:
    """In the order of delivery, which the log has, too: what comes again has the offset that it had."""
    offsets: dict[int, int] = {}
    for position in order:
        offsets.setdefault(position, len(offsets))
    return [notes[position]._replace(offset=offsets[position]) for position in order]


def _deliver(notes: Sequence[Note]) -> Callable[..., None]:
    def deliver(handler: Any = None, *, spawn: Any = None) -> None:
        handle = spawn() if handler is None else handler
        for note in notes:
            handle(note)

    return deliver


def _settings(examples: int, shrink: bool) -> hypothesis.settings:
    return hypothesis.settings(
        max_examples=examples,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        deadline=None,
        database=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=Verbosity.quiet,
    )


def _run(trial: Trial, test: Callable[[], Any]) -> Trial:
    trial.started = CPU()
    try:
        test()
    except AssertionError:
        if trial.first_failure is None:
            raise
    trial.ended = CPU()
    return trial
