"""How much one reader has to hold in his head: the lines of a function, of a class and of a file, and one meaning for
each name of a type.

What must be larger is named with its reason, and within a bound of its own; who gets below the limit is to be taken
off the list."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import chaoskit
import chaoskit.invariants
import chaoskit.strategies

Function = ast.FunctionDef | ast.AsyncFunctionDef

FUNCTION, CLASS, METHODS, FILE = 40, 300, 25, 450
"""Lines, and methods of a class."""

PUBLIC = {
    "chaoskit.api.check": "its parameters and their documentation are most of it",
    "chaoskit.api.tolerance": "likewise",
    "chaoskit.decorator.chaos": "likewise",
    "chaoskit.throughput.measure.ordering_cost": "likewise",
}
"""Functions of which only the statements count."""

LONG_CLASSES: Mapping[str, str] = {}
"""Classes of more lines or methods than others, up to the length of a file."""

TWICE = {
    "Client": "of boto3 and of nats-py, in the places of which two of our classes stand, under their own names",
}
"""Names of two types."""


def modules() -> Iterator[tuple[str, str]]:
    """The name and the source of each module."""
    found: dict[Path, str] = {}
    # Last what may lie within the first, where the package is installed.
    for package in (chaoskit.strategies, chaoskit.invariants, chaoskit):
        folder = Path(package.__file__ or "").parent
        for path in sorted(folder.rglob("*.py")):
            below = [part for part in path.relative_to(folder).with_suffix("").parts if part != "__init__"]
            found.setdefault(path, ".".join([package.__name__, *below]))
    return ((module, path.read_text(encoding="utf-8")) for path, module in found.items())


MODULES = dict(modules())


@cache
def nodes() -> list[tuple[str, Function | ast.ClassDef]]:
    return [
        (f"{module}.{node.name}", node)
        for module, source in MODULES.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    ]


def functions() -> list[tuple[str, Function]]:
    return [(name, node) for name, node in nodes() if not isinstance(node, ast.ClassDef)]


def classes() -> list[tuple[str, ast.ClassDef]]:
    return [(name, node) for name, node in nodes() if isinstance(node, ast.ClassDef)]


def lines(node: Function | ast.ClassDef) -> int:
    return (node.end_lineno or 0) - node.lineno + 1


def statements(node: Function) -> int:
    """The lines below the signature and the documentation."""
    documented = ast.get_docstring(node) is not None
    return (node.end_lineno or 0) - node.body[documented].lineno + 1


def test_a_function_fits_a_screen() -> None:
    long = {name: lines(node) for name, node in functions() if lines(node) > FUNCTION}
    assert long.keys() == PUBLIC.keys(), long
    assert max(statements(node) for name, node in functions() if name in PUBLIC) <= FUNCTION


def test_a_class_can_be_read_at_once() -> None:
    sizes = [(name, lines(node), sum(isinstance(each, Function) for each in node.body)) for name, node in classes()]
    large = {name: (length, methods) for name, length, methods in sizes if length > CLASS or methods > METHODS}
    assert large.keys() == LONG_CLASSES.keys(), large


def test_no_file_is_long() -> None:
    lengths = {module: source.count("\n") for module, source in MODULES.items()}
    assert {module: length for module, length in lengths.items() if length > FILE} == {}


def test_the_name_of_a_type_says_which_one_it_is() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for name, node in classes():
        places[node.name].append(name)
    twice = {name: found for name, found in places.items() if len(found) > 1}
    assert twice.keys() == TWICE.keys(), twice
