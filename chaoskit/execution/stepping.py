"""A thread that is stepped through: it counts the points that it passes, and stops at one of them."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import Callable
from types import CodeType, FrameType, TracebackType
from typing import Any, TypeVar

import attrs

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


_this = threading.local()
_tables: dict[CodeType, frozenset[int]] = {}


class Stepper:
    """Steps through what is called within it, in this thread alone. `passed` are the points so far; at the one with the
    number `stop` `stops` is called, which may not return for a long time."""

    def __init__(self, territory: Territory, stop: int | None = None, stops: Callable[[], None] | None = None) -> None:
        self._territory, self._stop, self._stops = territory, stop, stops
        self.passed: list[Passed] = []
        self.atomic = 0
        self._before: Any = None

    def __enter__(self) -> Stepper:
        _this.stepper = self
        # Whoever traces this thread already, such as coverage, goes on when we have done.
        self._before = sys.gettrace()
        sys.settrace(self._called)
        return self

    def __exit__(self, *error: object) -> None:
        sys.settrace(self._before)
        _this.stepper = None

    def passes(self, point: Passed) -> None:
        if self.atomic:
            return
        self.passed.append(point)
        if self._stop is not None and len(self.passed) > self._stop:
            stops, self._stop = self._stops, None
            if stops is not None:
                stops()

    def _called(self, frame: FrameType, event: str, arg: Any) -> Any:
        code = frame.f_code
        if self.atomic or not self._territory.has(code, frame.f_globals.get("__name__", "")):
            return None
        offsets = _tables.get(code)
        if offsets is None:
            offsets = _tables[code] = effects(code, frame.f_globals)
        if not offsets:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False

        def local(frame: FrameType, event: str, arg: Any) -> Any:
            if event == "opcode" and frame.f_lasti in offsets:
                self.passes((code, frame.f_lasti))
            return local

        return local


def current() -> Stepper | None:
    """What steps through this thread."""
    return getattr(_this, "stepper", None)


def name_point(name: str) -> None:
    """One more point, where this thread is stepped through."""
    stepper = current()
    if stepper is not None:
        stepper.passes(name)


def shown_place(point: Passed) -> Place:
    """Where it is. A named point says its name instead."""
    return Place("", 0, point) if isinstance(point, str) else place_of(*point)


class Atomic:
    """No process dies, and none stops, inside: for what stands for one statement or one transaction.

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
        stepper = current()
        if stepper is not None:
            stepper.atomic += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        stepper = current()
        if stepper is not None:
            stepper.atomic -= 1


atomic = Atomic()
