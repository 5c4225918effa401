"""`freeze_time=True`: while the test runs, the clocks of Python say what `deliver.now()` says."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from chaoskit.execution.deliver import Body, Deliver
from chaoskit.values.errors import UsageError

_WAITERS = ("asyncio", "concurrent", "anyio", "trio", "chaoskit", "hypothesis", "_pytest", "pytest_timeout", "xdist")
"""Packages that wait by the real monotonic clock: in a time that stands still no timeout of a loop would ever end."""


def checked_freeze(given: Any) -> bool:
    """`freeze_time=`. Raises UsageError for what is not True or False, and where time-machine is missing or too old."""
    if not isinstance(given, bool):
        raise UsageError(f"freeze_time={given!r}: True or False is needed")
    # Earlier ones stop the monotonic clock for everybody, and with it the timeouts of every loop.
    if given and _machine() and int(version("time-machine").partition(".")[0]) < 3:
        raise UsageError("freeze_time=True needs time-machine 3 or newer: pip install 'chaoskit[time]'")
    return given


def frozen(body: Body) -> Body:
    """The test, in whose runs `time.time()`, `time.monotonic()` and `datetime.now()` follow `deliver.now()`."""

    def run(deliver: Deliver) -> Any:
        epoch = deliver.epoch
        with _standing(epoch) as move:
            deliver.follow(move)
            return body(deliver)

    return run


@contextmanager
def _standing(epoch: float) -> Iterator[Callable[[float], None]]:
    """Time stands at `epoch` until it is moved to another one."""
    traveller = _machine().travel(epoch, tick=False)
    try:
        stands = traveller.start()
    except RuntimeError as error:  # freezegun is at work
        raise UsageError(f"freeze_time=True: {error}") from error
    now = [epoch]

    def move(to: float) -> None:
        if to != now[0]:
            now[0] = to
            stands.move_to(to)

    real, real_ns = time.monotonic, time.monotonic_ns
    began = real()
    time.monotonic = lambda: real() if _waits() else began + now[0] - epoch
    time.monotonic_ns = lambda: real_ns() if _waits() else round((began + now[0] - epoch) * 1e9)
    try:
        yield move
    finally:
        time.monotonic, time.monotonic_ns = real, real_ns
        traveller.stop()


def _waits() -> bool:
    """Whether one of those asks that wait by the real clock."""
    return str(sys._getframe(2).f_globals.get("__name__")).partition(".")[0] in _WAITERS


def _machine() -> Any:
    try:
        import time_machine
    except ImportError:
        raise UsageError("freeze_time=True needs the package time-machine: pip install 'chaoskit[time]'") from None
    return time_machine
