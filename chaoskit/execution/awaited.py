"""Awaited calls of a database that fail: their transaction can only be rolled back by awaiting that, too.

The profile function of a thread awaits nothing. While a call of the handler is to fail, the methods of these classes
are replaced by ones that ask what watches, roll back, and raise.
"""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from chaoskit.execution.stepping import watcher
from chaoskit.execution.talking import is_statement

COMMITS, LEAVES = "commit", "__aexit__"
_CLASSES = {
    "aiosqlite": {"Connection": False, "Cursor": False},
    "asyncpg.transaction": {"Transaction": True},
    "psycopg": {"AsyncConnection": True, "AsyncCursor": False, "AsyncTransaction": True},
    "sqlalchemy.ext.asyncio": {
        "AsyncSession": False, "AsyncConnection": False, "AsyncTransaction": True, "AsyncSessionTransaction": True,
    },
    "sqlalchemy.ext.asyncio.session": {"_AsyncSessionContextManager": True},
}  # fmt: skip
"""By the module in which they are found; and whether a transaction ends where an `async with` of one is left."""

_lock = threading.Lock()
_users = 0
_replaced: list[tuple[type, str, Any]] = []


@contextmanager
def replaced() -> Iterator[None]:
    """Within it awaited statements and commits ask what watches. Several threads may be within it."""
    global _users
    with _lock:
        if not _users:
            _replace()
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                while _replaced:
                    kind, name, original = _replaced.pop()
                    setattr(kind, name, original)


def _replace() -> None:
    for module, classes in _CLASSES.items():
        found = sys.modules.get(module)
        for kind, leaves in ((getattr(found, name, None), leaves) for name, leaves in classes.items()):
            if isinstance(kind, type):
                for name, original in list(vars(kind).items()):
                    asking = _instead_of(module, name, original, leaves)
                    if asking is not None:
                        _replaced.append((kind, name, original))
                        setattr(kind, name, asking)


def _instead_of(module: str, name: str, original: Any, leaves: bool) -> Any:
    """What stands in the place of this attribute of a class; None where it stays."""
    if not (is_statement(name) or (leaves and name == LEAVES)) or not is_awaited(original):
        return None
    if inspect.iscoroutinefunction(original) or name in (COMMITS, LEAVES):
        return _asking(original)
    # Its `execute` can be awaited, and be entered with `async with`, too.
    return sys.modules["aiosqlite.context"].contextmanager(_asking(original)) if module == "aiosqlite" else None


def _asking(original: Callable[..., Any]) -> Callable[..., Any]:
    is_exit = original.__name__ == LEAVES

    @functools.wraps(original)
    async def asks(self: Any, *given: Any, **more: Any) -> Any:
        watch = watcher.get()
        if is_exit and any(each is not None for each in given):
            watch = None  # left with an error it is rolled back anyway
        error = None if watch is None else watch.awaits(sys._getframe(), is_exit)
        if error is None:
            return await original(self, *given, **more)
        with suppress(Exception):
            if is_exit:
                await original(self, type(error), error, None)
            else:
                await _owner(self).rollback()
        raise error

    return asks


def is_awaited(function: Any) -> bool:
    """Whether it is a coroutine function, below what a library has put around it."""
    return inspect.iscoroutinefunction(inspect.unwrap(function)) if callable(function) else False


def is_asking(frame: FrameType) -> bool:
    """Whether this is one of ours, which has asked already."""
    return frame.f_globals is globals()


def _owner(called: Any) -> Any:
    """Whose transaction it is."""
    return called if hasattr(called, "rollback") else called.connection
