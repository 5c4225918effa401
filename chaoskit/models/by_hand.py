"""Several messages in one call of a handler that settles by itself: a loop that asks its client for many.

Nothing of such a call is settled before all of it was handed over, so that it is a run of the model in which all but
its last message are held: what the loop settles of them, it settles while it has the last one. Where a call ends is
known beforehand, as what comes behind a message that is held does not depend on the loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs

from chaoskit.models.causes import literal
from chaoskit.models.handover import Handover
from chaoskit.models.pacing import sent
from chaoskit.values.answers import answers_of
from chaoskit.values.event import EventId
from chaoskit.values.faults import Fault, Gather
from chaoskit.values.scenario import Answer, Steps
from chaoskit.values.schedule import BATCH, DELIVER, DIE, TAKE_OVER, Raw, Schedule, from_raw, gathered, what_of
from chaoskit.values.settling import Settles, Settling, as_written

HELD = Settling(refused=False, held=True)


class Held(Protocol):
    """A model, as far as the calls of such a handler go."""

    @property
    def handover(self) -> Handover: ...

    @property
    def most_together(self) -> int: ...

    @property
    def ids(self) -> Sequence[EventId]: ...

    def begin_by_hand(self, faults: Sequence[Fault]) -> Any:
        """A run below the calls."""

    def lane_of(self, step: Raw) -> Any: ...


class ByHand:
    """One run. `fired` are the faults that made its calls, in the order of these."""

    def __init__(self, model: Held, faults: Sequence[Fault]) -> None:
        self._model = model
        self._faults = without_calls(faults)
        self._wanted: dict[EventId, list[Gather]] = {}
        for fault in sorted(fault for fault in faults if isinstance(fault, Gather)):
            self._wanted.setdefault(fault.at, []).append(fault)
        self._answers: list[Answer] = []
        self.fired: list[Gather] = []

    def run(self) -> Steps:
        """The steps. Before the deliveries of a call stands a step that says how many they are."""
        play, taken_over = self._model.begin_by_hand(self._faults).run(), False
        step = sent(play, None)
        while step is not None:
            taken_over = taken_over or step[0] == TAKE_OVER
            # What an owner that was taken for dead runs on it has fetched before.
            members = [step] if taken_over else self._call(step)
            if len(members) > 1:
                yield (gathered(len(members)), *members[0][1:5])
            for member in members[:-1]:
                yield member
                step = self._told(play, HELD)
            answer = yield members[-1]
            step = self._told(play, answer)

    def _told(self, play: Steps, answer: Answer) -> Raw | None:
        self._answers.append(answer)
        return sent(play, answer)

    def _call(self, first: Raw) -> list[Raw]:
        """What comes in one call, from this step on."""
        if what_of(first) != DELIVER or not (wanted := self._wanted.get(self._model.ids[first[2]])):
            return [first]
        fault = wanted.pop(0)
        size = min(fault.more + 2, self._model.most_together)
        ahead, members = self._model.begin_by_hand(self._faults).run(), list[Raw]()
        step = sent(ahead, None)
        for answer in self._answers:
            step = sent(ahead, answer)
        # The process dies in the middle of the call, and so its last message is the one at which it does.
        while step is not None and len(members) < size and self._joins(members, step):
            members.append(step)
            step = None if what_of(step) == DIE else sent(ahead, HELD)
        if len(members) > 1:
            self.fired.append(fault)
        return members

    def _joins(self, members: Sequence[Raw], step: Raw) -> bool:
        if what_of(step) not in (DELIVER, DIE):
            return False
        if not members:
            return True
        first, lane_of = members[0], self._model.lane_of
        if step[1] != first[1] or (self._model.handover.one_lane and lane_of(step) != lane_of(first)):
            return False
        return all(step[3:5] != member[3:5] for member in members)


def without_calls(faults: Sequence[Fault]) -> list[Fault]:
    return [fault for fault in faults if not isinstance(fault, Gather)]


def literal_calls(
    model: Held, faults: Sequence[Fault], steps: Sequence[Raw], raised: Sequence[int], settled: Mapping[int, Settles]
) -> Schedule:
    """These steps as literal ones, each with the fault that caused it."""
    played = ByHand(model, faults)
    play, told = played.run(), [None, *answers_of(steps, raised, settled)]
    for answer, step in zip(told, steps, strict=False):
        assert play.send(answer) == tuple(step), "the model made another step"
    inner, numbers = inner_steps(steps)
    below = iter(
        literal(
            model.begin_by_hand(without_calls(faults)),
            model.ids,
            inner,
            [numbers[n] for n in raised],
            inner_settled(settled, numbers),
        ).steps
    )
    fired = iter(played.fired)
    found = [from_raw(step, model.ids, next(fired), False) if what_of(step) == BATCH else next(below) for step in steps]
    for number, settles in settled.items():  # as they are numbered here
        found[number] = attrs.evolve(found[number], settled=as_written(settles))
    return Schedule(tuple(found))


def inner_steps(steps: Sequence[Raw]) -> tuple[list[Raw], dict[int, int]]:
    """The steps of the run below the calls, and the numbers that they have there."""
    handed = [number for number, step in enumerate(steps) if what_of(step) != BATCH]
    return [steps[number] for number in handed], {number: at for at, number in enumerate(handed)}


def inner_settled(settled: Mapping[int, Settles], numbers: Mapping[int, int]) -> dict[int, Settles]:
    return {numbers[number]: tuple((verb, numbers[at]) for verb, at in settles) for number, settles in settled.items()}
