"""A value in little room: of a dict or an object the fields that matter, whole where there is room for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from chaoskit.report.values import cut
from chaoskit.values.state import same

LEAST = 8
"""Letters of a field's value that are worth showing."""


@attrs.frozen
class ValueParts:
    """A value as `opening`, fields with their labels, and `closing`."""

    opening: str
    fields: dict[str, tuple[str, Any]]
    closing: str


def shortened(value: Any, others: Sequence[Any], read: Sequence[str], room: int) -> str:
    """At most `room` letters. Fields that differ from those of the `others` come first, then those that were `read`,
    then the rest; they stand in their own order, and `…` for what is left out."""
    whole = " ".join(repr(value).split("\n")).strip()
    parts = parts_of(value)
    if len(whole) <= room or parts is None or not parts.fields:
        return cut(whole, max(1, room))
    left = room - len(parts.opening) - len(parts.closing) - len(", …")
    found: dict[str, str] = {}
    for name in _telling(parts, others, read):
        label, field = parts.fields[name]
        here = left - len(label) - (2 if found else 0)
        text = repr(field)
        if len(text) > here:
            if found or here < LEAST:
                continue
            # Only the first field is cut: one that is whole says more than two that are not.
            text = shortened(field, _fields_of(others, name), (), here)
        found[name] = f"{label}{text}"
        left = here - len(text)
    if not found:
        return cut(whole, max(1, room))
    shown = [found[name] for name in parts.fields if name in found]
    return f"{parts.opening}{', '.join(shown)}, …{parts.closing}"


def parts_of(value: Any) -> ValueParts | None:
    """None for what has no fields."""
    if type(value) is dict:
        return ValueParts("{", {repr(name): (f"{name!r}: ", field) for name, field in value.items()}, "}")
    kind: Any = type(value)
    names: Sequence[str] = ()
    if attrs.has(kind):
        names = [field.name for field in attrs.fields(kind) if field.repr]
    elif hasattr(kind, "__dataclass_fields__"):
        names = [name for name, field in kind.__dataclass_fields__.items() if field.repr]
    elif isinstance(value, tuple) and hasattr(kind, "_fields"):
        names = kind._fields
    # A field may be unset, in an object that was made without its own __init__.
    there = [name for name in names if hasattr(value, name)]
    return ValueParts(f"{kind.__name__}(", {n: (f"{n}=", getattr(value, n)) for n in there}, ")") if there else None


def _telling(parts: ValueParts, others: Sequence[Any], read: Sequence[str]) -> list[str]:
    """The names of the fields, those that say most first."""
    looked_up = [repr(name) if repr(name) in parts.fields else name for name in read]
    names = sorted(parts.fields, key=lambda name: looked_up.index(name) if name in looked_up else len(looked_up))
    return sorted(names, key=lambda name: not _differs(parts.fields[name][1], others, name))


def _differs(field: Any, others: Sequence[Any], name: str) -> bool:
    found = _fields_of(others, name)
    return len(found) < len(others) or not all(_alike(field, other) for other in found)


def _alike(one: Any, two: Any) -> bool:
    try:
        return same(one, two)
    except Exception:  # noqa: BLE001 - a comparison of the user's may raise anything
        return False


def _fields_of(others: Sequence[Any], name: str) -> list[Any]:
    found = [parts.fields for other in others if (parts := parts_of(other)) is not None]
    return [fields[name][1] for fields in found if name in fields]
