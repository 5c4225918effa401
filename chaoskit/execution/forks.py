"""A handler that forks: its child must not go on as if it were the process that it was forked from."""

from __future__ import annotations

import mmap
import os
from typing import NoReturn

_shared: mmap.mmap | None = None
"""What all children share: which of them was the last to come back from the handler. Made before the first fork."""
_SIZE = 8
_generation = 0
_made = 0
"""How many children this process has made."""
_number = 0
"""Which child this process is, of the one that the tests run in. Its own children have its number."""


def generation() -> int:
    """Another number in each child."""
    return _generation


def made() -> int:
    """How many children this process has made so far."""
    return _made


def leave(*, on_purpose: bool) -> NoReturn:
    """End this child without another word: what it has of the search, its parent has, too. `on_purpose`: it had raised
    SystemExit, and would have ended by itself."""
    if _shared is not None and not on_purpose:
        _shared[:] = _number.to_bytes(_SIZE, "big")
    # Not sys.exit: finalizers, buffers and pytest's own exit handlers would run a second time.
    os._exit(0)


def some_came_back(made_before: int) -> bool:
    """Whether a child has come back from the handler, of those that were made after `made_before` others, as far as is
    known by now: it may be late, and the child of a test that is over may come back beside another test."""
    return _shared is not None and int.from_bytes(_shared[:], "big") > made_before


def _before() -> None:
    global _shared, _made
    if _shared is None:
        # Shared memory: a child that comes back ends by os._exit, and has no other way to tell.
        _shared = mmap.mmap(-1, _SIZE)
    _made += 1


def _in_child() -> None:
    global _generation, _number
    _generation += 1
    # A grandchild has its parent's number: to the process of the tests it is the same child that came back.
    _number = _number or _made


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_child=_in_child)
