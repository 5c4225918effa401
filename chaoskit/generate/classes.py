"""What the source of a class says about how its instances are made. The class is never imported."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from chaoskit.generate.source import is_name

Function = ast.FunctionDef | ast.AsyncFunctionDef

FindClass = Callable[[str, str], ast.ClassDef | None]
"""From a module and the name of a class in it to the source; None where that is not to be found."""

_ATTRS = frozenset({"define", "frozen", "mutable", "s", "attrs", "attributes"})
_ENUMS = frozenset({"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag"})


def class_in(tree: ast.Module | None, qualname: str) -> ast.ClassDef | None:
    """The class of this name, which may lie in another class. None where the name is bound twice, so that it may be
    something else."""
    body: Sequence[ast.stmt] = tree.body if tree is not None else ()
    found: ast.ClassDef | None = None
    for part in qualname.split("."):
        bound = [node for node in body if part in _bound_by(node)]
        if len(bound) != 1 or not isinstance(bound[0], ast.ClassDef):
            return None
        found = bound[0]
        body = found.body
    return found


def _bound_by(node: ast.stmt) -> set[str]:
    """The names that a statement binds, also where it may bind them."""
    found: set[str] = set()
    for each in ast.walk(node) if not _is_definition(node) else [node]:
        if _is_definition(each):
            found.add(each.name)  # type: ignore[attr-defined]
        elif isinstance(each, ast.Name) and isinstance(each.ctx, (ast.Store, ast.Del)):
            found.add(each.id)
        elif isinstance(each, ast.alias):
            found.add((each.asname or each.name).partition(".")[0])
    return found


def _is_definition(node: ast.AST) -> bool:
    return isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))


def is_enum(kind: ast.ClassDef | None) -> bool:
    """Whether the source shows that it is an Enum: a call of it looks a member up."""
    return kind is not None and any(last_name(base) in _ENUMS for base in kind.bases if not isinstance(base, ast.Call))


def is_named_tuple(kind: ast.ClassDef | None) -> bool:
    """Whether the source shows that it is a named tuple that takes its items in order."""
    if kind is None or _defines(kind, "__new__"):
        return False
    return any(last_name(base) in ("NamedTuple", "namedtuple") for base in kind.bases)


def _defines(kind: ast.ClassDef, name: str) -> bool:
    return any(name in _bound_by(node) for node in kind.body)


def _takes_fields(kind: ast.ClassDef) -> bool:
    """Whether it is decorated as a dataclass or a class of attrs, whose call sets fields."""
    return any(last_name(decorator) in {*_ATTRS, "dataclass"} for decorator in kind.decorator_list)


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
    if kind is None or not _takes_fields(kind):
        return None
    if any(_defines(kind, method) for method in ("__init__", "__new__", "__del__")):
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
