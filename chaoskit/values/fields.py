"""What an object holds, and which of it its own `==` looks at: many an entity is equal to another of the same key."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Iterator
from datetime import date, time
from enum import Enum
from functools import lru_cache
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import attrs


class Absent:
    """Stands for a value that one of the two sides does not have."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT = Absent()

_WHOLE = (str, bytes, bytearray, int, float, complex, date, time, Enum, type)
"""Their `==` is their meaning, in subclasses, too: what such a one holds besides is no value of its own."""
_CACHES = {"cache", "cached", "memo", "lazy"}


def has_own_eq(value: object) -> bool:
    """Whether its class says what is equal; else two of them are never the same."""
    return type(value).__eq__ is not object.__eq__


def held_by(value: Any) -> dict[str, Any] | None:
    """The fields of an object, or the columns of an entity; None for what `==` alone can say something about: it is one
    value, or does not show what it holds."""
    columns = _columns(value)
    if columns is not None:
        return columns
    kind: type = type(value)
    if not has_own_eq(value) or isinstance(value, _WHOLE) or _is_of_python(kind):
        return None
    held = {name: _slot(value, name) for name in slots_of(kind)}
    for name in ("__dict__", "__pydantic_extra__", "__pydantic_private__"):
        held |= getattr(value, name, None) or {}
    return {name: found for name, found in held.items() if not (name.startswith("__") and name.endswith("__"))} or None


def is_entity(value: Any) -> bool:
    """Whether it is a row of a database to its library (Django, Tortoise, Peewee, mongoengine): its columns are all
    that it means."""
    return _columns(value) is not None


def _columns(value: Any) -> dict[str, Any] | None:
    """None for what is no entity. Nothing is loaded: a deferred column is absent. These libraries are known by what
    their classes look like, so that none is imported."""
    kind: Any = type(value)
    meta: Any = getattr(kind, "_meta", None)
    names: list[str] = []
    if hasattr(meta, "concrete_fields"):  # Django
        names = [field.attname for field in meta.concrete_fields]
    elif hasattr(meta, "fields_db_projection"):  # Tortoise
        names = list(meta.fields_db_projection)
    elif hasattr(meta, "sorted_field_names"):  # Peewee
        return dict(value.__data__)
    elif hasattr(kind, "_db_field_map"):  # mongoengine
        return dict(value._data)
    return {name: vars(value).get(name, ABSENT) for name in names} if names else None


@lru_cache(maxsize=1 << 10)
def _is_of_python(kind: type) -> bool:
    """Whether it is a class of the standard library, whose `==` is known to look at all there is. A module of the
    user's may have the name of one."""
    root = kind.__module__.partition(".")[0]
    if kind is SimpleNamespace or root not in sys.stdlib_module_names:
        return False
    file = getattr(sys.modules.get(root), "__file__", None)
    return file is None or file.startswith(os.path.dirname(os.__file__))


@lru_cache(maxsize=1 << 10)
def slots_of(kind: type) -> tuple[str, ...]:
    """The names under which the values of slots are found, those of the base first."""
    found: dict[str, None] = dict.fromkeys(getattr(kind, "__struct_fields__", ()))  # msgspec
    for base in reversed(kind.__mro__):
        slots = vars(base).get("__slots__", ())
        for name in [slots] if isinstance(slots, str) else slots:
            private = name.startswith("__") and not name.endswith("__")
            found[f"_{base.__name__.lstrip('_')}{name}" if private else name] = None
    return tuple(name for name in found if name not in ("__dict__", "__weakref__"))


def _slot(value: Any, name: str) -> Any:
    try:
        return object.__getattribute__(value, name)
    except AttributeError:  # never set
        return ABSENT


class _Other:
    """Equal to nothing but itself."""


def equals_everything(value: Any) -> bool:
    """Whether its `==` looks at nothing at all, as that of unittest.mock.ANY."""
    try:
        return has_own_eq(value) and (value == _Other()) is True
    except Exception:  # noqa: BLE001 - a == of the user's may raise anything
        return False


def looks_at(value: Any, name: str) -> bool:
    """Whether the `==` of this object looks at this field: it does if one is not equal to its copy with something else
    there, or cannot be compared with it."""
    kind: type = type(value)
    try:
        other = copy.copy(value)
        if other is value:  # it says that it never changes
            return True
        if name in getattr(other, "__dict__", {}):
            other.__dict__[name] = _Other()
        elif name in slots_of(kind):
            object.__setattr__(other, name, _Other())
        else:
            return True
        return not value == other  # noqa: SIM201 - what a `!=` of the user's says is not the question
    except Exception:  # noqa: BLE001 - a == of the user's may raise anything
        return True


def is_aside(value: Any, name: str, left: Any, right: Any) -> bool:
    """Whether a field that `==` does not look at rightly differs from run to run: a cache, a clock, a random id."""
    kind: type = type(value)
    if not _CACHES.isdisjoint(name.lower().split("_")) or "cached" in type(_of_class(kind, name)).__name__.lower():
        return True
    if name.startswith("_") and any(side is None or side is ABSENT for side in (left, right)):  # filled when first used
        return True
    if isinstance(left, (date, time, UUID)) and isinstance(right, (date, time, UUID)):
        return True
    if type(left) is type(right) and not has_own_eq(left):  # nothing is known of it
        return True
    return name in _set_aside(kind)


def _of_class(kind: type, name: str) -> Any:
    return next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)


@lru_cache(maxsize=1 << 10)
def _set_aside(kind: type) -> frozenset[str]:
    """The declared fields that `==` does not look at and that are private, not given or not shown."""
    return frozenset(
        name
        for name, compares, shown, given in _declared(kind)
        if not compares and not (shown and given and not name.startswith("_"))
    )


def _declared(kind: Any) -> Iterator[tuple[str, bool, bool, bool]]:
    """Each field of an attrs class or dataclass: its name, and whether it compares, is shown and is given."""
    if attrs.has(kind):
        yield from ((f.name, bool(f.eq), bool(f.repr), bool(f.init)) for f in attrs.fields(kind))
        return
    for name, f in getattr(kind, "__dataclass_fields__", {}).items():
        yield name, bool(f.compare), bool(f.repr), bool(f.init)


def compares_by_fields(kind: Any) -> bool:
    """Whether its fields are all that such an object means: attrs, dataclasses, pydantic, msgspec. Where all of them
    are the same a `==` that says no has met a NaN."""
    names = ("__attrs_attrs__", "__dataclass_fields__", "__pydantic_core_schema__", "__struct_fields__")
    return kind is SimpleNamespace or any(hasattr(kind, name) for name in names)
