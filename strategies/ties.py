"""Keys that are a part of the value: read from it, and put into it, so that both always agree."""

from __future__ import annotations

import copy
import functools
import sys
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass, replace
from enum import Enum
from typing import Any

import attrs

from chaoskit.strategies.models import is_model, remade
from chaoskit.values.errors import UsageError


@attrs.frozen(eq=False)
class Tie:
    """How the key of an event is read from its value. `put(value, field)` gives the value with this field, or None
    where the two do not go together; without it, a value keeps its own."""

    read: Callable[[Any], Any]
    put: Callable[[Any, Any], Any] | None = None

    def key(self, value: Any) -> Any:
        return as_key(self.read(value))

    def like(self, value: Any, other: Any) -> Any:
        """`value` with the key of `other`; None where that cannot be."""
        if self.key(value) == self.key(other):
            return value
        return None if self.put is None else self.put(value, self.read(other))

    def remembering(self) -> Tie:
        """The same, which gives the very same object for the same value and key."""
        if self.put is None:
            return self
        put, known = self.put, dict[tuple[int, Any], tuple[Any, Any]]()

        def put_once(value: Any, field: Any) -> Any:
            place = id(value), as_key(field)
            if place not in known:
                known[place] = value, put(value, field)  # with the value, whose address nobody may have after it
            return known[place][1]

        return Tie(self.read, put_once)


def tie_of(keys: str | Callable[[Any], Any], *, puts: bool) -> Tie:
    """The tie to a field such as "order_id" or "order.id", or by a function of the value, which nothing can be put
    by."""
    if not isinstance(keys, str):
        return Tie(keys)
    path = keys.split(".")
    if not all(path):
        raise UsageError(f"keys={keys!r}: the name of a field is needed, such as 'order_id' or 'order.id'")
    put = functools.partial(with_field, path)
    return Tie(functools.partial(field_of, path), put if puts else None)


def as_key(field: Any) -> Any:
    """What a producer makes of a field: text and bytes as they are, an enum's value, and the text of anything else.
    Raises UsageError for what is made of several."""
    if field is None or type(field) in (str, bytes):
        return field
    kind = type(field)
    if isinstance(field, (Mapping, list, set, frozenset)) or is_model(kind) or is_dataclass(kind) or attrs.has(kind):
        raise UsageError(
            f"a {kind.__name__} is no key: {_short(field)}; take one that is a text or a number, such as 'customer.id'"
        )
    return as_key(field.value) if isinstance(field, Enum) else str(field)


def field_of(path: list[str], value: Any) -> Any:
    """The field at this path. Raises UsageError, which names the fields that are there."""
    for name in path:
        if isinstance(value, Mapping):
            if name not in value:
                raise UsageError(f"the value {_short(value)} has no field {name!r} to take its key from")
            value = value[name]
        else:
            try:
                value = getattr(value, name)
            except AttributeError:
                kind = type(value).__name__
                raise UsageError(f"{kind} has no field {name!r} to take the key from: {_short(value)}") from None
    return value


def with_field(path: list[str], value: Any, field: Any) -> Any:
    """A copy of the value with this field; None where its class refuses the two together."""
    name, *inner = path
    if inner:
        field = with_field(inner, field_of([name], value), field)
        if field is None:
            return None
    try:
        return _replaced(value, name, field)
    except (ValueError, AssertionError):
        return None
    except (TypeError, AttributeError) as error:
        raise UsageError(f"{type(value).__name__} does not take a key as its field {name!r}: {error}") from error


def _replaced(value: Any, name: str, field: Any) -> Any:
    if isinstance(value, dict):
        return {**value, name: field}
    if is_model(type(value)):
        return remade(value, {name: field})
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{name: field})
    if attrs.has(type(value)):
        alias = {each.name: each.alias or each.name for each in attrs.fields(type(value))}
        return attrs.evolve(value, **{alias.get(name, name): field})
    if isinstance(value, tuple) and hasattr(value, "_replace"):
        return value._replace(**{name: field})
    structs = sys.modules.get("msgspec.structs")
    if structs is not None and hasattr(type(value), "__struct_fields__"):
        return structs.replace(value, **{name: field})
    made = copy.deepcopy(value)
    setattr(made, name, field)
    return made


def _short(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
