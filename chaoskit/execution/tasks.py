"""The loop and the task of an async test.

A sync test does not pay for the import of asyncio: where nobody has imported it, no loop runs and no task is cancelled.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio


class Stop(BaseException):
    """Nothing is left, and a loop that goes on asking is stopped so."""


def _asyncio() -> ModuleType | None:
    return sys.modules.get("asyncio")


def cancellations() -> tuple[type[BaseException], ...]:
    """What a task that is cancelled ends by; nothing where there can be none."""
    found = _asyncio()
    return () if found is None else (found.CancelledError,)


def is_cancelled_from_outside(end: BaseException) -> bool:
    """Somebody wants the test itself to end, such as a timeout around it."""
    if not isinstance(end, cancellations()):
        return False
    task = current_task()
    return task is None or task.cancelling() > 0


def running_loop() -> asyncio.AbstractEventLoop | None:
    """None outside of one, and in another library's."""
    found = _asyncio()
    if found is None:
        return None
    try:
        loop: asyncio.AbstractEventLoop = found.get_running_loop()
    except RuntimeError:
        return None
    return loop


def current_task() -> asyncio.Task[Any] | None:
    found = _asyncio()
    if found is None or running_loop() is None:
        return None
    task: asyncio.Task[Any] | None = found.current_task()
    return task
