"""Pools of SQLAlchemy that outlive a process: an engine of the module, of which each real process has its own."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from chaoskit.execution.tasks import running_loop

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

_this = threading.local()
_has_listeners = False
_closing: WeakKeyDictionary[asyncio.AbstractEventLoop, list[Future[Any]]] = WeakKeyDictionary()
"""By the loop in which they are closed, connections that were opened there and that another one was to be given."""


def own_connections() -> None:
    """From now on a pool gives this thread no connection that was opened for something else, and no other thread one of
    this: that of another process is not its own; one that a process has kept would stay open, with its locks, when it
    dies in the middle of the next message; and what the dead have left is closed. SQLAlchemy tells how (Using
    Connection Pools with Multiprocessing or os.fork())."""
    _this.is_process = True
    _listen()


def _listen() -> None:
    global _has_listeners
    module = sys.modules.get("sqlalchemy.pool")
    if module is None or _has_listeners:
        return
    _has_listeners = True
    from sqlalchemy import event

    event.listen(module.Pool, "connect", _opened)
    event.listen(module.Pool, "checkout", _taken)


_IS_NEW, _THREAD, _LOOP = "chaoskit: is new", "chaoskit: thread", "chaoskit: loop"


def _opened(connection: Any, record: Any) -> None:
    is_process = getattr(_this, "is_process", False)
    record.info.update({_IS_NEW: True, _THREAD: threading.get_ident() if is_process else None})
    # That of a driver that is not async belongs to no loop, whatever runs here.
    if hasattr(connection, "driver_connection") and (loop := running_loop()) is not None:
        record.info[_LOOP] = loop


def _taken(connection: Any, record: Any, fairy: Any) -> None:
    info = record.info
    is_new, is_process = info.pop(_IS_NEW, False), getattr(_this, "is_process", False)
    if is_new or (not is_process and info.get(_THREAD) is None):
        return
    from sqlalchemy import exc, pool

    # Each of these has one connection for a thread, or for all, and no other to give.
    if is_process and isinstance(fairy._pool, (pool.StaticPool, pool.SingletonThreadPool)):
        return
    if (loop := info.get(_LOOP)) is not None and loop is not running_loop():
        record.dbapi_connection = fairy.dbapi_connection = None
        _close_in(loop, connection)
    raise exc.DisconnectionError("opened for another message")


def _close_in(loop: asyncio.AbstractEventLoop, connection: Any) -> None:
    """Close it in its own loop, as soon as that runs again."""
    if loop.is_closed():  # and with it what ran there
        return
    driver = connection.driver_connection
    if hasattr(driver, "terminate"):
        loop.call_soon_threadsafe(driver.terminate)
    else:
        import asyncio

        _closing.setdefault(loop, []).append(asyncio.run_coroutine_threadsafe(driver.close(), loop))


async def until_closed() -> None:
    """Wait for what this loop was asked to close. Nothing where no loop of asyncio runs."""
    if (loop := running_loop()) is not None and (closing := _closing.pop(loop, [])):
        import asyncio

        await asyncio.wait(map(asyncio.wrap_future, closing))
