"""Values as JSON that a person can read, and back, without running any code.

JSON's own types stand for themselves. Everything else is an object with one key that starts with `$`:
`{"$tuple": [1, 2]}`, `{"$decimal": "9.90"}`, `{"$enum": "shop.events:Kind", "name": "CREDIT"}`. Classes are looked
up among the modules that are imported already and made without calling them, so that a file cannot run anything.
"""

from __future__ import annotations

import base64
import functools
import inspect
import json
import math
import operator
import re
import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import attrs

from chaoskit.values.errors import CodecError
from chaoskit.values.protobuf import fields_of, is_message, message_of
from chaoskit.values.structures import is_structure, make, parts_of
from chaoskit.values.texts import printed

Encode = Callable[[Any], Any]
Decode = Callable[[Any], Any]


@attrs.frozen
class _Scalar:
    """A type that is written as one tagged text."""

    kind: type
    tag: str
    encode: Encode
    decode: Decode


_SCALARS: list[_Scalar] = [
    _Scalar(bytes, "bytes", lambda v: base64.b64encode(v).decode(), lambda t: base64.b64decode(t, validate=True)),
    _Scalar(Decimal, "decimal", str, Decimal),
    _Scalar(datetime, "datetime", datetime.isoformat, datetime.fromisoformat),
    _Scalar(date, "date", date.isoformat, date.fromisoformat),
    _Scalar(time, "time", time.isoformat, time.fromisoformat),
    _Scalar(timedelta, "timedelta", lambda v: [v.days, v.seconds, v.microseconds], lambda t: timedelta(*t)),
    _Scalar(UUID, "uuid", str, UUID),
]
_PLAIN = frozenset(scalar.tag for scalar in _SCALARS) | {
    "tuple", "set", "frozenset", "dict", "float", "namespace", "repr"
}  # fmt: skip
"""Tags that need no class but Python's own."""
_RESERVED = {"tuple", "set", "frozenset", "dict", "float", "enum", "object", "namespace", "repr", "protobuf"}


def register(kind: type, tag: str, encode: Encode, decode: Decode) -> None:
    """Teach repro files another type: `encode` gives something that has an encoding, `decode` reverses it.

    Register in the test's own module or conftest.py: a file is decoded only after these were imported. Raises
    CodecError for a tag that is taken by another type.
    """
    taken = next((scalar for scalar in _SCALARS if scalar.tag == tag and scalar.kind is not kind), None)
    if taken is not None or tag in _RESERVED:
        raise CodecError(f"register({kind.__name__}, {tag!r}): the tag is taken; choose another")
    _SCALARS[:] = [scalar for scalar in _SCALARS if scalar.kind is not kind]
    _SCALARS.append(_Scalar(kind, tag, encode, decode))


def encode(value: Any, where: str = "value") -> Any:
    """JSON for `value`. Raises CodecError that names the place and the type that has no encoding."""
    kind = type(value)
    if value is None or kind in (bool, str) or (kind is int and abs(value) < _PRINTED):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"$float": str(value)}
    if kind is list:
        return [encode(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if kind is dict:
        return _encode_dict(value, where)
    if kind in (tuple, set, frozenset):
        items = [encode(item, f"{where}[{i}]") for i, item in enumerate(value)]
        return {f"${kind.__name__}": items if kind is tuple else sorted(items, key=_canonical)}
    for scalar in _SCALARS:
        if kind is scalar.kind:
            return {f"${scalar.tag}": encode(scalar.encode(value), where)}
    if kind is Shown:
        return {"$repr": value.text}
    return _encode_object(value, where)


def _encode_dict(value: dict[Any, Any], where: str) -> Any:
    if all(type(key) is str and not key.startswith("$") for key in value):
        return {key: encode(item, f"{where}[{key!r}]") for key, item in value.items()}
    return {"$dict": [[encode(k, f"{where} key"), encode(v, f"{where}[{k!r}]")] for k, v in value.items()]}


def _encode_object(value: Any, where: str) -> Any:
    kind = type(value)
    if kind is int:
        raise CodecError(f"{where} is a whole number of more than 4,000 digits, which a repro file cannot hold")
    name = f"{kind.__module__}:{kind.__qualname__}"
    if kind is SimpleNamespace:
        return {"$namespace": _encode_dict(vars(value), where)}
    if "<locals>" not in name and kind.__module__ != "builtins":
        if isinstance(value, Enum):
            return {"$enum": name, "value": encode(value.value, where)}
        fields = _field_names(kind)
        if fields is not None:
            return {"$object": name, "fields": {f: encode(getattr(value, f), f"{where}.{f}") for f in fields}}
        if isinstance(value, tuple) and hasattr(kind, "_fields"):
            return {"$object": name, "items": [encode(item, where) for item in value]}
        if is_structure(kind) and _is_found(name, kind):
            parts = parts_of(value)
            return {"$object": name, **{part: _encode_dict(held, where) for part, held in parts.items()}}
        if is_message(kind) and _is_found(name, kind):
            return {"$protobuf": name, "fields": fields_of(value)}
    raise CodecError(
        f"{where} is {kind.__module__}.{kind.__qualname__}, which has no encoding in a repro file. Use plain data, an "
        "Enum, attrs, dataclass, pydantic or msgspec of a module, or teach it, in the test's module or conftest.py: "
        f"{how_to_register(value)}"
    )


def how_to_register(value: Any) -> str:
    """The line that teaches the type of this value, as far as that can be known from outside."""
    kind = type(value)
    name, tag = kind.__name__, kind.__name__.lower()
    if tag in _RESERVED or any(scalar.tag == tag for scalar in _SCALARS):
        tag = f"my_{tag}"
    both = "encode, decode"
    if all(callable(getattr(kind, method, None)) for method in ("SerializeToString", "FromString")):  # protobuf
        both = f"{name}.SerializeToString, {name}.FromString"
    elif _is_made_of(kind, getattr(value, "__dict__", None)):
        both = f"vars, lambda held: {name}(**held)"
    return f'chaoskit.codec.register({name}, "{tag}", {both})'


def _is_made_of(kind: type, held: Any) -> bool:
    """Whether its constructor takes what its instances hold, by the same names."""
    try:
        inspect.signature(kind).bind(**held)
    except (TypeError, ValueError):
        return False
    return True


def _is_found(name: str, kind: type) -> bool:
    """Whether the class is found again by its name; one that was made by a function need not be."""
    try:
        return _find_class(name, object) is kind
    except CodecError:
        return False


def lenient(value: Any) -> Any:
    """Like `encode`, with `{"$repr": …}` for what has no encoding: for what is shown and never run."""
    try:
        return encode(value)
    except CodecError:
        if isinstance(value, dict) and all(type(key) is str and not key.startswith("$") for key in value):
            return {key: lenient(item) for key, item in value.items()}
        if isinstance(value, list):
            return [lenient(item) for item in value]
        return {"$repr": _ADDRESS.sub("", printed(value))}


_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
"""Where an object lies says nothing about it, and is another place each time."""


_PRINTED = 10**4000
"""Python prints numbers of 4,300 digits at most, and reads no longer ones."""


def _canonical(encoded: Any) -> str:
    return json.dumps(encoded, sort_keys=True)


def _field_names(kind: type) -> list[str] | None:
    if attrs.has(kind):
        return [field.name for field in attrs.fields(kind)]
    fields = getattr(kind, "__dataclass_fields__", None)
    return None if fields is None else list(fields)


def decode(encoded: Any) -> Any:
    """The value again. Raises CodecError for an unknown tag, a bad text or a class that is not imported."""
    if isinstance(encoded, list):
        return [decode(item) for item in encoded]
    if not isinstance(encoded, dict):
        return encoded
    tags = [key for key in encoded if isinstance(key, str) and key.startswith("$")]
    if not tags:
        return {key: decode(item) for key, item in encoded.items()}
    tag, content = tags[0][1:], encoded[tags[0]]
    try:
        return _decode_tagged(tag, content, encoded)
    except CodecError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        raise CodecError(f"${tag} cannot be read from {content!r}: {error}") from error


def decode_plain(encoded: Any) -> Any:
    """The value again where it needs no class but Python's own: the same in every process, and without any code of a
    class, such as its `__hash__`. Raises CodecError otherwise."""
    _check_plain(encoded)
    return decode(encoded)


def _check_plain(encoded: Any) -> None:
    if isinstance(encoded, dict):
        for key in encoded:
            if key.startswith("$") and key[1:] not in _PLAIN:
                raise CodecError(f"{key} needs a class of the test")
    for inner in encoded.values() if isinstance(encoded, dict) else encoded if isinstance(encoded, list) else ():
        _check_plain(inner)


def _decode_tagged(tag: str, content: Any, encoded: Mapping[str, Any]) -> Any:
    containers: dict[str, Callable[[Any], Any]] = {"tuple": tuple, "set": set, "frozenset": frozenset}
    if tag in containers:
        return containers[tag](decode(item) for item in content)
    if tag == "dict":
        return {decode(key): decode(item) for key, item in content}
    if tag == "float":
        if content not in ("nan", "inf", "-inf"):
            raise CodecError(f"$float cannot be read from {content!r}")
        return float(content)
    if tag == "repr":
        return Shown(_text(content))
    if tag == "enum":
        return _enum_member(_find_class(content, Enum), decode(encoded["value"]))
    if tag == "namespace":
        return _namespace(decode(content))
    if tag == "object":
        return _make_object(_find_class(content, object), encoded)
    if tag == "protobuf" and is_message(kind := _find_class(content, object)):
        return message_of(kind, encoded.get("fields"))
    for scalar in _SCALARS:
        if scalar.tag == tag:
            return scalar.decode(decode(content))
    raise CodecError(f"${tag} is not a known encoding; register its type in the test's module or conftest.py")


def _text(content: Any) -> str:
    if not isinstance(content, str):
        raise CodecError(f"{content!r} is not a text")
    return content


@attrs.frozen
class Shown:
    """Stands for a value of which only the text was stored."""

    text: str

    def __repr__(self) -> str:
        return self.text


def _find_class(name: Any, base: type) -> type:
    """A class of a module that is imported already. Nothing is imported and no descriptor is run."""
    if not isinstance(name, str) or name.count(":") != 1:
        raise CodecError(f"{name!r} does not name a class; module:Class is needed")
    module_name, qualname = name.split(":")
    module = sys.modules.get(module_name)
    if module is None:
        raise CodecError(f"the value needs {qualname} of {module_name}, which the test's module has not imported")
    found: Any = vars(module)
    for part in qualname.split("."):
        found = (
            found.get(part) if isinstance(found, dict) else vars(found).get(part) if isinstance(found, type) else None
        )
    if not isinstance(found, type) or not issubclass(found, base):
        raise CodecError(f"{module_name} has no class {qualname} of the kind that is needed")
    return found


_FLAGS: Any = Flag


def _enum_member(kind: type, value: Any) -> Any:
    for member in vars(kind)["_member_map_"].values():
        if type(member.value) is type(value) and member.value == value:
            return member
    flags: Any = kind
    if issubclass(kind, Flag) and flags._missing_.__func__ is _FLAGS._missing_.__func__ and isinstance(value, int):
        found = functools.reduce(operator.or_, (member for member in flags if member.value & value), flags(0))
        if found.value == value:
            return found
    raise CodecError(f"{kind.__qualname__} has no member with the value {value!r}")


def _make_object(kind: type, encoded: Mapping[str, Any]) -> Any:
    """An instance with these fields, made without running its class's code."""
    if any("__del__" in vars(each) for each in kind.__mro__):
        raise CodecError(f"{kind.__qualname__} does something when it is thrown away: it is no plain data")
    if "items" in encoded and (of_tuple := _names_of_tuple(kind)) is not None:
        items = [decode(item) for item in encoded["items"]]
        if len(items) != len(of_tuple):
            raise CodecError(f"{kind.__qualname__} does not have {len(items)} items")
        return tuple.__new__(kind, items)
    if is_structure(kind):
        return make(kind, _decode_parts(kind, encoded))
    names = _field_names(kind)
    fields = encoded.get("fields")
    if names is None or not isinstance(fields, dict) or set(fields) != set(names):
        raise CodecError(f"{kind.__qualname__} does not have just the fields {sorted(fields or ())}")
    made: object = object.__new__(kind)
    for name in names:
        object.__setattr__(made, name, decode(fields[name]))
    return made


def _names_of_tuple(kind: type) -> tuple[str, ...] | None:
    """The fields of a named tuple, also of one with methods of its own, which extends what `namedtuple` has made."""
    named = [vars(base)["_fields"] for base in kind.__mro__ if "_fields" in vars(base)]
    return named[0] if named and issubclass(kind, tuple) and isinstance(named[0], tuple) else None


def _namespace(held: Any) -> SimpleNamespace:
    if not isinstance(held, dict) or not all(type(name) is str for name in held):
        raise CodecError("$namespace needs an object with names")
    return SimpleNamespace(**held)


def _decode_parts(kind: type, encoded: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The parts of a structure. Raises CodecError where they are not parts."""
    parts = {part: decode(held) for part, held in encoded.items() if part != "$object"}
    for part, held in parts.items():
        names = isinstance(held, dict) and all(type(name) is str for name in held)
        if part not in ("fields", "unset", "extra", "private") or not names:
            raise CodecError(f"{kind.__qualname__}: {part!r} is no part of it")
    if "fields" not in parts:
        raise CodecError(f"{kind.__qualname__} has no fields here")
    return parts
