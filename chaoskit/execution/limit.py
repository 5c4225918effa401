"""A limit for each run of a test, so that a handler that hangs is found and not waited for."""

from __future__ import annotations

import faulthandler
import gc
import inspect
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, CoroutineType, FrameType, MappingProxyType
from typing import Any, TypeVar

import attrs

from chaoskit.execution.stepping import Death
from chaoskit.values.clock import now
from chaoskit.values.event import Stream
from chaoskit.values.faults import Fault
from chaoskit.values.outcome import Raised
from chaoskit.values.schedule import Raw
from chaoskit.values.settling import Settles

LIMIT = 30.0
"""Seconds that one run may take where nobody says otherwise."""

_LOOKS = 4
"""How often the clock is looked at within the limit."""

_AGAIN = 0.05
"""Seconds between two interruptions of a handler that goes on all the same."""

_MOST_THROWS = 1000
"""How often a coroutine is interrupted that awaits something else each time."""

_OUTER = "_of_outer_alarm"
_SOON = 1e-4
"""Seconds: a timer that is set to none at all never rings."""

_OURS = f"{Path(__file__).parent.parent}/"
_DEBUGGERS = ("pydevd", "bdb", "debugpy")


class Hung(BaseException):
    """A run that did not end within `seconds`. It is no Exception, so that the handler does not take it for one of its
    own.

    Who catches it calls `caught` before anything else: until then it may be raised again.
    `stream` and `faults` are what was played, in order where `faults` is None; `steps` are those that were taken, with
    the one that did not end as the last, `refusals` the numbers of those that were refused, `raised` with what, and
    `deaths` where processes died. No steps: the test did not come to `deliver`. `over`: all were taken, and what comes
    after them does not end. `waits_for_nobody`: the handler waits, and no other execution is at work.
    """

    stream: Stream
    faults: tuple[Fault, ...] | None = None
    steps: Sequence[Raw] = ()
    refusals: Sequence[int] = ()
    raised: Sequence[Raised] = ()
    deaths: Mapping[int, Death] = MappingProxyType({})
    settled: Mapping[int, Settles] | None = None
    over: bool = False
    waits_for_nobody: bool = False

    def __init__(self, limit: Limit) -> None:
        super().__init__(f"no end within {limit.seconds:g} s")
        self.seconds = limit.seconds
        self._limit = limit

    def caught(self) -> None:
        self._limit.caught()

    def end(self, coroutine: CoroutineType[Any, Any, Any]) -> None:
        """Run this to its end, in which nothing is awaited any more. Left to itself, one that swallows what ends it
        would hang whoever collects it, or waits for its task."""
        self._limit.end(coroutine)

    def __del__(self) -> None:
        """The end of the `except` that swallowed it, or of everything."""
        self._limit.swallowed(sys._getframe().f_back)


def ends_the_test(error: BaseException) -> bool:
    """Whether this ends the test, wherever in it it is raised: it ends the process, or an alarm raised it that somebody
    else had set, such as pytest-timeout. All else may come of a run that means nothing to the test."""
    return isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)) or _OUTER in error.__dict__


@attrs.define
class _Alarm:
    """An alarm that somebody had set before, such as pytest-timeout: it rings when it was to ring."""

    handler: Any
    at: float | None
    """By our clock; None where it is not set."""
    interval: float

    @classmethod
    def found(cls) -> _Alarm:
        left, interval = signal.getitimer(signal.ITIMER_REAL)
        return cls(signal.getsignal(signal.SIGALRM), now() + left if left else None, interval)

    @property
    def rings(self) -> bool:
        return self.at is not None and now() >= self.at

    def within(self, seconds: float) -> float:
        """When to look next: after these seconds, or when it rings if that is sooner."""
        return seconds if self.at is None else min(seconds, max(_SOON, self.at - now()))

    def ring(self, number: int, frame: FrameType | None) -> None:
        __tracebackhide__ = True
        assert self.at is not None
        self.at = self.at + self.interval if self.interval else None
        try:
            self.handler(number, frame)
        except BaseException as error:
            error.__dict__[_OUTER] = True
            raise

    def put_back(self) -> None:
        # First: an alarm in between would ring for a handler that is not expecting it yet.
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.handler)
        if self.at is not None:
            signal.setitimer(signal.ITIMER_REAL, max(_SOON, self.at - now()), self.interval)


@attrs.define
class Limit:
    """Raises Hung in a run that takes longer than `seconds`, and up to a quarter more.

    It looks at whether the run is still the same, a few times within the limit, so that a run costs no system call. A
    handler that goes on all the same is interrupted again, and then wherever it leaves an `except`, so that no loop
    around a `try` outlives it. `hard`: code that never comes back to Python cannot be interrupted, and ends the process
    after twice the limit; the stacks of its threads go to the file of this number. `between` is called between two
    runs, about once a second, with the time.
    """

    seconds: float = LIMIT
    hard: bool = False
    stacks_to: int = 2
    between: Callable[[float], None] | None = None
    slowest: float = 0.0
    """Seconds of the slowest run that ended."""
    _runs: int = 0
    _since: float | None = None
    _interruptions: int = 0
    """How often Hung was raised in this run."""
    _tracer: Any = None
    """Who traced before, such as a measurement of coverage."""
    _seen: int = -1
    _looks: int = 0
    _next: float = 0.0
    """When to look after the timer itself, which a handler may take."""
    _outer: _Alarm | None = None

    def begins(self) -> None:
        self._runs += 1
        began = now()
        # Rarely: what follows are system calls, and a run takes microseconds.
        if began >= self._next:
            self._look_after(began)
        # Last: what `between` does is no part of the run.
        self._since = began

    def ends(self) -> None:
        since, self._since = self._since, None
        if self._interruptions:
            self.caught()
        elif since is not None:
            self.slowest = max(self.slowest, now() - since)

    def caught(self) -> None:
        """The run was left: nothing is to be interrupted any more."""
        self._since = None
        interruptions, self._interruptions = self._interruptions, 0
        if interruptions > 1:  # a single one did not trace, and coverage goes on undisturbed
            sys.settrace(self._tracer)
        if interruptions:
            self._set_timer()

    def _look_after(self, time: float) -> None:
        self._next = time + min(1.0, self.seconds / _LOOKS)
        if self._outer is not None and signal.getsignal(signal.SIGALRM) == self._look:
            left, _ = signal.getitimer(signal.ITIMER_REAL)
            # A handler has cancelled the one timer that a process has, or used it up.
            if not left:
                self._set_timer()
        if self._outer is not None:
            self._put_off_the_end()
        if self.between is not None:
            self.between(time)

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Only within this, and only where `why_no_limit` has nothing to say."""
        self._outer = _Alarm.found()
        signal.signal(signal.SIGALRM, self._look)
        self._set_timer()
        try:
            yield
        finally:
            outer, self._outer = self._outer, None
            outer.put_back()
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
        if self._outer is not None:
            self._put_off_the_end()
            every = self.seconds / _LOOKS
            signal.setitimer(signal.ITIMER_REAL, self._outer.within(every), every)

    def _put_off_the_end(self) -> None:
        if self.hard:
            faulthandler.dump_traceback_later(2 * self.seconds, exit=True, file=self.stacks_to)

    def _look(self, number: int, frame: FrameType | None) -> None:
        __tracebackhide__ = True
        assert self._outer is not None
        if self._outer.rings:
            self._outer.ring(number, frame)
            self._set_timer()
            return
        # Another run than at the last look, or none: nothing has hung so far.
        if self._since is None or self._runs != self._seen or _is_debugged():
            self._seen, self._looks = self._runs, 0
            self._set_timer()
            return
        self._looks += 1
        if self._looks >= _LOOKS and (_waits(frame) or not _is_ours(frame)):
            self._interrupt(frame)
        # Once it was interrupted the end of the process is not put off any more.
        elif not self._interruptions:
            self._set_timer()

    def _interrupt(self, frame: FrameType | None) -> None:
        """The end of the process is not put off any more: for what cannot be interrupted it is the only one."""
        self._interruptions += 1
        if self._interruptions == 2:
            self._tracer = sys.gettrace()
            signal.setitimer(signal.ITIMER_REAL, _AGAIN, _AGAIN)
        if self._interruptions > 1 and frame is not None:
            self._insist(frame)
        raise Hung(self)

    def end(self, coroutine: CoroutineType[Any, Any, Any]) -> None:
        if self._interruptions < 2:
            self._tracer = sys.gettrace()
        self._interruptions = max(2, self._interruptions)
        for _ in range(_MOST_THROWS):
            if coroutine.cr_frame is None or coroutine.cr_running:
                return
            # A new one each time, as its end (`__del__`) is what tells that it was swallowed.
            hung = Hung(self)
            sys.settrace(self._trace)
            try:  # noqa: SIM105 - what a `with` calls would be traced
                coroutine.throw(hung)
            except BaseException:  # noqa: BLE001 - whatever comes of it, it has ended
                pass

    def _insist(self, frame: FrameType) -> None:
        """Raise at the next line of this frame, or of whichever called it. Python ends a trace that has raised."""
        around: FrameType | None = frame
        while around is not None and not _is_ours(around):
            around.f_trace = self._trace
            around = around.f_back
        sys.settrace(self._trace)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if self._interruptions < 2 or _is_ours(frame):
            return None
        if event == "line":
            raise Hung(self)
        return self._trace

    def swallowed(self, frame: FrameType | None) -> None:
        """Where this is called the last exception is gone, and its `except` is left: the next line is out of the `try`,
        or in the `except` of another."""
        if self._interruptions > 1 and frame is not None and not _is_ours(frame):
            self._insist(frame)


Waits = TypeVar("Waits", bound=Callable[..., Any])
_waiting: set[CodeType] = set()


def waits_for_the_handler(function: Waits) -> Waits:
    """This code of ours does nothing but wait for a handler that runs in another thread: it can be interrupted."""
    _waiting.add(function.__code__)
    return function


def _waits(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_code in _waiting


def _is_ours(frame: FrameType | None) -> bool:
    """An interruption here would not reach the test, and might break chaoskit itself. Nor does what is raised in a
    callback of the garbage collector, such as Hypothesis has one: Python prints it and goes on."""
    if frame is None:
        return False
    code = frame.f_code
    return code.co_filename.startswith(_OURS) or any(getattr(each, "__code__", None) is code for each in gc.callbacks)


def _is_debugged() -> bool:
    """Somebody has stopped the program to look at it."""
    tracer = sys.gettrace()
    # Coverage traces, too: only the module says who it is.
    module = tracer and (inspect.getmodule(tracer) or inspect.getmodule(type(tracer)))
    if module and any(part.startswith(_DEBUGGERS) for part in module.__name__.split(".")):
        return True
    monitoring = getattr(sys, "monitoring", None)  # since Python 3.12
    return monitoring is not None and monitoring.get_tool(monitoring.DEBUGGER_ID) is not None


@contextmanager
def limited(seconds: float | None = LIMIT) -> Iterator[Limit | None]:
    """A limit for runs outside of pytest, within this block; None where nobody wants one, or there can be none."""
    if seconds is None or why_no_limit() is not None:
        yield None
        return
    limit = Limit(seconds)
    with limit.armed():
        yield limit


def why_no_limit() -> str | None:
    """Why a run cannot be stopped here; None where it can."""
    if not hasattr(signal, "setitimer"):
        return "this system has no interval timer"
    if threading.current_thread() is not threading.main_thread():  # Python delivers signals there only
        return "the tests do not run in the main thread"
    # Whose alarm is set can be rung for them; a handler without a timer is set up for something that we cannot know.
    unused = signal.getsignal(signal.SIGALRM) in (signal.SIG_DFL, signal.SIG_IGN)
    if not unused and not signal.getitimer(signal.ITIMER_REAL)[0]:
        return "something else uses the alarm signal"
    return None
