"""Streams of entities that each have a life: created, then updated, then cancelled."""

from __future__ import annotations

import functools
import inspect
import random
import typing
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import hypothesis
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from chaoskit.strategies.dependent import by_key, drawn, interleaved, long_first
from chaoskit.strategies.kinds import values_of
from chaoskit.strategies.life import Life, Look, are_same
from chaoskit.strategies.streams import Keys, Valid, checked_sizes, keys_of
from chaoskit.strategies.ties import Tie
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Event, Stream

Stage = int | tuple[int, int]
"""The number of a kind of event; or, of a life that comes from elsewhere, its number and the place in it."""

MOST_KNOWN = 20_000
"""Values of which it is remembered how they came about: more than one search for simpler ones draws."""
MOST_STORED = 128
"""Lives that are stored to be recombined."""


def lifecycle(
    start: Any,
    then: Sequence[Any] | Mapping[Any, Sequence[Any]],
    *,
    keys: Keys | None = None,
    lives: int = 3,
    min_size: int = 1,
    max_size: int = 12,
    valid: Valid | None = None,
) -> SearchStrategy[list[Event]]:
    """Streams in which each entity begins with `start` and goes on as `then` says, up to `lives` of them at a time,
    their events mixed.

    `then` is a list of what follows, one after the other; or it says for each kind of event which may come next:
    `{created: [paid, cancelled], paid: [refunded]}`, where a life ends with what has no entry. A life may also stop
    anywhere before, as those do that are not over yet.

    A kind of event is what `events` takes for its values (a strategy, a class, a schema), or a function of the life so
    far, a sequence of the values from the first to the last, that gives a value or a strategy of values. It must do the
    same for the same values: what it looks at tells which events a later one depends on. Values are not to be changed.

    `keys` is a strategy, of which each entity has another key; the name of a field, which is then the same in all
    events of an entity; or a function of the value, which has to be. Left out, they are "key-1", "key-2", …

    A stream is made smaller only to what this could have drawn. `valid(events)` guards what else must stay possible.
    Raises UsageError for a kind of event that is none, or that is never reached.
    """
    checked_sizes("lifecycle", min_size, max_size)
    if type(lives) is not int or lives < 1:
        raise UsageError(f"lifecycle(lives={lives!r}): a whole number from 1 on is needed")
    kinds, follows = _graph(start, then)
    made = tuple(_checked_kind(kind) for kind in kinds)
    if keys is None:
        keys = st.integers(1, lives).map(lambda number: f"key-{number}")
    drawn, tie = keys_of(keys, "lifecycle", st.nothing(), puts=True)
    lifecycles = Lifecycles(made, follows, drawn, tie, lives, min_size, max_size, valid)
    strategy = lifecycles.streams()
    # `map` and `filter` make new strategies, which have none: then a part of a stream may be none.
    strategy.chaos_dependent = lifecycles  # type: ignore[attr-defined]
    return strategy


def _graph(start: Any, then: Any) -> tuple[list[Any], tuple[tuple[int, ...], ...]]:
    """Every kind of event, the first one first, and the numbers of those that may follow each."""
    if isinstance(then, Mapping) and not any(isinstance(after, (list, tuple)) for after in then.values()) and then:
        raise UsageError("lifecycle(then={…}): a list of what may follow is needed for each kind of event")
    if not isinstance(then, (list, tuple, Mapping)):
        raise UsageError(f"lifecycle(then={then!r}): a list, or for each kind of event a list of those after it")
    if not isinstance(then, Mapping):
        return [start, *then], (*((number,) for number in range(1, len(then) + 1)), ())
    kinds, follows = [start], []
    for kind in kinds:  # which grows
        after = next((after for known, after in then.items() if known is kind or known == kind), ())
        for each in after:
            if not any(each is known for known in kinds):
                kinds.append(each)
        follows.append(tuple(next(n for n, known in enumerate(kinds) if known is each) for each in after))
    for kind in then:
        if not any(kind is known for known in kinds):
            raise UsageError(f"lifecycle(then={{{_name(kind)}: …}}): {_name(kind)} follows nothing, so it never comes")
    return kinds, tuple(follows)


def _checked_kind(kind: Any) -> Any:
    if is_function(kind):
        try:
            inspect.signature(kind).bind(())
        except TypeError as error:
            raise UsageError(
                f"lifecycle: {_name(kind)} is to take one argument, the values of its entity so far: {error}"
            ) from None
        except ValueError:  # what has no signature that can be read
            pass
        return kind
    return values_of(kind, "lifecycle", "a kind of event")


def is_function(kind: Any) -> bool:
    """Of the life so far; a class is what makes the values."""
    if isinstance(kind, (type, SearchStrategy)) or typing.get_origin(kind) is not None:
        return False
    return callable(kind)


def _name(kind: Any) -> str:
    inner = kind.func if isinstance(kind, functools.partial) else kind
    return getattr(inner, "__qualname__", None) or repr(kind)


@attrs.frozen
class _Origin:
    """How a value came about: as an event of this stage, after a look at these of its life."""

    stage: Stage
    looks: tuple[Look, ...] = attrs.field(eq=False)


@attrs.define(eq=False)
class _Entity:
    """One in the making."""

    key: Any
    stage: int
    values: list[Any]


@attrs.define(eq=False)
class Lifecycles:
    """What `lifecycle` was given, and how the values that it drew came about."""

    kinds: tuple[Any, ...]
    follows: tuple[tuple[int, ...], ...]
    keys: SearchStrategy[Any]
    tie: Tie | None
    lives: int
    min_size: int
    max_size: int
    valid: Valid | None
    _known: dict[int, tuple[Any, list[_Origin]]] = attrs.field(factory=dict)
    _stored: list[list[Event]] = attrs.field(factory=list)
    _learned: int = 0

    # What is drawn.

    def streams(self) -> SearchStrategy[list[Event]]:
        """Long first: shrinking towards 0 draws long streams, and most drawn streams are long enough to go wrong."""
        return self._of_sizes(long_first(self.min_size, self.max_size)).map(lambda stream: list(stream.events))

    def few(self, most: int) -> SearchStrategy[Stream]:
        return self._of_sizes(st.integers(min(self.min_size, most), most))

    def _of_sizes(self, sizes: SearchStrategy[int]) -> SearchStrategy[Stream]:
        return drawn(self._pairs, sizes, self.min_size, self._is_valid)

    def _pairs(self, draw: st.DrawFn, size: int) -> Iterator[tuple[Any, Any]]:
        """Keys and values of up to so many events: fewer where all lives are over."""
        entities: list[_Entity] = []
        for _ in range(size):
            alive = [entity for entity in entities if self.follows[entity.stage]]
            may_begin = len(entities) < self.lives
            if not alive and not may_begin:
                return
            chosen = draw(st.integers(0, len(alive) - (not may_begin)))
            if chosen == len(alive):
                begun = self._begin(draw, [entity.key for entity in entities])
                if begun is not None:
                    entities.append(begun)
                    yield begun.key, begun.values[0]
                    continue
                if not alive:
                    return
                chosen = 0
            entity = alive[chosen]
            entity.stage = draw(st.sampled_from(self.follows[entity.stage]))
            entity.values.append(self._value(draw, entity.stage, entity.key, entity.values))
            yield entity.key, entity.values[-1]

    def _begin(self, draw: st.DrawFn, taken: list[Any]) -> _Entity | None:
        """A new entity; None where its key is taken."""
        key = None if self.tie is not None else draw(self.keys)
        value = self._value(draw, 0, key, [])
        if self.tie is not None:
            key = self.tie.key(value)
        return None if key in taken else _Entity(key, 0, [value])

    def _value(self, draw: st.DrawFn, stage: int, key: Any, before: Sequence[Any]) -> Any:
        kind, life = self.kinds[stage], Life(tuple(before))
        made = kind(life) if is_function(kind) else kind
        value = draw(made) if isinstance(made, SearchStrategy) else made
        if self.tie is not None and before:
            value = self._agreeing(self.tie, value, before[0], kind)
        self._note(value, _Origin(stage, tuple(life.looks.values())))
        return value

    def _agreeing(self, tie: Tie, value: Any, first: Any, kind: Any) -> Any:
        """The value with the key of its entity."""
        agreeing = value if tie.put is None else tie.put(value, tie.read(first))
        if agreeing is None or tie.key(agreeing) != tie.key(first):
            raise UsageError(
                f"lifecycle: the entity with the key {tie.key(first)!r} goes on with {value!r}, which has another one "
                f"and cannot have this: what gives it ({_name(kind)}) has to take it from the life so far"
            )
        return agreeing

    def _note(self, value: Any, origin: _Origin) -> None:
        known = self._known.setdefault(id(value), (value, []))[1]
        # What is shared, such as a small number or None, may have come about in many ways.
        if not any(each == origin and _same_looks(each, origin) for each in known):
            known.append(origin)
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]

    # What is allowed.

    def allows(self, stream: Stream) -> bool:
        return self._is_valid(stream) and all(self._stages(life) is not None for life in by_key(stream).values())

    def _is_valid(self, stream: Stream) -> bool:
        return self.valid is None or bool(self.valid(list(stream.events)))

    def _stages(self, life: Sequence[Event]) -> list[Stage] | None:
        """The kinds of the events of one entity; None where these are not the beginning of a life."""
        values = tuple(event.value for event in life)
        ways: list[dict[Stage | None, Stage | None]] = [{None: None}]
        for number, value in enumerate(values):
            _, origins = self._known.get(id(value), (None, []))
            before, reached = Life(values[:number]), dict[Stage | None, Stage | None]()
            for origin in origins:
                last = next((each for each in ways[-1] if self._may_follow(each, origin.stage)), _NEVER)
                if last is not _NEVER and before.would_see(origin.looks):
                    reached.setdefault(origin.stage, last)
            if not reached:
                return None
            ways.append(reached)
        stages: list[Stage] = []
        last = next(iter(ways[-1]))
        for way in reversed(ways[1:]):
            assert last is not None
            stages.append(last)
            last = way[last]
        return stages[::-1]

    def _may_follow(self, last: Stage | None, stage: Stage) -> bool:
        if isinstance(stage, tuple):
            return last == (stage[0], stage[1] - 1) if stage[1] else last is None
        return stage == 0 if last is None else isinstance(last, int) and stage in self.follows[last]

    def learn(self, stream: Stream) -> None:
        if self.allows(stream):
            return
        for life in by_key(stream).values():
            self._learned += 1
            for place, event in enumerate(life):
                self._note(event.value, _Origin((self._learned, place), ()))

    def alike(self, stream: Stream) -> SearchStrategy[Stream]:
        lives = {key: self._stages(life) for key, life in by_key(stream).items()}
        stages = {key: [stage for stage in life or () if isinstance(stage, int)] for key, life in lives.items()}
        if any(len(stages[key]) != len(life or ()) or not life for key, life in lives.items()):
            return st.just(stream)

        @st.composite
        def streams(draw: st.DrawFn) -> Stream:
            entities: dict[Hashable, _Entity] = {}
            events = []
            for event in stream:
                entity = entities.get(event.key)
                if entity is None:
                    entity = self._begin(draw, [each.key for each in entities.values()])
                    hypothesis.assume(entity is not None)
                    assert entity is not None
                    entities[event.key] = entity
                else:
                    stage = stages[event.key][len(entity.values)]
                    entity.values.append(self._value(draw, stage, entity.key, entity.values))
                events.append(Event(entity.key, entity.values[-1], event.id, event.seq))
            candidate = Stream(tuple(events))
            hypothesis.assume(self._is_valid(candidate))
            return candidate

        return streams()

    # What is put together.

    def keep(self, stream: Stream) -> None:
        self._stored += by_key(stream).values()
        del self._stored[:-MOST_STORED]

    def another(self, chance: random.Random) -> Stream:
        return some_lives(self._stored, chance, self.lives, self.max_size)


def some_lives(stored: Sequence[Sequence[Event]], chance: random.Random, most: int, max_size: int) -> Stream:
    """Some of these lives, of which no two have one key, whole or their beginnings, mixed."""
    chosen: dict[Hashable, Sequence[Event]] = {}
    count = chance.randint(1, most)
    for life in chance.sample(stored, len(stored)):
        room = max_size - sum(map(len, chosen.values()))
        if len(chosen) >= count or room < 1:
            break
        whole = chance.random() < WHOLE
        chosen.setdefault(life[0].key, life[: min(room, len(life) if whole else chance.randint(1, len(life)))])
    return interleaved(list(chosen.values()), chance)


WHOLE = 0.75
"""The share of lives that run to their end."""

_NEVER: Any = object()


def _same_looks(one: _Origin, two: _Origin) -> bool:
    """By identity, as what was looked at need not be comparable."""
    if len(one.looks) != len(two.looks):
        return False
    pairs = zip(one.looks, two.looks, strict=True)
    return all(repr(left[0]) == repr(right[0]) and are_same(left[1], right[1]) for left, right in pairs)
