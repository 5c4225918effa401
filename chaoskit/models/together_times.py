"""The time of several streams together: each has the waits of its own broker, and all have one clock."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from chaoskit.values.scenario import Clock
from chaoskit.values.schedule import PUT_BACK, Raw, what_of
from chaoskit.values.timing import STEP


class TogetherTimes:
    """`clocks` are those of the streams; None for one without events. `inner` makes a step of one stream of one of all.
    Between two steps of one stream passes at least what passes there where it is alone."""

    def __init__(self, clocks: Sequence[Clock | None], inner: Callable[[Raw], Raw], epoch: float) -> None:
        self._clocks, self._inner, self._epoch = clocks, inner, epoch
        self._begun: list[float] = []
        self._places: list[list[int]] = [[] for _ in clocks]
        self._steps: list[list[Raw]] = [[] for _ in clocks]
        self._refused: list[set[int]] = [set() for _ in clocks]
        self._sent: dict[tuple[int, int], float] = {}

    def at(self, number: int, steps: Sequence[Raw], refused: Container[int]) -> float:
        while len(self._begun) <= number:
            self._begun.append(self._next(len(self._begun), steps[len(self._begun)], refused))
        return self._begun[number] if number >= 0 else self._epoch

    def put_back(self, step: Raw, number: int, steps: Sequence[Raw], refused: Container[int]) -> float:
        self.at(number, steps, refused)
        return self._sent.get((step[3], step[4]), self._epoch + step[6] + 0.5)

    def _next(self, number: int, step: Raw, refused: Container[int]) -> float:
        part = step[1] % len(self._clocks)
        places, inner, clock = self._places[part], self._steps[part], self._clocks[part]
        assert clock is not None
        if places and places[-1] in refused:
            self._refused[part].add(len(inner) - 1)
        inner.append(self._inner(step))
        time = self._begun[-1] if self._begun else self._epoch
        before = self._begun[places[-1]] if places else self._epoch
        passed = clock.at(len(inner) - 1, inner, self._refused[part])
        passed -= clock.at(len(inner) - 2, inner, self._refused[part]) if places else self._epoch
        time = max(time, before + passed)
        if step[2] >= 0:
            copied = len(step) > 6
            time = max(time, self._epoch + (step[6] + 0.5 if copied else step[2]) + STEP)
        places.append(number)
        if what_of(step) == PUT_BACK:
            self._sent[step[3], step[4]] = time
        return time
