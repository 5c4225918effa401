"""The task of an async test."""

from __future__ import annotations

import asyncio
from typing import Any


def is_cancelled_from_outside(end: BaseException) -> bool:
    """Somebody wants the test itself to end, such as a timeout around it."""
    if not isinstance(end, asyncio.CancelledError):
        return False
    task = current_task()
    return task is None or task.cancelling() > 0


def has_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # another library's loop
        return None
