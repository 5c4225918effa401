"""Whether a field of a class takes the number or the id of an event: its type, and the bounds written beside it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from chaoskit.generate.classes import last_name

MANY = 1000
"""As far as the numbers of a test's events go at most, and more."""
SHORT, LONG = 2, 8
"""The length of the shortest id, e1, and of one that is long enough."""

_INTS = {"int", "PositiveInt", "NonNegativeInt", "StrictInt", "conint"}
_TEXTS = {"str", "StrictStr", "constr"}
_HARMLESS = {"default", "alias", "validation_alias", "title", "description", "examples", "strict", "frozen", "kw_only"}
_MARKERS = {"Ge": "ge", "Gt": "gt", "Le": "le", "Lt": "lt", "MinLen": "min_length", "MaxLen": "max_length"}


def takes_what(what: str, written: str) -> bool:
    """Whether a field of which this is written, `int = Field(ge=1)`, takes `message.seq` or `message.id`."""
    try:
        (field,) = ast.parse(f"x: {written}").body
    except (SyntaxError, ValueError):
        return False
    assert isinstance(field, ast.AnnAssign)
    found = _bare(field.annotation)
    if last_name(found[0]) not in (_TEXTS if what == "message.id" else _INTS):
        return False
    made = [field.value] if isinstance(field.value, ast.Call) else []
    bounds = [bound for each in [*found, *made] if isinstance(each, ast.Call) for bound in _bounds(each)]
    return all(_admits(*bound) for bound in bounds)


def _bare(annotation: ast.expr) -> list[ast.expr]:
    """The type itself, and what `Annotated` says of it."""
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.right, ast.Constant):  # X | None
        return _bare(annotation.left)
    if not isinstance(annotation, ast.Subscript):
        return [annotation]
    name, inner = last_name(annotation.value), annotation.slice
    if name == "Annotated" and isinstance(inner, ast.Tuple):
        return [*_bare(inner.elts[0]), *inner.elts[1:]]
    return _bare(inner) if name == "Optional" else [annotation.value]


def _bounds(call: ast.Call) -> Iterator[tuple[str, Any]]:
    """Each bound by its name; one that cannot be read has the value None."""
    name = last_name(call)
    if name in _MARKERS:
        yield _MARKERS[name], _constant(call.args[0]) if call.args else None
    elif name not in ("Field", "field", "conint", "constr"):
        yield "unknown", None
    for word in call.keywords:
        yield word.arg or "unknown", _constant(word.value)


def _constant(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _admits(name: str, value: Any) -> bool:
    if name in _HARMLESS:
        return True
    if not isinstance(value, (int, float)):
        return False
    least = {"ge": 1, "gt": 0, "min_length": SHORT}
    most = {"le": MANY, "lt": MANY, "max_length": LONG}
    return value <= least[name] if name in least else name in most and value >= most[name]
