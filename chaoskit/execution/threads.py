"""Consumer processes that can die inside the handler. Each is a thread of its own, and one of them runs at a time.

A process that dies is a thread that is never resumed: nothing of the handler runs any more, as in production, while
what its context manager has open is closed in its thread. When the run is over and its state was copied, the frames of
the dead are unwound, so that nothing is left.
"""

from __future__ import annotations

import contextvars
import ctypes
import inspect
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from chaoskit.execution import forks
from chaoskit.execution.limit import waits_for_the_handler
from chaoskit.execution.opened import (
    Socket,
    close_sqlite,
    cut_off_sqlite,
    helpers_of,
    settle_sqlite,
    shut_down,
    sockets,
    unheard,
    watch_sqlite,
)
from chaoskit.execution.overlap import Job, Switches
from chaoskit.execution.points import Points, territory_of
from chaoskit.execution.pools import own_connections
from chaoskit.execution.processes import Processes, Spawn, through
from chaoskit.execution.script import Handler
from chaoskit.execution.shared import SHARED, shared_connection
from chaoskit.execution.stepping import Death, Passed, Stepper
from chaoskit.execution.turns import Dying, Turns
from chaoskit.execution.unwound import PATIENCE, all_unwound, has_ended
from chaoskit.execution.waiting import LOOKS_TO_START, stands_still
from chaoskit.values.errors import Died
from chaoskit.values.event import Message
from chaoskit.values.schedule import BEGIN, DIE, GO_ON, Raw, point_of, what_of

if TYPE_CHECKING:
    import asyncio

Counted = dict[int, list[Passed]] | None


class ProcessThread:
    """One process. It has the baton while a job runs; else it waits for the next."""

    def __init__(self, processes: Callable[[Callable[[Handler], Handler]], Processes], is_async: bool) -> None:
        self._is_async = is_async
        self.process = processes(self._take)
        self.handler: Handler | None = None
        """What `spawn` gave, by which the code is known that is stepped into."""
        self.death: Death | None = None
        self._job: Job | None = None
        self._result: Any = None
        self._error: BaseException | None = None
        self._stepper: Stepper | None = None
        self._open: frozenset[Socket] | None = None
        """The sockets that were there before it handled the message that it dies at."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self.is_busy = False
        self.is_stopped = self.is_at_its_point = self.yields = False
        """It has stopped in the middle of its job; that is where it was to; and it is to stop at its next point."""
        self._is_unwound = self._is_to_die = self._is_met = self._is_last = False
        self._go, self._back = threading.Lock(), threading.Lock()
        self._back.acquire()
        self._generation = forks.generation()
        # The test's own, so that what it has set there can be read; thread-locals are as new, as in a new process.
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,), name="consumer process", daemon=True)

    def _take(self, handler: Handler) -> Handler:
        self.handler = handler
        return handler

    @property
    def is_left_as_it_is(self) -> bool:
        """It died in the middle of the user's code, whose frames go when the run is over."""
        return self.death is not None and self.death.inside

    # What is asked of it.

    @waits_for_the_handler
    def do(self, job: Job, *, is_last: bool = False) -> Any:
        """Run this in its thread, and wait for it. What it raises is raised here. After the last it has nothing more to
        do."""
        self._is_last = is_last
        self.hand_over(job)
        self._back.acquire()
        self.is_busy = False
        return self.result()

    def hand_over(self, job: Job) -> None:
        """It has the baton, and this to do."""
        self._job, self._result, self._error = job, None, None
        if self._thread.ident is None:  # it begins with a job: to wait for the first would be one more turn
            self._thread.start()
        else:
            self._go.release()
        self.is_busy = True

    @waits_for_the_handler
    def is_back(self, patience: float) -> bool:
        """Whether it gives the baton back within so many seconds: its job is done, or it has stopped."""
        back = self._back.acquire(timeout=patience)
        if back:
            self._is_met, self.is_busy = True, self.is_stopped
        return back

    def goes_on(self) -> bool:
        """Whether it may take another message in the same turn: it was not interrupted, and is no child of its own."""
        return not self._is_unwound and forks.generation() == self._generation

    def result(self) -> Any:
        """What came of its job. What that has raised is raised here."""
        error, self._error = self._error, None
        if error is not None:
            raise error
        return self._result

    def resume(self) -> None:
        """Where it has stopped, it goes on."""
        if not self._is_met:  # it stopped while another one was waited for, and its baton still lies there
            self._back.acquire()
        self.is_stopped = self.is_at_its_point = False
        self._go.release()

    @waits_for_the_handler
    def kill(self) -> None:
        """Where it has stopped, it is never to go on: nothing that its process has opened stays open."""
        self._is_to_die = True
        self.resume()
        self._back.acquire()
        self.is_busy = False

    @property
    def threads(self) -> list[threading.Thread]:
        """Its own, and those in which what it has opened is."""
        return [self._thread, *(helpers_of(self._loop) if self._loop is not None else ())]

    def end(self) -> None:
        """It has nothing more to do."""
        if self.is_busy:
            waits = stands_still(self._thread.ident)
            self._interrupt()
            if waits:  # it waits in a call, and ends when that does
                return
        elif self._thread.ident is None:  # there was no thread to be had
            return
        elif not self._is_last:
            self._job = None
            self._go.release()
        self._thread.join(PATIENCE)

    def unwind(self) -> bool:
        """The run is over: the frames of the dead go, and their `finally` finds what they had open closed. Whether they
        have gone."""
        self._is_unwound = True
        with unheard(self._thread):
            self._go.release()
            return has_ended(self._thread)

    def _interrupt(self) -> None:
        """It hangs: its handler is ended where it is, as soon as it is in Python code."""
        self._is_unwound = True
        if self._stepper is not None:  # else it would stop at its next point, for good
            self._stepper.let_go()
        if self._thread.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread.ident), ctypes.py_object(Died))

    # In its thread.

    def _run(self) -> None:
        watch_sqlite()
        own_connections()
        try:
            if self._is_async:
                self._run_in_a_loop()
            else:
                through(self._serve())
        except BaseException:  # it was unwound, and whatever its frames raise is nobody's concern
            if not self._is_unwound:
                raise

    def _run_in_a_loop(self) -> None:
        import asyncio

        with asyncio.Runner() as runner:
            try:
                self._loop = runner.get_loop()
            except OSError as error:  # too many files are open: who waits for its first job would wait for ever
                self._go.acquire()
                self._error = error
                self._back.release()
                through(self._serve())  # it has begun nothing, and leaves nothing that is awaited
            else:
                runner.run(self._serve())

    async def _serve(self) -> None:
        while True:
            self._go.acquire()
            if self._job is None:
                return
            try:
                self._result = await self._job()
            except BaseException as error:  # noqa: BLE001 - raised again by who waits
                self._error = error
            if forks.generation() != self._generation:  # a child has this thread alone
                forks.leave(on_purpose=isinstance(self._error, SystemExit))
            if self._is_unwound:
                self._error = None  # with it go the frames, and all that they hold
                if self._is_async:
                    settle_sqlite()
                return
            is_last = self._is_last  # now: once the baton is back it may be said of another job
            self._back.release()
            if is_last:
                return

    async def handle(self, handler: Handler, message: Message) -> Any:
        result = handler(message)
        if self._is_async and inspect.isawaitable(result):
            result = await result
        return result

    async def count(self, handler: Handler, message: Message, points: Points) -> list[Passed]:
        """Handle it, and say which points were passed."""
        assert self.handler is not None
        with Stepper(territory_of(self.handler, points)) as self._stepper:
            await self.handle(handler, message)
        return self._stepper.passed

    async def watch(self, handler: Handler, message: Message, points: Points, at_each: Callable[[Passed], None]) -> Any:
        """Handle it, and call this at each point."""
        assert self.handler is not None
        with Stepper(territory_of(self.handler, points), at_each=at_each) as self._stepper:
            return await self.handle(handler, message)

    async def die(self, handler: Handler, message: Message, points: Points, after: int) -> None:
        """Handle it, and die after so many effects; or when all is done. What it raises before is raised."""
        assert self.handler is not None
        self._open = sockets()
        with Stepper(territory_of(self.handler, points), after, self._dies_here) as self._stepper:
            await self.handle(handler, message)
        await self.ends()
        self.death = Death(tuple(self._stepper.passed), inside=False)

    async def ends(self) -> None:
        """The process is dead, and nothing that it has opened stays open."""
        cut_off_sqlite()
        await self.process.die(0)
        close_sqlite()
        if self._open is not None:
            shut_down(sockets() - self._open)

    def pauses(self, *, at_its_point: bool = False) -> None:
        """Called at a point, in the middle of the handler: it stops here until it has the baton again."""
        self._is_met, self.is_at_its_point, self.is_stopped = False, at_its_point, True
        self._back.release()
        self._go.acquire()
        if self._is_to_die:
            self._leaves()

    def _dies_here(self) -> None:
        """Called by the stepper, in the middle of the handler."""
        assert self._stepper is not None
        self.death = Death(tuple(self._stepper.passed), inside=True)
        self._leaves()

    def _leaves(self) -> NoReturn:
        """The process dies in the middle of the handler."""
        if self._is_async:
            from chaoskit.execution.own_thread import run_inside

            run_inside(self.ends())
        else:
            through(self.ends())
        self._back.release()
        self._go.acquire()
        raise Died


class ThreadedProcesses:
    """As `Processes`, for a run in which some process dies inside the handler."""

    def __init__(
        self,
        spawn: Spawn,
        is_async: bool,
        moved: Callable[[Handler], Handler],
        misused: Callable[[str], NoReturn],
        points: Points,
    ) -> None:
        self._spawn, self._is_async, self._moved, self._misused = spawn, is_async, moved, misused
        self._points = points
        self._is_alone = False
        """Nothing of the test's was found that two processes would share."""
        self.handlers: dict[int, Handler] = {}
        """What handles a message in the thread of the process with this number."""
        self._running: dict[int, ProcessThread] = {}
        self._dead: list[ProcessThread] = []
        self._switches = Switches(points)
        self.turns = Turns()
        self.waits_for_nobody = False
        """A handler hung because it waits, and not for one that was stopped."""

    def takes(self, number: int, step: Raw, counted: Counted, died: Callable[[Death], None]) -> Handler:
        """What this step makes of the handler of this process."""
        do = what_of(step)
        if not self._is_alone and (counted is not None or do in (DIE, BEGIN)):
            self._is_alone = True
            if (shared := shared_connection(self._spawn)) is not None:
                self._misused(SHARED.format(shared))
        if counted is not None:
            return self.counting(number, counted.setdefault(step[2], []))
        if do == DIE:
            return self.dying(number, point_of(step), died)
        if do == BEGIN:
            return self._beginning(number, point_of(step), died)
        if do == GO_ON:
            return self._going_on(number)
        return self.handlers[number]

    def _beginning(self, number: int, point: int, stopped: Callable[[Death], None]) -> Handler:
        """As the handler of this process, which stops after so many effects."""
        thread = self._running[number]

        def handle(message: Message) -> None:
            stop = self._switches.begin(number, thread, self._handler_of(thread), message, point)
            if stop is not None:
                stopped(stop)

        return handle

    def _going_on(self, number: int) -> Handler:
        """The rest of what this process has begun."""
        return lambda _: self._switches.go_on(number)

    def counting(self, number: int, passed: list[Passed]) -> Handler:
        """As the handler of this process, and adds the points that were passed."""
        thread = self._running[number]

        def handle(message: Message) -> None:
            passed.extend(thread.do(partial(thread.count, self._handler_of(thread), message, self._points)))

        return handle

    def dying(self, number: int, after: int, died: Callable[[Death], None]) -> Handler:
        """The same, and the process dies after so many effects. Where the handler raises before that, nothing dies."""
        thread = self._running[number]

        def buried() -> None:
            assert thread.death is not None
            del self._running[number], self.handlers[number]
            if thread.is_left_as_it_is:
                self._dead.append(thread)
            else:
                thread.end()
            died(thread.death)

        return Dying(
            thread,
            lambda message: thread.die(self._handler_of(thread), message, self._points, after),
            buried,
            partial(self._switches.do, thread),
        )

    def _handled(self, number: int, message: Message) -> Any:
        thread = self._running[number]
        return self._switches.handle(number, thread, self._handler_of(thread), message, partial(self._goes_on, number))

    async def _goes_on(self, number: int) -> None:
        """In its thread: it takes what follows, as long as that is its own, and nobody is stopped."""
        thread = self._running[number]
        if not self._switches.watched:
            handle = partial(self._switches.timed, thread, self._handler_of(thread))
            await self.turns.go_on(thread, self.handlers[number], handle)

    @staticmethod
    def _handler_of(thread: ProcessThread) -> Handler:
        return thread.process.handlers[0]

    def any_handler(self) -> Handler | None:
        """That of some process; None where none has begun."""
        return next(map(self._handler_of, self._running.values()), None)

    async def begin(self, number: int) -> None:
        thread = self._running[number] = ProcessThread(self._processes, self._is_async)

        async def begin() -> None:
            await thread.process.begin(0)
            self.handlers[number] = partial(self._handled, number)
            await self._goes_on(number)

        self._switches.do(thread, begin, LOOKS_TO_START)

    def _processes(self, take: Callable[[Handler], Handler]) -> Processes:
        return Processes(self._spawn, self._is_async, lambda handler: self._moved(take(handler)), self._misused)

    async def die(self, number: int) -> None:
        if number in self._running:
            self._end(number, self._running[number].ends)

    async def stop(self) -> None:
        for number in reversed(list(self._running)):
            self._end(number, self._running[number].process.stop)

    async def abandon(self) -> None:
        # First what is stopped: another one may wait for a lock of it.
        for number in sorted(self._running, key=lambda number: not self._running[number].is_stopped):
            self._end(number, self._running[number].process.abandon)

    def _end(self, number: int, last: Job) -> None:
        """The last that this process does. One that hangs does not come to it."""
        thread = self._running[number]
        if self._switches.forget(number):
            del self._running[number], self.handlers[number]
            thread.kill()
            self._dead.append(thread)
            return
        try:
            if not thread.is_busy:
                thread.do(last, is_last=True)
            elif len(self._running) > 1:
                self.waits_for_nobody = stands_still(thread.threads[0].ident)
        finally:
            del self._running[number]
            self.handlers.pop(number, None)
            thread.end()

    def sweep(self) -> bool:
        """Unwind the dead, when the state of the run was copied. False where some do not let themselves be unwound."""
        dead, self._dead = self._dead, []
        return not dead or all_unwound(dead)
