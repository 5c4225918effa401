"""Encoded values of a repro file as Python source. Nothing is decoded for it, imported or run.

The file may be a stranger's, and what is written here is run later. So a name in it is written only where the source of
a class shows what a call of it does: a named tuple, an Enum, a dataclass or a class of attrs. All else is left to
`codec.decode`, as data, which finds classes among those that are imported and calls none.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import attrs

from chaoskit.generate.classes import FindClass, arguments_of, is_enum, is_named_tuple, member_of
from chaoskit.generate.source import Code, Group, Names, are_names, call, listed, mapping, quoted, tupled
from chaoskit.values.errors import CodecError


@attrs.frozen
class _Standard:
    """A type of the standard library that is made from a text."""

    module: str
    name: str
    method: str
    read: Callable[[str], Any]


_STANDARD = {
    "decimal": _Standard("decimal", "Decimal", "", Decimal),
    "uuid": _Standard("uuid", "UUID", "", UUID),
    "datetime": _Standard("datetime", "datetime", ".fromisoformat", datetime.fromisoformat),
    "date": _Standard("datetime", "date", ".fromisoformat", date.fromisoformat),
    "time": _Standard("datetime", "time", ".fromisoformat", time.fromisoformat),
}


@attrs.frozen(eq=False)
class Values:
    """Writes values: with the names of one file, and a way to look at a class without importing it."""

    names: Names
    find: FindClass
    renamed: dict[str, str] = attrs.field(factory=dict)
    """Modules that the file has under another name, where a class is looked up among those that are imported."""

    def source(self, encoded: Any) -> Code:
        """The expression that makes this value. Raises CodecError for what has no such expression."""
        if isinstance(encoded, list):
            return listed(map(self.source, encoded))
        if not isinstance(encoded, dict):
            return _atom(encoded)
        tag = next((key for key in encoded if isinstance(key, str) and key.startswith("$")), None)
        if tag is None:
            return mapping((quoted(str(key)), self.source(value)) for key, value in encoded.items())
        try:
            return self._tagged(tag[1:], encoded[tag], encoded)
        except (ValueError, TypeError, KeyError, AttributeError, InvalidOperation, binascii.Error) as error:
            raise CodecError(f"{tag} cannot be read from {encoded[tag]!r}: {error}") from error

    def _tagged(self, tag: str, content: Any, encoded: dict[str, Any]) -> Code:
        if tag == "tuple":
            return tupled([self.source(item) for item in _checked(content, list)])
        if tag in ("set", "frozenset"):
            return _set(tag, [self.source(item) for item in _checked(content, list)])
        if tag == "dict":
            return mapping((self.source(key), self.source(value)) for key, value in _checked(content, list))
        if tag == "float":
            if content not in ("nan", "inf", "-inf"):
                raise CodecError(f"$float cannot be read from {content!r}")
            return f'float("{content}")'
        if tag == "bytes":
            return quoted(base64.b64decode(content, validate=True))
        if tag == "timedelta":
            days, seconds, microseconds = (_atom(_checked(number, int)) for number in content)
            name = self.names.name("datetime", "timedelta")
            parts = {"days": days, "seconds": seconds, "microseconds": microseconds}
            return call(name, (), {unit: number for unit, number in parts.items() if number != "0"})
        if tag in _STANDARD:
            known = _STANDARD[tag]
            known.read(_checked(content, str))
            return call(self.names.name(known.module, known.name) + known.method, [quoted(content)])
        if tag == "repr":
            raise CodecError(f"only the text of a value was kept: {content}")
        if tag == "enum":
            return self._enum(content, encoded)
        if tag == "object":
            return self._object(content, encoded)
        return self._decoded(encoded)

    def _enum(self, content: Any, encoded: dict[str, Any]) -> Code:
        module, qualname = _class_name(content)
        found, value = self.find(module, qualname), encoded["value"]
        if not is_enum(found):
            return self._decoded({"$enum": self._known(content), "value": value})
        name = self.names.name(module, qualname)
        member = member_of(found, value)
        return f"{name}.{member}" if member else call(name, [self.source(value)])

    def _object(self, content: Any, encoded: dict[str, Any]) -> Code:
        module, qualname = _class_name(content)
        found = self.find(module, qualname)
        if "items" in encoded:
            items = _checked(encoded["items"], list)
            if is_named_tuple(found):
                return call(self.names.name(module, qualname), map(self.source, items))
            return self._decoded({"$object": self._known(content), "items": items})
        fields = _checked(encoded["fields"], dict)
        more = len(encoded) > len(("$object", "fields"))  # what a model holds beside its fields
        arguments = None if more else arguments_of(found, list(fields))
        if arguments is None:
            return self._decoded({**encoded, "$object": self._known(content)})
        given = zip(arguments, fields.values(), strict=True)
        return call(self.names.name(module, qualname), (), {name: self.source(value) for name, value in given})

    def _known(self, content: str) -> str:
        """The class as `decode` finds it. Nothing is imported for it: the test's own module has done that, or it is
        refused."""
        module, qualname = _class_name(content)
        return f"{self.renamed.get(module, module)}:{qualname}"

    def _decoded(self, encoded: Any) -> Code:
        """For what no expression makes: a class that is not made by its fields, a type that the test registers."""
        return call(self.names.name("chaoskit.codec", "decode"), [_literal(encoded)])


def _set(tag: str, items: list[Code]) -> Code:
    if not items:
        return f"{tag}()"
    braces = Group("{", tuple(items), "}")
    return braces if tag == "set" else call("frozenset", [braces])


def _checked(given: Any, kind: type) -> Any:
    """JSON of just this type. Raises TypeError."""
    if type(given) is not kind:
        raise TypeError(f"{given!r} is not of type {kind.__name__}")
    return given


def _atom(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return repr(value).replace("e+", "e")


def _literal(encoded: Any) -> Code:
    """JSON data as it stands."""
    if isinstance(encoded, list):
        return listed(map(_literal, encoded))
    if isinstance(encoded, dict):
        return mapping((quoted(str(key)), _literal(value)) for key, value in encoded.items())
    return _atom(encoded)


def _class_name(content: Any) -> tuple[str, str]:
    module, colon, qualname = content.partition(":")
    if not colon or not are_names(module) or not are_names(qualname):
        raise CodecError(f"{content!r} does not name a class; module:Class is needed")
    return module, qualname
