"""An event loop of our own, one per test, for async tests that nobody else runs."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from chaoskit.errors import UsageError
from chaoskit.watch import Hung


@contextmanager
def own_loop(test: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """`test` as a plain function: itself, or run to its end in one loop that lasts for the block."""
    if not inspect.iscoroutinefunction(test):
        yield test
        return
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise UsageError("an async test cannot be checked inside a running event loop: call this from a plain function")
    loop = _Loop()
    try:
        yield lambda *args, **kwargs: loop.run(test(*args, **kwargs))
    finally:
        loop.runner.close()


class _Loop:
    """What hangs in a loop is left behind with it: it must not go on beside the runs that follow."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()

    def run(self, coroutine: Any) -> Any:
        try:
            return self.runner.run(coroutine)
        except Hung:
            self.runner.get_loop().close()
            self.runner = asyncio.Runner()
            raise
