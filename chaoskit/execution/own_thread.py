"""What an async framework runs in a thread of its pool runs in the thread that handles the message.

Starlette and FastAPI hand `def` endpoints and dependencies to `anyio.to_thread`. Who steps through a handler follows no
other thread: its deaths, overlaps and failed calls would be those of what stands around the endpoint. While the
function runs, the thread has no running loop, as one of the pool has none: `asyncio.run` and Django's ORM ask.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

_is_here: contextvars.ContextVar[bool] = contextvars.ContextVar("is_here", default=False)
"""In what the handler of an adapter runs, and in all that it begins."""
_this = threading.local()
"""The running loop of this thread, and its task, while a function of the pool hides them."""


@contextmanager
def in_own_thread() -> Iterator[None]:
    """What is handed to the pool of anyio within it runs here."""
    _install()
    _is_here.set(True)
    try:
        yield
    finally:
        _is_here.set(False)  # with a token this would fail where the block is left in another context


def _install() -> None:
    """For good, as a run may end in the middle of a request: outside of one, what was there is called."""
    to_thread, from_thread = sys.modules.get("anyio.to_thread"), sys.modules.get("anyio.from_thread")
    if to_thread is not None and not hasattr(to_thread.run_sync, "replaces"):
        to_thread.run_sync = _running_here(to_thread.run_sync)  # type: ignore[attr-defined]
    if from_thread is not None and not hasattr(from_thread.run, "replaces"):
        from_thread.run = _run_in_loop(from_thread.run)  # type: ignore[attr-defined]
        from_thread.run_sync = _call_in_loop(from_thread.run_sync)  # type: ignore[attr-defined]


def _running_here(run_sync: Callable[..., Any]) -> Callable[..., Any]:
    async def run(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        if not _is_here.get():
            return await run_sync(function, *args, **options)
        await asyncio.sleep(0)  # other tasks have their turn, as they do while a thread is waited for
        # What it sets in its context is not seen outside, as with a thread.
        return contextvars.copy_context().run(_hidden, function, args)

    run.replaces = run_sync  # type: ignore[attr-defined]
    return run


def _hidden(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    _this.loop = _leave()
    try:
        return function(*args)
    finally:
        _return()


def _leave() -> tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is not None:
        asyncio.tasks._leave_task(loop, task)
    asyncio._set_running_loop(None)
    return loop, task


def _is_hidden() -> bool:
    return getattr(_this, "loop", None) is not None


def _return() -> None:
    """The loop is there again, where it is hidden: a death brings it back in the middle of what hides it."""
    if _is_hidden():
        loop, task = _this.loop
        _this.loop = None
        _enter(loop, task)


def _enter(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any] | None) -> None:
    asyncio._set_running_loop(loop)
    if task is not None:
        asyncio.tasks._enter_task(loop, task)


def run_inside(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run it to its end in the loop that is running what has called this. What it returns."""
    _return()
    loop, task = _leave()
    identity, loop._thread_id = loop._thread_id, None  # type: ignore[attr-defined]
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop._thread_id = identity  # type: ignore[attr-defined]
        _enter(loop, task)


def _awaited_by(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """A function of the pool awaits something in the loop, such as the body of its request."""
    try:
        return run_inside(function(*args))
    finally:
        _this.loop = _leave()


def _run_in_loop(run: Callable[..., Any]) -> Callable[..., Any]:
    def run_here(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return _awaited_by(function, args) if _is_hidden() else run(function, *args, **options)

    run_here.replaces = run  # type: ignore[attr-defined]
    return run_here


def _call_in_loop(run_sync: Callable[..., Any]) -> Callable[..., Any]:
    async def call(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        return function(*args)

    def call_here(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return _awaited_by(call, (function, args)) if _is_hidden() else run_sync(function, *args, **options)

    return call_here
