"""Consumer processes that are runs of the user's own loop. Each is a thread that stands still in its question for the
next message until there is one.

A process that dies is a thread that is never resumed, wherever it stands; what it has open is closed, and its frames
are unwound when the state of the run was copied.
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from itertools import islice
from types import FrameType
from typing import Any, NoReturn, cast

from chaoskit.execution import forks
from chaoskit.execution.loop_batches import given
from chaoskit.execution.opened import Socket, sockets
from chaoskit.execution.overlap import Job, code_of
from chaoskit.execution.points import Points, Territory, territory_at, territory_of
from chaoskit.execution.processes import Processes, Spawn, through
from chaoskit.execution.script import Handler, Move
from chaoskit.execution.stepping import Death, Passed, Stepper
from chaoskit.execution.tasks import Stop
from chaoskit.execution.threads import ProcessThread, ThreadedProcesses
from chaoskit.execution.waiting import LOOKS_TO_START
from chaoskit.execution.watching import Watching
from chaoskit.values.errors import Died
from chaoskit.values.event import Message

_this = threading.local()
_loops: dict[object, bool] = {}
"""The code of what was given as `spawn` and has asked for a consumer; and whether the user's calls settle messages."""

_OURS = __name__.partition(".")[0] + "."


class LoopFound(BaseException):
    """What was given as `spawn` is a loop: this run is thrown away, and made again with threads that can wait."""


class LoopExited(Exception):
    """The loop has ended its process by an exit code."""


def is_loop(spawn: Any, is_async: bool) -> bool:
    """A coroutine function is none that makes a handler; any other is known when it has asked for a consumer."""
    if spawn is None:
        return False
    return (is_async and inspect.iscoroutinefunction(spawn)) or code_of(spawn) in _loops


def found_loop(spawn: Any, by_hand: bool) -> NoReturn:
    """Raise what begins the run anew."""
    _loops[code_of(spawn)] = by_hand
    raise LoopFound


def settle_of(spawn: Any, settle: Any) -> Any:
    """How the messages of this run are settled, where its loop says so and not the test."""
    return "handler" if spawn is not None and settles_by_hand(spawn) else settle


def settles_by_hand(spawn: Any) -> bool:
    """As its consumer has asked for in an earlier run."""
    return _loops.get(code_of(spawn), False)


def this_thread() -> LoopThread | None:
    """That of the process in which this is called."""
    return getattr(_this, "thread", None)


class LoopThread(ProcessThread):
    """A process that is one run of a loop; or one that handles by a handler, as it turns out."""

    has_asked = False
    """It is a loop."""
    has_awaited = False
    """`spawn` gave a coroutine."""
    is_ending = False
    """Nothing is left: the loop is to end by itself."""
    is_over = False
    """The loop has ended, or was left by an exception."""
    passed: list[Passed]
    """In handling what it was given last."""
    refusal: Exception | None = None
    """What the callback has raised, after which its client goes on."""
    callback: Any = None
    """What handles a message, where that is not called below the user's own loop."""
    watching: Watching | None = None
    points: Points = None
    """What is stepped into, where calls are watched."""
    _watch: AbstractContextManager[None] | None = None
    _given: Iterator[Message] = iter(())
    """What is left of that which the loop is to handle now."""
    _dies = False
    _before: frozenset[Socket] = frozenset()
    _own: frozenset[Socket] = frozenset()
    """The sockets that it has opened before its first question."""

    def __init__(
        self,
        number: int,
        spawn: Spawn,
        processes: Callable[[LoopThread], Processes],
        is_async: bool,
        move: Move | None,
    ) -> None:
        self._move, self.number, self.passed = move, number, []
        super().__init__(lambda take: processes(self), is_async)
        self.handler = cast(Handler, spawn)  # by which it is known again whether its threads can be unwound

    @property
    def is_left_as_it_is(self) -> bool:
        """Its loop is not resumed any more."""
        return super().is_left_as_it_is or (self.has_asked and not self.is_over)

    # What is asked of it: as of any process, if it turns out to be none that waits in a question.

    async def handle(self, handler: Handler, message: Message) -> Any:
        if not self.has_asked:
            return await super().handle(handler, message)
        self._given = given(message, self._move)
        return None

    async def count(self, handler: Handler, message: Message, points: Points) -> list[Passed]:
        if not self.has_asked:
            return await super().count(handler, message, points)
        self._stepper = Stepper(self._territory(points))
        return await self.handle(handler, message)  # type: ignore[no-any-return]

    async def watch(self, handler: Handler, message: Message, points: Points, at_each: Callable[[Passed], None]) -> Any:
        if not self.has_asked:
            return await super().watch(handler, message, points, at_each)
        self._stepper = Stepper(self._territory(points), at_each=at_each)
        return await self.handle(handler, message)

    async def die(self, handler: Handler, message: Message, points: Points, after: int) -> None:
        if not self.has_asked:
            return await super().die(handler, message, points, after)
        self._open, self._dies = sockets() - self._own, True
        self._stepper = Stepper(self._territory(points), after, self._dies_here)
        return await self.handle(handler, message)  # type: ignore[no-any-return]

    async def ends(self) -> None:
        if self.has_asked and self._open is None:
            self._open = sockets() - self._own
        await super().ends()

    def end(self) -> None:
        if self.is_busy or not self.is_left_as_it_is:
            super().end()

    async def begin(self, spawn: Spawn) -> Any:
        """Call it. Of a loop all happens in this call, with pauses in its questions."""
        _this.thread, self._before = self, sockets()
        made = None
        try:
            made = spawn()
            if inspect.iscoroutine(made) and self._is_async:
                self.has_awaited = True
                made = await made
        except Stop:
            if not self.is_ending:
                raise
        except SystemExit as end:
            if not self.has_asked:
                raise
            if end.code not in (None, 0) and not self.is_ending:
                raise LoopExited(f"the loop ended its process with {end.code!r}") from end
        finally:
            self.is_over = self.has_asked
            self._stands()
        self._died_when_done()
        return made

    # In its thread, in the user's loop.

    def ask(self) -> Message | None:
        """The next message, when it comes; None when nothing is left. The process stands still here meanwhile."""
        if self._is_unwound:
            raise Died
        if self.is_ending:
            return None
        message = next(self._given, None)
        if message is None:
            self._stands()
            if not self.has_asked:
                self.has_asked, self._own = True, sockets() - self._before
                self.process.handlers[0] = _asks
            self._died_when_done()
            message = self._next_given()
        return message

    def more(self, most: int) -> list[Message]:
        """Up to so many more that came in one call with what it was given last."""
        return [] if self._move is not None else list(islice(self._given, most))

    def _next_given(self) -> Message | None:
        """Do what is asked of this process, until the loop is given something or is to end."""
        self._error, self.refusal = self.refusal, None
        while True:
            self._result = self.passed
            self._back.release()
            self._go.acquire()
            if forks.generation() != self._generation:
                forks.leave(on_purpose=False)
            if self._is_unwound or self._job is None:
                raise Died
            try:
                through(self._job())
                message = next(self._given, None)
            except BaseException as error:  # noqa: BLE001 - raised again by who waits
                self._error = error
                continue
            if message is not None and self._stepper is not None:
                self._stepper.__enter__()
                self._stepper.also(_outside(sys._getframe(1)))
            if message is not None and self.watching is not None:
                self._watch = self.watching.within(self._territory(self.points))
                self._watch.__enter__()
            if message is not None or self.is_ending:
                return message
            # What stands in between has withheld the message from the loop, or it was asked for something else.
            self._stepper, self.passed = None, []
            self._died_when_done()

    def _stands(self) -> None:
        """What it was given is handled, and it is stepped through no further."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.__exit__(None, None, None)
        stepper, self._stepper = self._stepper, None
        if stepper is not None:
            stepper.__exit__()
            self.passed = stepper.passed

    def _died_when_done(self) -> None:
        if self.refusal is not None:  # what raises before has refused, and does not die
            self._dies = False
        if self._dies and self.death is None:
            through(self.ends())
            self.death = Death(tuple(self.passed), inside=False)

    def _territory(self, points: Points) -> Territory:
        frame = _outside(sys._getframe(1))
        if frame is None or self.callback is not None:
            return territory_of(self.callback, points)
        return territory_at(frame.f_code, frame.f_globals.get("__name__", ""), points)


def _outside(frame: FrameType | None) -> FrameType | None:
    """The user's frame that has asked."""
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_OURS):
        frame = frame.f_back
    return frame


def _asks(message: Message) -> None:
    """Stands for the handler of a loop."""


class LoopProcess(Processes):
    """What is in a thread whose `spawn` may be a loop."""

    def __init__(self, thread: LoopThread, spawn: Spawn, *args: Any) -> None:
        super().__init__(spawn, *args)
        self._thread = thread

    async def begin(self, number: int) -> Any:
        made = await self._thread.begin(self._spawn)
        if self._thread.has_asked:
            return self._thread.passed
        # One that is no loop gives what no handler is, and that is refused where all such things are.
        return await self._begun(number, self._spawn() if self._thread.has_awaited else made)

    async def stop(self) -> None:
        if self._thread.has_asked:
            self._thread.is_ending = True
        else:
            await super().stop()


class LoopProcesses(ThreadedProcesses):
    """As `ThreadedProcesses`, where `spawn` is one run of a loop."""

    def __init__(
        self,
        spawn: Spawn,
        is_async: bool,
        moved: Any,
        misused: Any,
        points: Points,
        move: Move | None,
        watching: Watching | None,
    ) -> None:
        super().__init__(spawn, is_async, moved, misused, points)
        self._move, self._watching, self._has_exited = move, watching, False

    def any_handler(self) -> Handler:
        return _asks  # no framework calls a loop

    async def begin(self, number: int) -> None:
        thread = self._running[number] = LoopThread(number, self._spawn, self._process, self._is_async, self._move)
        thread.watching, thread.points = self._watching, self._points
        self._switches.do(thread, partial(thread.process.begin, 0), LOOKS_TO_START)
        self.handlers[number] = self._until_it_ends(partial(self._handled, number))

    def _process(self, thread: LoopThread) -> Processes:
        return LoopProcess(thread, self._spawn, self._is_async, self._moved, self._misused)

    def counting(self, number: int, passed: list[Passed]) -> Handler:
        return self._until_it_ends(super().counting(number, passed))

    def dying(self, number: int, after: int, died: Callable[[Death], None]) -> Handler:
        return self._until_it_ends(super().dying(number, after, died))

    def exited(self) -> bool:
        """Whether the process of the last delivery has ended by itself."""
        return self._has_exited

    def _beginning(self, number: int, point: int, stopped: Callable[[Death], None]) -> Handler:
        return self._until_it_ends(super()._beginning(number, point, stopped))

    def _going_on(self, number: int) -> Handler:
        return self._until_it_ends(super()._going_on(number))

    def _until_it_ends(self, handler: Handler) -> Handler:
        """A loop that has ended is none of those that run: the next message begins another one."""

        def handle(message: Message) -> Any:
            self._has_exited = False
            try:
                return handler(message)
            finally:
                for number, thread in list(self._running.items()):
                    if isinstance(thread, LoopThread) and thread.is_over:
                        self._has_exited = True
                        del self._running[number], self.handlers[number]
                        thread.end()

        return handle

    def _end(self, number: int, last: Job) -> None:
        thread = self._running[number]
        super()._end(number, last)
        if thread.is_left_as_it_is and thread not in self._dead:
            self._dead.append(thread)
