"""What a process has opened, and what its death closes though its context manager does not: as the kernel would."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import sys
import threading
from typing import Any

Socket = tuple[int, int]
"""A file descriptor, and the inode by which it is told from a later one with the same number."""

_LISTINGS = ("/proc/self/fd", "/dev/fd")
_this = threading.local()


def sockets() -> frozenset[Socket]:
    """Those of this whole program that are open now; none where the system does not list them."""
    listing = next((each for each in _LISTINGS if os.path.isdir(each)), None)
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
    """Note the connections to SQLite that are opened in this thread from now on. They have no socket, and closing their
    files would drop the locks of others: only they themselves can close."""
    _install()
    _this.connections = []


def close_sqlite() -> None:
    """Close them all; what they had begun is rolled back."""
    connections, _this.connections = getattr(_this, "connections", []), []
    for connection in connections:
        with contextlib.suppress(Exception):
            connection.close()


def _install() -> None:
    global _is_installed
    if not _is_installed:
        # An audit hook cannot be taken out again, and costs each event a little: not before it is needed.
        _is_installed = True
        sys.addaudithook(_audit)


_is_installed = False


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "sqlite3.connect/handle" and (connections := getattr(_this, "connections", None)) is not None:
        connections.append(arguments[0])
