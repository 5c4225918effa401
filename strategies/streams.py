"""Streams of events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import hypothesis
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from chaoskit.strategies.kinds import must_have_field, values_of
from chaoskit.strategies.ties import Tie, tie_of
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Event, Stream

Valid = Callable[[list[Event]], bool]
Keys = SearchStrategy[Any] | str | Callable[[Any], Any]
Pair = tuple[Any, Any]

MOST_POOLED = 3
"""Keys of a stream whose values have them within: so few that events of one key come."""


@attrs.frozen(eq=False)
class Parts:
    """What a strategy made by `events` consists of, so that a part of a stream can be drawn again. With a `tie` the
    keys are those of the values."""

    values: SearchStrategy[Any]
    keys: SearchStrategy[Any]
    min_size: int
    max_size: int
    valid: Valid | None
    tie: Tie | None = None

    def allows(self, stream: Stream) -> bool:
        return self.valid is None or bool(self.valid(list(stream.events)))

    def few(self, most: int) -> SearchStrategy[Stream]:
        """Streams of up to `most` events, of which fewer are simpler, which is not so in what `events` draws."""
        return _few_events(self, most)

    def alike(self, stream: Stream) -> SearchStrategy[Stream]:
        """The same ids and the same pattern of keys, with other keys and values."""
        return _same_shape(self, stream)

    def owners(self) -> SearchStrategy[list[Any]]:
        """Values of which the keys of a stream are taken; none where each value keeps its own."""
        if self.tie is None or self.tie.put is None:
            return st.just([])
        return st.lists(self.values, min_size=1, max_size=MOST_POOLED, unique_by=self.tie.key)

    def pair(self, draw: st.DrawFn, owners: Sequence[Any]) -> Pair:
        """A key and a value: the key of one of these, where they go together."""
        if self.tie is None:
            key = draw(self.keys)  # before the value
            return key, draw(self.values)
        value = draw(self.values)
        if owners:
            value = _first(self.tie.like(value, draw(st.sampled_from(owners))), value)
        return self.tie.key(value), value

    def with_values(self, stream: Stream, values: Iterable[Any]) -> Stream:
        """The stream with these values in place of its own: under the same keys, where they go together."""
        if self.tie is None:
            return stream.with_values(values)
        pairs = zip(stream.events, values, strict=True)
        tied = [(event, _first(self.tie.like(value, event.value), value)) for event, value in pairs]
        whole = Stream(tuple(Event(self.tie.key(value), value, event.id, 0) for event, value in tied))
        return whole.keep(range(len(whole)))

    def remembering(self) -> Parts:
        """The same, in which a value under another key is the same object each time."""
        return self if self.tie is None else attrs.evolve(self, tie=self.tie.remembering())

    def arranged(self, values: Sequence[Any], owners: Sequence[Any], choose: Callable[[], Any]) -> Iterator[Pair]:
        """Keys and values of these: each with the key of the owner that `choose` gives, or only those that have one of
        their keys already."""
        assert self.tie is not None
        known = {self.tie.key(owner) for owner in owners}
        for value in values:
            made = value if self.tie.put is None else _first(self.tie.like(value, choose()), value)
            if self.tie.put is not None or self.tie.key(made) in known:
                yield self.tie.key(made), made


def _first(value: Any, other: Any) -> Any:
    return other if value is None else value


def events(
    values: SearchStrategy[Any] | type | Mapping[str, Any] | Any,
    keys: Keys,
    *,
    min_size: int = 1,
    max_size: int = 12,
    valid: Valid | None = None,
) -> SearchStrategy[list[Event]]:
    """Streams of `min_size` to `max_size` events, each with a key and a value drawn independently.

    `values` is a strategy, or what says which values there are: a pydantic model, a dataclass, an attrs class, a
    msgspec struct, a NamedTuple, a TypedDict, a protobuf class, or a union of such, of which the handler gets
    instances; or a JSON schema or an Avro schema, of which it gets dicts.

    `keys` is a strategy of str, bytes or None (no affinity), or of what the broker's `key_serializer` takes, and then
    says nothing of the values. Or it is what the key is read from: the name of a field ("order_id", "order.id") or a
    function of the value; what is neither str, bytes nor None becomes its text. With a field of a class or schema the
    values of a stream share a few keys; a strategy of values draws the keys that it likes.

    `valid(events)` guards what must stay possible, such as no withdrawal without its deposit: only streams for which
    it is true are drawn, and shrinking keeps to them. Raises UsageError for sizes that contradict, and for what gives
    no values or no keys.
    """
    checked_sizes("events", min_size, max_size)
    drawn = values_of(values, "events", "values")
    if isinstance(keys, str):
        must_have_field(values, keys)
    key_strategy, tie = keys_of(keys, "events", drawn, puts=drawn is not values)
    parts = Parts(drawn, key_strategy, min_size, max_size, valid, tie)
    strategy = _streams(parts)
    if valid is not None:
        strategy = strategy.filter(valid)
    # `map` and `filter` make new strategies, which have none: then a part of a stream may be none.
    strategy.chaos_parts = parts  # type: ignore[attr-defined]
    return strategy


def checked_sizes(function: str, min_size: int, max_size: int) -> None:
    # By the exact type: True is an int, too.
    if type(min_size) is not int or type(max_size) is not int or not 1 <= min_size <= max_size:
        raise UsageError(
            f"{function}(min_size={min_size!r}, max_size={max_size!r}): whole numbers with 1 <= min_size <= max_size "
            "are needed"
        )


def keys_of(
    keys: Any, function: str, values: SearchStrategy[Any], *, puts: bool
) -> tuple[SearchStrategy[Any], Tie | None]:
    """A strategy of keys, and how they are tied to the values. Raises UsageError."""
    if isinstance(keys, SearchStrategy):
        return keys, None
    if not isinstance(keys, str) and not callable(keys):
        raise UsageError(
            f"{function}(keys={keys!r}): a Hypothesis strategy is needed, such as st.sampled_from([...]), the name of "
            "the value's field that is the key, or a function of the value"
        )
    tie = tie_of(keys, puts=puts)
    return values.map(tie.key), tie


def parts_of(strategy: SearchStrategy[Any]) -> Parts | None:
    """What `events` was given; None for any other strategy, and for one that was mapped or filtered since."""
    found = getattr(strategy, "chaos_parts", None)
    return found if isinstance(found, Parts) else None


@st.composite
def _streams(draw: st.DrawFn, parts: Parts) -> list[Event]:
    # Long first: shrinking towards 0 draws long streams, and most drawn streams are long enough to go wrong.
    size = parts.max_size - draw(st.integers(0, parts.max_size - parts.min_size))
    owners = [] if parts.tie is None else draw(parts.owners())
    counts: dict[Any, int] = {}
    stream = []
    for number in range(1, size + 1):
        key, value = parts.pair(draw, owners)
        seq = counts[key] = counts.get(key, 0) + 1
        stream.append(Event(key, value, f"e{number}", seq))
    return stream


@st.composite
def _few_events(draw: st.DrawFn, parts: Parts, most: int) -> Stream:
    owners = draw(parts.owners())
    pair = st.composite(lambda draw: parts.pair(draw, owners))()
    pairs = draw(st.lists(pair, min_size=parts.min_size, max_size=most))
    stream = Stream.of([Event(key, value) for key, value in pairs])
    hypothesis.assume(parts.allows(stream))
    return stream


@st.composite
def _same_shape(draw: st.DrawFn, parts: Parts, stream: Stream) -> Stream:
    tie, keys = parts.tie, dict[Any, Any]()
    for event in stream.events:
        if event.key not in keys and (tie is None or tie.put is not None):
            keys[event.key] = draw(_others(parts, list(keys.values())))
    drawn = [draw(parts.values) for _ in stream.events]
    if tie is None:
        changed = (Event(keys[e.key], value, e.id, e.seq) for e, value in zip(stream.events, drawn, strict=True))
        candidate = Stream(tuple(changed))
    else:
        # Of these values each key is taken.
        owners = stream.with_values(keys.get(event.key, event.value) for event in stream.events)
        candidate = parts.with_values(owners, drawn)
    hypothesis.assume(parts.allows(candidate))
    return candidate


def _others(parts: Parts, taken: list[Any]) -> SearchStrategy[Any]:
    """Keys that are not taken; of a tie, values that have other keys than those that are taken."""
    if parts.tie is None:
        return parts.keys.filter(lambda key: key not in taken)
    key_of, known = parts.tie.key, {parts.tie.key(value) for value in taken}
    return parts.values.filter(lambda value: key_of(value) not in known)
