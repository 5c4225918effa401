"""A thread that is stepped through: it counts the points that it passes, and stops at one of them."""

from __future__ import annotations

import contextvars
import functools
import inspect
import sys
import threading
from collections.abc import Callable
from types import CodeType, FrameType, TracebackType
from typing import Any, ClassVar, Protocol, TypeVar

import attrs

from chaoskit.execution import forks
from chaoskit.execution.points import Place, Territory, effects, place_of

Called = TypeVar("Called", bound=Callable[..., Any])

Passed = tuple[CodeType, int] | str
"""A point: an instruction of the user's code, or the name that `deliver.point` was given."""


@attrs.frozen(eq=False)
class Death:
    """A process died after these points: before the last of them where it was in the middle of its handler (`inside`),
    else when all was done."""

    passed: tuple[Passed, ...]
    inside: bool

    @property
    def happened(self) -> tuple[Passed, ...]:
        return self.passed[:-1] if self.inside else self.passed

    @property
    def before(self) -> Passed | None:
        """What was to come next."""
        return self.passed[-1] if self.inside else None


@attrs.frozen(eq=False)
class Failure:
    """Where a call failed inside the handler, and with what."""

    at: Passed
    error: Exception


class Watcher(Protocol):
    """What sees named points and what is atomic, beside the stepper. Each may raise in its place."""

    def named(self, name: str) -> None: ...

    def begins_at_once(self) -> None: ...

    def ends_at_once(self) -> None: ...

    def awaits(self, awaiting: FrameType, is_exit: bool) -> Exception | None:
        """What is awaited in this frame is a database's call, or its `async with` is left. The error that it is to
        raise when it has rolled back; None: it is to go on."""


watcher: contextvars.ContextVar[Watcher | None] = contextvars.ContextVar("watcher", default=None)
"""Of the handler that runs, and of all that it begins."""
_this = threading.local()
_tables: dict[CodeType, frozenset[int]] = {}


class Stepper:
    """Steps through what is called within it, in this thread alone. `passed` are the points so far; at the one with the
    number `stop` `stops` is called, which may not return for a long time; and at each of them `at_each`."""

    def __init__(
        self,
        territory: Territory,
        stop: int | None = None,
        stops: Callable[[], None] | None = None,
        at_each: Callable[[Passed], None] | None = None,
    ) -> None:
        self.territory, self._stop, self._stops, self._at_each = territory, stop, stops, at_each
        self.passed: list[Passed] = []
        self.atomic = 0
        self._generation = forks.generation()
        self._tracing: _Traced | _Monitored | None = None

    def __enter__(self) -> Stepper:
        _this.stepper = self
        tool = _free_tool()
        self._tracing = _Traced(self) if tool is None else _Monitored(self, tool)
        self._tracing.begin()
        return self

    def __exit__(self, *error: object) -> None:
        self._end()
        _this.stepper = None

    def _end(self) -> None:
        tracing, self._tracing = self._tracing, None
        if tracing is not None:
            tracing.end()

    def let_go(self) -> None:
        """Asked from any thread: this one is left to itself, and may never come to the end of what it does."""
        self._stop = self._at_each = None
        if isinstance(self._tracing, _Monitored):  # which is of the whole program
            self._tracing.end()

    def also(self, frame: FrameType | None) -> None:
        """Step through this frame and those that have called it, too: they run already."""
        while frame is not None and self._tracing is not None:
            if self.effects_of(frame.f_code, frame.f_globals):
                self._tracing.joins(frame)
            frame = frame.f_back

    def passes(self, point: Passed) -> None:
        if self.atomic:
            return
        if forks.generation() != self._generation:  # a child of the handler's own is no consumer process
            self._end()
            return
        self.passed.append(point)
        if self._stop is not None and len(self.passed) > self._stop:
            stops, self._stop = self._stops, None
            self._end()
            if stops is not None:
                stops()
        elif self._at_each is not None:
            self._at_each(point)

    def effects_of(self, code: CodeType, names: dict[str, Any]) -> frozenset[int]:
        """The points of this code, none where it is not stepped into."""
        if self.atomic or not self.territory.has(code, names.get("__name__", "")):
            return frozenset()
        offsets = _tables.get(code)
        if offsets is None:
            offsets = _tables[code] = effects(code, names)
        return offsets


class _Traced:
    """By the trace function of this thread. Whoever traces it already, such as coverage, goes on afterwards."""

    def __init__(self, stepper: Stepper) -> None:
        self._stepper, self._before = stepper, sys.gettrace()
        self._joined: list[FrameType] = []

    def begin(self) -> None:
        # Python 3.12 traces opcodes only if some frame has asked for them before this.
        sys._getframe().f_trace_opcodes = True
        sys.settrace(self._called)

    def end(self) -> None:
        sys.settrace(self._before)
        for frame in self._joined:
            frame.f_trace = None

    def joins(self, frame: FrameType) -> None:
        self._joined.append(frame)
        self._called(frame, "call", None)

    def _called(self, frame: FrameType, event: str, arg: Any) -> Any:
        code = frame.f_code
        offsets = self._stepper.effects_of(code, frame.f_globals)
        if not offsets:
            return None

        def local(frame: FrameType, event: str, arg: Any) -> Any:
            if event == "opcode" and frame.f_lasti in offsets:
                self._stepper.passes((code, frame.f_lasti))
            return local

        # In this order: since Python 3.13 opcodes are traced only in a frame that has its trace function already.
        frame.f_trace, frame.f_trace_opcodes, frame.f_trace_lines = local, True, False
        return local


_monitoring: Any = getattr(sys, "monitoring", None)  # since Python 3.12
_TOOLS = (4, 3)
"""Of the six ids of tools those that nobody is known to use."""
_NAME = "chaoskit"


def _free_tool() -> int | None:
    """The id under which this process monitors; None where there is none."""
    if _monitoring is None:
        return None
    for tool in _TOOLS:
        if _monitoring.get_tool(tool) == _NAME:
            return tool
        if _monitoring.get_tool(tool) is None:
            _monitoring.use_tool_id(tool, _NAME)
            _monitoring.register_callback(tool, _monitoring.events.PY_START, _started)
            _monitoring.register_callback(tool, _monitoring.events.PY_RESUME, _started)
            _monitoring.register_callback(tool, _monitoring.events.INSTRUCTION, _reached)
            return tool
    return None


class _Monitored:
    """By events of the interpreter, which cost nothing at what is no effect, in a loop neither."""

    # Of the whole program: several threads may be stepped through, of which all but one are stopped.
    _all: ClassVar[list[_Monitored]] = []
    _codes: ClassVar[set[CodeType]] = set()

    def __init__(self, stepper: Stepper, tool: int) -> None:
        self._stepper, self._tool = stepper, tool
        self._own: set[CodeType] = set()
        """What is stepped into here: others may step into more."""

    def begin(self) -> None:
        self._all.append(self)
        _monitoring.set_events(self._tool, _monitoring.events.PY_START | _monitoring.events.PY_RESUME)

    def end(self) -> None:
        if self in self._all:
            self._all.remove(self)
        if not self._all:
            _monitoring.set_events(self._tool, 0)
            for code in self._codes:
                _monitoring.set_local_events(self._tool, code, 0)
            self._codes.clear()

    def joins(self, frame: FrameType) -> None:
        self.started(frame.f_code, frame.f_globals)

    def started(self, code: CodeType, names: dict[str, Any]) -> None:
        if code not in self._own and self._stepper.effects_of(code, names):
            self._own.add(code)
            if code not in self._codes:
                self._codes.add(code)
                _monitoring.set_local_events(self._tool, code, _monitoring.events.INSTRUCTION)

    def reached(self, code: CodeType, offset: int) -> None:
        if code in self._own:
            self._stepper.passes((code, offset))


def _started(code: CodeType, offset: int) -> None:
    """A function begins, or goes on, in any thread."""
    stepper = current()
    if stepper is not None and isinstance(stepper._tracing, _Monitored):
        stepper._tracing.started(code, sys._getframe(1).f_globals)


def _reached(code: CodeType, offset: int) -> Any:
    """An instruction is next, in any thread."""
    if offset not in _tables.get(code, ()):
        return _monitoring.DISABLE
    stepper = current()
    if stepper is not None and isinstance(stepper._tracing, _Monitored):
        stepper._tracing.reached(code, offset)
    return None


def current() -> Stepper | None:
    """What steps through this thread."""
    return getattr(_this, "stepper", None)


def name_point(name: str) -> None:
    """One more point, where this thread is stepped through or watched."""
    stepper, watches = current(), watcher.get()
    if stepper is not None:
        stepper.passes(name)
    if watches is not None:
        watches.named(name)


def shown_place(point: Passed) -> Place:
    """Where it is. A named point says its name instead."""
    return Place("", 0, point) if isinstance(point, str) else place_of(*point)


class Atomic:
    """No process dies, and none stops, inside: for what stands for one statement or one transaction. It can fail, and
    then nothing of it has happened.

    `@chaoskit.atomic` decorates a function or a coroutine function; `with chaoskit.atomic:` is a block.
    """

    def __call__(self, function: Called) -> Called:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await function(*args, **kwargs)

            return awaited  # type: ignore[return-value]

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return called  # type: ignore[return-value]

    def __enter__(self) -> None:
        stepper, watches = current(), watcher.get()
        if watches is not None:  # first, as it may raise
            watches.begins_at_once()
        if stepper is not None:
            stepper.atomic += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        stepper, watches = current(), watcher.get()
        if stepper is not None:
            stepper.atomic -= 1
        if watches is not None:
            watches.ends_at_once()


atomic = Atomic()
