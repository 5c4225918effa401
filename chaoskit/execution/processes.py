"""The consumer processes of one run: what `spawn` gives each of them, and how each of them ends."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

import attrs

from chaoskit.execution import forks
from chaoskit.execution.limit import Hung, ends_the_test
from chaoskit.execution.script import Handler
from chaoskit.execution.tasks import is_cancelled_from_outside
from chaoskit.values.errors import Died

Spawn = Callable[[], Any]
"""What makes the handler of a new process, or a context manager that yields it."""

Result = TypeVar("Result")


def through(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """What a coroutine gives in which nothing is ever waited for: sync and async tests are played by the same code."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise AssertionError("a sync test waited for something")


def is_manager(given: object) -> bool:
    """Whether it is a context manager. Those of contextlib can be called, too, as they are decorators."""
    return hasattr(type(given), "__enter__") or hasattr(type(given), "__aenter__")


@attrs.frozen(eq=False)
class _Process:
    """`manager`: what was entered to get the `handler`; None where `spawn` gave the handler itself."""

    handler: Handler
    manager: Any = None
    awaits: bool = False

    async def leave(self, error: BaseException | None = None) -> None:
        if self.manager is None:
            return
        details = (None, None, None) if error is None else (type(error), error, error.__traceback__)
        if self.awaits:
            await type(self.manager).__aexit__(self.manager, *details)
        else:
            type(self.manager).__exit__(self.manager, *details)


class Processes:
    """`misused` raises the UsageError for what `spawn` must not give. `moved` is put around each handler."""

    def __init__(
        self, spawn: Spawn, is_async: bool, moved: Callable[[Handler], Handler], misused: Callable[[str], NoReturn]
    ) -> None:
        self._spawn = spawn
        self._is_async = is_async
        self._moved = moved
        self._misused = misused
        self._running: dict[int, _Process] = {}
        self._generation = forks.generation()

    @property
    def running(self) -> bool:
        """Some process has begun and has not ended."""
        return bool(self._running)

    def handler(self, number: int) -> Handler | None:
        """That of the process with this number; None where there is no such process, or none any more."""
        process = self._running.get(number)
        return None if process is None else process.handler

    async def begin(self, number: int) -> None:
        """Start a process. What `spawn` raises is raised."""
        made = self._spawn()
        if not is_manager(made):
            self._running[number] = _Process(self._checked(made, "spawn gave"))
            return
        # One that can be used either way, such as a client, is meant in the way of the test.
        awaits = hasattr(type(made), "__aenter__") and (self._is_async or not hasattr(type(made), "__enter__"))
        if awaits and not self._is_async:
            self._misused(
                "spawn gave an async context manager: make the test `async def` and write `await deliver(spawn=…)`"
            )
        given = await type(made).__aenter__(made) if awaits else type(made).__enter__(made)
        # Before it is looked at: it was entered, and has to be left whatever it gave.
        self._running[number] = _Process(given, made, awaits)
        handler = self._checked(given, "the context manager of spawn gave")
        self._running[number] = _Process(handler, made, awaits)

    def _checked(self, given: Any, gave: str) -> Handler:
        if not callable(given):
            self._misused(f"{gave} {_no_handler(given)}")
        return self._moved(given)

    async def die(self, number: int) -> None:
        """The process ends without a word. Its context manager is left with Died, so that what was open is closed; what
        that raises is nobody's concern, as a real death runs no code at all."""
        process = self._running.pop(number, None)
        if process is None:
            return
        try:
            await process.leave(Died())
        except BaseException as error:
            if self._is_for_us(error):
                raise

    def _is_for_us(self, error: BaseException) -> bool:
        """It ends the run, or the test, and only happened to come while a process was dying."""
        if isinstance(error, Hung) or (self._is_async and is_cancelled_from_outside(error)):
            return True
        return ends_the_test(error) and not isinstance(error, SystemExit)

    async def stop(self) -> None:
        """The clean stop, in the order in which they began. What it raises is raised."""
        while self._running:
            await self._running.pop(next(iter(self._running))).leave()

    async def abandon(self) -> None:
        """The run is over before its time: leave nothing open."""
        # What a child has open is its parent's.
        if forks.generation() != self._generation:
            return
        try:
            while self._running:
                await self.die(next(iter(self._running)))
        finally:
            if self._running:
                await self.abandon()


def _no_handler(given: Any) -> str:
    """What was given instead of a handler, and what to do."""
    if inspect.iscoroutine(given):
        given.close()  # else Python warns that it was never awaited, after we have said so
        return (
            "a coroutine, not a handler. What is awaited when a process starts stands in an async context manager: "
            "`@contextlib.asynccontextmanager` above `async def`, and `yield` the handler"
        )
    if inspect.isgenerator(given) or inspect.isasyncgen(given):
        name = "contextmanager" if inspect.isgenerator(given) else "asynccontextmanager"
        return f"a generator, not a handler: put `@contextlib.{name}` above its function"
    return f"{given!r}, not a handler"
