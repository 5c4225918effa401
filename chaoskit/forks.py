"""A handler that forks: its child must not go on as if it were the process that it was forked from."""

from __future__ import annotations

import mmap
import os
from typing import NoReturn

_shared: mmap.mmap | None = None
"""A byte that all children share: whether one of them came back from a handler. Made before the first fork."""
_generation = 0


def generation() -> int:
    """Another number in each child."""
    return _generation


def leave(*, on_purpose: bool) -> NoReturn:
    """End this child without another word: what it has of the search, its parent has, too. `on_purpose`: it had raised
    SystemExit, and would have ended by itself."""
    if _shared is not None and not on_purpose:
        _shared[0] = 1
    os._exit(0)


def some_came_back() -> bool:
    """Whether a child has come back from a handler, as far as is known by now. Asked for once."""
    if _shared is None or not _shared[0]:
        return False
    _shared[0] = 0
    return True


def _before() -> None:
    global _shared
    if _shared is None:
        _shared = mmap.mmap(-1, 1)


def _in_child() -> None:
    global _generation
    _generation += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_child=_in_child)
