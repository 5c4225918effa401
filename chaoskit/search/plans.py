"""Which faults to try: every single one where they fit, then mixtures from a seeded generator.

Many faults are drawn and few reported: a bug that needs three faults at once is met some sixty times sooner by
plans of up to 16 than by plans of one, and the shrinker takes the rest away.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

from chaoskit.values.event import EventId
from chaoskit.values.faults import INSIDE, Crash, Fail, Fault, FaultKind
from chaoskit.values.scenario import Model

Plan = tuple[Fault, ...]

# A hundred, so that a chance in percent is an index.
SIZES = (1,) * 20 + (2,) * 20 + (3,) * 15 + (4,) * 15 + (8,) * 20 + (16,) * 10
_SMALL_STREAM = 64
BURSTS = 0.3
"""The share of mixtures that are bursts: what a handler keeps for a key has a limit, which more of the same meets."""
ANYWHERE = 0.5
"""The share of the faults of a mixture that go to any event; the others all go to one."""
_MOST_FAILED = 5
"""Failed attempts at one event: a limit of more is reached by DeadLetter and Lose at once."""


class _Choice(NamedTuple):
    """A kind of fault at one event, what each of its parameters can be, and how many values that are."""

    kind: FaultKind
    at: EventId
    ranges: tuple[Sequence[int], ...]
    sizes: tuple[int, ...]


@lru_cache(maxsize=1 << 14)
def _fault(kind: Hashable, at: EventId, *arguments: int) -> Fault:
    """The fault as a value. Streams share their ids, so that most faults are drawn again and again."""
    make: Any = kind
    fault: Fault = make(at, *arguments)
    return fault


class Plans:
    """The plans for one stream. All chance comes from `salt`."""

    def __init__(
        self,
        model: Model,
        kinds: Sequence[FaultKind],
        salt: int,
        points: Mapping[int, Sequence[int]] | None = None,
        calls: Mapping[int, Sequence[int]] | None = None,
        *,
        with_end: bool = True,
    ) -> None:
        """`points`: at which of its effects a process may die or stop, by the position of the event, and `with_end`:
        the last of them is when all is done. `calls`: which of its calls may fail, 0 for none."""
        self._points, self._calls, self._with_end = points, calls, with_end
        self._model = model
        self._kinds = kinds
        self._ids = model.stream.ids
        self._random = random.Random(salt).random
        self._choices: dict[int, list[_Choice]] = {}

    def choices(self, position: int) -> list[_Choice]:
        """What can go wrong at this event."""
        found = self._choices.get(position)
        if found is None:
            found = self._choices[position] = [
                _Choice(kind, self._ids[position], ranges, tuple(map(len, ranges)))
                for kind in self._kinds
                if (ranges := self._arguments(kind, position)) is not None and all(ranges)
            ]
        return found

    def _arguments(self, kind: FaultKind, position: int) -> tuple[Sequence[int], ...] | None:
        ranges = self._model.arguments(kind, position)
        # What the handler does the model does not know.
        if ranges is not None and kind in INSIDE and self._points is not None:
            points = self._points.get(position, ())
            # Where all is done an execution does not stop, and its process can die.
            return (points[:-1] if kind is not Crash and self._with_end else points, *ranges[1:])
        if ranges is not None and kind is Fail and self._calls is not None:
            return (*ranges, self._calls.get(position, (0,)))
        return ranges

    def every_single(self, most: int) -> list[Plan] | None:
        """Every plan of one fault in salted order, or None where there are more than `most`."""
        # The choices of every event would have to be made only to count them.
        if len(self._ids) > _SMALL_STREAM:
            return None
        spaces = [choice for position in range(len(self._ids)) for choice in self.choices(position)]
        if sum(math.prod(choice.sizes) for choice in spaces) > most:
            return None
        plans: list[Plan] = [(fault,) for position in range(len(self._ids)) for fault in self.at(position)]
        # Of `random` only the numbers themselves are promised to be the same in every version of Python.
        return sorted(plans, key=lambda _: self._random())

    def at(self, position: int) -> Iterator[Fault]:
        """Every single fault at this event."""
        for choice in self.choices(position):
            for arguments in itertools.product(*choice.ranges):
                yield _fault(cast(Hashable, choice.kind), choice.at, *arguments)

    @property
    def events(self) -> int:
        return len(self._ids)

    @property
    def most_kinds(self) -> int:
        """How many kinds of fault one event can have, at most."""
        return max((len(self.choices(position)) for position in range(len(self._ids))), default=0)

    def some_singles(self) -> Iterator[Plan]:
        """Plans of one fault without end, each kind as often as the others."""
        for kind in itertools.cycle(self._kinds):
            position = int(self._random() * len(self._ids))
            # May be empty, where this kind cannot happen to this event; the search takes that for a miss.
            yield tuple(draw(choice, self._random) for choice in self.choices(position) if choice.kind is kind)

    def mixtures(self) -> Iterator[Plan]:
        """Plans of 1 to 16 faults without end, about half of them on one event; and now and then a burst."""
        chance, size = self._random, len(self._ids)
        choices = [self.choices(position) for position in range(size)]
        while True:
            if chance() < BURSTS:
                yield self._burst(int(chance() * size))
                continue
            focus = choices[int(chance() * size)]
            plan = []
            for _ in range(SIZES[int(chance() * 100)]):
                # Chance alone would hardly ever lay two faults on one event of many.
                options = focus if chance() < 1 - ANYWHERE else choices[int(chance() * size)]
                if options:
                    plan.append(draw(options[int(chance() * len(options))], chance))
            yield tuple(plan) if len(plan) <= _MOST_FAILED else _fewer_failed(plan)

    def _burst(self, first: int) -> Plan:
        """One kind of fault at this event and at one to four that follow it under its key."""
        chance, options = self._random, self.choices(first)
        if not options:
            return ()
        kind = options[int(chance() * len(options))].kind
        # Two to five, each as likely.
        row = itertools.islice(self._row(first), 2 + int(4 * chance()))
        found = (choice for position in row for choice in self.choices(position) if choice.kind is kind)
        return tuple(draw(choice, chance) for choice in found)

    def _row(self, first: int) -> Iterator[int]:
        """The positions of this event and of those that follow it under its key."""
        events = self._model.stream.events
        return (position for position in range(first, len(events)) if events[position].key == events[first].key)


def _fewer_failed(plan: Sequence[Fault]) -> Plan:
    """The plan without the failed attempts that are too many at one event."""
    failed: dict[EventId, int] = {}
    left = []
    for fault in plan:
        if type(fault) is Fail:
            failed[fault.at] = failed.get(fault.at, 0) + 1
            if failed[fault.at] > _MOST_FAILED:
                continue
        left.append(fault)
    return tuple(left)


def draw(choice: _Choice, chance: Callable[[], float]) -> Fault:
    """Small parameters are likelier than large ones; but each point inside a handler is as likely as the others."""
    at, ranges, sizes = choice.at, choice.ranges, choice.sizes
    kind = cast(Hashable, choice.kind)
    if len(sizes) == 1:
        return _fault(kind, at, ranges[0][int(sizes[0] * chance() * chance())])
    if len(sizes) == 2 and choice.kind not in INSIDE:  # nearly all, written out
        first, second = ranges[0][int(sizes[0] * chance() * chance())], ranges[1][int(sizes[1] * chance() * chance())]
        return _fault(kind, at, first, second)
    if choice.kind in INSIDE:
        point, after, *others = (  # and whether others go on instead
            int(size * chance() ** (3 if place == 1 else 1)) for place, size in enumerate(sizes)
        )
        return _fault(kind, at, ranges[0][point], ranges[1][after], *(ranges[2][each] for each in others))
    places = [int(size * chance() * chance()) for size in sizes]
    return _fault(kind, at, *[options[i] for options, i in zip(ranges, places, strict=True)])
