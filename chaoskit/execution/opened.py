"""What a process has opened, and what its death closes though its context manager does not: as the kernel would."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import socket
import stat
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

from chaoskit.execution.tasks import running_loop

if TYPE_CHECKING:
    import asyncio

Socket = tuple[int, int]
"""A file descriptor, and the inode by which it is told from a later one with the same number."""

_LISTINGS = ("/proc/self/fd", "/dev/fd")
_PATIENCE = 100
"""Hundredths of a second in which a thread has to close what it has opened: it may wait for a lock."""

_this = threading.local()
_of_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, list[tuple[Any, threading.Thread, Any]]]
_of_loops = weakref.WeakKeyDictionary()
"""What aiosqlite has opened for each: the connection, its thread, and what that takes its work from."""


@functools.cache
def listing_of_the_open() -> str | None:
    """The directory in which the system lists what this program has open; None where it has none."""
    return next((each for each in _LISTINGS if os.path.isdir(each)), None)


def sockets() -> frozenset[Socket]:
    """Those of this whole program that are open now; none where the system does not list them."""
    listing = listing_of_the_open()
    found: set[Socket] = set()
    for name in os.listdir(listing) if listing else ():
        with contextlib.suppress(OSError):  # that of the listing itself is gone by now
            status = os.fstat(int(name))
            if stat.S_ISSOCK(status.st_mode):
                found.add((int(name), status.st_ino))
    return frozenset(found)


def shut_down(opened: frozenset[Socket]) -> None:
    """Whoever is at the other end sees the connection go. The descriptors stay with the objects that have them."""
    for number, _ in sorted(opened):
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(number)) as copy:
            copy.shutdown(socket.SHUT_RDWR)


def watch_sqlite() -> None:
    """Note the connections to SQLite that are opened in this thread from now on, and those that aiosqlite opens for a
    loop, each in a thread of its own. They have no socket, and closing their files would drop the locks of others: only
    they themselves can close."""
    _install()
    _this.connections = []


def cut_off_sqlite() -> None:
    """What they had begun is rolled back, and their cursors are closed: those of the running loop, too. A connection
    that is closed while the frames of the dead have a cursor that was not read to its end keeps its locks until they
    go."""
    for connection in getattr(_this, "connections", []):
        _cut_off(connection)
    _for_each_of_the_loop(_cut_off)


def close_sqlite() -> None:
    """Close them all."""
    connections, _this.connections = getattr(_this, "connections", []), []
    for connection in connections:
        _close(connection)
    _for_each_of_the_loop(_close)


def _for_each_of_the_loop(do: Callable[[Any], None]) -> None:
    loop = running_loop()
    for connection, thread, queue in [] if loop is None else _of_loops.get(loop, []):
        _do_in(thread, queue, functools.partial(do, connection))


def settle_sqlite() -> None:
    """The frames of the dead are gone, and with them the connections of aiosqlite, each of which has asked its thread
    to stop and to tell the running loop: it has to have done so before that loop is closed."""
    loop = running_loop()
    assert loop is not None
    for _, thread, queue in _of_loops.pop(loop, []):
        _do_in(thread, queue, lambda: None)


def helpers_of(loop: asyncio.AbstractEventLoop) -> list[threading.Thread]:
    """The threads in which aiosqlite has what it has opened for this loop."""
    return [thread for _, thread, _ in list(_of_loops.get(loop, ()))]


def _cut_off(connection: Any) -> None:
    with contextlib.suppress(Exception):
        connection.rollback()
    # It has a list of weak references to its cursors, and says of them to the collector only.
    for held in (each for each in gc.get_referents(connection) if isinstance(each, list)):
        for cursor in [each() for each in held if isinstance(each, weakref.ref)]:
            with contextlib.suppress(Exception):
                cursor.close()  # type: ignore[union-attr]  # or it is gone


def _close(connection: Any) -> None:
    _cut_off(connection)
    with contextlib.suppress(Exception):
        connection.close()


def _do_in(thread: threading.Thread, queue: Any, job: Callable[[], None]) -> None:
    """Do it in the thread of aiosqlite that takes its work from this queue, as no other is allowed to use what it has
    opened, and behind what it was given before. The thread goes on, and refuses what the frames of the dead ask when
    they are unwound."""
    is_done = threading.Event()

    def do() -> None:
        job()
        is_done.set()

    if not thread.is_alive():
        return
    queue.put_nowait((_Nobody(), do))
    for _ in range(_PATIENCE):
        if is_done.wait(0.01) or not thread.is_alive():  # it was about to end
            return


class _Nobody:
    """Stands for the future of whoever waits for what a thread of aiosqlite is given."""

    def done(self) -> bool:
        return True

    def get_loop(self) -> _Nobody:
        return self

    def call_soon_threadsafe(self, *_: Any) -> None:
        """Nobody is told."""


def _install() -> None:
    global _is_installed
    if not _is_installed:
        # An audit hook cannot be taken out again, and costs each event a little: not before it is needed.
        _is_installed = True
        sys.addaudithook(_audit)


_is_installed = False


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "sqlite3.connect/handle":
        return
    if (connections := getattr(_this, "connections", None)) is not None:
        connections.append(arguments[0])
    elif (frame := _aiosqlite()) is not None:
        here = frame.f_locals
        queue = here["tx"] if "tx" in here else here["self"]._tx  # until 0.21 the thread is the connection
        _of_loops.setdefault(here["future"].get_loop(), []).append((arguments[0], threading.current_thread(), queue))


def _aiosqlite() -> FrameType | None:
    """The frame in which a thread of aiosqlite does what it is given; none in any other thread."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") == "aiosqlite.core" and "future" in frame.f_locals:
            return frame
        frame = frame.f_back
    return None


@contextlib.contextmanager
def unheard(thread: threading.Thread) -> Iterator[None]:
    """What this thread raises where nobody can catch it is nobody's concern: a generator of the dead that is closed
    with their frames, and finds its connection closed."""
    before = sys.unraisablehook
    sys.unraisablehook = lambda what: None if threading.current_thread() is thread else before(what)
    try:
        yield
    finally:
        sys.unraisablehook = before
