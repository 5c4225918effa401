"""Executions that stop in the middle and go on later, and what becomes of those that wait for them.

A real lock that a stopped execution holds may block the one that runs now. It gives the baton back: when it is found
asleep (`waiting`), one that is stopped runs to its end. Meanwhile the blocked one stops at its next
point, so that of two that run at once only one has effects.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

import attrs

from chaoskit.execution.points import Points
from chaoskit.execution.script import Handler
from chaoskit.execution.stepping import Death, Passed
from chaoskit.execution.waiting import LOOK, Looks, Usual
from chaoskit.values.clock import now
from chaoskit.values.event import EventId, Message

Job = Callable[[], Coroutine[Any, Any, Any]]


class Baton(Protocol):
    """The thread of a process, which runs while it has the baton."""

    handler: Handler | None
    is_busy: bool
    is_stopped: bool
    is_at_its_point: bool
    yields: bool

    async def watch(
        self, handler: Handler, message: Message, points: Points, at_each: Callable[[Passed], None]
    ) -> Any: ...

    async def handle(self, handler: Handler, message: Message) -> Any: ...

    def do(self, job: Job) -> Any: ...

    def hand_over(self, job: Job) -> None: ...

    @property
    def threads(self) -> list[threading.Thread]: ...

    def is_back(self, patience: float) -> bool: ...

    def result(self) -> Any: ...

    def resume(self) -> None: ...

    def pauses(self, *, at_its_point: bool = False) -> None: ...


@attrs.frozen(eq=False)
class Paused(Death):
    """An execution paused before the last of these points, and then went on. `beside`: the points that were passed
    until it was done, each with the event that was handled; None for its own."""

    beside: list[tuple[EventId | None, Passed]] = attrs.field(factory=list)


class Watched:
    """One execution that is stepped through. It stops at the point with the number `stop`, and at any point while the
    thread is to yield."""

    def __init__(self, thread: Baton, message: Message, switches: Switches, stop: int | None) -> None:
        self._thread, self._switches, self._at = thread, switches, stop
        # Of a call with many messages it is the first.
        self._event = (message[0] if isinstance(message, list) else message).id
        self._passed: list[Passed] = []
        self.stop: Paused | None = None
        """Where it has stopped."""

    async def run(self, handler: Handler, message: Message, points: Points) -> Any:
        """Handle it, in the thread of its process."""
        return await self._thread.watch(handler, message, points, self.passes)

    def passes(self, point: Passed) -> None:
        self._passed.append(point)
        self._switches.passed += 1
        if len(self._passed) - 1 == self._at:
            self.stop = Paused(tuple(self._passed), inside=True)
            self._thread.pauses(at_its_point=True)
        elif self._thread.yields:
            self._thread.pauses()
        # Only now, as it takes place when it goes on.
        for other in self._switches.watched:
            if other.stop is not None:
                other.stop.beside.append((None if other is self else self._event, point))


class Switches:
    """Who has begun and not gone on, of the processes of one run. Each is asked for by the number of its process."""

    def __init__(self, points: Points) -> None:
        self._points = points
        self._begun: dict[int, tuple[Baton, Watched]] = {}
        self._ended: dict[int, Exception] = {}
        """What those raised that ended before they were to go on, as their process had something else to do."""
        self._at_work: list[Baton] = []
        """Those that are in the middle of a job, in the order in which they began."""
        self.passed = 0
        """Points, by all of them."""

    def begin(self, number: int, thread: Baton, handler: Handler, message: Message, point: int) -> Paused | None:
        """Handle it up to this point. None where it has fewer, and is done. What it raises before is raised."""
        self._ends_first(number)
        watched = Watched(thread, message, self, point)
        self._begun[number] = thread, watched
        self._hand_over(thread, lambda: watched.run(handler, message, self._points))
        self._wait(thread)
        if watched.stop is None:
            del self._begun[number]
            thread.result()
        return watched.stop

    def go_on(self, number: int) -> Any:
        """Run it to its end, if it has not come there by now. What it raises is raised."""
        if number in self._ended:
            raise self._ended.pop(number)
        if number not in self._begun:
            return None
        thread, _ = self._begun[number]
        if thread.is_stopped:
            self._to_its_end(thread)
        del self._begun[number]
        return thread.result()

    def handle(self, number: int, thread: Baton, handler: Handler, message: Message, then: Job) -> Any:
        """A whole execution, which is stepped through while another one is stopped. Otherwise `then` follows in its
        thread, unless it has returned something."""
        self._ends_first(number)
        if self._begun:
            watched = Watched(thread, message, self, None)
            return self.do(thread, lambda: watched.run(handler, message, self._points))

        async def handled() -> Any:
            result = await self.timed(thread, handler, message)
            return result if result is not None else await then()

        return thread.do(handled)

    async def timed(self, thread: Baton, handler: Handler, message: Message) -> Any:
        """In its thread, while nobody is stopped."""
        started = now()
        try:
            return await thread.handle(handler, message)
        finally:
            _usual.took(code_of(thread.handler), now() - started)

    def _ends_first(self, number: int) -> None:
        """What this process has begun, before it handles another message."""
        try:
            self.go_on(number)
        except Exception as error:  # noqa: BLE001 - it is none of the other message
            self._ended[number] = error

    def do(self, thread: Baton, job: Job, looks: int | None = None) -> Any:
        """As the thread's own `do`; and while another one is stopped this one may be waiting for it."""
        if not self._begun:
            return thread.do(job)
        self._hand_over(thread, job)
        self._wait(thread, looks)
        return thread.result()

    def forget(self, number: int) -> bool:
        """The process is to end. Whether it is stopped in the middle."""
        thread, _ = self._begun.pop(number, (None, None))
        return thread is not None and thread.is_stopped

    @property
    def watched(self) -> list[Watched]:
        """The executions that have begun and not gone on."""
        return [watched for _, watched in self._begun.values()]

    def _hand_over(self, thread: Baton, job: Job) -> None:
        self._at_work.append(thread)
        thread.hand_over(job)

    def _wait(self, thread: Baton, most: int | None = None) -> None:
        """Until its job is done, or it has stopped at the point where it is to stop."""
        most = most or _usual.looks(code_of(thread.handler))
        while True:
            looks = Looks(thread, most)
            while thread.is_busy and not thread.is_back(LOOK):
                if looks.find_it_blocked(self.passed):
                    self._let_another_end(thread)
                    looks = Looks(thread, most)
            if not thread.is_busy or thread.is_at_its_point:
                break
            thread.resume()
        if not thread.is_busy and thread in self._at_work:
            self._at_work.remove(thread)

    def _let_another_end(self, blocked: Baton) -> None:
        """It seems to wait for one that is stopped: the last that has begun goes first, as it got what it holds while
        the others were stopped. Once the blocked one is free it stops at its next point until that is done."""
        others = [thread for thread in self._at_work if thread is not blocked and thread.is_stopped]
        if others:
            blocked.yields = True
            self._to_its_end(others[-1])
            blocked.yields = False

    def _to_its_end(self, thread: Baton) -> None:
        thread.resume()
        self._wait(thread)


_usual = Usual()


def code_of(function: Any) -> object:
    """By which a handler or a loop is known again: the same for each that the test makes anew."""
    while isinstance(function, partial):  # which has no code of its own
        function = function.func
    function = getattr(function, "__func__", function)
    return getattr(function, "__code__", type(function))
