"""Imports go down the floors of the house, never up, and in no circle."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import FrameType
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st

import chaoskit
import chaoskit.invariants
import chaoskit.strategies
from chaoskit.strategies import events

FOLDERS = {
    "chaoskit": Path(chaoskit.__file__).parent,
    "chaoskit.strategies": Path(chaoskit.strategies.__file__).parent,
    "chaoskit.invariants": Path(chaoskit.invariants.__file__).parent,
}

FLOORS: list[set[str]] = [
    {"chaoskit.values", "chaoskit.version"},
    {"chaoskit.codec", "chaoskit.invariants", "chaoskit.strategies", "chaoskit.traces", "chaoskit.models"},
    {"chaoskit.brokers", "chaoskit.execution"},
    {"chaoskit.adapters", "chaoskit.search", "chaoskit.throughput"},
    {"chaoskit.order", "chaoskit.planted"},
    {"chaoskit.repair"},
    {"chaoskit.repro"},
    {"chaoskit.report"},
    {"chaoskit.generate", "chaoskit.runner"},
    {"chaoskit.decorator"},
    {"chaoskit.pytest"},
    {"chaoskit.api", "chaoskit.fuzz"},
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

UP = {
    ("chaoskit.values.verdict", "chaoskit.repro.write"): "Verdict.save writes the file: the contract has it there",
    ("chaoskit.values.verdict", "chaoskit.report.terminal"): "Verdict.report writes the text, likewise",
    ("chaoskit.pytest.plugin", "chaoskit.fuzz.worker"): "in a job, the plugin of a worker hands over to it",
}
"""Imports that lead up, each with its reason. They are inside a function, and nothing else closes a circle."""

LATE = {
    "chaoskit": "it has its names when they are asked for: every pytest run imports this package",
    "chaoskit.api": "`check` needs no pytest, and `replay` not always",
    "chaoskit.execution.consumer": "asyncio, see LAZY",
    "chaoskit.execution.event_loop": "asyncio, see LAZY",
    "chaoskit.execution.frozen": "the package time-machine need not be installed",
    "chaoskit.execution.opened": "asyncio, see LAZY",
    "chaoskit.execution.playing": "asyncio, see LAZY",
    "chaoskit.execution.pools": "the package sqlalchemy need not be installed; asyncio, see LAZY",
    "chaoskit.execution.tasks": "asyncio, see LAZY",
    "chaoskit.execution.threads": "asyncio, see LAZY",
    "chaoskit.pytest.plugin": "every pytest run imports it, also one without a chaos test",
    "chaoskit.repro.corpus": "the package redis need not be installed",
    "chaoskit.repro.values": "cattrs, see LAZY",
    "chaoskit.search.draw": "a part of Hypothesis that is not public and may move",
    "chaoskit.strategies.domains": "Faker takes as long to import as all of chaoskit, and few tests ask for a domain",
    "chaoskit.traces.log.rules": "see ROUND",
    "chaoskit.traces.queue.rules": "see ROUND",
    "chaoskit.values.verdict": "Verdict.save and Verdict.report, which lead up",
}
"""Modules that import something inside a function, or for type checkers alone, each with its reason."""

LAZY = {
    "asyncio": "a sync test has no loop",
    "cattrs": "no repro file is written or read",
    "rich": "nothing is shown",
}
"""What a test that holds does not import, with the reason: each takes its time at the start of a run."""

ROUND = {
    ("chaoskit.traces.log.rules", "chaoskit.traces.log.lane"): "a rule may be a function of the lane that it is for",
    ("chaoskit.traces.log.rules", "chaoskit.traces.machine"): "a broker's rules name the machine that reads them",
    ("chaoskit.traces.queue.rules", "chaoskit.traces.queue.state"): "a rule may be a function of the queue's state",
}
"""Imports for type checkers alone that close a circle, each with its reason."""


@attrs.frozen
class Line:
    """One import: who imports whom, where, and whether at the top, so that the module needs it to be imported."""

    importer: str
    imported: str
    place: str
    at_top: bool


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
    """All of its imports: those inside a function and those for type checkers alone are imports, too."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    late = {id(inner) for node in ast.walk(tree) if _is_late(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        for imported in _names(node):
            folder = "/".join(name.split(".")[:-1]) or name
            place = f"{folder}/{MODULES[name].name}:{getattr(node, 'lineno', 0)}: {ast.unparse(node)}"
            yield Line(name, imported, place, id(node) not in late)


def _is_late(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        whole = [f"{node.module}.{alias.name}" for alias in node.names]
        return [name if name in MODULES else str(node.module) for name in whole]
    return []


@cache
def lines() -> list[Line]:
    return [line for name in MODULES for line in imports_of(name)]


@cache
def ours() -> list[Line]:
    return [line for line in lines() if line.imported.split(".")[0] == "chaoskit" and line.imported in MODULES]


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
    """Only to a lower floor, or within one room: so no two rooms know each other, but for what is named in UP."""
    wrong = []
    for line in ours():
        if line.importer == "chaoskit" or room(line.importer) == room(line.imported):
            continue
        if (line.importer, line.imported) in UP and not line.at_top:
            continue
        if floor(line.imported) >= floor(line.importer):
            wrong.append(line.place)
    assert wrong == [], "\n".join(["these lines lead up or sideways:", *wrong])


def test_no_exception_is_out_of_date() -> None:
    """An exception that nobody needs any more is taken away."""
    late = [line for line in lines() if not line.at_top]
    assert set(UP) <= {(line.importer, line.imported) for line in late}
    assert set(LATE) <= {line.importer for line in late}


def test_an_import_that_is_not_at_the_top_has_a_reason() -> None:
    """A reader finds what a module needs at its top."""
    wrong = [line.place for line in lines() if not line.at_top and line.importer not in LATE]
    assert wrong == [], "\n".join(["these lines belong to the top, or need a reason in LATE:", *wrong])


def test_nobody_imports_the_package_that_has_all_names() -> None:
    """Its names are for users: within it each one is imported from where it lies."""
    assert [line.place for line in ours() if line.imported == "chaoskit"] == []


def test_no_modules_import_each_other() -> None:
    """The imports form no circle, those inside functions and for type checkers included."""
    graph: dict[str, set[str]] = {name: set() for name in MODULES}
    for line in ours():
        if line.importer not in ("chaoskit", line.imported) and (line.importer, line.imported) not in UP | ROUND:
            graph[line.importer].add(line.imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = error.args[1]
        pairs = set(zip(circle[1:], circle, strict=False))
        places = [line.place for line in ours() if (line.importer, line.imported) in pairs]
        pytest.fail("\n".join(["these lines form a circle:", *places]))


def test_values_know_only_attrs_and_the_standard_library() -> None:
    """Neither Hypothesis nor pytest nor any other floor."""
    allowed = set(sys.stdlib_module_names) | STANDARD_AND_ATTRS
    wrong = [
        line.place
        for line in lines()
        if room(line.importer) == VALUES
        and line.imported.split(".")[0] not in allowed
        and room(line.imported) != VALUES
        and (line.importer, line.imported) not in UP
    ]
    assert wrong == [], "\n".join(["values import more than they may:", *wrong])


@pytest.mark.parametrize("library", MAY_IMPORT)
def test_each_library_is_known_in_its_rooms_only(library: str) -> None:
    """Faker in strategies, click in the command line, pytest on top."""
    wrong = [
        line.place
        for line in lines()
        if line.imported.split(".")[0] == library and room(line.importer).split(".")[-1] not in MAY_IMPORT[library]
    ]
    assert wrong == [], "\n".join([f"{library} is imported where it is not known:", *wrong])


def test_the_plugin_imports_nothing_heavy_at_its_top() -> None:
    """Every pytest run imports it: pytest and the standard library are there already."""
    heavy = [
        line.place
        for line in lines()
        if line.importer in ("chaoskit", "chaoskit.pytest", "chaoskit.pytest.plugin")
        and line.at_top
        and line.imported.split(".")[0] in ("chaoskit", "hypothesis", "attrs", "rich", "cattrs", "faker")
    ]
    assert heavy == []


HOLDS = """
import sys
from hypothesis import strategies as st

own = {*sys.modules}  # Hypothesis' own: its older versions import asyncio
from chaoskit import check
from chaoskit.strategies import events

def test(deliver):
    handled = {}
    deliver(lambda message: handled.update({message.id: message.value}))
    return handled

print(check(test, events(st.integers(), keys=st.just("alice")), schedules=20, seed=1).status, *{*sys.modules} - own)
"""


def test_a_test_that_holds_imports_nothing_that_only_others_need(tmp_path: Path) -> None:
    """In an interpreter of its own, as pytest's plugins have imported some of it here."""
    # Elsewhere: `-c` would find the checkout in the current directory, where another chaoskit may be installed.
    ran = subprocess.run([sys.executable, "-c", HOLDS], cwd=tmp_path, capture_output=True, text=True, check=True)
    status, *loaded = ran.stdout.split()
    assert status == "held"
    assert [name for name in loaded if name in LAZY] == []


_SEVEN = ("brokers", "execution", "invariants", "models", "search", "strategies", "values")
SEVEN_ROOMS = {f"chaoskit.{name}" for name in _SEVEN}


def keeps_the_last(deliver: Any) -> dict[str, int]:
    state: dict[str, int] = {}
    deliver(lambda message: state.update({message.key: message.value}))
    return state


def test_a_checked_test_goes_through_seven_rooms() -> None:
    """From `check` to a verdict that is violated: reports, files and pytest have no part in it."""
    files: set[Path] = set()

    def enter(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            files.add(Path(frame.f_code.co_filename))

    check, payments = chaoskit.check, events(st.integers(1, 100), keys=st.just("alice"))
    before = sys.getprofile()
    sys.setprofile(enter)
    try:
        verdict = check(keeps_the_last, payments, schedules=20, seed=1)
    finally:
        sys.setprofile(before)
    rooms = {room(name) for name, path in MODULES.items() if path in files}
    assert verdict.status == "violated"
    assert rooms == SEVEN_ROOMS | {"chaoskit.api", "chaoskit.decorator"}
