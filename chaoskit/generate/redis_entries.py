"""Entries of a Redis stream in a loop over `xreadgroup`: their fields are the value, or one of them has it as JSON."""

from __future__ import annotations

import ast
import copy

import attrs

from chaoskit.generate.adapted import Substitution, calls_in, taking_value
from chaoskit.generate.classes import Function
from chaoskit.generate.handlers import FoundHandler


@attrs.frozen
class StreamEntry:
    """`name`: of the variable with the fields. `field`: the one that has the whole value as JSON; empty where they
    are the value."""

    name: str
    field: str

    def value(self, handler: FoundHandler) -> FoundHandler | None:
        """The first function in which the value shows."""
        others = [node for node in handler.tree.body if isinstance(node, Function)]
        for function in [handler.function, *others]:
            put = Substitution(self._is_value)
            made = taking_value(handler, _as_text(function), put)
            if put.count:
                return made
        return None

    def _is_value(self, node: ast.AST) -> bool:
        if self.field:
            return isinstance(node, ast.Call) and _field_of_json(node) == (self.name, self.field)
        return isinstance(node, ast.Name) and node.id == self.name and isinstance(node.ctx, ast.Load)


def one_entry(tree: ast.Module) -> StreamEntry | None:
    """What the module does with an entry: `json.loads(fields["data"])`, or `fields["amount"]` in a loop over pairs."""
    for call in calls_in(tree, "loads"):
        if (found := _field_of_json(call)) is not None:
            return StreamEntry(*found)
    read = {_text(each.value) for each in ast.walk(tree) if isinstance(each, ast.Subscript) and _key(each)}
    for node in ast.walk(tree):
        target = node.target if isinstance(node, ast.For) else None
        if isinstance(target, ast.Tuple) and len(target.elts) == 2 and (name := _text(target.elts[1])) in read:
            return StreamEntry(name, "")
    return None


def written_options(tree: ast.Module) -> list[str]:
    """What the stand-in is given: how the client decodes, and where the value is."""
    client = [word for call in ast.walk(tree) if isinstance(call, ast.Call) for word in call.keywords]
    decodes = any(word.arg == "decode_responses" and ast.unparse(word.value) == "True" for word in client)
    entry = one_entry(tree)
    by_field = [f'field="{entry.field}"', "serializer={dumps}"] if entry is not None and entry.field else []
    return [*(["decode_responses=True"] if decodes else []), *by_field]


def names_of(entry: StreamEntry | None) -> dict[str, tuple[str, str]]:
    return {"dumps": ("json", "dumps")} if entry is not None and entry.field else {}


def _field_of_json(call: ast.Call) -> tuple[str, str] | None:
    """The variable and the field of `json.loads(fields[b"data"])`."""
    for node in ast.walk(call.args[0]) if call.args else ():
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and _key(node):
            return node.value.id, _key(node)
    return None


def _key(node: ast.Subscript) -> str:
    key = node.slice.value if isinstance(node.slice, ast.Constant) else None
    return key.decode() if isinstance(key, bytes) else key if isinstance(key, str) else ""


def _text(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _as_text(function: Function) -> Function:
    """With text for the fields, which the client gives as bytes."""
    made = copy.deepcopy(function)
    for node in ast.walk(made):
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            node.slice = ast.copy_location(ast.Constant(_key(node) or node.slice.value), node.slice)
    return made
