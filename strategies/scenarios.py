"""Whole scenarios, for plain Hypothesis tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from chaoskit.values.event import Event, Stream
from chaoskit.values.faults import Fault, FaultKind
from chaoskit.values.scenario import Broker, Scenario, allowed_kinds


def scenarios(
    events: SearchStrategy[list[Event]],
    broker: Broker,
    *,
    faults: Iterable[FaultKind] | None = None,
    max_faults: int = 4,
) -> SearchStrategy[Scenario]:
    """Scenarios of a broker: a stream from `events` and up to `max_faults` faults that can act on it.

    An ordinary strategy whose values shrink to few events, few faults and mild parameters. Raises ImpossibleFault
    for a kind that the broker cannot make.
    """
    return _scenarios(events, broker, broker.kinds() if faults is None else allowed_kinds(broker, faults), max_faults)


@st.composite
def _scenarios(
    draw: st.DrawFn,
    events: SearchStrategy[list[Event]],
    broker: Broker,
    kinds: tuple[FaultKind, ...],
    max_faults: int,
) -> Scenario:
    stream = Stream.of(draw(events))
    model = broker.model(stream)
    possible = [
        (kind, position, ranges)
        for kind in kinds
        for position in range(len(stream))
        if (ranges := model.arguments(kind, position)) is not None
    ]
    # `sampled_from` takes nothing empty.
    if not possible:
        return Scenario(stream.events, broker, ())
    fault = st.sampled_from(range(len(possible))).flatmap(lambda i: _faults(stream, *possible[i]))
    return Scenario(stream.events, broker, draw(st.lists(fault, max_size=max_faults)))


def _faults(stream: Stream, kind: FaultKind, position: int, ranges: tuple[Any, ...]) -> SearchStrategy[Fault]:
    drawn: list[SearchStrategy[int]] = [
        # Integers shrink to the least, which is the mildest; a sample to the first.
        st.integers(options.start, options.stop - 1) if isinstance(options, range) else st.sampled_from(options)
        for options in ranges
    ]
    return st.tuples(*drawn).map(lambda arguments: kind(stream.ids[position], *arguments))
