"""Which messages wait for each other, by the order that is chosen and the broker that keeps it.

A lane is what is handled one message at a time: a partition, a message group, a session, the whole queue. Two messages
of one lane are never under way together, two of different lanes may be.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal

from chaoskit.brokers.base import Settings

Order = Literal["total", "per_key", "unordered"]

Lanes = Callable[[int], list[int]]
"""From a number of consumers to the lane of each message: of two partitions that one consumer owns it makes one."""


def lanes_of(broker: Settings, keys: Sequence[Any], order: Order) -> Lanes:
    """The lanes of messages with these keys. Raises StreamError for a key that the broker cannot partition by."""
    at = broker.serialization
    if order == "total" or at.sole:
        one = [0] * len(keys)
        return lambda consumers: one
    if order == "unordered" and not at.bounds_no_order:
        apart = list(range(len(keys)))
        return lambda consumers: apart
    if at.unit == "partition":
        count = broker.partitions_at_first * at.slices
        spread = [position % count for position in range(len(keys))]  # what has no key goes round robin
        homes = _homes(broker, keys, count) if order == "per_key" else spread
        return (lambda consumers: [home % consumers for home in homes]) if at.owned else (lambda consumers: homes)
    each = _numbered(keys)
    return lambda consumers: each


def _homes(broker: Settings, keys: Sequence[Any], count: int) -> list[int]:
    return [broker.home(key, position, count) for position, key in enumerate(keys)]


def _numbered(keys: Sequence[Any]) -> list[int]:
    """A lane for each key. What has no key waits for nothing."""
    known: dict[Hashable, int] = {}
    return [-1 - position if key is None else known.setdefault(key, len(known)) for position, key in enumerate(keys)]
