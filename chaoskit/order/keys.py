"""What events offer as a key: the one that they have, each field of their values, and pairs of fields."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from chaoskit.values.boundary import Fields
from chaoskit.values.event import Event, Stream
from chaoskit.values.fields import held_by

MOST_DEEP = 3
"""Fields in fields."""
MOST_FIELDS = 12
"""Of which pairs are made, too. The first ones of the values that were drawn."""


def candidates_of(streams: Iterable[Stream]) -> list[Fields]:
    """The keys that these events offer: as it is, each field, pairs, and one for all; those first that are written
    with the fewest words."""
    paths: dict[str, None] = {}
    topics: dict[str | None, None] = {}
    for stream in streams:
        for event in stream:
            topics[event.topic] = None
            paths |= dict.fromkeys(_paths(event.value, "value", MOST_DEEP))
    single = ["key", *(["topic"] if len(topics) > 1 else []), *list(paths)[:MOST_FIELDS]]
    return [*((path,) for path in single), *combinations(single, 2), ()]


def _paths(value: Any, path: str, deep: int) -> Iterator[str]:
    """Where a value has something that can be a key."""
    fields = _fields(value)
    if fields is None:
        if isinstance(value, Hashable) and not isinstance(value, float):
            yield path
        return
    if deep:
        for name, inner in fields.items():
            if name.startswith("_") or "." in name:
                continue  # private, or no path
            yield from _paths(inner, f"{path}.{name}", deep - 1)


def _fields(value: Any) -> Mapping[str, Any] | None:
    """Of a dict with names, or an object that has fields; None for what has none."""
    if isinstance(value, Mapping):
        return value if all(isinstance(name, str) for name in value) else {}
    return held_by(value)


def key_of(event: Event, fields: Fields) -> Hashable:
    """What this event has there. A field that it lacks is None, as all have that lack it."""
    return tuple(_at(event, path) for path in fields)


def _at(event: Event, path: str) -> Hashable:
    if path in ("key", "topic"):
        found: Any = getattr(event, path)
    else:
        found = event.value
        for name in path.split(".")[1:]:
            found = (_fields(found) or {}).get(name)
    # A dict would say that True is 1.
    return (type(found).__name__, found) if isinstance(found, Hashable) else repr(found)


def lanes_of(stream: Stream, fields: Fields | None) -> list[list[int]]:
    """The positions of the events under each key, in the order in which the keys come first."""
    if fields is None:
        return [[position] for position in range(len(stream))]
    lanes: dict[Hashable, list[int]] = {}
    for position, event in enumerate(stream):
        lanes.setdefault(key_of(event, fields), []).append(position)
    return list(lanes.values())


def keeps(stream: Stream, fields: Fields | None, order: Sequence[int]) -> bool:
    """Whether the events of each key stand in `order` as they were produced."""
    place = {position: number for number, position in enumerate(order)}
    for lane in lanes_of(stream, fields):
        numbers = [place[position] for position in lane]
        if numbers != sorted(numbers):
            return False
    return True
