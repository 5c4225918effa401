"""Drawn of a JSON schema, as json.loads gives them.

It reads what schemas of messages have: types, enums, required and further properties, items, bounds, patterns, formats,
`anyOf`, `oneOf`, `allOf` and references within the schema. Another keyword that limits a value is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any
from uuid import UUID

import attrs
from hypothesis import strategies as st

from chaoskit.strategies.classes import LETTERS, MOMENTS, MOST_DEEP, MOST_ITEMS, Drawn, dicts, texts
from chaoskit.strategies.limits import Limits
from chaoskit.values.errors import UsageError

_UNKNOWN = (
    "not", "if", "then", "else", "patternProperties", "propertyNames", "dependentRequired", "dependentSchemas",
    "dependencies", "contains", "minProperties", "maxProperties", "unevaluatedProperties", "unevaluatedItems",
    "$dynamicRef",
)  # fmt: skip
"""Keywords that limit a value and are not read."""

_FORMATS: dict[str, Drawn] = {
    "date-time": MOMENTS.map(lambda moment: moment.isoformat().replace("+00:00", "Z")),
    "date": st.dates(date(2020, 1, 1), date(2030, 1, 1)).map(date.isoformat),
    "time": st.times().map(lambda moment: moment.isoformat() + "Z"),
    "uuid": st.integers(0, 2**128 - 1).map(lambda number: str(UUID(int=number, version=4))),
    "email": st.integers(1, 99).map(lambda number: f"user-{number}@example.com"),
    "uri": st.integers(1, 99).map(lambda number: f"https://example.com/{number}"),
    "ipv4": st.integers(1, 254).map(lambda number: f"192.0.2.{number}"),
}


def of_json_schema(schema: Mapping[str, Any]) -> Drawn:
    """Raises UsageError for a schema that is not read in whole."""
    return _JsonSchema(schema).of(schema, "", 0)


@attrs.frozen(eq=False)
class _JsonSchema:
    """`root` is what references are looked up in."""

    root: Mapping[str, Any]

    def of(self, schema: Any, name: str, depth: int) -> Drawn:
        """`name` is that of the property."""
        if schema is True:
            return _JSON
        if schema is False or depth > 2 * MOST_DEEP:
            return st.nothing()
        if not isinstance(schema, Mapping):
            raise UsageError(f"{schema!r} in a JSON schema is no schema: an object, true or false is needed")
        schema = self._whole(schema)
        if (unknown := next((word for word in _UNKNOWN if word in schema), None)) is not None:
            raise UsageError(f"the keyword {unknown!r} of a JSON schema is not read: give a strategy of the values")
        if "const" in schema:
            return st.just(schema["const"])
        if "enum" in schema:
            return st.sampled_from(list(schema["enum"]))
        for word in ("anyOf", "oneOf"):
            if word in schema:
                around = {key: value for key, value in schema.items() if key != word}
                return st.one_of([self.of(self._merged(around, each), name, depth) for each in schema[word]])
        kinds = schema.get("type", _guessed(schema))
        if isinstance(kinds, str):
            return self._of_kind(kinds, schema, name, depth)
        # Nothing is simplest where it is allowed.
        ordered = sorted(kinds, key=lambda kind: kind != "null")
        return st.one_of([self._of_kind(kind, schema, name, depth) for kind in ordered])

    def _whole(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """With what it refers to, and all of its parts in one."""
        for _ in range(2 * MOST_DEEP):
            if "$ref" in schema:
                around = {key: value for key, value in schema.items() if key != "$ref"}
                schema = self._merged(around, self._found(schema["$ref"]))
            elif "allOf" in schema:
                parts, schema = schema["allOf"], {key: value for key, value in schema.items() if key != "allOf"}
                for part in parts:
                    schema = self._merged(schema, part)
            else:
                return schema
        raise UsageError("the references of a JSON schema go in a circle")

    def _found(self, reference: str) -> Any:
        found: Any = self.root
        for part in filter(None, reference.removeprefix("#").split("/")):
            part = part.replace("~1", "/").replace("~0", "~")
            if not reference.startswith("#") or not isinstance(found, Mapping) or part not in found:
                raise UsageError(f"{reference!r} in a JSON schema leads nowhere within it")
            found = found[part]
        return found

    def _merged(self, one: Mapping[str, Any], two: Any) -> dict[str, Any]:
        """Both at once, where they do not say something about the same."""
        two = {} if two is True else two
        if isinstance(two, Mapping) and ("$ref" in two or "allOf" in two):
            two = self._whole(two)
        both = dict(one)
        for key, value in two.items():
            if key == "properties":
                both[key] = {**both.get(key, {}), **value}
            elif key == "required":
                both[key] = [*both.get(key, []), *value]
            elif key in both and both[key] != value and key not in _ANNOTATIONS:
                raise UsageError(f"two parts of a JSON schema say two things of {key!r}: give a strategy of the values")
            else:
                both[key] = value
        return both

    def _of_kind(self, kind: str, schema: Mapping[str, Any], name: str, depth: int) -> Drawn:
        if kind == "object":
            return st.deferred(lambda: self._object(schema, depth))
        if kind == "array":
            return st.deferred(lambda: self._array(schema, depth))
        simple: dict[str, Callable[[], Drawn]] = {
            "null": st.none,
            "boolean": st.booleans,
            "integer": _limits(schema).integers,
            "number": _limits(schema).floats,
            "string": lambda: _strings(schema, name),
        }
        if kind not in simple:
            raise UsageError(f"{kind!r} is no type of a JSON schema")
        return simple[kind]()

    def _object(self, schema: Mapping[str, Any], depth: int) -> Drawn:
        known = {name: self.of(each, name, depth + 1) for name, each in schema.get("properties", {}).items()}
        further = schema.get("additionalProperties", False)  # what is not named, a handler does not know
        needed = {name: known.get(name, _JSON) for name in schema.get("required", ())}
        others = {name: each for name, each in known.items() if name not in needed and not each.is_empty}
        if known or further is False:
            return dicts(needed, others, known)
        return st.dictionaries(st.text(LETTERS, max_size=20), self.of(further, "", depth + 1), max_size=MOST_ITEMS)

    def _array(self, schema: Mapping[str, Any], depth: int) -> Drawn:
        first = [self.of(each, "", depth + 1) for each in schema.get("prefixItems", ())]
        least = max(0, schema.get("minItems", 0) - len(first))
        most = schema["maxItems"] - len(first) if "maxItems" in schema else least + (0 if first else MOST_ITEMS)
        rest = self.of(schema.get("items", True), "", depth + 1)
        unique = repr if schema.get("uniqueItems") else None
        lists = st.lists(rest, min_size=least, max_size=max(least, most), unique_by=unique)
        return st.tuples(st.tuples(*first), lists).map(lambda parts: [*parts[0], *parts[1]])


_ANNOTATIONS = ("title", "description", "default", "examples", "$comment", "$schema", "$id", "$defs", "definitions")
"""Keywords that limit nothing."""

_JSON = st.none() | st.booleans() | st.integers(-100, 100) | st.text(LETTERS, max_size=MOST_ITEMS)


def _strings(schema: Mapping[str, Any], name: str) -> Drawn:
    known = _FORMATS.get(schema.get("format", ""))
    return texts(name, _limits(schema)) if known is None else known


def _limits(schema: Mapping[str, Any]) -> Limits:
    names = {
        "exclusiveMinimum": "gt", "minimum": "ge", "exclusiveMaximum": "lt", "maximum": "le",
        "multipleOf": "multiple_of", "minLength": "min_length", "maxLength": "max_length", "pattern": "pattern",
    }  # fmt: skip
    return Limits(**{names[word]: value for word, value in schema.items() if word in names})


def _guessed(schema: Mapping[str, Any]) -> str | list[str]:
    """The type of a schema that does not name it."""
    for kind, words in (("object", ("properties", "required")), ("array", ("items", "prefixItems"))):
        if any(word in schema for word in words):
            return kind
    if any(word in schema for word in ("minLength", "maxLength", "pattern", "format")):
        return "string"
    if any(word in schema for word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")):
        return "number"
    return ["null", "boolean", "integer", "string"]
