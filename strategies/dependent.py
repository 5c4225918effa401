"""Streams whose events depend on each other: what the search has to know to make more of one, and less of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Protocol

import hypothesis
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from chaoskit.values.event import Event, Stream


class Dependent(Protocol):
    """A strategy of such streams. Any of its streams, and whatever it allows, is one that the producer could send."""

    min_size: int

    def allows(self, stream: Stream) -> bool:
        """Whether the producer could send just this. Its values are the very objects that were drawn."""

    def learn(self, stream: Stream) -> None:
        """Take a stream that comes from elsewhere, such as a file, for one of its own."""

    def few(self, most: int) -> SearchStrategy[Stream]:
        """Streams of up to `most` events, of which fewer are simpler."""

    def alike(self, stream: Stream) -> SearchStrategy[Stream]:
        """The same ids, each of the same kind, under the same pattern of keys."""

    def keep(self, stream: Stream) -> None:
        """Note what a stream that was drawn is made of."""

    def another(self, chance: random.Random) -> Stream:
        """A stream that is recombined from those that were stored."""


def dependent_of(strategy: SearchStrategy[Any]) -> Dependent | None:
    """What `lifecycle` or `events_from` has made; None for any other strategy, and for one that was mapped or filtered
    since."""
    found: Dependent | None = getattr(strategy, "chaos_dependent", None)
    return found


def long_first(min_size: int, max_size: int) -> SearchStrategy[int]:
    """Sizes of which the largest is the simplest."""
    return st.integers(0, max_size - min_size).map(lambda less: max_size - less)


def drawn(
    pairs: Callable[[st.DrawFn, int], Iterator[tuple[Any, Any]]],
    sizes: SearchStrategy[int],
    min_size: int,
    is_valid: Callable[[Stream], bool],
) -> SearchStrategy[Stream]:
    """The valid streams of the keys and values that `pairs` draws, up to so many of them."""

    @st.composite
    def streams(draw: st.DrawFn) -> Stream:
        stream = numbered(list(pairs(draw, draw(sizes))))
        hypothesis.assume(len(stream) >= min_size and is_valid(stream))
        return stream

    return streams()


def interleaved(lives: Sequence[Sequence[Event]], chance: random.Random) -> Stream:
    """All of these in one stream, in any order that keeps the order within each."""
    left = [list(life) for life in lives]
    order: list[Event] = []
    while any(left):
        # By what is left of each: so all the orders are equally likely.
        order.append(chance.choices(left, [len(life) for life in left])[0].pop(0))
    return numbered([(event.key, event.value) for event in order])


def numbered(pairs: Sequence[tuple[Hashable, Any]]) -> Stream:
    """The stream of these keys and values."""
    counts: dict[Hashable, int] = {}
    stream = []
    for number, (key, value) in enumerate(pairs, start=1):
        counts[key] = counts.get(key, 0) + 1
        stream.append(Event(key, value, f"e{number}", counts[key]))
    return Stream(tuple(stream))


def by_key(stream: Stream) -> dict[Hashable, list[Event]]:
    """The events of each key."""
    found: dict[Hashable, list[Event]] = {}
    for event in stream:
        found.setdefault(event.key, []).append(event)
    return found
