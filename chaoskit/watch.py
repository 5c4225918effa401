"""Who looks on while a test runs: a limit for each run, so that a handler that hangs is found and not waited for."""

from __future__ import annotations

import faulthandler
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import attrs

if TYPE_CHECKING:
    from chaoskit.execute import Script
    from chaoskit.schedule import Raw

LIMIT = 30.0
"""Seconds that one run may take where nobody says otherwise."""

_LOOKS = 4
"""How often the clock is looked at within the limit."""


class Hung(BaseException):
    """A run that did not end within `seconds`. It is no Exception, so that the handler does not take it for one of its
    own.

    `script` is what was played, `steps` what was played of it, with the step that did not end as the last, and
    `refusals` the numbers of those that were refused. No steps: the test did not come to `deliver`. `over`: all were
    played, and what comes after them does not end.
    """

    script: Script
    steps: Sequence[Raw] = ()
    refusals: Sequence[int] = ()
    over: bool = False

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no end within {seconds:g} s")
        self.seconds = seconds


class Recorder(Protocol):
    """Told of each run before it begins and after it has ended."""

    def begins(self, script: Script) -> None: ...

    def ends(self) -> None: ...


@attrs.define
class Limit:
    """Raises Hung in a run that takes longer than `seconds`, and up to a quarter more.

    It looks at whether the run is still the same, a few times within the limit, so that a run costs no system call. A
    handler that goes on all the same is told again, each time the limit has passed once more. `hard`: code that does
    not come back to Python at all, and so cannot be told, ends the process after twice the limit.
    """

    seconds: float = LIMIT
    hard: bool = False
    slowest: float = 0.0
    """Seconds of the slowest run that ended."""
    _runs: int = 0
    _since: float | None = None
    _hangs: bool = False
    _seen: int = -1
    _looks: int = 0

    def begins(self) -> None:
        self._runs += 1
        self._hangs = False
        self._since = time.monotonic()

    def ends(self) -> None:
        since, self._since = self._since, None
        if since is not None and not self._hangs:
            self.slowest = max(self.slowest, time.monotonic() - since)

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Only within this, and only where `works`."""
        before = signal.signal(signal.SIGALRM, self._look)
        self._set_timer()
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            if self.hard:
                faulthandler.cancel_dump_traceback_later()

    @contextmanager
    def tighter(self) -> Iterator[None]:
        """Only so much longer than a run has taken yet that it must be another that hangs: to try out many."""
        full = self.seconds
        self.seconds = min(full, max(0.25, 50 * self.slowest))
        self._set_timer()
        try:
            yield
        finally:
            self.seconds = full
            self._set_timer()

    def _set_timer(self) -> None:
        self._put_off_the_end()
        signal.setitimer(signal.ITIMER_REAL, self.seconds / _LOOKS, self.seconds / _LOOKS)

    def _put_off_the_end(self) -> None:
        if self.hard:
            faulthandler.dump_traceback_later(2 * self.seconds, exit=True, file=sys.__stderr__ or sys.stderr)

    def _look(self, *_: Any) -> None:
        self._put_off_the_end()
        if self._since is None or self._runs != self._seen:
            self._seen, self._looks = self._runs, 0
            return
        self._looks += 1
        if self._looks >= _LOOKS:
            self._looks, self._hangs = 0, True
            raise Hung(self.seconds)


def why_no_limit() -> str | None:
    """Why a run cannot be stopped here; None where it can."""
    if not hasattr(signal, "setitimer"):
        return "this system has no interval timer"
    if threading.current_thread() is not threading.main_thread():
        return "the tests do not run in the main thread"
    if signal.getsignal(signal.SIGALRM) not in (signal.SIG_DFL, signal.SIG_IGN):
        return "something else uses the alarm signal, such as pytest-timeout"
    return None
