"""Names of a module, where they are defined: in itself, or in a module of the repository that it imports them from."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import attrs

from chaoskit.generate.classes import class_in
from chaoskit.generate.handlers import FoundHandler
from chaoskit.generate.project import module_file, parse

_DEEP = 4
"""Modules through which a name may have come."""


@attrs.frozen(eq=False)
class SourceModule:
    """A module below `base`."""

    base: Path
    name: str
    tree: ast.Module
    is_package: bool


def find_class(source: SourceModule, name: str) -> tuple[SourceModule, ast.ClassDef] | None:
    """The class that a module knows by this name, and the module that defines it."""
    found = ((each, class_in(each.tree, name)) for each in _modules(source, name))
    return next(((each, kind) for each, kind in found if kind is not None), None)


def value_of(source: SourceModule, name: str) -> ast.expr | None:
    """What a module sets this name to, by itself or in the module that it has it from."""
    for each in _modules(source, name):
        for node in each.tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                return node.value  # type: ignore[attr-defined,no-any-return]
    return None


def _modules(source: SourceModule, name: str) -> Iterator[SourceModule]:
    """The module, and those through which it has imported the name."""
    for _ in range(_DEEP):
        yield source
        origin = _imported_from(source, name)
        file = module_file(origin, [source.base]) if origin else None
        tree = parse(file) if file else None
        if origin is None or file is None or tree is None:
            return
        source = SourceModule(source.base, origin, tree, file.name == "__init__.py")


def source_of(handler: FoundHandler) -> SourceModule:
    file = module_file(handler.module, [handler.base])
    return SourceModule(handler.base, handler.module, handler.tree, file is not None and file.name == "__init__.py")


def _imported_from(source: SourceModule, name: str) -> str | None:
    for node in source.tree.body:
        if isinstance(node, ast.ImportFrom) and any(each.name == name and not each.asname for each in node.names):
            parts = source.name.split(".")
            above = parts[: len(parts) - node.level + source.is_package] if node.level else []
            return ".".join([*above, *filter(None, [node.module])])
    return None
