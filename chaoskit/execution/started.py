"""What a handler starts that its process does not take along when it dies here: threads and programs of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from chaoskit.execution.points import is_installed
from chaoskit.execution.stepping import current

_STARTERS: tuple[tuple[type, str], ...] = ((threading.Thread, "start"), (subprocess.Popen, "__init__"))
_ON_THE_WAY = frozenset({"anyio", "asgiref", "asyncio", "concurrent", "subprocess", "threading"})
"""What starts them for whoever asks: the pools, and the functions of async libraries."""


@contextmanager
def noted() -> Iterator[set[str]]:
    """The places in the user's own code, as file and line, at which a handler that is stepped through starts a thread
    or a program. What a library starts for itself, such as a client for its connection, is not among them."""
    places: set[str] = set()

    def noting(method: Callable[..., Any]) -> Callable[..., Any]:
        def starts(*args: Any, **kwargs: Any) -> Any:
            if current() is not None and (place := _users_place(sys._getframe(1))) is not None:
                places.add(place)
            return method(*args, **kwargs)

        return starts

    # No audit event tells of a thread before Python 3.12, and a hook for them could not be taken out again.
    kept = [(each, name, getattr(each, name)) for each, name in _STARTERS]
    for each, name, method in kept:
        setattr(each, name, noting(method))
    try:
        yield places
    finally:
        for each, name, method in kept:
            setattr(each, name, method)


def _users_place(frame: FrameType | None) -> str | None:
    """Where the user's own code asks for it; None where a library does."""
    while frame is not None and _package_of(frame) in _ON_THE_WAY:
        frame = frame.f_back
    if frame is None or _package_of(frame) == "chaoskit" or is_installed(frame.f_code.co_filename):
        return None
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"


def _package_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
