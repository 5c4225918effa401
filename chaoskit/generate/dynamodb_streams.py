"""Functions of AWS Lambda that read the stream of a DynamoDB table."""

from __future__ import annotations

import ast
import re
from typing import Any

import attrs

from chaoskit.generate.adapted import Adapted, first_with_value
from chaoskit.generate.classes import last_name
from chaoskit.generate.handlers import FoundHandler

_TYPES = frozenset({"S", "N", "B", "BOOL", "M", "L", "SS", "NS"})
_IMAGES = frozenset({"NewImage", "Keys", "new_image", "keys"})
"""Where a record has the item, and its key, which is part of it."""


def dynamodb_stream(handler: FoundHandler, source: str) -> Adapted | None:
    """`source`: of the handler's module. What was there before a change is in no event, so that there is no guess for a
    function that reads it of more than removed items."""
    if re.search(r"OldImage|old_image", source) and "REMOVE" not in source:
        return None
    found = first_with_value(handler, _is_item)
    if found is None:
        return None
    function = _Plain().visit(found.function)
    keys = _keys(handler.tree)
    return Adapted(
        attrs.evolve(found, function=function),
        "aws_lambda",
        "dynamodb",
        ("{handler}",),
        "Kinesis",
        {"consumer": '"lambda"', "records_per_put": "1"},
        options={"keys": '"{key}"'},
        # Each change is in the stream of its table once: DynamoDB writes it, and no producer that tries again.
        without=("Resend",),
        key=keys[0] if keys else "",
    )


def _is_item(node: ast.AST) -> bool:
    return _part(node) in _IMAGES


def _part(node: ast.AST) -> str:
    """`NewImage` of `record["dynamodb"]["NewImage"]`, `new_image` of `record.dynamodb.new_image`; empty for others."""
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value) if node.slice.value in ("NewImage", "Keys") else ""
    if isinstance(node, ast.Call) and last_name(node.func) == "get" and node.args:
        first = node.args[0]
        return str(first.value) if isinstance(first, ast.Constant) and first.value in ("NewImage", "Keys") else ""
    if isinstance(node, ast.Attribute) and node.attr in ("new_image", "keys") and "dynamodb" in ast.unparse(node.value):
        return node.attr
    return ""


def _keys(tree: ast.Module) -> list[str]:
    """The key attributes that are read of `Keys`."""
    found: dict[str, None] = {}
    for node in ast.walk(tree):
        name = node.slice if isinstance(node, ast.Subscript) and _part(node.value) in ("Keys", "keys") else None
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            found[name.value] = None
    return list(found)


class _Plain(ast.NodeTransformer):
    """Reads items of the value as they are, without DynamoDB's types around them."""

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        self.generic_visit(node)
        kind = node.slice.value if isinstance(node.slice, ast.Constant) else ""
        if kind not in _TYPES or not (isinstance(node.value, ast.Name) or _is_of_value(node.value)):
            return node
        return ast.Call(ast.Name("int", ast.Load()), [node.value], []) if kind == "N" else node.value

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        nested = node.args[0] if len(node.args) == 1 and ast.unparse(node.func) in ("int", "Decimal", "float") else None
        return nested if isinstance(nested, ast.Call) and ast.unparse(nested.func) == "int" else node

    def visit_DictComp(self, node: ast.DictComp) -> Any:
        """`{name: deserializer.deserialize(each) for name, each in image.items()}`."""
        of = node.generators[0].iter
        if last_name(node.value) == "deserialize" and isinstance(of, ast.Call) and isinstance(of.func, ast.Attribute):
            return self.visit(of.func.value)
        return self.generic_visit(node)


def _is_of_value(node: ast.AST) -> bool:
    """Whether it is taken out of something: `image["amount"]`, `image.get("amount")`."""
    return isinstance(node, ast.Subscript) or (isinstance(node, ast.Call) and last_name(node.func) == "get")
