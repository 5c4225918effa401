"""The consumer processes of one run: what `spawn` gives each of them, and how each of them ends."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

from chaoskit.execution import forks
from chaoskit.execution.handlers import is_manager
from chaoskit.execution.limit import Hung, ends_the_test
from chaoskit.execution.script import Handler
from chaoskit.execution.settling import unheard
from chaoskit.execution.tasks import is_cancelled_from_outside
from chaoskit.execution.topics import one_handler
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


class Processes:
    """Those that run now: the `handlers` of each, by the number of its consumer. `misused` raises the UsageError for
    what `spawn` must not give. `moved` puts the move around a handler."""

    def __init__(
        self, spawn: Spawn, is_async: bool, moved: Callable[[Handler], Handler], misused: Callable[[str], NoReturn]
    ) -> None:
        self.handlers: dict[int, Handler] = {}
        self._managers: dict[int, Any] = {}
        """What was entered to get a handler, and has to be left."""
        self._spawn = spawn
        self._is_async = is_async
        self._moved = moved
        self._misused = misused
        self._generation = forks.generation()

    def any_handler(self) -> Handler | None:
        """That of some process; None where none has begun."""
        return next(iter(self.handlers.values()), None)

    async def begin(self, number: int) -> None:
        """Start a process. What `spawn` raises is raised."""
        await self._begun(number, self._spawn())

    async def _begun(self, number: int, made: Any) -> None:
        if is_manager(made):
            handler, gave = await self._entered(number, made), "the context manager of spawn gave"
        else:
            handler, gave = made, "spawn gave"
        handler = one_handler(handler)
        if not callable(handler):
            self._misused(f"{gave} {_no_handler(handler)}")
        self.handlers[number] = self._moved(handler)

    async def _entered(self, number: int, manager: Any) -> Any:
        kind = type(manager)
        if not self._awaits(kind):
            given = kind.__enter__(manager)
        elif self._is_async:
            given = await kind.__aenter__(manager)
        else:
            self._misused(
                "spawn gave an async context manager: make the test `async def` and write `await deliver(spawn=…)`"
            )
        # Whatever it gave: it was entered, and has to be left.
        self._managers[number] = manager
        return given

    def _awaits(self, kind: type) -> bool:
        """One that can be used either way, such as a client, is meant in the way of the test."""
        return hasattr(kind, "__aenter__") and (self._is_async or not hasattr(kind, "__enter__"))

    async def _leave(self, number: int, error: BaseException | None = None) -> None:
        manager = self._managers.pop(number, None)
        try:
            if manager is not None:
                await self._exit(manager, error)
        finally:
            # Not before: in a clean stop it still works.
            self.handlers.pop(number, None)

    async def _exit(self, manager: Any, error: BaseException | None) -> None:
        kind = type(manager)
        details = (None, None, None) if error is None else (type(error), error, error.__traceback__)
        if self._awaits(kind):
            await kind.__aexit__(manager, *details)
        else:
            kind.__exit__(manager, *details)

    async def die(self, number: int) -> None:
        """The process ends without a word. Its context manager is left with Died, so that what was open is closed; what
        that raises is nobody's concern, as a real death runs no code at all."""
        try:
            with unheard():
                await self._leave(number, Died())
        except BaseException as error:
            if self._is_for_us(error):
                raise

    def _is_for_us(self, error: BaseException) -> bool:
        """It ends the run, or the test, and only happened to come while a process was dying."""
        if isinstance(error, Hung) or (self._is_async and is_cancelled_from_outside(error)):
            return True
        return ends_the_test(error) and not isinstance(error, SystemExit)

    async def stop(self) -> None:
        """The clean stop, the last one that began first, as nested `with` blocks end. What it raises is raised."""
        for number in reversed(list(self.handlers)):
            if not self._is_child():
                await self._leave(number)

    async def abandon(self) -> None:
        """The run is over, perhaps before its time: leave nothing open."""
        if not self._managers or self._is_child():
            return
        try:
            for number in reversed(list(self._managers)):
                await self.die(number)
        finally:
            await self.abandon()

    def _is_child(self) -> bool:
        """The handler forked, and this is the child: what it has open is its parent's."""
        return forks.generation() != self._generation


def _no_handler(given: Any) -> str:
    """What was given instead of a handler, and what to do."""
    if inspect.iscoroutine(given):
        given.close()  # else Python warns that it was never awaited, after we have reported it
        return (
            "a coroutine, not a handler. What is awaited when a process starts stands in an async context manager: "
            "`@contextlib.asynccontextmanager` above `async def`, and `yield` the handler"
        )
    if inspect.isgenerator(given) or inspect.isasyncgen(given):
        name = "contextmanager" if inspect.isgenerator(given) else "asynccontextmanager"
        return f"a generator, not a handler: put `@contextlib.{name}` above its function"
    return f"{given!r}, not a handler"
