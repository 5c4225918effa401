"""A point stands before each effect of the user's own code, and nowhere else."""

from __future__ import annotations

import asyncio
import linecache
import sys
import textwrap
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import chaoskit
from chaoskit import UsageError
from chaoskit.execution.points import Points, checked_points, effects, is_of_tests, place_of, territory_of
from chaoskit.execution.stepping import Stepper, name_point, shown_place


def texts(source: str, function: str = "handle") -> list[str]:
    """What stands behind each point of the function, in the order of the source."""
    source = textwrap.dedent(source)
    code = next(c for c in _codes(compile(source, "<shop>", "exec")) if c.co_name == function)
    linecache.cache["<shop>"] = (len(source), None, source.splitlines(keepends=True), "<shop>")
    return [place_of(code, offset).expression for offset in sorted(effects(code))]


def _codes(code: types.CodeType) -> list[types.CodeType]:
    return [code, *(each for c in code.co_consts if isinstance(c, types.CodeType) for each in _codes(c))]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("db.mark(m.id)\ndb.add(m)", ["db.mark(m.id)", "db.add(m)"]),
        ("db.mark(gateway.charge(m))", ["gateway.charge(m)", "db.mark(gateway.charge(m))"]),
        ("x = m.value['n'] + 1\ny = x", []),
        ("db.rows[m.key] = 1", ["db.rows[m.key] = 1"]),
        ("db.rows[m.key] += 1", ["db.rows[m.key] += 1"]),
        ("db.total = db.read(m)", ["db.read(m)"]),
        ("del db.rows[m.key]", ["del db.rows[m.key]"]),
        ("n = len(m.value)\nfor i in range(n): n += int(i)", []),
        ("if isinstance(m, str): raise ValueError(str(m))", []),
        ("names = [n for n in m.value]", []),
        ("total = sum(n for n in m.value)", []),
    ],
)
def test_a_point_stands_before_each_effect(body: str, expected: list[str]) -> None:
    source = "def handle(m, db, gateway):\n" + textwrap.indent(body, "    ")
    assert texts(source) == expected


def test_the_end_of_a_with_is_an_effect_as_a_transaction_is_committed_there() -> None:
    source = "def handle(m, db):\n    with db:\n        db.add(m)\n"
    assert [text.strip(":").removeprefix("with ") for text in texts(source)[:3]] == ["db", "db.add(m)", "db"]


def test_a_builtin_that_the_module_calls_something_else_is_none() -> None:
    code = compile("def handle(m): sum(m)", "shop.py", "exec").co_consts[0]
    assert len(effects(code)) == 0
    assert len(effects(code, {"sum": print})) == 1


def test_an_awaited_call_is_one_effect() -> None:
    assert texts("async def handle(m, db):\n    await db.add(m)\n") == ["db.add(m)"]
    assert len(texts("async def handle(m, task):\n    await task\n")) == 1


def test_what_a_closure_shares_is_no_local_name() -> None:
    source = """
    def make():
        total = 0
        def handle(m):
            nonlocal total
            total = total + 1
        return handle
    """
    assert len(texts(source)) == 1
    assert texts(source, "make") == []


# What is passed when a handler runs.


def passed(handler: Callable[[Any], Any], message: Any = "m", points: Points = None) -> list[str]:
    with Stepper(territory_of(handler, points)) as stepper:
        handler(message)
    return [shown_place(point).expression for point in stepper.passed]


class Store:
    def __init__(self) -> None:
        self.rows: dict[str, int] = {}

    @chaoskit.atomic
    def add(self, key: str) -> None:
        count = self.rows.get(key, 0)
        self.rows[key] = count + 1

    def add_in_two(self, key: str) -> None:
        self.rows.setdefault(key, 0)
        self.rows[key] += 1


def test_what_the_handler_calls_in_its_own_file_is_stepped_into() -> None:
    store = Store()
    assert passed(store.add_in_two) == ["self.rows.setdefault(key, 0)", "self.rows[key] += 1"]

    def handle(key: str) -> None:
        store.add_in_two(key)

    assert passed(handle)[0] == "store.add_in_two(key)"
    assert len(passed(handle)) == 3


def test_what_is_atomic_has_no_points_inside() -> None:
    store = Store()

    def handle(key: str) -> None:
        store.add(key)
        with chaoskit.atomic:
            store.add_in_two(key)

    assert [text for text in passed(handle) if "rows" in text] == []
    assert "store.add(key)" in passed(handle)


def test_an_async_function_can_be_atomic() -> None:
    store = Store()

    @chaoskit.atomic
    async def add(key: str) -> None:
        await asyncio.sleep(0)
        store.add_in_two(key)

    async def handle(key: str) -> None:
        await add(key)

    with Stepper(territory_of(handle, None)) as stepper:
        asyncio.run(handle("a"))
    assert [shown_place(point).expression for point in stepper.passed] == ["add(key)"]
    assert store.rows == {"a": 1}


def test_a_point_can_be_named() -> None:
    def handle(key: str) -> None:
        name_point("charged")

    assert passed(handle) == ['name_point("charged")', "charged"]
    assert passed(handle, points="named") == ["charged"]
    name_point("nobody is stepped through")


def test_it_stops_at_the_point_that_was_asked_for_and_once() -> None:
    store, seen = Store(), []

    def handle(key: str) -> None:
        store.add(key)
        store.add(key)
        store.add(key)

    with Stepper(territory_of(handle, None), 1, lambda: seen.append(dict(store.rows))):
        handle("a")
    assert seen == [{"a": 1}]
    assert store.rows == {"a": 3}


def test_who_traced_the_thread_before_traces_it_again() -> None:
    before = sys.gettrace()
    passed(lambda message: None)
    assert sys.gettrace() is before


# The module rule.


def function_in(path: Path, source: str, module: str) -> Callable[[Any], Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source))
    space = {"__name__": module}
    exec(compile(path.read_text(), str(path), "exec"), space)
    found: Callable[[Any], Any] = space["handle"]  # type: ignore[assignment]
    return found


def test_a_double_in_the_tree_of_the_tests_is_one_effect(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    double = function_in(tmp_path / "tests" / "doubles.py", "def handle(m): m.append(1); m.append(2)", "tests.doubles")
    mine = function_in(tmp_path / "shop" / "orders.py", "def handle(m): double(m)", "shop.orders")
    mine.__globals__["double"] = double
    assert passed(mine, []) == ["double(m)"]
    assert len(passed(double, [])) == 2


@pytest.mark.parametrize(
    ("file", "expected"),
    [("shop/orders.py", False), ("shop/test_orders.py", True), ("shop/conftest.py", True), ("tests/a/b.py", True),
     ("shop/testing.py", False)],
)  # fmt: skip
def test_which_files_are_of_the_tests(tmp_path: Path, file: str, expected: bool) -> None:
    (tmp_path / "tests" / "project").mkdir(parents=True)
    root = tmp_path / "tests" / "project"
    (root / "pyproject.toml").touch()
    assert is_of_tests(str(root / file)) is expected


def test_libraries_are_stepped_into_only_where_they_are_named() -> None:
    def handle(message: Any) -> None:
        textwrap.fill("some words")

    assert passed(handle) == ['textwrap.fill("some words")']
    assert len(passed(handle, points=("textwrap",))) > 1


@pytest.mark.parametrize("given", ["shop", (), (1,), ("shop/orders",), 3])
def test_points_are_packages_or_named(given: Any) -> None:
    with pytest.raises(UsageError, match="points="):
        checked_points(given)


def test_a_handler_below_a_decorator_that_wraps_is_found() -> None:
    import functools

    def handle(message: Any) -> None:
        print(message)

    @functools.wraps(handle)
    def around(message: Any) -> None:
        handle(message)

    assert territory_of(functools.partial(around), None).home == str(Path(__file__).resolve())
