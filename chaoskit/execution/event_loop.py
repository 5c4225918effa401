"""An event loop of our own, one per test, for async tests that nobody else runs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from chaoskit.execution.deliver import Deliver
from chaoskit.execution.limit import Hung
from chaoskit.execution.pools import until_closed
from chaoskit.execution.tasks import running_loop
from chaoskit.values.errors import UsageError

if TYPE_CHECKING:
    import asyncio


@contextmanager
def own_loop(test: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """`test` as a plain function: itself, or run to its end in one loop that lasts for the block."""
    if not inspect.iscoroutinefunction(test):
        yield test
        return
    if running_loop() is not None:
        raise UsageError("an async test cannot be checked inside a running event loop: call this from a plain function")
    loop = _Loop()
    try:
        yield lambda *args, **kwargs: loop.run(test(*args, **kwargs))
    finally:
        loop.runner.close()


def leaves_no_task(test: Callable[..., Any]) -> Callable[..., Any]:
    """The async test, which must not end before what its handler has begun. A plain one as it is."""
    if not inspect.iscoroutinefunction(test):
        return test

    @functools.wraps(test)
    async def inner(*args: Any, **kwargs: Any) -> Any:
        # What a plugin or a fixture keeps running is none of the handler's.
        before = _tasks()
        try:
            returned = await test(*args, **kwargs)
        finally:
            # Here, as what a process has open can only be closed in the loop of the test.
            for deliver in (given for given in (*args, *kwargs.values()) if isinstance(given, Deliver)):
                await deliver.aclose()
            await until_closed()
        if left := _tasks() - before:
            raise UsageError(
                f"{_named(left)} still running when the test returned. A message counts as handled as soon as its "
                "handler returns, whatever comes of a task that it leaves behind: await it in the handler. What is to "
                "live longer than a run belongs into a fixture"
            )
        return returned

    return inner


def _tasks() -> set[asyncio.Task[Any]]:
    import asyncio

    # trio has no tasks without a nursery that waits for them
    return set() if running_loop() is None else asyncio.all_tasks()


def _named(left: set[asyncio.Task[Any]]) -> str:
    names = sorted({getattr(task.get_coro(), "__qualname__", task.get_name()) for task in left})
    return f"{', '.join(names)}: {len(left)} {'tasks were' if len(left) > 1 else 'task was'}"


class _Loop:
    """What hangs in a loop is left behind with it: it must not go on beside the runs that follow."""

    def __init__(self) -> None:
        self.runner = _new_runner()

    def run(self, coroutine: Any) -> Any:
        try:
            return self.runner.run(coroutine)
        except Hung as hung:
            hung.caught()
            # Not `runner.close()`: it cancels the tasks that are left and waits for them, and one that hangs never
            # ends.
            self.runner.get_loop().close()
            self.runner = _new_runner()
            raise


def _new_runner() -> asyncio.Runner:
    import asyncio

    return asyncio.Runner()
