"""A handler that forks: its child must not go on as if it were the process that it was forked from."""

from __future__ import annotations

import mmap
import os
from typing import NoReturn

_shared: mmap.mmap | None = None
"""What all children share: of which test one of them came back from the handler. Made before the first fork."""
_SIZE = 8
_generation = 0


def generation() -> int:
    """Another number in each child."""
    return _generation


def leave(test: object, *, on_purpose: bool) -> NoReturn:
    """End this child without another word: what it has of the search, its parent has, too. `on_purpose`: it had raised
    SystemExit, and would have ended by itself."""
    if _shared is not None and not on_purpose:
        _shared[:] = id(test).to_bytes(_SIZE, "big")
    os._exit(0)


def some_came_back(test: object) -> bool:
    """Whether a child has come back from the handler of this test, as far as is known by now: it may be late."""
    return _shared is not None and _shared[:] == id(test).to_bytes(_SIZE, "big")


def _before() -> None:
    global _shared
    if _shared is None:
        _shared = mmap.mmap(-1, _SIZE)


def _in_child() -> None:
    global _generation
    _generation += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_child=_in_child)
