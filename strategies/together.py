"""Several streams as one, whose events have topics: each of its own strategy, mixed in any way."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from chaoskit.strategies.dependent import Dependent, dependent_of
from chaoskit.strategies.streams import Parts, parts_of
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Event, Stream

MOST_STORED = 64
"""Streams of each topic that are stored to be mixed anew."""


def together(strategies: Mapping[str, SearchStrategy[Any]]) -> SearchStrategy[list[Event]]:
    """One strategy of these, by topic. Raises UsageError for one that `events`, `lifecycle` or `events_from` did not
    make: of any other it is not known what may be left out."""
    made_of = []
    for topic, strategy in strategies.items():
        found = parts_of(strategy) or dependent_of(strategy)
        if found is None:
            raise UsageError(
                f"the stream {topic!r} is {strategy!r}: where there are several, each has to be one of events(…), "
                "lifecycle(…) or events_from(…), and not one that was mapped or filtered"
            )
        made_of.append(found)
    mixed = Mixed(tuple(strategies), tuple(strategies.values()), tuple(made_of))
    strategy = mixed.streams()
    strategy.chaos_dependent = mixed  # type: ignore[attr-defined]
    return strategy


@attrs.define(eq=False)
class Mixed:
    """What the streams are made of, by topic. A topic may have no events yet."""

    topics: tuple[str, ...]
    strategies: tuple[SearchStrategy[Any], ...]
    made_of: tuple[Parts | Dependent, ...]
    min_size: int = 1
    _stored: dict[str, list[tuple[Event, ...]]] = attrs.field(factory=dict)

    @property
    def is_of_parts(self) -> bool:
        """Whether any part of a stream is one, too, but for what `allows` says."""
        return all(isinstance(made, Parts) for made in self.made_of)

    def streams(self) -> SearchStrategy[list[Event]]:
        parts = st.tuples(*(strategy.map(Stream.of) for strategy in self.strategies))
        return _mixed(self.topics, parts).map(lambda stream: list(stream.events))

    def few(self, most: int) -> SearchStrategy[Stream]:
        nothing = st.just(Stream(()))
        parts = [nothing if most < each.min_size else nothing | each.few(most) for each in self.made_of]
        return _mixed(self.topics, st.tuples(*parts)).filter(lambda stream: 1 <= len(stream) <= most)

    def alike(self, stream: Stream) -> SearchStrategy[Stream]:
        parts = [made.alike(_bare(own)) if own else st.just(Stream(())) for made, own in self._by_topic(stream)]
        return st.tuples(*parts).map(lambda drawn: self._in_the_places_of(stream, drawn))

    def _in_the_places_of(self, stream: Stream, drawn: Sequence[Stream]) -> Stream:
        by_id = {
            event.id: attrs.evolve(event, topic=t) for t, own in zip(self.topics, drawn, strict=True) for event in own
        }
        return Stream(tuple(by_id[event.id] for event in stream))

    def allows(self, stream: Stream) -> bool:
        return all(len(own) >= made.min_size and made.allows(_bare(own)) for made, own in self._by_topic(stream) if own)

    def learn(self, stream: Stream) -> None:
        for made, own in self._by_topic(stream):
            if own and not isinstance(made, Parts):
                made.learn(_bare(own))

    def keep(self, stream: Stream) -> None:
        for topic, (_, own) in zip(self.topics, self._by_topic(stream), strict=True):
            stored = self._stored.setdefault(topic, [])
            stored.append(own)
            del stored[:-MOST_STORED]

    def another(self, chance: random.Random) -> Stream:
        parts = [chance.choice(self._stored[topic]) for topic in self.topics]
        left = [list(part) for part in parts]
        order: list[Event] = []
        while any(left):
            order.append(chance.choices(left, [len(part) for part in left])[0].pop(0))
        return _numbered(order)

    def _by_topic(self, stream: Stream) -> list[tuple[Parts | Dependent, tuple[Event, ...]]]:
        return [
            (made, tuple(event for event in stream if event.topic == topic))
            for topic, made in zip(self.topics, self.made_of, strict=True)
        ]


@st.composite
def _mixed(draw: st.DrawFn, topics: Sequence[str], parts: SearchStrategy[tuple[Stream, ...]]) -> Stream:
    drawn = draw(parts)
    left = [[attrs.evolve(e, topic=topic) for e in own] for topic, own in zip(topics, drawn, strict=True)]
    order: list[Event] = []
    while any(left):
        # The first of what is left is simplest: one stream after the other.
        open_ = [part for part in left if part]
        order.append(open_[draw(st.integers(0, len(open_) - 1)) if len(open_) > 1 else 0].pop(0))
    return _numbered(order)


def _numbered(order: Sequence[Event]) -> Stream:
    return Stream(tuple(attrs.evolve(event, id=f"e{number}") for number, event in enumerate(order, start=1)))


def _bare(events: Sequence[Event]) -> Stream:
    """As its own strategy has made them."""
    return Stream(tuple(attrs.evolve(event, topic=None) for event in events))
