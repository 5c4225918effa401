"""What counts of a stream's own shape: which keys repeat, whether an overwrite could be seen, which stream it is."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Hashable

from chaoskit.values.event import Event, Stream
from chaoskit.values.state import same


def with_siblings(stream: Stream) -> frozenset[int]:
    """The positions of the events that are not alone under their key."""
    counts = Counter(event.key for event in stream.events)
    return frozenset(position for position, event in enumerate(stream.events) if counts[event.key] > 1)


def has_two_values(stream: Stream) -> bool:
    """Whether some key has two different ones."""
    first: dict[Hashable, Event] = {}
    return any(not same(first.setdefault(event.key, event).value, event.value) for event in stream.events)


def fingerprint(stream: Stream) -> int:
    """The same for equal streams."""
    try:
        # Values need not be hashable; and `hash` of a text is another one in each worker, whose counts are merged.
        return zlib.crc32(repr(stream.events).encode("utf-8", "backslashreplace"))
    except (ValueError, RecursionError):  # numbers of thousands of digits, values of thousands of levels
        return id(stream)
