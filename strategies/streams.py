"""Streams of events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from chaoskit.values.errors import UsageError
from chaoskit.values.event import Event, Stream

Valid = Callable[[list[Event]], bool]


@attrs.frozen(eq=False)
class Parts:
    """What a strategy made by `events` consists of, so that a part of a stream can be drawn again."""

    values: SearchStrategy[Any]
    keys: SearchStrategy[Any]
    min_size: int
    max_size: int
    valid: Valid | None

    def allows(self, stream: Stream) -> bool:
        return self.valid is None or bool(self.valid(list(stream.events)))


def events(
    values: SearchStrategy[Any],
    keys: SearchStrategy[Any],
    *,
    min_size: int = 1,
    max_size: int = 12,
    valid: Valid | None = None,
) -> SearchStrategy[list[Event]]:
    """Streams of `min_size` to `max_size` events, each with a key and a value drawn independently.

    Keys are str, bytes or None (no affinity), or what the broker's `key_serializer` takes. `valid(events)` guards
    what must stay possible, such as no withdrawal without its deposit: only streams for which it is true are
    drawn, and shrinking keeps to them. Raises UsageError for sizes that contradict or arguments that are no
    strategies.
    """
    for name, given in (("values", values), ("keys", keys)):
        if not isinstance(given, SearchStrategy):
            raise UsageError(
                f"events({name}={given!r}): a Hypothesis strategy is needed, such as st.sampled_from([...])"
            )
    # By the exact type: True is an int, too.
    if type(min_size) is not int or type(max_size) is not int or not 1 <= min_size <= max_size:
        raise UsageError(
            f"events(min_size={min_size!r}, max_size={max_size!r}): whole numbers with 1 <= min_size <= max_size "
            "are needed"
        )
    parts = Parts(values, keys, min_size, max_size, valid)
    strategy = _streams(parts)
    if valid is not None:
        strategy = strategy.filter(valid)
    # `map` and `filter` make new strategies, which have none: then a part of a stream may be none.
    strategy.chaos_parts = parts  # type: ignore[attr-defined]
    return strategy


def parts_of(strategy: SearchStrategy[Any]) -> Parts | None:
    """What `events` was given; None for any other strategy, and for one that was mapped or filtered since."""
    found = getattr(strategy, "chaos_parts", None)
    return found if isinstance(found, Parts) else None


@st.composite
def _streams(draw: st.DrawFn, parts: Parts) -> list[Event]:
    # Long first: shrinking towards 0 draws long streams, and most drawn streams are long enough to go wrong.
    size = parts.max_size - draw(st.integers(0, parts.max_size - parts.min_size))
    counts: dict[Any, int] = {}
    stream = []
    for number in range(1, size + 1):
        key = draw(parts.keys)
        seq = counts[key] = counts.get(key, 0) + 1
        stream.append(Event(key, draw(parts.values), f"e{number}", seq))
    return stream
