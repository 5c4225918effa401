"""What the processes of a test would share, and no two real ones can: a connection, or a transaction, of the test."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from chaoskit.execution.points import is_installed

_DRIVERS = frozenset(
    {
        "MySQLdb", "aiomysql", "aiosqlite", "asyncpg", "mysql", "oracledb", "pg8000", "psycopg", "psycopg2",
        "psycopg_pool", "pymysql", "pyodbc", "sqlalchemy",
    }
)  # fmt: skip
_ENDINGS = ("Connection", "Cursor", "Pool", "Session")
"""How their classes are called, of which one consumer process alone can have an object. SQLAlchemy's engines, its
`sessionmaker` and its `scoped_session` give each thread its own."""
_DEPTH, _MOST = 6, 400

SHARED = (
    "{} is there before `spawn` is called, and all consumer processes would share it, with the transaction that one of "
    "them has begun when it dies. Make it in `spawn`, as a process makes its own; or leave the kinds out that reach "
    "inside the handler: without={{Crash, Overlap}}"
)


def shared_connection(spawn: Any) -> str | None:
    """The name and the class of a connection that is there before `spawn` is called, and that it or the handler can
    reach by name; None where there is none."""
    seen: set[int] = set()
    waiting: list[tuple[str, Any, int]] = [("spawn", spawn, 0)]
    while waiting and len(seen) < _MOST:
        name, value, depth = waiting.pop(0)
        if id(value) in seen:
            continue
        seen.add(id(value))
        kind = type(value)
        if kind.__module__.partition(".")[0] in _DRIVERS:
            if kind.__name__.endswith(_ENDINGS):
                return f"`{name}`, a {kind.__module__.partition('.')[0]} {kind.__name__},"
        elif depth < _DEPTH:
            waiting += [(inner, each, depth + 1) for inner, each in _reached(value)]
    return None


def _reached(value: Any) -> Iterator[tuple[str, Any]]:
    """By the names that the user has given. Told by its type alone: a lazy object, such as Django's settings, would be
    made by asking for its `__class__`."""
    kind = type(value)
    if issubclass(kind, functools.partial):
        yield from ((f"[{n}]", each) for n, each in enumerate(value.args))
        yield from value.keywords.items()
        yield "spawn", value.func
    elif kind is MethodType:
        yield "self", value.__self__
        yield value.__name__, value.__func__
    elif kind is FunctionType:
        yield from _of_function(inspect.unwrap(value))
    elif issubclass(kind, (list, tuple)):
        yield from ((f"[{n}]", each) for n, each in enumerate(value[:20]))
    elif issubclass(kind, dict):
        yield from ((f"[{key!r}]" if type(key) is str else "[…]", each) for key, each in list(value.items())[:20])
    elif not issubclass(kind, (type, ModuleType)) and _is_the_users(kind):
        yield from getattr(value, "__dict__", {}).items()


def _of_function(function: FunctionType) -> Iterator[tuple[str, Any]]:
    if not _is_the_users(function):
        return
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # it is given a value later
            continue
    for name in _names(function.__code__):
        if name in function.__globals__:
            yield name, function.__globals__[name]


def _names(code: CodeType) -> Iterator[str]:
    """The names that it asks its module for, and those of the functions in it."""
    yield from code.co_names
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _names(each)


def _is_the_users(value: Any) -> bool:
    """Of a function or a class."""
    module = value.__module__ or ""
    if module.partition(".")[0] == "chaoskit":
        return False
    code = getattr(value, "__code__", None)
    file = code.co_filename if code is not None else getattr(sys.modules.get(module), "__file__", None)
    return file is not None and not is_installed(file)


IN_DJANGOS_TRANSACTION = (
    "the test runs in a transaction of Django's, which no consumer process can see into: each has a connection of its "
    "own. Commit for real, with pytest.mark.django_db(transaction=True), the fixture transactional_db or a "
    "TransactionTestCase; or call deliver(handler) without `spawn`"
)


def is_in_djangos_transaction() -> bool:
    """Whether the test runs in a transaction of Django's, in which no other process sees what it has written, and for
    the locks of which each process would wait without end."""
    database, conf = sys.modules.get("django.db"), sys.modules.get("django.conf")
    if database is None or conf is None or not conf.settings.configured:
        return False
    return any(connection.in_atomic_block for connection in database.connections.all(initialized_only=True))
