"""Objects of pydantic and msgspec as their fields, and again. Neither library is imported for it: what is not imported
yet has no instances, and a class that a file names is none that the test knows.

A model of pydantic is made with its fields put into place, as `model_construct` does it but without default factories
and `model_post_init`: no code of the class is run, and the value is the one that was handled, whatever its validators
would say of it now. A struct of msgspec can be made by its constructor only, which checks nothing and calls
`__post_init__`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from chaoskit.values.errors import CodecError

Parts = dict[str, dict[str, Any]]


def is_structure(kind: type) -> bool:
    return _is_model(kind) or _is_struct(kind)


def _is_model(kind: type) -> bool:
    return _extends(kind, "pydantic.main", "BaseModel") and hasattr(kind, "model_fields")  # pydantic 1 has none


def _is_struct(kind: type) -> bool:
    return _extends(kind, "msgspec", "Struct")


def _extends(kind: type, module: str, name: str) -> bool:
    base = getattr(sys.modules.get(module), name, None)
    return isinstance(base, type) and issubclass(kind, base) and kind is not base


def parts_of(value: Any) -> Parts:
    """What it holds: its `fields`, and of a model what was given beyond them or is private."""
    if _is_struct(type(value)):
        return {"fields": {name: getattr(value, name) for name in type(value).__struct_fields__}}
    names = type(value).model_fields
    parts = {"fields": {name: value.__dict__[name] for name in names if name in value.__dict__}}
    if unset := [name for name in names if name not in value.__pydantic_fields_set__]:
        parts["unset"] = dict.fromkeys(unset, True)
    for part in ("extra", "private"):
        if held := getattr(value, f"__pydantic_{part}__"):
            parts[part] = dict(held)
    return parts


def make(kind: Any, parts: Mapping[str, Mapping[str, Any]]) -> Any:
    """An instance that holds these. Raises CodecError where they are not those of this class."""
    fields = parts["fields"]
    if _is_struct(kind):
        _must_be_known(kind, "fields", fields, kind.__struct_fields__)
        try:
            return kind(**fields)
        except Exception as error:
            raise CodecError(f"{kind.__qualname__} cannot be made: {type(error).__name__}: {error}") from error
    known = kind.model_fields
    private = kind.__private_attributes__
    _must_be_known(kind, "fields", fields, known)
    _must_be_known(kind, "unset", parts.get("unset", {}), known)
    _must_be_known(kind, "private", parts.get("private", {}), private)
    extra = dict(parts["extra"]) if "extra" in parts else {} if kind.model_config.get("extra") == "allow" else None
    made: object = object.__new__(kind)
    object.__setattr__(made, "__dict__", {name: fields[name] for name in known if name in fields})
    object.__setattr__(made, "__pydantic_fields_set__", set(known) - set(parts.get("unset", {})))
    if not kind.__pydantic_root_model__:  # such a one has neither
        object.__setattr__(made, "__pydantic_extra__", extra)
        object.__setattr__(made, "__pydantic_private__", dict(parts.get("private", {})) if private else None)
    return made


def _must_be_known(kind: type, part: str, given: Any, known: Any) -> None:
    unknown = sorted(name for name in given if name not in known)
    missing = sorted(name for name in known if name not in given) if part == "fields" else []
    if unknown or missing:
        names = ", ".join([*unknown, *missing])
        raise CodecError(f"{kind.__qualname__} does not have just these {part}: {names}")
