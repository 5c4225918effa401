"""A handler in which one call fails: what it calls raises, once, at the place of the call.

The calls are seen by the profile function of the thread, which is asked before each of them and may raise in its place.
Unlike a trace function it leaves that of coverage or of a debugger alone.
"""

from __future__ import annotations

import dis
import inspect
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from chaoskit.execution.awaited import is_asking, is_awaited
from chaoskit.execution.points import Territory
from chaoskit.execution.script import FailsWith
from chaoskit.execution.stepping import Failure, Passed, watcher
from chaoskit.execution.talking import ENDS_A_TRANSACTION, ROLL_BACK_WHERE_LEFT, can_fail, talks
from chaoskit.values.errors import UsageError

_CALLS = frozenset(
    {"CALL", "CALL_KW", "CALL_FUNCTION_EX", "PRECALL", "BEFORE_WITH", "BEFORE_ASYNC_WITH", "LOAD_SPECIAL", "SEND"}
)
"""Instructions at which a library is called. Where an attribute is read or set it is not."""


class Watch:
    """Counts the calls that can fail in what runs within it; the one of the number `at` fails."""

    def __init__(self, territory: Territory, at: int, fails_with: FailsWith) -> None:
        self.passed: list[Passed] = []
        self.failure: Failure | None = None
        self._territory, self._at, self._fails_with = territory, at, fails_with
        self._atomic = 0
        self._tasks: dict[FrameType, Passed] = {}
        """Where the user's code has given a coroutine to a task, by the frame in which that begins."""
        self._before: Any = None

    def __enter__(self) -> Watch:
        self._token = watcher.set(self)
        self._before = sys.getprofile()
        sys.setprofile(self._called)
        return self

    def __exit__(self, *error: object) -> None:
        if callable(self._before) or self._before is None:
            sys.setprofile(self._before)
        else:  # before Python 3.12 cProfile's is an object that can only be switched on again
            self._before.enable()
        self._tasks.clear()
        # Where a loop has handled its messages in a task of its own, that task has had it.
        with suppress(ValueError):
            watcher.reset(self._token)

    # What is passed.

    def named(self, name: str) -> None:
        """`deliver.point(…)`."""
        if not self._atomic:
            self._passes(name)

    def begins_at_once(self) -> None:
        """`chaoskit.atomic`: it fails before it begins, and nothing fails inside."""
        if not self._atomic and self._territory.points != "named":
            place = _place(_outside_of_us(sys._getframe(1)))
            if place is not None:
                self._passes(place)
        self._atomic += 1

    def ends_at_once(self) -> None:
        self._atomic -= 1

    def awaits(self, awaiting: FrameType, is_exit: bool) -> Exception | None:
        """The library itself rolls back, where this gives it an error."""
        point = None if self._atomic else self._place_of_user(awaiting, is_exit)
        if point is None or not self._is_reached(point):
            return None
        assert self.failure is not None
        sys.setprofile(None)
        return self.failure.error

    def _is_reached(self, point: Passed) -> bool:
        """Whether it is this one that fails."""
        self.passed.append(point)
        if len(self.passed) != self._at:
            return False
        self.failure = Failure(point, self._fails_with())
        return True

    def _passes(self, point: Passed, undo: Callable[[Exception], None] | None = None) -> None:
        if not self._is_reached(point):
            return
        assert self.failure is not None
        if undo is not None:
            sys.setprofile(None)
            undo(self.failure.error)
        raise self.failure.error

    def _called(self, frame: FrameType, event: str, arg: Any) -> None:
        if self._atomic or watcher.get() is not self:
            return  # another task of the same loop is none of the handler's
        if event == "c_call":
            owner = getattr(arg, "__self__", None)
            module, name = getattr(arg, "__module__", None) or _module_of(owner), getattr(arg, "__name__", "")
            if can_fail(module, name):
                self._leaves(frame, name, owner)
        elif event == "call" and frame.f_back is not None and not is_asking(frame.f_back):
            code, module = frame.f_code, frame.f_globals.get("__name__", "")
            if code.co_name == "create_task":
                self._begins_task(frame)
            # Django makes the methods of its managers of those of its query sets.
            name = frame.f_locals.get("name", "") if code.co_name == "manager_method" else code.co_name
            if can_fail(module, name) and not self._is_own(module) and _begins(frame):
                owner = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
                self._leaves(frame if frame in self._tasks else frame.f_back, name, owner)

    def _begins_task(self, creating: FrameType) -> None:
        """A coroutine of a library is given to a task, as by `asyncio.gather`: no frame of the user's is around it."""
        coroutine = creating.f_locals.get("coro")
        coroutine = getattr(coroutine, "_coro", coroutine)  # in what aiosqlite gives
        begins = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        place = self._place_of_user(creating, is_exit=False)
        if begins is not None and place is not None:
            self._tasks[begins] = place

    def _leaves(self, caller: FrameType, name: str, owner: Any) -> None:
        """A call of a library, which is the user's where no such library is between."""
        is_exit = name == "__exit__"
        point = self._place_of_user(caller, is_exit)
        if point is None:
            return
        # Of what is awaited nothing is rolled back here, and what was to be committed would be by the next.
        undo = _rolls_back(owner, is_exit)
        if undo is not None or name not in ENDS_A_TRANSACTION:
            self._passes(point, undo)

    def _is_own(self, module: str) -> bool:
        """The user's package may have the name of a library, such as `databases`."""
        return module.partition(".")[0] == self._territory.package

    def _place_of_user(self, frame: FrameType | None, is_exit: bool) -> Passed | None:
        while frame is not None:
            code, module = frame.f_code, frame.f_globals.get("__name__", "")
            if frame in self._tasks and not self._territory.has(code, module):
                return self._tasks[frame]
            if talks(module) and not (is_exit and code.co_flags & _OF_GENERATORS) and not self._is_own(module):
                return None
            # What a framework calls by itself is none of the handler's.
            if module.startswith("chaoskit.") and not is_asking(frame):
                return None
            if self._territory.has(code, module):
                return _place(frame)
            frame = frame.f_back
        return None


_OF_GENERATORS = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
"""A library's own context manager, such as `engine.begin()`: the end of the block in it is that of the user's."""


def _rolls_back(owner: Any, is_exit: bool) -> Callable[[Exception], None] | None:
    """A failure of a database takes the transaction of its owner with it, as where the connection goes. None where it
    has none, or where that would be awaited."""
    has = next((each for each in (owner, getattr(owner, "connection", None)) if hasattr(each, "rollback")), None)
    if has is None and not (is_exit and type(owner).__name__ in ROLL_BACK_WHERE_LEFT):
        return None
    if is_awaited(getattr(has, "rollback", None)):
        return None

    def undo(error: Exception) -> None:
        with suppress(Exception):
            if is_exit:  # as where an error has come out of the block
                owner.__exit__(type(error), error, None)
        with suppress(Exception):
            if has is not None and not (is_exit and has is owner):
                has.rollback()

    return undo


def _begins(frame: FrameType) -> bool:
    """Whether a function begins here, and does not go on."""
    code, at = frame.f_code.co_code, frame.f_lasti
    return at < 0 or (dis.opname[code[at]] == "RESUME" and code[at + 1] & 3 == 0)


def _place(frame: FrameType | None) -> Passed | None:
    """The call that this frame is at; None where it is at something else."""
    if frame is None:
        return None
    code, at = frame.f_code, frame.f_lasti
    instructions = code.co_code
    while at > 0 and dis.opname[instructions[at]] == "CACHE":
        at -= 2
    return (code, at) if dis.opname[instructions[at]] in _CALLS else None


def _outside_of_us(frame: FrameType | None) -> FrameType | None:
    while frame is not None and frame.f_globals.get("__name__", "").startswith("chaoskit."):
        frame = frame.f_back
    return frame


def _module_of(owner: Any) -> str:
    """Of the first class of this object that a library has made."""
    return next((kind.__module__ for kind in type(owner).__mro__ if talks(kind.__module__)), "")


def checked_fails_with(given: Any) -> FailsWith | None:
    """Raises UsageError for what makes no exception."""
    if given is None:
        return None
    try:
        made = given()
    except Exception as error:
        raise UsageError(
            f"fails_with={given!r} could not be called without arguments: {type(error).__name__}: {error}. Give a "
            'class, or what makes an exception: fails_with=lambda: OperationalError("…", None, None)'
        ) from error
    if not isinstance(made, Exception):
        raise UsageError(
            f"fails_with={given!r} gave {made!r}: an exception is needed, such as fails_with=ConnectionError"
        )
    return given  # type: ignore[no-any-return]
