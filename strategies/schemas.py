"""Drawn of an Avro schema and of a class of protobuf."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import attrs
from hypothesis import strategies as st

from chaoskit.strategies.classes import LETTERS, MOMENTS, MOST_DEEP, MOST_ITEMS, Drawn, dicts, texts
from chaoskit.strategies.limits import Limits
from chaoskit.values.errors import UsageError

_AVRO = frozenset({"record", "error", "enum", "fixed", "map", "bytes", "int", "long", "float", "double"})
"""Types that an Avro schema has and a JSON schema has not."""


def is_avro(schema: Any) -> bool:
    """Whether a schema is one of Avro: a dict such as a `.avsc` file holds, or what the packages avro and fastavro have
    parsed."""
    if isinstance(schema, Mapping):
        return isinstance(kind := schema.get("type"), str) and kind in _AVRO
    return callable(getattr(schema, "to_json", None)) and type(schema).__module__.split(".")[0] == "avro"


def of_avro(schema: Any) -> Drawn:
    """Drawn of it as fastavro reads them: dicts, with dates, decimals and UUIDs where a logical type says so."""
    plain = schema if isinstance(schema, Mapping) else schema.to_json()
    try:
        return _Avro().of(plain, "", "", 0)
    except KeyError as error:
        raise UsageError(f"the Avro schema lacks {error.args[0]!r} where it is needed") from error


@attrs.define(eq=False)
class _Avro:
    """What is named within a schema can be used again by its name."""

    named: dict[str, tuple[Mapping[str, Any], str]] = attrs.field(factory=dict)

    def of(self, schema: Any, name: str, space: str, depth: int) -> Drawn:
        """`name` is that of the field, `space` the namespace around it."""
        if isinstance(schema, list):
            parts = [self.of(each, name, space, depth) for each in sorted(schema, key=lambda each: each != "null")]
            return st.one_of(parts)
        if isinstance(schema, str):
            return self._by_name(schema, name, space, depth)
        kind = schema["type"]
        if isinstance(kind, (list, dict)):
            return self.of(kind, name, space, depth)
        if (logical := _LOGICAL.get(schema.get("logicalType", ""))) is not None:
            return logical(schema)
        if "name" in schema:
            whole = schema["name"] if "." in schema["name"] else ".".join(
                filter(None, [schema.get("namespace", space), schema["name"]])
            )  # fmt: skip
            space = whole.rpartition(".")[0]
            self.named[whole] = (schema, space)
        if kind in ("record", "error"):
            return self._record(schema, space, depth)
        if kind == "enum":
            return st.sampled_from(list(schema["symbols"]))
        if kind == "fixed":
            return st.binary(min_size=schema["size"], max_size=schema["size"])
        if kind == "array":
            items = self.of(schema["items"], "", space, depth)
            return st.lists(items, max_size=0 if items.is_empty else MOST_ITEMS)
        if kind == "map":
            values = self.of(schema["values"], "", space, depth)
            most = 0 if values.is_empty else MOST_ITEMS
            return st.dictionaries(st.text(LETTERS, max_size=20), values, max_size=most)
        return self._by_name(kind, name, space, depth)

    def _record(self, schema: Mapping[str, Any], space: str, depth: int) -> Drawn:
        if depth >= MOST_DEEP:
            return st.nothing()
        # In their order, as one may name what another has.
        fields = {each["name"]: self.of(each["type"], each["name"], space, depth + 1) for each in schema["fields"]}
        return dicts(fields, {})

    def _by_name(self, kind: str, name: str, space: str, depth: int) -> Drawn:
        if kind == "string":
            return texts(name, Limits())
        if kind in _PRIMITIVE:
            return _PRIMITIVE[kind]
        for whole in (kind, f"{space}.{kind}"):
            if whole in self.named:
                known, inner = self.named[whole]
                return self._again(known, inner, depth)
        raise UsageError(f"the Avro schema has a type {kind!r}, which is neither one of Avro nor named before")

    def _again(self, schema: Mapping[str, Any], space: str, depth: int) -> Drawn:
        if schema["type"] in ("record", "error"):
            return self._record(schema, space, depth)
        return self.of(schema, "", space, depth)


_PRIMITIVE: dict[str, Drawn] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": Limits().integers(),
    "long": Limits().integers(),
    "float": st.floats(-1e6, 1e6, width=32),
    "double": Limits().floats(),
    "bytes": st.binary(max_size=20),
}
_NAIVE = MOMENTS.map(lambda moment: moment.replace(tzinfo=None))


def _millis(moment: Any) -> Any:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _avro_decimals(schema: Mapping[str, Any]) -> Drawn:
    most, scale = 10 ** schema["precision"] - 1, schema.get("scale", 0)
    return st.integers(-most, most).map(lambda number: Decimal(number).scaleb(-scale))


_LOGICAL: dict[str, Callable[[Mapping[str, Any]], Drawn]] = {
    "decimal": _avro_decimals,
    "uuid": lambda schema: st.integers(0, 2**128 - 1).map(lambda number: UUID(int=number, version=4)),
    "date": lambda schema: st.dates(date(2020, 1, 1), date(2030, 1, 1)),
    "time-millis": lambda schema: st.times().map(_millis),
    "time-micros": lambda schema: st.times(),
    "timestamp-millis": lambda schema: MOMENTS.map(_millis),
    "timestamp-micros": lambda schema: MOMENTS,
    "local-timestamp-millis": lambda schema: _NAIVE.map(_millis),
    "local-timestamp-micros": lambda schema: _NAIVE,
}


def is_protobuf(kind: Any) -> bool:
    """Whether it is a class that protobuf has generated."""
    return isinstance(kind, type) and hasattr(kind, "DESCRIPTOR") and callable(getattr(kind, "FromString", None))


def of_protobuf(kind: Any) -> Drawn:
    """Messages of the class. Of a oneof one field is set at most."""
    return _messages(kind, 0)


def _messages(kind: Any, depth: int) -> Drawn:
    """Messages as their class makes them: with what stands for nothing left out."""
    if depth >= MOST_DEEP:
        return st.just(None)
    whole = kind.DESCRIPTOR
    alone = {each.name: _proto_field(kind, each, depth) for each in whole.fields if each.containing_oneof is None}
    parts = [dicts(alone, {})]
    for oneof in whole.oneofs:
        choices = [dicts({each.name: _proto_field(kind, each, depth)}, {}) for each in oneof.fields]
        parts.append(st.one_of([st.just({}), *choices]))

    def build(drawn: tuple[dict[str, Any], ...]) -> Any:
        fields = {name: value for each in drawn for name, value in each.items()}
        return kind(**{name: value for name, value in fields.items() if value is not None})

    return st.tuples(*parts).map(build)


def _proto_field(owner: Any, field: Any, depth: int) -> Drawn:
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        keys, values = (inner.fields_by_name[name] for name in ("key", "value"))
        return st.dictionaries(_proto_value(keys, depth), _proto_value(values, depth), max_size=MOST_ITEMS).map(
            lambda found: {key: value for key, value in found.items() if value is not None}
        )
    one = _proto_value(field, depth)
    if _is_repeated(field):
        return st.lists(one, max_size=MOST_ITEMS).map(lambda found: [each for each in found if each is not None])
    return st.none() | one if inner is not None else one


def _is_repeated(field: Any) -> bool:
    # `label` is gone in newer versions, `is_repeated` is not there in older ones.
    return bool(field.is_repeated) if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


def _proto_value(field: Any, depth: int) -> Drawn:
    kind = field.cpp_type
    if kind == field.CPPTYPE_MESSAGE:
        if field.message_type.full_name == "google.protobuf.Timestamp":
            seconds = st.integers(1_577_836_800, 1_893_456_000)  # 2020 to 2030
            return seconds.map(lambda number: _class_of(field.message_type)(seconds=number))
        return _messages(_class_of(field.message_type), depth + 1)
    if kind == field.CPPTYPE_ENUM:
        return st.sampled_from([each.number for each in field.enum_type.values])
    if kind == field.CPPTYPE_STRING:
        return st.binary(max_size=20) if field.type == field.TYPE_BYTES else texts(field.name, Limits())
    return _PROTO_NUMBERS[kind]


def _class_of(descriptor: Any) -> Any:
    factory: Any = importlib.import_module("google.protobuf.message_factory")
    return factory.GetMessageClass(descriptor)


_PROTO_NUMBERS: dict[int, Drawn] = {
    1: st.integers(-(2**31), 2**31 - 1),
    2: st.integers(-(2**31), 2**31 - 1),
    3: st.integers(0, 2**32 - 1),
    4: st.integers(0, 2**32 - 1),
    5: Limits().floats(),
    6: st.floats(-1e6, 1e6, width=32),
    7: st.booleans(),
}
"""By the numbers of protobuf's types of C++, which it promises not to change."""
