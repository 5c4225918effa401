"""Which faults to try: every single one where they fit, then mixtures from a seeded generator.

Many faults are drawn and few reported: a bug that needs three faults at once is met some sixty times sooner by
plans of up to 16 than by plans of one, and the shrinker takes the rest away.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence

from chaoskit.faults import Fault, FaultKind
from chaoskit.scenario import Model

Plan = tuple[Fault, ...]

_SIZES = (1,) * 20 + (2,) * 20 + (3,) * 15 + (4,) * 15 + (8,) * 20 + (16,) * 10
_SMALL_STREAM = 64


class Plans:
    """The plans for one stream. All chance comes from `salt`."""

    def __init__(self, model: Model, kinds: Sequence[FaultKind], salt: int) -> None:
        self._model = model
        self._kinds = kinds
        self._ids = model.stream.ids
        self._random = random.Random(salt).random
        self._faults: dict[tuple[object, ...], Fault] = {}
        self._arguments: dict[tuple[FaultKind, int], tuple[Sequence[int], ...] | None] = {}

    def arguments(self, kind: FaultKind, position: int) -> tuple[Sequence[int], ...] | None:
        place = (kind, position)
        if place not in self._arguments:
            self._arguments[place] = self._model.arguments(kind, position)
        return self._arguments[place]

    def fault(self, kind: FaultKind, position: int, *arguments: int) -> Fault:
        """The fault as a value; one and the same for the same arguments."""
        place = (kind, position, *arguments)
        fault = self._faults.get(place)
        if fault is None:
            fault = self._faults[place] = kind(self._ids[position], *arguments)
        return fault

    def every_single(self, most: int) -> list[Plan] | None:
        """Every plan of one fault in salted order, or None where there are more than `most`."""
        if len(self._ids) > _SMALL_STREAM:
            return None
        spaces = [
            (kind, position, ranges)
            for kind in self._kinds
            for position in range(len(self._ids))
            if (ranges := self.arguments(kind, position)) is not None
        ]
        total = 0
        for _, _, ranges in spaces:
            size = 1
            for options in ranges:
                size *= len(options)
            total += size
            if total > most:
                return None
        plans: list[Plan] = [
            (self.fault(kind, position, *arguments),)
            for kind, position, ranges in spaces
            for arguments in itertools.product(*ranges)
        ]
        return sorted(plans, key=lambda _: self._random())

    def some_singles(self) -> Iterator[Plan]:
        """Plans of one fault without end, each kind as often as the others."""
        for kind in itertools.cycle(self._kinds):
            fault = self._draw(kind, int(self._random() * len(self._ids)))
            yield (fault,) if fault else ()

    def mixtures(self) -> Iterator[Plan]:
        """Plans of 1 to 16 faults without end, about half of them on one event."""
        chance, kinds, size = self._random, self._kinds, len(self._ids)
        while True:
            focus = int(chance() * size)
            plan = []
            for _ in range(_SIZES[int(chance() * 100)]):
                position = focus if chance() < 0.5 else int(chance() * size)
                fault = self._draw(kinds[int(chance() * len(kinds))], position)
                if fault is not None:
                    plan.append(fault)
            yield tuple(plan)

    def _draw(self, kind: FaultKind, position: int) -> Fault | None:
        ranges = self.arguments(kind, position)
        if ranges is None:
            return None
        chance = self._random
        return self.fault(kind, position, *[options[int(len(options) * chance() ** 2)] for options in ranges])
