"""From a failing scenario to the smallest that fails in the same way: fewer events, then fewer faults, then less.

The scenario is literal, so every move is a plain edit of it and every answer is a run of the handler.
"""

from __future__ import annotations

import itertools
import math
import random
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs

from chaoskit.search.outside import outside_of
from chaoskit.search.plans import Plan, Plans
from chaoskit.values.event import EventId, Stream
from chaoskit.values.faults import CUTS, INSIDE, KINDS, Crash, Fail, Fault, FaultKind, Overlap, Overtake, reaches_in
from chaoskit.values.scenario import Model
from chaoskit.values.schedule import DELIVER, DIE, GO_ON, RESTART, TAKE_OVER, what_of

Fails = Callable[[Stream, Plan], bool]

BELOW = 1500
"""Runs that the search below what is left may take."""

SCATTERED = 1000
"""Runs that dropping two or three events at once may take, wherever they stand."""
FEW = 16
"""Events up to which this is tried, and chunks of every size are."""

MOST_VALUES = 8
"""Values of the stream that was found that are tried in place of what is left."""
FEWER = 2
"""How many events less that may save at once."""
PAIR = 2
"""Events that are seldom too many. Where more are left, values are drawn for them."""

ALIKE = 600
"""Runs that the search for milder faults may take."""


@attrs.define
class Shrinker:
    """`fails` says whether a candidate still fails in the same way. `valid` guards which streams may be tried;
    `free_values`: the values of a stream do not depend on each other, so that one may stand for another, and those of
    `more_values`, too; `with_values` puts them there. `in_order`: it fails without any fault, and only events can be
    less. `whole`: a process dies before all of its effects, or behind all."""

    model: Callable[[Stream], Model]
    kinds: Sequence[FaultKind]
    fails: Fails
    valid: Callable[[Stream], bool]
    free_values: bool
    min_size: int = 1
    in_order: bool = False
    more_values: Callable[[], Sequence[object]] = tuple
    with_values: Callable[[Stream, Sequence[object]], Stream] = Stream.with_values
    whole: bool = False
    tried: int = 0
    _known: dict[object, bool] = attrs.field(factory=dict)

    def shrink(self, stream: Stream, faults: Plan) -> tuple[Stream, Plan]:
        values = [event.value for event in stream.events][:MOST_VALUES]
        while True:
            size = _size(stream, faults)
            stream, faults = self._reduce(stream, faults)
            stream, faults = self._below(stream, faults, values)
            if _size(stream, faults) >= size:
                return stream, faults

    def _reduce(self, stream: Stream, faults: Plan) -> tuple[Stream, Plan]:
        while True:
            size = _size(stream, faults)
            faults = self._fewer_faults(stream, faults)
            stream, faults = self._fewer_events(stream, faults)
            faults = self._less(stream, self._outside(stream, faults))
            if _size(stream, faults) >= size:
                return stream, faults

    def _try(self, stream: Stream, faults: Plan) -> bool:
        if not faults and not self.in_order:
            return False
        # By identity: values need not be hashable, and a candidate has the very objects of the streams that are held
        # alive here.
        known = (stream.ids, tuple(id(event.value) for event in stream.events), faults)
        if known not in self._known:
            self.tried += 1
            self._known[known] = self.valid(stream) and self.fails(stream, faults)
        return self._known[known]

    def _fewer_faults(self, stream: Stream, faults: Plan) -> Plan:
        """ddmin: drop halves, then quarters, … then one by one."""
        chunk = max(1, len(faults) // 2)
        while faults:
            start = 0
            while start < len(faults):
                fewer = faults[:start] + faults[start + chunk :]
                if self._try(stream, fewer):
                    faults = fewer
                else:
                    start += chunk
            if chunk == 1:
                break
            chunk //= 2
        return faults

    def _fewer_events(self, stream: Stream, faults: Plan) -> tuple[Stream, Plan]:
        """Drop chunks, and then single events and pairs and triples that are not neighbours: where only every third
        event has an effect, less than three at once change the failure."""
        chunk = len(stream) // 2
        while chunk >= 1:
            # From the end: what follows the failure goes first, and cheaply.
            start = len(stream) - chunk
            while start > -chunk:
                stream, faults = self._without(stream, faults, range(max(start, 0), max(start, 0) + chunk))
                start -= chunk
            # Of few events chunks of every size are affordable: halving leaves sizes out.
            chunk = chunk - 1 if len(stream) <= FEW else chunk // 2
        # Once more: with the events before it gone, the last one may have become idle.
        stream, faults = self._without(stream, faults, range(len(stream) - 1, len(stream)))
        return self._without_scattered(stream, faults)

    def _without_scattered(self, stream: Stream, faults: Plan) -> tuple[Stream, Plan]:
        budget = self.tried + SCATTERED
        size = 2
        while size <= 3 and len(stream) <= FEW and self.tried < budget:
            before = len(stream)
            for gone in itertools.combinations(range(len(stream)), size):
                stream, faults = self._without(stream, faults, gone)
                if len(stream) < before or self.tried >= budget:
                    break
            # After a pair was dropped, another pair may go that could not before.
            size = size + 1 if len(stream) == before else 2
        return stream, faults

    def _without(self, stream: Stream, faults: Plan, gone: Sequence[int]) -> tuple[Stream, Plan]:
        """The scenario without the events at these positions, if it still fails; else as it is."""
        left = [position for position in range(len(stream)) if position not in gone]
        if len(left) >= max(1, self.min_size):
            fewer = stream.keep(left)
            for moved in self._moved(stream, fewer, faults):
                if self._try(fewer, moved):
                    return fewer, moved
        return stream, faults

    def _moved(self, stream: Stream, fewer: Stream, faults: Plan) -> Iterator[Plan]:
        """The faults of the events that are left, as they are or with less to wait for; and with those of the dropped
        events moved to the next of their key, or to the next at all."""
        left = set(fewer.ids)
        yield tuple(fault for fault in faults if fault.at in left)
        gone = len(stream) - len(fewer)
        yield tuple(_sooner(fault, gone) for fault in faults if fault.at in left)
        for same_key in (True, False):
            moved = []
            for fault in faults:
                heir = fault.at if fault.at in left else _heir(stream, left, fault, same_key)
                if heir is not None:
                    moved.append(attrs.evolve(fault, at=heir))
            yield tuple(moved)
            yield tuple(_sooner(fault, gone) for fault in moved)

    def _outside(self, stream: Stream, faults: Plan) -> Plan:
        """What happens inside the handler is only shown where it is needed."""
        for number, fault in enumerate(faults):
            for other in outside_of(fault, self.kinds):
                instead = (*faults[:number], other, *faults[number + 1 :])
                if self._try(stream, instead):
                    faults = instead
                    break
        return faults

    def _less(self, stream: Stream, faults: Plan) -> Plan:
        """Lower each parameter to the mildest that still fails."""
        positions = {id_: i for i, id_ in enumerate(stream.ids)}
        model = self.model(stream)
        for number in range(len(faults)):
            fields = [field.name for field in attrs.fields(type(faults[number]))][1:]  # without `at`
            # Where an execution stops is looked at last.
            for place, name in list(enumerate(fields))[:: -1 if isinstance(faults[number], Overlap) else 1]:
                fault = faults[number]
                ranges = model.arguments(type(fault), positions[fault.at])
                current = getattr(fault, name)
                options = list(ranges[place]) if ranges and name != "point" else self._points_below(current)
                # From the mildest up, so that the first one that fails is the least.
                for option in (option for option in options if option < current):
                    lower = (*faults[:number], _with(fault, {name: option}), *faults[number + 1 :])
                    if self._try(stream, lower):
                        faults = lower
                        break
        return faults

    def _points_below(self, point: int) -> Sequence[int]:
        """How many effects the handler has the model does not know."""
        return (0,) if self.whole else range(point)

    def fewer_faults(self, stream: Stream, faults: Plan) -> Plan:
        """The faults that are needed, each as mild as it can be; the stream stays whole."""
        return self._less(stream, self._fewer_faults(stream, faults))

    def mildest(self, stream: Stream, faults: Plan) -> tuple[Plan, tuple[FaultKind, ...]]:
        """Of as many faults that fail alike on this stream the mildest, and the other kinds that could stand there.

        Milder is what has fewer deliveries, then fewer copies, then fewer restarts, then the kinds that are.
        """
        # Other values may have been drawn since, at the addresses of those that are gone.
        self._known.clear()
        budget, toll = self.tried + ALIKE, _Toll(self.model(stream))
        while True:
            others = sorted(self._substitutes(stream, faults), key=toll.of)
            milder = others[: bisect_left(others, toll.of(faults), key=toll.of)]
            found = next((plan for plan in milder if self.tried < budget and self._try(stream, plan)), None)
            if found is None:
                break
            faults = found
        alike: dict[FaultKind, None] = {}
        for plan in others:
            new = [kind for kind in map(type, plan) if kind not in map(type, faults) and kind not in alike]
            if new and self.tried < budget and self._try(stream, plan):
                alike |= dict.fromkeys(new)
        return faults, tuple(kind for kind in KINDS if kind in alike)

    def _substitutes(self, stream: Stream, faults: Plan) -> Iterator[Plan]:
        """The plans in which another fault stands for one of these; of two, the mildest in the place of both, too."""
        kinds = self._kinds(faults)
        plans = self._all(stream, kinds, faults)
        singles = list(_plans(plans, stream, kinds, 1))
        if len(faults) == 2:
            yield from _plans(plans, stream, kinds, 2, most=2)
        for number in range(len(faults)):
            for single in singles:
                yield (*faults[:number], *single, *faults[number + 1 :])

    def _below(self, stream: Stream, faults: Plan, values: list[object]) -> tuple[Stream, Plan]:
        """Try what is smaller than the scenario and cannot be reached by taking away, mildest first. Other events and
        faults must not use up what other values may take."""
        for candidates in (self._smaller(stream, faults), self._with_other_values(stream, faults, values)):
            budget = self.tried + BELOW
            for smaller, plan in candidates:
                if self.tried >= budget:
                    break
                if self._try(smaller, plan):
                    return smaller, plan
        return stream, faults

    def _smaller(self, stream: Stream, faults: Plan) -> Iterator[tuple[Stream, Plan]]:
        """Fewer events with up to two faults, or as many events with fewer."""
        left = self._kinds(faults)
        kinds = [kind for kind in left if any(type(fault) is kind for fault in faults)]
        # First the kinds that failed: most often the smaller scenario is one of theirs.
        kinds += [kind for kind in left if kind not in kinds]
        for size in range(max(1, self.min_size), len(stream) + 1):
            for count in self._counts(size < len(stream), faults):
                for positions in itertools.combinations(range(len(stream)), size):
                    smaller = stream.keep(positions)
                    for plan in _plans(self._all(smaller, kinds, faults), smaller, kinds, count):
                        yield smaller, plan

    def _with_other_values(self, stream: Stream, faults: Plan, values: list[object]) -> Iterator[tuple[Stream, Plan]]:
        """Fewer events with other values, and a fault of the kinds that failed."""
        kinds = list(dict.fromkeys(map(type, faults)))
        if not self.free_values:
            return
        if len(stream) > PAIR:
            values = [*values, *self.more_values()]
        for size in range(max(1, self.min_size), len(stream))[: -FEWER - 1 : -1]:
            for smaller in _with_other_values(stream, size, values, self.with_values):
                plans = self._all(smaller, kinds, faults)
                for plan in _plans(plans, smaller, kinds, 0 if self.in_order else 1):
                    yield smaller, plan

    def _kinds(self, faults: Plan) -> list[FaultKind]:
        """Those that may stand in the place of these: what is outside the handler, and what is inside if they are."""
        failed = set(map(type, faults))
        return [kind for kind in self.kinds if kind not in INSIDE or kind in failed]

    def _all(self, stream: Stream, kinds: Sequence[FaultKind], faults: Plan) -> Plans:
        """All that can go wrong with this stream, at the points at which a process dies, an execution stops or a call
        fails in these faults."""
        inside = sorted({fault.point for fault in faults if isinstance(fault, (Crash, Overlap))})
        failed = sorted({0, *(fault.point for fault in faults if isinstance(fault, Fail))})
        points, calls = (dict.fromkeys(range(len(stream)), each) for each in (inside, failed))
        # The salt counts for chances only, and all are listed.
        return Plans(self.model(stream), kinds, 0, points, calls, with_end=False)

    def _counts(self, fewer_events: bool, faults: Plan) -> range:
        """How many faults are tried: two where there was one, too, if that saves an event."""
        if self.in_order:
            return range(1 if fewer_events else 0)
        return range(1, 3 if fewer_events else min(3, len(faults)))


@attrs.define
class _Toll:
    """How much goes wrong on a stream under a plan, for a handler that refuses nothing; less is milder."""

    model: Model
    _known: dict[Plan, tuple[object, ...]] = attrs.field(factory=dict)

    def of(self, plan: Plan) -> tuple[Any, ...]:
        found = self._known.get(plan)
        if found is None:
            found = self._known[plan] = self._count(plan)
        return found

    def _count(self, plan: Plan) -> tuple[Any, ...]:
        steps, ids = list(self.model.play(plan)), self.model.stream.ids
        messages = [step[2:5] for step in steps if what_of(step) in (DELIVER, DIE, GO_ON)]
        return (
            len(messages),
            len(set(messages)) - len({event for event, _, _ in messages}),  # events of which there are two messages
            sum(step[0] in (RESTART, TAKE_OVER) for step in steps),
            sorted(_mildness(fault) for fault in plan),
            sum(sum(attrs.astuple(fault)[1:]) for fault in plan),
            [(ids.index(fault.at), *attrs.astuple(fault)[1:]) for fault in plan],
        )


def _mildness(fault: Fault) -> int:
    """Where a batch ends is no failure; something that is only slow is milder than one, and a failed attempt is the
    mildest of these."""
    order = (*CUTS, Overtake, Fail, *KINDS, *INSIDE)
    return len(order) if isinstance(fault, Fail) and fault.point else order.index(type(fault))


def _size(stream: Stream, faults: Plan) -> tuple[int, int, int, int]:
    inside = sum(map(reaches_in, faults))
    return len(stream), len(faults), inside, sum(sum(attrs.astuple(fault)[1:]) for fault in faults)


def _sooner(fault: Fault, gone: int) -> Fault:
    """Where `gone` events are dropped, what counts deliveries has that many fewer to wait for."""
    counts = {name: max(0, getattr(fault, name) - gone) for name in ("after", "by") if hasattr(fault, name)}
    return _with(fault, counts)


def _with(fault: Fault, changes: dict[str, Any]) -> Fault:
    changed: Fault = attrs.evolve(fault, **changes)
    return changed


def _heir(stream: Stream, left: set[EventId], fault: Fault, same_key: bool) -> EventId | None:
    position = stream.ids.index(fault.at)
    for event in stream.events[position + 1 :]:
        if event.id in left and (not same_key or event.key == stream[position].key):
            return event.id
    return None


MOST_CHOICES = 10_000
"""Ways to give values to the events of a stream that are tried at most."""


def _with_other_values(
    stream: Stream, size: int, values: list[object], with_values: Callable[[Stream, Sequence[object]], Stream]
) -> Iterator[Stream]:
    """Sub-streams of this size, one for each pattern of keys, with some of these values. They are mixed, because the
    budget may not do for all, and what they need is mostly had by one in ten."""
    chance = random.Random(size)
    if math.perm(len(values), size) <= MOST_CHOICES:
        choices = list(itertools.permutations(values, size))
        chance.shuffle(choices)
    else:  # of a long stream there are more than memory holds
        choices = [tuple(chance.sample(values, size)) for _ in range(MOST_CHOICES)]
    positions = itertools.combinations(range(len(stream)), size)
    patterns = {tuple(event.key for event in smaller): smaller for smaller in map(stream.keep, positions)}
    for chosen, smaller in itertools.product(choices, patterns.values()):
        yield with_values(smaller, chosen)


MILD = 16
"""Arguments of one kind at one event that are tried below."""


def _plans(plans: Plans, stream: Stream, kinds: Sequence[FaultKind], count: int, most: int = MILD) -> Iterator[Plan]:
    """Every plan of `count` faults with mild parameters, those of the first kinds first."""
    singles = [
        choice.kind(stream.ids[position], *arguments)
        for kind in kinds
        for position in range(len(stream))
        for choice in plans.choices(position)
        if choice.kind is kind
        for arguments in _mildest(choice.ranges)[:most]
    ]
    yield from itertools.combinations_with_replacement(singles, count)


def _mildest(ranges: Sequence[Sequence[int]]) -> list[list[int]]:
    places = sorted(itertools.product(*[range(min(3, len(options))) for options in ranges]), key=sum)
    return [[options[i] for options, i in zip(ranges, place, strict=True)] for place in places[:MILD]]
