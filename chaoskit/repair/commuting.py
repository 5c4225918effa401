"""Which events of a failure do not commute: both orders are run, without any fault."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from chaoskit.search.oracle import Case, Subject
from chaoskit.search.states import tried
from chaoskit.values.event import Stream
from chaoskit.values.repair import Clash
from chaoskit.values.state import Difference, parted, snapshot

MOST_EVENTS = 6
"""Of longer streams nobody reads all pairs."""
MOST_DIFFERENCES = 12
# Not None, which may be a state.
_NOT_RUN = object()


def clashes_of(subject: Subject, stream: Stream) -> tuple[Clash, ...]:
    """Of a minimal scenario: each two neighbours, swapped. What cannot be run in such an order is left out."""
    # One event has no neighbour.
    if not 2 <= len(stream) <= MOST_EVENTS:
        return ()
    case = subject.on(stream)
    in_order = _state(case, range(len(stream)))
    found = (_clash(case, place, in_order) for place in range(len(stream) - 1))
    return tuple(clash for clash in found if clash is not None)


def _clash(case: Case, place: int, in_order: Any) -> Clash | None:
    order = list(range(len(case.model.stream)))
    order[place : place + 2] = place + 1, place
    swapped = _state(case, order)
    parted = _differences(in_order, swapped)
    if not parted:
        return None
    first, second = case.model.stream[place], case.model.stream[place + 1]
    return Clash(first, second, in_order, swapped, parted, tuple(_assigned(case, place, parted)))


def _assigned(case: Case, place: int, parted: Sequence[Difference]) -> Iterator[str]:
    """Where the later one of the two has the last word: in order what the second gives without the first, swapped what
    the first gives without the second."""
    places = range(len(case.model.stream))
    without_first = _state(case, [p for p in places if p != place])
    without_second = _state(case, [p for p in places if p != place + 1])
    separate = {each.path: each for each in _differences(without_first, without_second)}
    for each in parted:
        alone = separate.get(each.path)
        if alone is not None and _same(alone.expected, each.expected) and _same(alone.observed, each.observed):
            yield each.path


def _state(case: Case, order: Sequence[int]) -> Any:
    run = tried(partial(case.in_order, order, strict=False))
    return _NOT_RUN if run is None or run.outcome.failure is not None else snapshot(run.outcome.state)


def _differences(one: Any, two: Any) -> tuple[Difference, ...]:
    if one is _NOT_RUN or two is _NOT_RUN:
        return ()
    return parted(one, two, MOST_DIFFERENCES)


def _same(one: Any, two: Any) -> bool:
    return not _differences(one, two)
