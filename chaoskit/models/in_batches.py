"""What the models of a log and of a queue have in common: a run, and the calls of a handler that takes batches."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import attrs

from chaoskit.models.by_hand import ByHand, inner_settled, inner_steps, literal_calls, without_calls
from chaoskit.models.causes import literal
from chaoskit.models.gathering import Gathering
from chaoskit.models.handover import ALL, Handover
from chaoskit.models.pacing import Paced
from chaoskit.values.event import EventId, Stream
from chaoskit.values.faults import Fault, FaultKind, Gather
from chaoskit.values.scenario import Steps
from chaoskit.values.schedule import Raw, Schedule, Step, from_raw
from chaoskit.values.settling import Settles


class InBatches:
    """A model that is played delivery by delivery, or call by call."""

    stream: Stream
    handover: Handover
    counts = False
    occasions_beside: tuple[FaultKind, ...] | None = None
    """Of a log: the kinds of which two executions of one key at once need one; None where consumers compete."""
    most_asked: int | None = None
    """Of a handler that takes batches: messages that it wants in one call."""
    by_hand = False
    """It settles by itself what it took."""

    def in_batches(self, most: int | None, *, by_hand: bool = False) -> None:
        """The handler takes batches of up to so many messages; None: as many as was said before, or one."""
        self.most_asked = self.most_asked if most is None else most
        self.by_hand = self.by_hand or by_hand

    @property
    def most_together(self) -> int:
        return min(self.handover.most, ALL if self.most_asked is None else self.most_asked)

    @property
    def ids(self) -> Sequence[EventId]:
        return self.stream.ids

    def _run(self, faults: Sequence[Fault]) -> Any:
        """The run, delivery by delivery."""
        raise NotImplementedError

    def play(self, faults: Iterable[Fault]) -> Steps:
        """Stage 1, then stage 2. What each of them does is written down in docs/kafka.md and docs/brokers.md."""
        faults = tuple(faults)
        steps: Steps = self.play_batches(faults) if self.takes_batches(faults) else self._run(faults).run()
        return steps

    def schedule(
        self,
        faults: Sequence[Fault],
        steps: Sequence[Raw],
        raised: Sequence[int],
        settled: Mapping[int, Settles] | None = None,
    ) -> Schedule:
        """These steps as literal ones, each with the fault that caused it."""
        if settled is not None and Gather in map(type, faults):
            return literal_calls(self, faults, steps, raised, settled)
        if settled is None and self.takes_batches(faults):
            return self.literal_batches(faults, steps, raised)
        return literal(self._run(faults), self.stream.ids, steps, raised, settled)

    def heard(self, faults: Sequence[Fault] | None) -> Any:
        """The run that tells what happens between its steps; None for an order that no model makes, and where messages
        come in batches, whose steps speak for themselves."""
        if faults is None or Gather in map(type, faults) or (not self.by_hand and self.takes_batches(faults)):
            return None
        return self._run(faults)

    def begin(self, faults: Sequence[Fault]) -> Any:
        raise NotImplementedError

    def begin_by_hand(self, faults: Sequence[Fault]) -> Any:
        """A run of a handler that settles by itself, below the calls."""
        return self._run(faults)

    def lane_of(self, step: Raw) -> Hashable:
        return step[3]

    def room(self, run: Any, step: Raw) -> int:
        return ALL

    paced = False

    def received(self, run: Any, most: int) -> None:
        """Of a log nothing is received in any other way than it is read."""

    def takes_batches(self, faults: Sequence[Fault]) -> bool:
        return self.most_asked is not None or Gather in map(type, faults)

    def play_batches(self, faults: Sequence[Fault]) -> Steps:
        if self.by_hand and Gather not in map(type, faults):
            alone: Steps = self._run(faults).run()
            return alone
        if self.by_hand:
            return ByHand(self, faults).run()
        # Calls of one message each, unless a receive has to be told that it is no longer than that.
        if not self.paced and self.handover.again == "any" and Gather not in map(type, faults):
            run: Steps = self.begin(faults).run()
            return run
        return Gathering(self, faults).run()

    def literal_batches(self, faults: Sequence[Fault], steps: Sequence[Raw], raised: Sequence[int]) -> Schedule:
        """These steps as literal ones, each with the fault that caused it."""
        played = self._played(faults, steps, raised)
        run, inner, refused = self._below(played)
        below = literal(run, self.ids, inner, refused).steps
        made = played.made[: len(steps)]
        return Schedule(tuple(self._as_step(each, below, n in raised, played) for n, each in enumerate(made)))

    def _as_step(
        self, made: tuple[Raw, int | None, Fault | None], below: Sequence[Step], raised: bool, played: Gathering
    ) -> Step:
        step, inner, gathers = made
        found = from_raw(step, self.ids, gathers, raised)
        if inner is None or inner >= len(below):
            return found
        fault = below[inner].fault
        return attrs.evolve(found, fault=None if fault is None else played.origin.get(fault, fault))

    def below_batches(
        self,
        faults: Sequence[Fault],
        steps: Sequence[Raw],
        raised: Sequence[int],
        settled: Mapping[int, Settles] | None = None,
    ) -> tuple[Any, list[Raw], list[int], Mapping[int, Settles] | None]:
        """The run below the batches, its steps, which of them were refused and what each settled."""
        if settled is None:
            return (*self._below(self._played(faults, steps, raised)), None)
        inner, numbers = inner_steps(steps)
        refused = [numbers[number] for number in raised]
        run = self.begin_by_hand(without_calls(faults)) if Gather in map(type, faults) else self._run(faults)
        return run, inner, refused, inner_settled(settled, numbers)

    def _played(self, faults: Sequence[Fault], steps: Sequence[Raw], raised: Sequence[int]) -> Gathering:
        played, refused = Gathering(self, faults), set(raised)
        play, answer = played.run(), None
        for number, expected in enumerate(steps):
            assert play.send(answer) == tuple(expected), "the model made another step"
            answer = number in refused or None
        # What becomes of the last step is known only when the run goes on.
        with suppress(StopIteration):
            play.send(answer)
        return played

    def _below(self, played: Gathering) -> tuple[Any, list[Raw], list[int]]:
        def run() -> Any:
            return Paced(self, played.faults, played.windows)

        play, answer, steps = run().run(), None, list[Raw]()
        for given in played.answers:
            steps.append(play.send(answer))
            answer = given
        return run(), steps, [number for number, refused in enumerate(played.answers) if refused]
