"""Where a handler keeps its state, guessed from its source: what of it can be compared, and what each run has to make
anew."""

from __future__ import annotations

import ast
from collections.abc import Sequence

import attrs

from chaoskit.generate.classes import Function, last_name
from chaoskit.generate.handlers import FoundHandler, required
from chaoskit.generate.lookup import source_of, value_of

_CONTAINERS = frozenset({"dict", "list", "set", "defaultdict", "Counter", "OrderedDict", "deque"})
_MUTATORS = frozenset(
    {
        "add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "setdefault",
        "subtract", "update",
    }
)  # fmt: skip
_FIELDS = frozenset({"field", "Factory", "attrib", "ib"})


@attrs.frozen
class OfClass:
    """`needs`: what its instances are made with. `attributes`: what they keep that can be compared, as far as it
    shows."""

    needs: tuple[str, ...]
    attributes: tuple[str, ...]


@attrs.frozen
class KeptRows:
    """Of tables: the lines of a test's body that empty them, and those that return what is in them."""

    before: tuple[str, ...]
    returned: tuple[str, ...]


def state_of_class(kind: ast.ClassDef) -> OfClass:
    init = next((node for node in kind.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"), None)
    if init is not None:
        arguments = tuple(each.arg for each in required(init, is_method=True))
        return OfClass(arguments, _public_first(_kept_by(init)))
    made: list[str] = []
    needs: list[str] = []
    if kind.decorator_list:  # of attrs, or a dataclass
        for node in kind.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                if "ClassVar" in ast.unparse(node.annotation):
                    continue
                if node.value is None:
                    # attrs takes a private field under its name without the underscore.
                    needs.append(node.target.id.lstrip("_"))
                elif is_plain(node.value):
                    made.append(node.target.id)
    return OfClass(tuple(needs), _public_first(made))


def _kept_by(init: ast.FunctionDef) -> list[str]:
    """The attributes that it sets to something plain."""
    found: dict[str, None] = {}
    for node in ast.walk(init):
        targets: Sequence[ast.expr] = ()
        values: Sequence[ast.expr | None] = ()
        if isinstance(node, ast.AnnAssign):
            targets, values = [node.target], [node.value]
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    targets, values = target.elts, node.value.elts
                else:
                    targets, values = [*targets, target], [*values, node.value]
        for target, value in zip(targets, values, strict=False):
            if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self" and is_plain(value):
                found[target.attr] = None
    return list(found)


def _public_first(names: Sequence[str]) -> tuple[str, ...]:
    """The public ones; where there are none, all."""
    public = tuple(name for name in names if not name.startswith("_"))
    return public or tuple(names)


def is_plain(node: ast.expr | None) -> bool:
    """A literal or an empty container, which can be compared."""
    if isinstance(
        node, (ast.Dict, ast.List, ast.Set, ast.Tuple, ast.Constant, ast.ListComp, ast.DictComp, ast.SetComp)
    ):
        return True
    if isinstance(node, ast.Call) and last_name(node) in _FIELDS:
        factories = [word.value for word in node.keywords if word.arg in ("factory", "default_factory", "default")]
        return any(last_name(each) in _CONTAINERS or is_plain(each) for each in factories)
    return isinstance(node, ast.Call) and last_name(node) in _CONTAINERS


def state_of_module(handler: FoundHandler, functions: Sequence[Function]) -> dict[str, str]:
    """The module's own names that these functions change, each with the statement that makes it anew, behind
    the module and a dot."""
    changed = dict.fromkeys(name for function in functions for name in changed_by(function))
    found: dict[str, str] = {}
    for node in handler.tree.body:
        target: ast.expr | None = None
        if isinstance(node, ast.AnnAssign):
            target = node.target
        elif isinstance(node, ast.Assign):
            target = node.targets[0]
        value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
        if isinstance(target, ast.Name) and target.id in changed and value is not None and is_plain(value):
            found[target.id] = _anew(target.id, value)
    source = source_of(handler)
    for name in changed:
        value = value_of(source, name) if name not in found else None
        # Of another module: what is emptied is the same object there and here, what is set anew would not be.
        if value is not None and is_plain(value) and (anew := _anew(name, value)).endswith(".clear()"):
            found[name] = anew
    return found


def _anew(name: str, value: ast.expr) -> str:
    empty = isinstance(value, (ast.Call, ast.DictComp, ast.ListComp, ast.SetComp))
    empty = empty or (isinstance(value, ast.Dict) and not value.keys)
    empty = empty or (isinstance(value, ast.List) and not value.elts)
    return f"{name}.clear()" if empty else f"{name} = {ast.unparse(value)}"


def changed_by(function: Function) -> list[str]:
    """The names of the module that it sets, or whose contents it changes."""
    local = {each.arg for each in ast.walk(function) if isinstance(each, ast.arg)}
    declared = {name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names}
    # To assign to a name makes it the function's own, unless it is declared global.
    local |= {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    local -= declared
    found = list(declared)
    for node in ast.walk(function):
        base: ast.expr | None = None
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
            base = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _MUTATORS:
            base = node.func.value
        while isinstance(base, (ast.Subscript, ast.Call)):  # rows[key].append(…), rows.setdefault(key, []).append(…)
            base = base.value if isinstance(base, ast.Subscript) else getattr(base.func, "value", None)
        if isinstance(base, ast.Name) and base.id not in local:
            found.append(base.id)
    return found


def gives_something(function: Function) -> bool:
    """Whether it returns a value."""
    return any(
        isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant)
        for node in ast.walk(function)
    )
