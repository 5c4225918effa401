"""What the source of a class says about how its instances are made. The class is never imported."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from chaoskit.generate.source import is_name

FindClass = Callable[[str, str], ast.ClassDef | None]
"""From a module and the name of a class in it to the source; None where that is not to be found."""

_ATTRS = frozenset({"define", "frozen", "mutable", "s", "attrs", "attributes"})


def class_in(tree: ast.Module | None, qualname: str) -> ast.ClassDef | None:
    """The class of this name, which may lie in another class."""
    body: Sequence[ast.stmt] = tree.body if tree is not None else ()
    found: ast.ClassDef | None = None
    for part in qualname.split("."):
        found = next((node for node in body if isinstance(node, ast.ClassDef) and node.name == part), None)
        if found is None:
            return None
        body = found.body
    return found


def last_name(node: ast.expr) -> str:
    """`c` of `a.b.c` and of `a.b.c(…)`; empty for what is no such name."""
    if isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def keyword_of(node: ast.expr | None, name: str) -> Any:
    """The literal that a call is given under this name; None where there is none."""
    for word in node.keywords if isinstance(node, ast.Call) else ():
        if word.arg == name and isinstance(word.value, ast.Constant):
            return word.value.value
    return None


def member_of(enum: ast.ClassDef | None, value: Any) -> str | None:
    """The name of the only member with this encoded value, where the source shows it."""
    found = []
    for node in enum.body if enum is not None else ():
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            same = type(node.value.value) is type(value) and node.value.value == value
            found += [name for name in names if same and not name.startswith("_")]
    return found[0] if len(found) == 1 else None


def arguments_of(kind: ast.ClassDef | None, fields: Sequence[str]) -> list[str] | None:
    """The names by which a class of attrs or a dataclass takes these fields; None where it does not take them all, or
    where that cannot be seen."""
    if kind is None or any(isinstance(node, ast.FunctionDef) and node.name == "__init__" for node in kind.body):
        return None
    if any(keyword_of(decorator, "init") is False for decorator in kind.decorator_list):
        return None
    strips = any(last_name(decorator) in _ATTRS for decorator in kind.decorator_list)
    written = {
        node.target.id: node.value
        for node in kind.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    written |= {
        target.id: node.value
        for node in kind.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    if not set(fields) <= set(written):  # inherited, or not as it was
        return None
    arguments = [_argument(name, written[name], strips) for name in fields]
    found = [name for name in arguments if name is not None and is_name(name)]
    return found if len(set(found)) == len(fields) else None


def _argument(field: str, made: ast.expr | None, strips: bool) -> str | None:
    if keyword_of(made, "init") is False:
        return None
    alias = keyword_of(made, "alias")
    if alias is not None:
        return str(alias)
    return (field.lstrip("_") if strips else field) or None
