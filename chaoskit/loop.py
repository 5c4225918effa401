"""An event loop of our own, one per test, for async tests that nobody else runs."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from chaoskit.errors import UsageError


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
    with asyncio.Runner() as runner:
        yield lambda *args, **kwargs: runner.run(test(*args, **kwargs))
