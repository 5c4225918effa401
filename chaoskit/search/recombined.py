"""More streams of one that Hypothesis drew: its keys and values, and those of earlier ones, put together anew.

A drawn stream costs as much as ten schedules, one that is put together next to nothing. `events(…)` draws each key and
each value independently, so whatever is put together of them is a stream that it could have drawn. Where events depend
on each other, their own strategy says what can be put together.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from itertools import islice
from typing import Any

import attrs
from hypothesis.strategies import SearchStrategy

from chaoskit.search.draw import shares_parts
from chaoskit.search.evidence import MEMORY
from chaoskit.search.shape import fingerprint, has_two_values
from chaoskit.strategies.dependent import Dependent, dependent_of
from chaoskit.strategies.streams import Parts, parts_of
from chaoskit.values.event import Event, Stream

FOR_EACH = 4
"""Streams for each that is drawn, which is one of them."""

MOST_TRIES = 8
"""Streams that are put together for one that is valid, new, and has two values under one key."""

MOST_STORED = 256
"""Keys that are stored, and values, of which the oldest go first; a whole stream's are."""


@attrs.define
class Recombined:
    """What the parts of `events(…)` gave so far. `drawn` streams have become `given` ones."""

    parts: Parts | Dependent
    values: list[Any] = attrs.field(factory=list)
    keys: dict[Hashable, Any] = attrs.field(factory=dict)
    """Each with a value that it came with."""
    drawn: int = 0
    given: int = 0
    _known: set[int] = attrs.field(factory=set)

    @property
    def for_each(self) -> float:
        """How many streams become of one that is drawn."""
        return self.given / self.drawn if self.drawn else FOR_EACH

    @classmethod
    def made_of(cls, events: SearchStrategy[Any]) -> Recombined | None:
        """None for a strategy of which it is not known what its streams are made of."""
        parts = parts_of(events) or dependent_of(events)
        return None if parts is None else cls(parts)

    def of(self, stream: Stream, salt: int) -> Iterator[tuple[Stream, int]]:
        """The stream that Hypothesis draws just now, and new ones that are put together, each with a salt. All chance
        comes from its salt. Of one in which no key has two values nothing is put together: it is the simplest, or keys
        do not repeat in what the strategy draws."""
        is_new = self._is_new(stream)
        # Hypothesis draws its simplest stream in each of its runs: once is enough.
        if not has_two_values(stream) and self.values and not is_new:
            return
        self.drawn += 1
        self.given += 1
        yield stream, salt
        if not has_two_values(stream) or shares_parts():
            return
        self._keep(stream)
        chance = random.Random(salt)
        for _ in range(FOR_EACH - 1):
            candidates = (self._another(chance) for _ in range(MOST_TRIES))
            found = next(filter(self._will_do, candidates), None)
            if found is not None:
                self.given += 1
                yield found, chance.getrandbits(64)

    def _will_do(self, stream: Stream) -> bool:
        is_long = len(stream) >= self.parts.min_size
        return is_long and has_two_values(stream) and self.parts.allows(stream) and self._is_new(stream)

    def _is_new(self, stream: Stream) -> bool:
        print_ = fingerprint(stream)
        if print_ in self._known:
            return False
        if len(self._known) >= MEMORY:
            self._known.clear()
        self._known.add(print_)
        return True

    def _keep(self, stream: Stream) -> None:
        if not isinstance(self.parts, Parts):
            self.parts.keep(stream)
            return
        keys = {event.key: event.value for event in stream.events}
        if len(self.keys) < MOST_STORED:
            self.keys |= keys
        self.values += [event.value for event in stream.events]
        # At least those of the stream just drawn, or a long one could not be put together of them.
        del self.values[: -max(MOST_STORED, len(stream))]

    def _another(self, chance: random.Random) -> Stream:
        """A long one or any, over few keys or many. A value stands in it as often as it was drawn, at most: a strategy
        may give each only once."""
        if not isinstance(self.parts, Parts):
            return self.parts.another(chance)
        known, size = list(self.keys), min(_size(self.parts, chance), len(self.values))
        # Mostly few keys: most bugs need several events of one.
        few = chance.sample(known, min(len(known), chance.choice((1, 2, 2, 3, 3, 4, len(known), len(known)))))
        counts: Counter[Hashable] = Counter()
        stream = []
        for number, (key, value) in enumerate(self._pairs(self.parts, chance, few, size), start=1):
            counts[key] += 1
            stream.append(Event(key, value, f"e{number}", counts[key]))
        return Stream(tuple(stream))

    def _pairs(
        self, parts: Parts, chance: random.Random, few: list[Hashable], size: int
    ) -> Iterable[tuple[Hashable, Any]]:
        if parts.tie is None:
            keys = chance.choices(few, k=size)
            return zip(keys, chance.sample(self.values, size), strict=True)
        # All of them: of a few keys there may be few.
        values = chance.sample(self.values, len(self.values))
        owners = [self.keys[key] for key in few]
        return islice(parts.arranged(values, owners, lambda: chance.choice(owners)), size)


def _size(parts: Parts, chance: random.Random) -> int:
    """Any that is allowed, or, as often, rather a great one: some limits are met only by much under one key."""
    least, most = parts.min_size, parts.max_size
    return most - int((most - least + 1) * chance.random() * chance.choice((chance.random(), 1)))
