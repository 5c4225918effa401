"""Where the message that a handler takes, or what it is unpacked into, stands in an expression of its source."""

from __future__ import annotations

import ast
from typing import Literal

import attrs

from chaoskit.generate.classes import Function, last_name

MESSAGE: Literal["a message"] = "a message"
"""Stands for the message itself, where a path stands for a place in its value."""
ITEM = "[]"
"""The items of a list, in a path."""

ValuePath = tuple[str, ...] | Literal["a message"]


@attrs.define
class FieldUse:
    """What the handler does with one place of the value."""

    strings: list[str] = attrs.field(factory=list)
    numbers: list[int | float] = attrs.field(factory=list)
    """What it is compared with for equality, as a version of a schema is."""
    number: bool = False
    ordered: bool = False
    """It is compared with what came before, as a version of a row is, or a time."""
    truth: bool = False
    moment: bool = False
    index: bool = False
    """Something is looked up by it."""
    member: bool = False
    """It is looked for among others, as what was seen before is."""
    json: bool = False
    """A text, of which JSON is made."""
    unique: bool = False
    """No two events have the same."""
    attribute: bool = False
    """Read as `value.name`, not as `value["name"]`."""


@attrs.define
class Reads:
    """`places`: the places of the value that are read, in the order of the source. `needs`: the parameters that are no
    message. `functions`: the handler and what it hands its message to."""

    message: str
    needs: list[str]
    whole: bool
    annotation: str = ""
    uses_key: bool = False
    called_attributes: bool = False
    """`message.value()`, as confluent-kafka's messages have it."""
    validated: str = ""
    """The class by which it checks its value: `Order.model_validate(event)`."""
    methods: list[str] = attrs.field(factory=list)
    """What it calls of its value, that no plain value has, such as `kinesis.data_as_json`."""
    places: dict[tuple[str, ...], FieldUse] = attrs.field(factory=dict)
    functions: list[Function] = attrs.field(factory=list)

    @property
    def is_object(self) -> bool:
        """Its fields are read as `value.name`."""
        return self.is_object_at(())

    @property
    def is_json(self) -> bool:
        """The value is a text, of which JSON is made."""
        return any(seen.json for place, seen in self.places.items() if not place)

    def is_object_at(self, place: tuple[str, ...]) -> bool:
        """The fields of what lies there are read as `place.name`."""
        return any(self.places[*place, name].attribute for name in self.below(place))

    def below(self, place: tuple[str, ...]) -> list[str]:
        """The fields of what lies there."""
        longer = [other for other in self.places if other[: len(place)] == place and len(other) > len(place)]
        return list(dict.fromkeys(other[len(place)] for other in longer))


class Places:
    """Which place of the value an expression is. `known`: what the names of the function stand for. What is found on
    the way is noted in `reads`."""

    def __init__(self, reads: Reads) -> None:
        self.reads = reads
        self.known: dict[str, ValuePath] = {}

    def place_of(self, node: ast.AST | None) -> ValuePath | None:
        if isinstance(node, ast.Name):
            return self.known.get(node.id)
        if isinstance(node, (ast.NamedExpr, ast.Await)):
            return self.place_of(node.value)
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):  # event.get("meta") or {}
            return self.place_of(node.values[0]) if _is_empty(node.values[-1]) else None
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            return self._below(self.place_of(node.value), node.slice.value)
        if isinstance(node, ast.Call):
            return self._call(node)
        return None

    def _attribute(self, node: ast.Attribute) -> ValuePath | None:
        place = self.place_of(node.value)
        if place == MESSAGE:
            self.reads.uses_key |= node.attr == "key"
            return () if node.attr == "value" else None
        if place is None or node.attr.startswith("__"):
            return None
        found = self._below(place, node.attr)
        if isinstance(found, tuple):
            self.seen(found).attribute = True
        return found

    def _call(self, node: ast.Call) -> ValuePath | None:
        function = node.func
        if last_name(function) == "loads" and node.args:
            return self._json(node.args[0])
        if (found := _validated(node)) is not None:
            kind, given, is_json = found
            place = self._json(given) if is_json else self.place_of(given)
            if place == ():
                self.reads.validated = kind
            return place
        if isinstance(function, ast.Attribute):
            place = self.place_of(function.value)
            if place == MESSAGE and function.attr in ("value", "key"):
                self.reads.called_attributes = True
                return () if function.attr == "value" else None
            if function.attr == "decode":
                return place
            if function.attr == "get" and node.args and isinstance(node.args[0], ast.Constant):
                return self._below(place, node.args[0].value)
        return None

    def _json(self, node: ast.expr) -> ValuePath | None:
        place = self.place_of(node)
        if isinstance(place, tuple):
            self.seen(place).json = True
        return place

    def _below(self, place: ValuePath | None, name: object) -> ValuePath | None:
        if not isinstance(place, tuple) or not isinstance(name, str):
            return None
        self.seen((*place, name))
        return (*place, name)

    def seen(self, place: tuple[str, ...]) -> FieldUse:
        return self.reads.places.setdefault(place, FieldUse())

    def use_of(self, node: ast.AST | None) -> FieldUse | None:
        place = self.place_of(node)
        return self.seen(place) if isinstance(place, tuple) else None


def _validated(node: ast.Call) -> tuple[str, ast.expr, bool] | None:
    """The class by which a call checks a value, the value, and whether that is JSON."""
    function = node.func
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and node.args:
        if function.attr in ("model_validate_json", "parse_raw"):
            return function.value.id, node.args[0], True
        if function.attr in ("model_validate", "parse_obj"):
            return function.value.id, node.args[0], False
    # `Order(**event)`
    if isinstance(function, ast.Name) and function.id[:1].isupper() and not node.args and len(node.keywords) == 1:
        only = node.keywords[0]
        return (function.id, only.value, False) if only.arg is None else None
    return None


def _is_empty(node: ast.AST) -> bool:
    """`{}`, `[]` or `""`."""
    if isinstance(node, ast.Constant):
        return not node.value
    return (isinstance(node, ast.Dict) and not node.keys) or (isinstance(node, ast.List) and not node.elts)
