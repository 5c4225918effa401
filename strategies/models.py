"""Models of pydantic: their fields, and how one is made. pydantic is not imported for it: what is not imported yet has
no models."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from chaoskit.values.errors import UsageError


def is_model(kind: Any) -> bool:
    base = getattr(sys.modules.get("pydantic.main"), "BaseModel", None)
    return (
        isinstance(base, type) and isinstance(kind, type) and issubclass(kind, base) and hasattr(kind, "model_fields")
    )


def fields_of_model(kind: Any) -> Iterator[tuple[str, Any, list[Any], bool]]:
    """Name, type, limits, and whether it can be left out."""
    for name, field in kind.model_fields.items():
        yield name, field.annotation, list(field.metadata), not field.is_required()


def made(kind: Any, fields: Mapping[str, Any]) -> Any:
    """An instance, as it is made of what was sent: under the names of the wire, and validated. Raises ValueError where
    a validator refuses it."""
    if getattr(kind, "__pydantic_root_model__", False):
        return kind.model_validate(fields["root"])
    return kind.model_validate({_alias(kind, name): value for name, value in fields.items()})


def remade(value: Any, changes: Mapping[str, Any]) -> Any:
    """The same with other fields, validated anew."""
    kind = type(value)
    unknown = [name for name in changes if name not in kind.model_fields]
    if unknown:
        raise AttributeError(f"it has no field {unknown[0]!r}")
    held = {name: value.__dict__[name] for name in kind.model_fields if name in value.model_fields_set}
    return made(kind, held | dict(changes))


def _alias(kind: Any, name: str) -> str:
    field = kind.model_fields[name]
    alias = field.validation_alias if field.validation_alias is not None else field.alias
    for choice in getattr(alias, "choices", [alias]):  # an AliasChoices has several
        if choice is None:
            return name
        if isinstance(choice, str):
            return choice
    raise UsageError(
        f"{kind.__qualname__}.{name} is read from within another field ({alias}): give a strategy of its values"
    )
