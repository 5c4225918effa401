"""What a module reads of the environment when it is imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence

from chaoskit.generate.classes import Function, last_name
from chaoskit.generate.source import quoted

_ENVIRONS = ("os.environ", "environ")
_GETS = ("os.getenv", "getenv", "os.environ.get", "environ.get")
CONFTEST = "conftest.py"
MADE = "DIRECTORY = TEMPORARY.name"


def variable_of(tree: ast.Module, node: ast.expr | None) -> str:
    """The variable that this is read from without a default, by itself or as a constant of the module; else empty."""
    if isinstance(node, ast.Name):
        node = _constant(tree, node.id)
    has_default = isinstance(node, ast.Call) and len(node.args) + len(node.keywords) > 1
    return "" if node is None or has_default else variable_read(node)


def variable_read(node: ast.expr) -> str:
    """The variable that this reads, with a default or without; else empty."""
    place: ast.AST | None = None
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) in _ENVIRONS:
        place = node.slice
    elif isinstance(node, ast.Call) and ast.unparse(node.func) in _GETS and node.args:
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


def conftest_text(environment: Mapping[str, str], databases: Sequence[str]) -> str:
    """`databases`: lines that say where those of the tests are, below DIRECTORY."""
    set_so = [f"os.environ.setdefault({quoted(name)}, {quoted(value)})" for name, value in environment.items()]
    own = any("DIRECTORY" in line for line in databases)
    used = "\n".join([*set_so, *(["os.", "tempfile."] if own else []), *databases])
    imports = [f"import {name}" for name in ("importlib", "os", "tempfile") if f"{name}." in used]
    others = [f"import {name}" for name in ("pytest", "sqlalchemy") if f"{name}." in used]
    others = ["", *others] if others else []
    lines = ['"""What the modules under test read when they are imported."""', ""]
    lines += [*imports, *others, ""] if imports or others else []
    if own:
        lines += [
            "# No test writes into a database that somebody uses. All tests have this directory, and",
            "# each schedule has to start with what is in it empty. In memory nothing waits for a disk.",
            'MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None',
            'TEMPORARY = tempfile.TemporaryDirectory(prefix="chaos-", dir=MEMORY)',
            MADE,
            "",
        ]
    # A function has two empty lines above it, whatever stands there.
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join([*lines, *set_so, *databases, ""]))
