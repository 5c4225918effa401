"""What somebody recorded of a topic or a queue, as events: objects of JSON, or how many messages each key had.

Only keys are read, and the order in which they came. The file may be anybody's: it is bounded, and nothing in it runs.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import attrs

from chaoskit.values.errors import UsageError
from chaoskit.values.event import Event
from chaoskit.values.texts import in_line, one_line, printed

LARGEST_FILE = 100_000_000
"""Bytes."""
MOST_EVENTS = 100_000
"""Of a recording that are played: the first ones."""
MOST_OF_COUNTS = 10_000
"""Messages that are played for counts by key, each key in its share."""


@attrs.frozen
class Recorded:
    """Events with their keys and nothing else, and `note`: what was left out, if anything was."""

    events: tuple[Event, ...]
    note: str = ""


def recorded(path: Path, key: str = "key") -> Recorded:
    """The events of a file, in its order.

    `.jsonl` and `.ndjson`: an object a line; `.json`: a list of objects. `key` is the field that has the key, with dots
    for what lies deeper (`value.from`); null means that a message has no key. `.csv`: a header and the columns key and
    count, in any order, an empty key for messages without one; which message came when is not known, so they are
    shuffled, always alike.

    Raises UsageError for a file that cannot be read or is something else, with the place.
    """
    readers: dict[str, Callable[[Path, str], Recorded]] = {
        ".jsonl": _lines,
        ".ndjson": _lines,
        ".json": _list,
        ".csv": _counts,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"{in_line(str(path))}: {', '.join(readers)} can be read, and the name says which it is")
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UsageError(f"{in_line(str(path))}: larger than {LARGEST_FILE:,} bytes; give counts by key (.csv)")
        found = reader(path, key)
    except OSError as error:
        raise UsageError(f"{in_line(str(path))} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{in_line(str(path))} is not UTF-8: {error.reason} at byte {error.start:,}") from error
    if not found.events:
        raise UsageError(f"{in_line(str(path))}: there is no message in it")
    return found


def _lines(path: Path, key: str) -> Recorded:
    with path.open(encoding="utf-8") as file:
        objects = (
            (f"line {n}", _parsed(line.rstrip(), path, n)) for n, line in enumerate(file, start=1) if line.strip()
        )
        return _events(path, objects, key)


def _list(path: Path, key: str) -> Recorded:
    found = _parsed(path.read_text(encoding="utf-8"), path)
    if not isinstance(found, list):
        raise UsageError(f"{in_line(str(path))}: a list of objects is needed, and it is {_kind(found)}")
    return _events(path, ((f"item {n}", each) for n, each in enumerate(found, start=1)), key)


def _parsed(text: str, path: Path, line: int | None = None) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        at = f"line {error.lineno if line is None else line}, column {error.colno}"
        raise UsageError(f"{in_line(str(path))}, {at}: not JSON: {error.msg}") from error
    except (RecursionError, ValueError) as error:  # nested too deep, or a number of too many digits
        where = "" if line is None else f", line {line}"
        raise UsageError(f"{in_line(str(path))}{where}: not readable: {one_line(str(error))}") from error


def _events(path: Path, objects: Iterable[tuple[str, Any]], key: str) -> Recorded:
    events: list[Event] = []
    note = ""
    for place, found in objects:
        if len(events) == MOST_EVENTS:
            note = f"only the first {MOST_EVENTS:,} messages are played"
            break
        events.append(Event(_key(found, key, f"{in_line(str(path))}, {place}"), None))
    return Recorded(tuple(events), note)


def _key(found: Any, key: str, place: str) -> str | None:
    """Text as it is, numbers as JSON writes them."""
    for part in key.split("."):
        if not isinstance(found, dict):
            raise UsageError(f"{place}: an object with {part!r} is needed, and it is {_kind(found)}")
        if part not in found:
            names = ", ".join(printed(name) for name in list(found)[:10]) or "no fields"
            raise UsageError(one_line(f"{place}: no field {part!r}; it has {names}. --key names the field of the key"))
        found = found[part]
    if isinstance(found, (dict, list)):
        raise UsageError(f"{place}: {key!r} is {_kind(found)}, which is no key")
    return found if found is None or isinstance(found, str) else json.dumps(found)


def _kind(found: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(found), "a number")


def _counts(path: Path, key: str) -> Recorded:
    """Of many messages the same share of each key is taken, at equal distances through all of them."""
    counts = list(_rows(path))
    total = sum(count for _, count in counts)
    played = min(total, MOST_OF_COUNTS)
    ends = list(accumulate(count for _, count in counts))
    events, row = [], 0
    for number in range(played):
        place = (2 * number + 1) * total // (2 * played)
        while ends[row] <= place:
            row += 1
        events.append(Event(counts[row][0], None))
    random.Random(0).shuffle(events)
    note = f"of {total:,} messages {played:,} are played, each key in its share" if played < total else ""
    return Recorded(tuple(events), note)


def _rows(path: Path) -> Iterator[tuple[str | None, int]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        try:
            header = [name.strip().lower() for name in next(reader, [])]
            if not {"key", "count"} <= set(header):
                raise UsageError(
                    f"{in_line(str(path))}: a header with the columns key and count is needed; it has "
                    f"{one_line(', '.join(map(printed, header))) or 'none'}"
                )
            for cells in reader:
                if cells:
                    yield _row(dict(zip(header, cells, strict=False)), f"{in_line(str(path))}, line {reader.line_num}")
        except csv.Error as error:
            raise UsageError(f"{in_line(str(path))}, line {reader.line_num}: not CSV: {error}") from error


def _row(cells: dict[str, str], place: str) -> tuple[str | None, int]:
    count = cells.get("count", "").strip()
    if not (count.isascii() and count.isdigit() and len(count) <= 15) or "key" not in cells:
        raise UsageError(f"{place}: a key and a whole number, 0 or more, are needed, and the count is {printed(count)}")
    return cells["key"] or None, int(count)
