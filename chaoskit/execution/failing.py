"""A handler in which one call fails: what it calls raises, once, at the place of the call.

The calls are seen by the profile function of the thread, which is asked before each of them and may raise in its place.
Unlike a trace function it leaves that of coverage or of a debugger alone.
"""

from __future__ import annotations

import dis
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import attrs

from chaoskit.execution.points import Territory, territory_of
from chaoskit.execution.script import FailsWith, Handler, Script
from chaoskit.execution.stepping import Failure, Passed, watcher
from chaoskit.execution.talking import ENDS_A_TRANSACTION, can_fail, talks
from chaoskit.values.errors import Unavailable, UsageError
from chaoskit.values.event import Message
from chaoskit.values.schedule import DELIVER, Raw, point_of, what_of

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
        self._before: Any = None

    def __enter__(self) -> Watch:
        self._token = watcher.set(self)
        self._before = sys.getprofile()
        sys.setprofile(self._called)
        return self

    def __exit__(self, *error: object) -> None:
        sys.setprofile(self._before)
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

    def _passes(self, point: Passed, owner: Any = None) -> None:
        """A failure of a database takes the transaction of its `owner` with it, as where the connection goes."""
        self.passed.append(point)
        if len(self.passed) != self._at:
            return
        self.failure = Failure(point, self._fails_with())
        if owner is not None:
            sys.setprofile(None)
            with suppress(Exception):
                owner.rollback()
        raise self.failure.error

    def _called(self, frame: FrameType, event: str, arg: Any) -> None:
        if self._atomic or watcher.get() is not self:
            return  # another task of the same loop is none of the handler's
        if event == "c_call":
            owner = getattr(arg, "__self__", None)
            module, name = getattr(arg, "__module__", None) or _module_of(owner), getattr(arg, "__name__", "")
            if can_fail(module, name):
                self._leaves(frame, name, owner)
        elif event == "call" and frame.f_back is not None:
            code, module = frame.f_code, frame.f_globals.get("__name__", "")
            # Django makes the methods of its managers of those of its query sets.
            name = frame.f_locals.get("name", "") if code.co_name == "manager_method" else code.co_name
            if can_fail(module, name) and _begins(frame):
                owner = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
                self._leaves(frame.f_back, name, owner)

    def _leaves(self, caller: FrameType, name: str, owner: Any) -> None:
        """A call of a library, which is the user's where no such library is between."""
        point = self._place_of_user(caller)
        if point is None:
            return
        owner = next((each for each in (owner, getattr(owner, "connection", None)) if hasattr(each, "rollback")), None)
        is_awaited = owner is not None and inspect.iscoroutinefunction(owner.rollback)
        if (owner is None or is_awaited) and name in ENDS_A_TRANSACTION:
            return  # nobody could roll it back here, and what was to be committed would be committed by the next
        self._passes(point, None if is_awaited else owner)

    def _place_of_user(self, frame: FrameType | None) -> Passed | None:
        while frame is not None:
            module = frame.f_globals.get("__name__", "")
            if talks(module):
                return None
            if self._territory.has(frame.f_code, module):
                return _place(frame)
            frame = frame.f_back
        return None


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


# Around a handler.


def watched(
    handler: Handler,
    script: Script,
    present: Callable[[], tuple[int, Raw]],
    failures: dict[int, Failure],
    is_async: bool,
) -> Handler:
    """The handler, with what counts its calls or lets one fail."""
    return Watching(script, present, failures, is_async).around(handler)


@attrs.frozen(eq=False)
class Watching:
    """What is put around the handler of a run in which calls are counted, or one fails. `present` gives the number of
    the present step, and that step; failures are noted in `failures`, by the number of the step."""

    script: Script
    present: Callable[[], tuple[int, Raw]]
    failures: dict[int, Failure]
    is_async: bool

    def around(self, handler: Handler) -> Handler:
        handle = self._awaiting(handler) if self.is_async else self._calling(handler)
        handle.__wrapped__ = handler  # type: ignore[attr-defined]  # whose code it is
        return handle

    def _calling(self, handler: Handler) -> Handler:
        def handle(message: Message) -> Any:
            with self._watched(handler):
                return handler(message)

        return handle

    def _awaiting(self, handler: Handler) -> Handler:
        async def handle(message: Message) -> Any:
            with self._watched(handler):
                result = handler(message)
                return (await result) if inspect.isawaitable(result) else result

        return handle

    @contextmanager
    def _watched(self, handler: Handler) -> Iterator[None]:
        number, step = self.present()
        script, point = self.script, point_of(step) if what_of(step) == DELIVER else 0
        if script.calls is None and not point:
            yield
            return
        watch = Watch(territory_of(handler, script.points), point, script.fails_with or Unavailable)
        try:
            with watch:
                yield
        finally:
            if script.calls is not None:
                script.calls.setdefault(step[2], []).extend(watch.passed)
            if watch.failure is not None:
                self.failures[number] = watch.failure


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
