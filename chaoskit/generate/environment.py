"""What a module reads of the environment when it is imported."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from chaoskit.generate.classes import Function, last_name
from chaoskit.generate.source import quoted

_ENVIRONS = ("os.environ", "environ")
_GETS = ("os.getenv", "getenv", "os.environ.get", "environ.get")
CONFTEST = "conftest.py"


def variable_of(tree: ast.Module, node: ast.expr | None) -> str:
    """The variable that this is read from without a default, by itself or as a constant of the module; else empty."""
    if isinstance(node, ast.Name):
        node = _constant(tree, node.id)
    place: ast.AST | None = None
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) in _ENVIRONS:
        place = node.slice
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in _GETS and len(node.args) == 1:
        place = node.args[0]
    return place.value if isinstance(place, ast.Constant) and isinstance(place.value, str) else ""


def _constant(tree: ast.Module, name: str) -> ast.expr | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return node.value
    return None


def required_at_import(tree: ast.Module) -> dict[str, str]:
    """The variables without which the module cannot be imported, `os.environ["QUEUE"]`, each with something to set."""
    found: dict[str, str] = {}
    numbers = {
        argument
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and last_name(node) in ("int", "float", "Decimal")
        for argument in node.args
    }
    for statement in tree.body:
        for node in ast.walk(statement) if not isinstance(statement, Function) else ():
            if isinstance(node, ast.Subscript) and (name := variable_of(tree, node)):
                found[name] = "1" if node in numbers else "test"
    return found


def conftest_text(environment: Mapping[str, str]) -> str:
    lines = [f"os.environ.setdefault({quoted(name)}, {quoted(value)})" for name, value in environment.items()]
    about = '"""What the modules under test read of the environment when they are imported."""'
    return "\n".join([about, "", "import os", "", *lines, ""])
