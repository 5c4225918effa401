"""Tables that a module has as constants: `STATUS = {"paid": …}`."""

from __future__ import annotations

import ast

from chaoskit.generate.classes import Function
from chaoskit.generate.handlers import FoundHandler
from chaoskit.generate.lookup import source_of, value_of
from chaoskit.generate.state import changed_by


def constant_texts(handler: FoundHandler, name: str) -> tuple[str, ...]:
    """The keys of a dict of this name, or the items of a set, a list or a tuple, of the handler's module or of one that
    it has it from; none where they are no literal texts, or where a function of the module changes it."""
    value = value_of(source_of(handler), name)
    if isinstance(value, ast.Call) and len(value.args) == 1:  # frozenset({…}), MappingProxyType({…})
        value = value.args[0]
    items = value.keys if isinstance(value, ast.Dict) else getattr(value, "elts", ())
    texts = [each.value for each in items if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    if len(texts) < len(items):
        return ()
    changes = (changed_by(node) for node in ast.walk(handler.tree) if isinstance(node, Function))
    return () if any(name in each for each in changes) else tuple(texts)
