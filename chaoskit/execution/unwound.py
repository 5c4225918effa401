"""The dead of a run, whose frames go when its state was copied."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable
from typing import Protocol

from chaoskit.execution.overlap import code_of
from chaoskit.execution.script import Handler
from chaoskit.execution.waiting import seconds_run

PATIENCE = 1.0
"""Seconds in which a thread has to end when it is unwound. What swallows every exception is left behind."""
_MOST = 5
"""Times as long, where a busy machine has not let it run meanwhile."""


class Dead(Protocol):
    """The thread of a process that has died in the middle of the user's code."""

    handler: Handler | None

    def unwind(self) -> bool: ...


def all_unwound(dead: Iterable[Dead]) -> bool:
    """Unwind them. False where a handler does not let itself be unwound, as it swallows every exception in a loop: its
    thread is left, and of this handler no other is unwound."""
    with warnings.catch_warnings():
        # The dead have closed nothing, as the dead do not.
        warnings.simplefilter("ignore", ResourceWarning)
        gone = [_is_unwound(each) for each in dead]
    return all(gone)


def _is_unwound(dead: Dead) -> bool:
    code = code_of(dead.handler)
    if code not in _stubborn and not dead.unwind():
        _stubborn.add(code)
    return code not in _stubborn


_stubborn: set[object] = set()


def has_ended(thread: threading.Thread) -> bool:
    """Wait for its end."""
    before = seconds_run(thread.native_id)
    for _ in range(_MOST):
        thread.join(PATIENCE)
        ran = seconds_run(thread.native_id)
        if not thread.is_alive() or ran is None or before is None or ran - before > PATIENCE / 2:
            break
    return not thread.is_alive()
