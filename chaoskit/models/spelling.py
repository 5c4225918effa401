"""What all traces name alike: consumers, and the records of a log."""

from __future__ import annotations

from collections.abc import Callable

from chaoskit.models.producer import Logs
from chaoskit.models.turns import Record

UnitOf = Callable[[int, int], str]
"""From a queue or partition, and the position of an event, to the name of their unit of order."""


def consumer_name(number: int) -> str:
    """A, B, … Z, and then C26 and so on."""
    return chr(ord("A") + number) if number < 26 else f"C{number}"


def label(unit: str, position: int, copy: int) -> str:
    """Events are numbered 1, 2, 3… as they were produced; of several records of one, the later ones have marks."""
    # chr(39) is an apostrophe, which an f-string cannot quote here before Python 3.12.
    return f"{unit}{position + 1}{chr(39) * copy}"


def labels(logs: Logs, unit_of: UnitOf) -> dict[Record, str]:
    """The name of each record, copies in the order of their append times."""
    records = sorted(
        (time, lane, offset) for lane, times in enumerate(logs.appended) for offset, time in enumerate(times)
    )
    copies: dict[int, int] = {}
    found: dict[Record, str] = {}
    for _, lane, offset in records:
        position = logs.partitions[lane][offset]
        copies[position] = copies.get(position, -1) + 1
        found[lane, offset] = label(unit_of(lane, position), position, copies[position])
    return found
