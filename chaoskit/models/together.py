"""Several streams, each in its own broker: what each of them does, and their steps mixed. Nothing orders one stream
against another.

Consumers and partitions have separate numbers: of three streams the second has 1, 4, 7, …
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from chaoskit.models.together_times import TogetherTimes
from chaoskit.values.epoch import EPOCH
from chaoskit.values.event import Message, Stream
from chaoskit.values.faults import Fault, FaultKind, Overtake
from chaoskit.values.scenario import Answer, Broker, Model, Restamped, Steps
from chaoskit.values.schedule import DELIVER, DIE, Raw, Schedule, Step, what_of
from chaoskit.values.settling import Settles, Verbs


@attrs.frozen(eq=False)
class Branch:
    """One of the streams: its events by their positions in the whole, and the model of its broker; None where it has
    none of the events."""

    topic: str
    broker: Broker
    positions: tuple[int, ...]
    model: Model | None


class TogetherModel:
    """One stream whose events have topics."""

    def __init__(self, stream: Stream, topics: Sequence[str], brokers: Sequence[Broker]) -> None:
        self.stream = stream
        known = {topic: number for number, topic in enumerate(topics)}
        # What has no topic is of the first: nothing else was given.
        self._owner = [known.get(event.topic or "", 0) for event in stream]
        self.parts = tuple(self._part(number, *each) for number, each in enumerate(zip(topics, brokers, strict=True)))
        self._inner = [0] * len(stream)
        for part in self.parts:
            for inner, position in enumerate(part.positions):
                self._inner[position] = inner
        self._position = {id_: position for position, id_ in enumerate(stream.ids)}

    def _part(self, number: int, topic: str, broker: Broker) -> Branch:
        positions = tuple(position for position, owner in enumerate(self._owner) if owner == number)
        events = tuple(self.stream[position] for position in positions)
        return Branch(topic, broker, positions, broker.model(Stream(events)) if events else None)

    handover = None
    """Each of the brokers has a call of its own."""

    def in_batches(self, most: int | None, *, by_hand: bool = False) -> None:
        raise NotImplementedError

    @property
    def skips_refused(self) -> bool:
        return any(part.model.skips_refused for part in self.parts if part.model is not None)

    @property
    def verbs(self) -> Verbs:
        return Verbs((), "of several streams each message is settled when its handler returns")

    # What a search may choose from.

    def lanes(self) -> list[list[int]]:
        return [
            [part.positions[inner] for inner in lane]
            for part in self.parts
            if part.model is not None
            for lane in part.model.lanes()
        ]

    def arguments(self, kind: FaultKind, position: int) -> tuple[Sequence[int], ...] | None:
        """Those of its own broker; and an Overtake may go beyond these, by events of the other streams."""
        ranges = self._own_arguments(kind, position)
        owner = self._owner[position]
        later = sum(each != owner for each in self._owner[position + 1 :]) if kind is Overtake else 0
        if not later:
            return ranges
        own = list(ranges[0]) if ranges else []
        return ([*own, *range(self._beyond(position), self._beyond(position) + later)],)

    def _own_arguments(self, kind: FaultKind, position: int) -> tuple[Sequence[int], ...] | None:
        part = self.parts[self._owner[position]]
        if part.model is None or part.broker.why_impossible(kind) is not None:
            return None
        return part.model.arguments(kind, self._inner[position])

    def _beyond(self, position: int) -> int:
        """The least `by` of an Overtake that holds the whole stream back."""
        ranges = self._own_arguments(Overtake, position)
        return max(ranges[0]) + 1 if ranges and len(ranges[0]) else 0

    def holds(self, fault: Fault) -> int:
        """How many deliveries of other streams this fault holds its stream back for; 0 for a fault of its broker."""
        if not isinstance(fault, Overtake):
            return 0
        return max(0, fault.by + 1 - self._beyond(self._position[fault.at]))

    def times(self, faults: Sequence[Fault] | None, epoch: float) -> TogetherTimes:
        clocks = [
            None
            if part.model is None
            else part.model.times(None if faults is None else self._own(faults, number), epoch)
            for number, part in enumerate(self.parts)
        ]
        return TogetherTimes(clocks, self._inner_step, epoch)

    def mail(
        self,
        copiers: Sequence[Callable[[Any], Any] | None],
        epoch: float = EPOCH,
        restamped: Restamped | None = None,
    ) -> Callable[[Raw], Message]:
        late: list[Raw] = []

        def is_late(made: Message, step: Raw) -> None:
            late.append(step)

        letters = [
            None if part.model is None else part.model.mail([copiers[p] for p in part.positions], epoch, is_late)
            for part in self.parts
        ]

        def message(step: Raw) -> Message:
            position = step[2]
            number = self._owner[position]
            letter = letters[number]
            assert letter is not None
            made = letter(self._inner_step(step))
            made.topic = self.parts[number].topic
            # The one producer's clock: its events come one a second, whichever stream they are of.
            made.timestamp += position - self._inner[position]
            if late:
                late.clear()
                if restamped is not None:
                    restamped(made, step)
            return made

        return message

    # The run.

    def play(self, faults: Iterable[Fault]) -> Steps:
        """The step of the stream that is furthest behind comes next. One whose handler refused a message goes on when
        the others are through: what it waits for may come from there."""
        plan = tuple(faults)
        holds: dict[int, int] = {}
        for fault in plan:
            if count := self.holds(fault):
                position = self._position[fault.at]
                holds[position] = max(holds.get(position, 0), count)
        tracks = [_Track(number, part, self._own(plan, number)) for number, part in enumerate(self.parts)]
        while True:
            for track in tracks:
                track.fetch()
            open_ = [track for track in tracks if track.head is not None]
            if not open_:
                return
            for track in open_:
                track.meet(holds)
            free = [track for track in open_ if not track.waits_for and not track.refused]
            if not free:  # nobody else is left to bring anything on
                free = [min(open_, key=lambda track: (track.turns, track.number))]
            track = min(free, key=lambda each: (each.clock, each.number))
            step = track.take()
            refused = yield self._outer_step(step, track.number)
            track.answer = refused
            if what_of(step) in (DELIVER, DIE):
                track.refused = bool(refused)
                for other in tracks:
                    if other is not track:
                        other.waits_for = max(0, other.waits_for - 1)
                        # Something new: what was refused may be taken now.
                        other.turns = other.turns if refused else 0

    def _own(self, faults: Sequence[Fault], number: int) -> tuple[Fault, ...]:
        """The faults of the broker of this stream."""
        return tuple(
            fault for fault in faults if self._owner[self._position[fault.at]] == number and not self.holds(fault)
        )

    # The run as literal steps.

    def schedule(
        self,
        faults: Sequence[Fault],
        steps: Sequence[Raw],
        raised: Sequence[int],
        settled: Mapping[int, Settles] | None = None,
    ) -> Schedule:
        found: dict[int, Step] = {}
        for number, part in enumerate(self.parts):
            if part.model is None:
                continue
            places = self._places(steps, number)
            inner = [self._inner_step(steps[place]) for place in places]
            refused = [index for index, place in enumerate(places) if place in set(raised)]
            made = part.model.schedule(self._own(faults, number), inner, refused)
            found |= zip(places, (self.outer(step, number) for step in made), strict=False)
        held = {fault.at: fault for fault in faults if self.holds(fault)}
        return Schedule(tuple(_held(found[place], held) for place in sorted(found)))

    def _places(self, steps: Sequence[Raw], number: int) -> list[int]:
        return [place for place, step in enumerate(steps) if step[1] % len(self.parts) == number]

    def trace(
        self,
        faults: Sequence[Fault],
        steps: Sequence[Raw],
        raised: Sequence[int],
        settled: Mapping[int, Settles] | None = None,
    ) -> str:
        """One of each stream, behind its name, each on a line of its own."""
        return "\n".join(f"{part.topic}: {text}" for part, text in self._traces(faults, steps, raised))

    def _traces(
        self, faults: Sequence[Fault], steps: Sequence[Raw], raised: Sequence[int]
    ) -> Iterator[tuple[Branch, str]]:
        for number, part in enumerate(self.parts):
            if part.model is not None:
                places = self._places(steps, number)
                inner = [self._inner_step(steps[place]) for place in places]
                refused = [index for index, place in enumerate(places) if place in set(raised)]
                yield part, part.model.trace(self._own(faults, number), inner, refused)

    def outer(self, step: Step, number: int) -> Step:
        """A step of one stream as it stands among those of all."""
        copy = step.copy
        if copy is not None and copy.partition is not None:
            copy = attrs.evolve(copy, partition=self._apart(copy.partition, number))
        partition = None if step.partition is None else self._apart(step.partition, number)
        return attrs.evolve(step, consumer=self._apart(step.consumer, number), partition=partition, copy=copy)

    def _apart(self, count: int, number: int) -> int:
        return count * len(self.parts) + number

    def _outer_step(self, step: Raw, number: int) -> Raw:
        positions = self.parts[number].positions
        do, consumer, position, partition, offset, *more = step
        if len(more) > 1:
            more[1] = positions[more[1]]
            more[3] = more[3] if more[3] < 0 else self._apart(more[3], number)
        partition = partition if partition < 0 else self._apart(partition, number)
        place = position if position < 0 else positions[position]
        return (do, self._apart(consumer, number), place, partition, offset, *more)

    def _inner_step(self, step: Raw) -> Raw:
        many = len(self.parts)
        do, consumer, position, partition, offset, *more = step
        if len(more) > 1:
            more[1] = self._inner[more[1]]
            more[3] = more[3] if more[3] < 0 else more[3] // many
        partition = partition if partition < 0 else partition // many
        return (do, consumer // many, position if position < 0 else self._inner[position], partition, offset, *more)


class _Track:
    """One stream in the run of all."""

    def __init__(self, number: int, part: Branch, faults: tuple[Fault, ...]) -> None:
        self.number = number
        self._part = part
        self._steps = None if part.model is None else part.model.play(faults)
        self.head: Raw | None = None
        self.answer: Answer = None
        self.clock = -1
        """The furthest event that it has come to."""
        self.waits_for = 0
        """Deliveries of others until it goes on."""
        self.refused = False
        self.turns = 0
        """How often it was tried again since anything new came."""

    def fetch(self) -> None:
        if self.head is not None or self._steps is None:
            return
        try:
            self.head = self._steps.send(self.answer)
        except StopIteration:
            self._steps = None
            return
        if self.head[2] >= 0:
            self.clock = max(self.clock, self._part.positions[self.head[2]])

    def meet(self, holds: dict[int, int]) -> None:
        """It stands before an event at which it is held back: once."""
        if self.head is not None and self.head[2] >= 0:
            self.waits_for += holds.pop(self._part.positions[self.head[2]], 0)

    def take(self) -> Raw:
        step = self.head
        assert step is not None
        self.head, self.waits_for = None, 0
        self.turns += self.refused
        self.refused = False
        return step


def _held(step: Step, held: dict[Any, Fault]) -> Step:
    """The first step of an event at which its stream was held back has that for its cause, where it has no other."""
    fault = held.pop(step.event, None) if step.event is not None else None
    return attrs.evolve(step, fault=fault) if fault is not None and step.fault is None else step
