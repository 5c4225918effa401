"""Where a process can be stopped inside a handler: before each effect, by a table that is made once per code object.

An effect is a call, or a statement that stores into something that is not a local name. A read needs no point of its
own: whatever it may miss shows at the next effect.
"""

from __future__ import annotations

import builtins
import dis
import functools
import inspect
import linecache
import os
import re
import sysconfig
from collections.abc import Callable, Container, Iterable
from functools import lru_cache
from pathlib import Path
from types import CodeType
from typing import Any, Literal

import attrs

from chaoskit.values.errors import UsageError

Points = tuple[str, ...] | Literal["named"] | None
"""Packages that are stepped into beside the handler's own code; or "named": there are no points but those of
`deliver.point`."""

_CALLS = frozenset(
    {"CALL", "CALL_KW", "CALL_FUNCTION_EX", "BEFORE_WITH", "BEFORE_ASYNC_WITH", "WITH_EXCEPT_START", "GET_AWAITABLE"}
)
_STORES = frozenset(
    {
        "STORE_ATTR", "STORE_SUBSCR", "STORE_SLICE", "STORE_GLOBAL",
        "DELETE_ATTR", "DELETE_SUBSCR", "DELETE_GLOBAL",
    }
)  # fmt: skip
_OF_A_CLOSURE = frozenset({"STORE_DEREF", "DELETE_DEREF"})
_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
_HAS_AN_EFFECT = frozenset({"delattr", "eval", "exec", "input", "next", "open", "setattr", "__import__", "breakpoint"})
PURE = frozenset(name for name in dir(builtins) if callable(getattr(builtins, name)) and name not in _HAS_AN_EFFECT)
"""Builtins, and the exceptions among them, whose call changes nothing by itself. What they call is stepped into."""


def effects(code: CodeType, names: Container[str] = ()) -> frozenset[int]:
    """The offsets of the instructions of this code before which there is a point. `names` are the globals of its
    module: a builtin that is called by one of these names is none."""
    found: set[int] = set()
    pure: set[tuple[int | None, int | None]] = set()
    line, start, called, before = -1, 0, False, ""
    for instruction in dis.get_instructions(code):
        name, at = instruction.opname, instruction.positions
        if name == "PRECALL":  # of Python 3.11, one step before the call itself
            continue
        place = (None, None) if at is None else (at.lineno, at.col_offset)
        if place[0] is not None and place[0] != line:
            line, start, called = place[0], instruction.offset, False
        if name in _LOADS and instruction.argval in PURE and instruction.argval not in names:
            pure.add(place)  # its call begins at the same place of the source
        elif name in _CALLS:
            if place in pure and name != "GET_AWAITABLE":
                pure.discard(place)
            elif not _is_no_effect(name, before):
                found.add(instruction.offset)
                called = True
        elif (name in _STORES or (name in _OF_A_CLOSURE and instruction.argval in code.co_freevars)) and not called:
            # Before the whole statement: `rows[key] += 1` of a double stands for one that a database makes at once.
            found.add(start)
            called = True
        before = name
    return frozenset(found)


def _is_no_effect(name: str, before: str) -> bool:
    """An awaited call is one effect, not two; and what makes a comprehension or a generator is none."""
    if name == "GET_AWAITABLE":
        return before in _CALLS
    return name == "CALL" and before in ("GET_ITER", "GET_AITER")


@attrs.frozen
class Place:
    """A place in the user's code: the file, the line, and the expression there, as far as the source is known."""

    file: str
    line: int
    text: str = ""
    column: int = -1
    end_column: int = -1

    @property
    def expression(self) -> str:
        """What is to happen there; the whole line where it goes over several."""
        found = self.text[self.column : self.end_column] if 0 <= self.column < self.end_column else ""
        return found or self.text.strip()


def place_of(code: CodeType, offset: int) -> Place:
    """Where this instruction stands in the source."""
    line, end_line, column, end_column = list(code.co_positions())[offset // 2]
    number = code.co_firstlineno if line is None else line
    text = linecache.getline(code.co_filename, number).rstrip("\n")
    # Of a store the point stands before the whole statement.
    is_call = dis.opname[code.co_code[offset]] in (*_CALLS, "PRECALL", "SEND", "LOAD_SPECIAL")
    if column is None or end_column is None or end_line != line or not is_call:
        return Place(code.co_filename, number, text)
    # The compiler counts bytes.
    raw = text.encode()
    return Place(
        code.co_filename, number, text, len(raw[:column].decode(errors="replace")),
        len(raw[:end_column].decode(errors="replace")),
    )  # fmt: skip


# Which code is stepped into.

_INSTALLED = tuple(
    os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
_OF_TESTS = re.compile(r"conftest\.py|test_.*\.py|.*_test\.py")
_TREES = ("tests", "test")
_ROOTS = ("pyproject.toml", "setup.py", "setup.cfg", ".git")


@attrs.define(eq=False)
class Territory:
    """The code that is stepped into: the user's own. `home` is the file of the handler, `package` its package."""

    home: str
    package: str
    points: Points
    _known: dict[str, bool] = attrs.field(factory=dict)

    def has(self, code: CodeType, module: str) -> bool:
        """Whether this code, of a module of this name, is the user's own."""
        found = self._known.get(code.co_filename)
        if found is None:
            found = self._known[code.co_filename] = self._decide(code.co_filename, module)
        return found

    def _decide(self, filename: str, module: str) -> bool:
        # By its name: our own files may be links to anywhere.
        if self.points == "named" or filename.startswith("<") or _within(module, "chaoskit"):
            return False
        path = os.path.realpath(filename)
        if path == self.home or any(_within(module, package) for package in self.points or ()):
            return True
        # What a test puts in the place of a database does at once what that does at once.
        if is_of_tests(path):
            return False
        return _within(module, self.package) or not path.startswith(_INSTALLED)


@lru_cache(maxsize=4096)
def is_installed(filename: str) -> bool:
    """Whether this file is of Python, of a package that is installed, or of nobody. Asked for each function that a run
    reaches: the system is asked for each part of the path once."""
    return filename.startswith("<") or os.path.realpath(filename).startswith(_INSTALLED)


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def is_of_tests(path: str) -> bool:
    """Whether this file is a test's, or lies in the tree of the tests of its project."""
    if _OF_TESTS.fullmatch(os.path.basename(path)):
        return True
    for parent in Path(path).parents:
        if parent.name in _TREES:
            return True
        if any((parent / name).exists() for name in _ROOTS):
            return False
    return False


def territory_of(handler: Callable[..., Any], points: Points) -> Territory:
    """The code that is stepped into below this handler."""
    function = _function_of(handler)
    return territory_at(getattr(function, "__code__", None), getattr(function, "__module__", None) or "", points)


def territory_at(code: CodeType | None, module: str, points: Points) -> Territory:
    """The same for code that is known itself, such as that of a loop."""
    home = "" if code is None else _real_path(code.co_filename)
    return _territory(home, module.partition(".")[0], points)


_territory = lru_cache(maxsize=256)(Territory)
_real_path = lru_cache(maxsize=256)(os.path.realpath)
"""It is asked for each execution that is stepped through, and asks the system for each part of the path."""


def _function_of(handler: Any) -> Any:
    """The function that does the work, below partials, methods and decorators that say what they wrap."""
    while True:
        if isinstance(handler, functools.partial):
            handler = handler.func
        elif inspect.ismethod(handler):
            handler = handler.__func__
        elif hasattr(handler, "__wrapped__"):
            handler = handler.__wrapped__
        elif inspect.isfunction(handler) or inspect.isbuiltin(handler) or isinstance(handler, type):
            return handler
        else:
            call = vars(type(handler)).get("__call__")  # a class of the user's own, not one that inherits from C
            if not inspect.isfunction(call):
                return handler
            handler = call


def checked_points(points: Any) -> Points:
    """Raises UsageError for what names no packages."""
    if points is None or points == "named":
        return None if points is None else "named"
    names = tuple(points) if isinstance(points, Iterable) and not isinstance(points, str) else None
    if not names or not all(isinstance(name, str) and name.replace(".", "_").isidentifier() for name in names):
        raise UsageError(
            f'points={points!r}: the names of packages are needed that the handler is followed into, points=("shop",); '
            'or "named", for no points but those of deliver.point'
        )
    return names
