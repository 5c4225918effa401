"""What a repro file may ask for. It may be a stranger's: reading, showing and playing it takes a bounded time and
memory, whatever it says. No file that chaoskit writes comes near a bound, but for values that are huge themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaoskit.values.errors import ReproError

LARGEST_FILE = 8 * 1024 * 1024
"""Bytes of a file: ten thousand events with their steps are four million. As Python objects they are forty times that,
at worst.
"""

LARGEST_SUM = 32 * 1024 * 1024
"""Bytes of all files of one command, which are in memory together."""

LARGEST_ZIP = 32 * 1024 * 1024
"""Bytes of a zip file: its list of members is read as a whole."""

MOST_FILES = 2_000
"""Files of one command: a night of searching finds some dozens."""

MOST_DEEP = 100
"""Lists and objects inside of each other: Python's own limit is on calls, a few of which are needed for each."""

MOST_SETS = 10
"""Sets inside of each other: Python's marshal, which looks at states, takes twice as long with each."""

MOST_EVENTS = 20_000
"""Twice the longest stream that is tested."""

MOST_STEPS = 100_000
"""Five for each of so many events."""

MOST_FAULTS = 100
"""The search tries sixteen at once. A report has a sentence for each, for which it looks through the schedule."""

MOST_REFUSED = 500
"""Messages that the handler raised on, each at a place of its own. Each has a sentence, too."""

MOST_VIOLATIONS = 100
"""One for each invariant, and for each refused message that is reported."""

MOST_LANES = 10_000
"""Partitions, shards, queues and consumers: the model looks at each to find where a key may move."""

MOST_OF_AN_ARGUMENT = 100_000
"""Of a fault: the number of partitions after a growth, which the model looks at one by one, or a count of events."""

MOST_OF_A_NUMBER = 1_000_000_000
"""Any other number, such as an offset, bytes or milliseconds."""

LONGEST_ID = 1_000
"""Characters of an event's id, which stands in every step and sentence."""

LONGEST_TEST = 1_000
"""Characters of the name of a test."""

_LISTS = {"events": MOST_EVENTS, "schedule": MOST_STEPS, "faults": MOST_FAULTS, "violations": MOST_VIOLATIONS}
_LISTS |= {"found": MOST_EVENTS, "found_faults": MOST_FAULTS}
_LANES = {"partitions", "shards", "queues", "consumers", "workers", "processors"}
_IDS = {"id", "at", "event", "after"}
"""Fields that hold the id of an event. In a fault `after` is a count."""


def check(data: Mapping[str, Any]) -> None:
    """Raise ReproError where this document asks for more than a file may."""
    check_depth(data)
    for name, most in _LISTS.items():
        entries = data.get(name)
        if isinstance(entries, list) and len(entries) > most:
            raise ReproError(f'"{name}" has {len(entries):,} entries; a repro file may have {most:,}')
    for name in ("events", "found"):
        for entry in _objects(data.get(name)):
            _check_id(entry.get("id"), name)
    for name in ("faults", "found_faults"):
        for entry in _objects(data.get(name)):
            _check_id(entry.get("at"), name)
            _check_numbers({k: v for k, v in entry.items() if k != "at"}, MOST_OF_AN_ARGUMENT, name)
    refused = {
        (str(e.get("partition")), str(e.get("offset"))) for e in _objects(data.get("schedule")) if e.get("raised")
    }
    if len(refused) > MOST_REFUSED:
        raise ReproError(f'"schedule": {len(refused):,} messages were refused; a repro file may have {MOST_REFUSED:,}')
    for entry in _objects(data.get("schedule")):
        for part in (entry, entry.get("copy")):
            if isinstance(part, dict):
                _check_numbers({k: v for k, v in part.items() if k not in _IDS}, MOST_OF_A_NUMBER, "schedule")


def check_depth(data: Any) -> None:
    """Raise ReproError where lists and objects, or sets, lie too deep in each other."""
    waiting: list[tuple[Any, int, int]] = [(data, 1, 0)]
    while waiting:
        outer, depth, sets = waiting.pop()
        sets += isinstance(outer, dict) and ("$set" in outer or "$frozenset" in outer)
        if depth > MOST_DEEP or sets > MOST_SETS:
            what, most = ("sets", MOST_SETS) if sets > MOST_SETS else ("lists and objects", MOST_DEEP)
            raise ReproError(f"its {what} lie more than {most} deep in each other")
        waiting += [(inner, depth + 1, sets) for inner in _inside(outer)]


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raise ReproError where a broker is set to more than a file may ask for, or to what no setting is."""
    for name, value in settings.items():
        if not isinstance(value, (str, int, float, bool, type(None))):
            raise ReproError(f'"broker": {name}={value!r} is no setting: a text, a number, true, false or null is')
        if isinstance(value, str) and len(value) > LONGEST_ID:
            raise ReproError(f'"broker": {name} has {len(value):,} characters; a repro file may have {LONGEST_ID:,}')
        _check_numbers({name: value}, MOST_LANES if name in _LANES else MOST_OF_A_NUMBER, '"broker"')


def _objects(entries: Any) -> list[dict[str, Any]]:
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _inside(outer: Any) -> list[Any]:
    parts = outer if isinstance(outer, list) else outer.values() if isinstance(outer, dict) else ()
    return [part for part in parts if isinstance(part, (list, dict))]


def _check_id(id_: Any, place: str) -> None:
    length = len(id_) if isinstance(id_, str) else id_.bit_length() // 3 if isinstance(id_, int) else 0
    if length > LONGEST_ID:
        raise ReproError(f'"{place}": an id of about {length:,} characters; a repro file may have {LONGEST_ID:,}')


def _check_numbers(entry: Mapping[str, Any], most: int, place: str) -> None:
    for name, value in entry.items():
        if isinstance(value, (int, float)) and not -most <= value <= most:
            raise ReproError(f"{place}: {name}={value!r} is more than a repro file may ask for, which is {most:,}")
