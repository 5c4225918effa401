"""Imports go down the floors of the house, never up, and in no circle."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import attrs
import pytest

import chaoskit
import chaoskit.invariants
import chaoskit.strategies

FOLDERS = {
    "chaoskit": Path(chaoskit.__file__).parent,
    "chaoskit.strategies": Path(chaoskit.strategies.__file__).parent,
    "chaoskit.invariants": Path(chaoskit.invariants.__file__).parent,
}

FLOORS: list[set[str]] = [
    {"chaoskit.values"},
    {"chaoskit.codec", "chaoskit.invariants", "chaoskit.strategies", "chaoskit.traces", "chaoskit.models"},
    {"chaoskit.brokers", "chaoskit.execution"},
    {"chaoskit.search"},
    {"chaoskit.repro"},
    {"chaoskit.report"},
    {"chaoskit.generate", "chaoskit.runner"},
    {"chaoskit.decorated", "chaoskit.decorator"},
    {"chaoskit.api", "chaoskit.pytest"},
    {"chaoskit.replay_file", "chaoskit.fuzz"},
    {"chaoskit.commands"},
    {"chaoskit.cli"},
    {"chaoskit.__main__"},
]
"""From the ground up. A package stands for its modules. The package `chaoskit` itself names what it has, lazily."""

VALUES = "chaoskit.values"
STANDARD_AND_ATTRS = {"attrs"}
MAY_IMPORT = {
    "pytest": {"decorator", "runner", "pytest", "commands", "fuzz"},
    "_pytest": {"pytest", "fuzz"},
    "xdist": {"pytest", "fuzz"},
    "faker": {"strategies"},
    "click": {"cli", "commands"},
    "cattrs": {"repro", "fuzz"},
    "rich": {"report", "commands", "fuzz"},
}
"""Who may know what, by the room that the module is in."""

EXCEPTIONS = {
    ("chaoskit.values.verdict", "chaoskit.repro.files"): "Verdict.save writes the file: the contract has it there",
    ("chaoskit.values.verdict", "chaoskit.report.terminal"): "Verdict.report writes the text, likewise",
    ("chaoskit.pytest.plugin", "chaoskit.fuzz.worker"): "in a job, the plugin of a worker hands over to it",
}
"""Imports inside a function that lead up, each with its reason."""


@attrs.frozen
class Line:
    """One import: who imports whom, where, and whether the module needs it to be imported."""

    importer: str
    imported: str
    place: str
    top_level: bool


def modules() -> dict[str, Path]:
    """Every module of the package by its import name."""
    found = {}
    for package, folder in FOLDERS.items():
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            name = ".".join([package, *(part for part in parts if part != "__init__")])
            found[name] = path
    return found


MODULES = modules()


def imports_of(name: str) -> Iterator[Line]:
    """Its imports, without those for type checkers alone."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    checked = {id(inner) for node in ast.walk(tree) if _for_types(node) for inner in ast.walk(node)}
    inside = {id(i) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for i in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in checked:
            continue
        for imported in _names(node):
            folder = "/".join(name.split(".")[:-1]) or name
            place = f"{folder}/{MODULES[name].name}:{getattr(node, 'lineno', 0)}: {ast.unparse(node)}"
            yield Line(name, imported, place, id(node) not in inside)


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        whole = [f"{node.module}.{alias.name}" for alias in node.names]
        return [name if name in MODULES else str(node.module) for name in whole]
    return []


LINES = [line for name in MODULES for line in imports_of(name)]
OURS = [line for line in LINES if line.imported.split(".")[0] == "chaoskit" and line.imported in MODULES]


def room(name: str) -> str:
    """The package that a module belongs to, or the module where it stands alone."""
    return ".".join(name.split(".")[:2])


def floor(name: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room(name) in rooms)


def test_every_module_has_a_floor() -> None:
    """A new module is put where it belongs before it is imported."""
    homeless = [name for name in MODULES if name != "chaoskit" and not any(room(name) in rooms for rooms in FLOORS)]
    assert homeless == []


def test_imports_go_down_the_floors() -> None:
    """Only to a lower floor, or within one room."""
    wrong = []
    for line in OURS:
        if line.importer == "chaoskit" or line.imported == "chaoskit" or room(line.importer) == room(line.imported):
            continue
        if (line.importer, line.imported) in EXCEPTIONS and not line.top_level:
            continue
        if floor(line.imported) >= floor(line.importer):
            wrong.append(line.place)
    assert wrong == [], "\n".join(["these lines lead up or sideways:", *wrong])


def test_no_exception_is_out_of_date() -> None:
    """An exception that nobody needs any more is taken away."""
    used = {(line.importer, line.imported) for line in OURS if not line.top_level}
    assert set(EXCEPTIONS) <= used


def test_no_modules_import_each_other() -> None:
    """The imports at the top of the modules form no circle, packages' own files included."""
    graph: dict[str, set[str]] = {name: set() for name in MODULES}
    for line in OURS:
        if line.top_level and line.importer != line.imported:
            graph[line.importer].add(line.imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = error.args[1]
        pairs = set(zip(circle[1:], circle, strict=False))
        places = [line.place for line in OURS if (line.importer, line.imported) in pairs]
        pytest.fail("\n".join(["these lines form a circle:", *places]))


def test_values_know_only_attrs_and_the_standard_library() -> None:
    """Neither Hypothesis nor pytest nor any other floor."""
    allowed = set(sys.stdlib_module_names) | STANDARD_AND_ATTRS
    wrong = [
        line.place
        for line in LINES
        if room(line.importer) == VALUES
        and line.imported.split(".")[0] not in allowed
        and room(line.imported) != VALUES
        and not ((line.importer, line.imported) in EXCEPTIONS and not line.top_level)
    ]
    assert wrong == [], "\n".join(["values import more than they may:", *wrong])


@pytest.mark.parametrize("library", MAY_IMPORT)
def test_each_library_is_known_in_its_rooms_only(library: str) -> None:
    """Faker in strategies, click in the command line, pytest on top."""
    wrong = [
        line.place
        for line in LINES
        if line.imported.split(".")[0] == library and room(line.importer).split(".")[-1] not in MAY_IMPORT[library]
    ]
    assert wrong == [], "\n".join([f"{library} is imported where it is not known:", *wrong])


def test_the_plugin_imports_nothing_heavy_at_its_top() -> None:
    """Every pytest run imports it: pytest and the standard library are there already."""
    heavy = [
        line.place
        for line in LINES
        if line.importer in ("chaoskit", "chaoskit.pytest.plugin", "chaoskit.values.errors")
        and line.top_level
        and line.imported.split(".")[0] in ("chaoskit", "hypothesis", "attrs", "rich", "cattrs", "faker")
    ]
    assert heavy == []
