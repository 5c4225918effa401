"""arq jobs: each delivery is a job that a worker runs, at least once, and again where it raises `Retry`.

No Redis is asked. `Celery(acks_late=True, reject_on_worker_lost=True)` has the rules of its queue: a job stays in it
until it is done, and one whose worker was killed runs again. Sources: arq-docs.helpmanual.io; arq 0.28 worker.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from chaoskit.adapters.arguments import CalledWith, arguments_of, pickled, retries_of
from chaoskit.adapters.installed import library
from chaoskit.adapters.refusing import NotHandled, mentions
from chaoskit.execution.retried import Final, as_final, gives_up
from chaoskit.values.event import Message


def job(
    function: Any, args: CalledWith | None = None, *, ctx: Mapping[str, Any] | None = None, max_tries: int = 5
) -> Callable[[Message], Awaitable[None]]:
    """A coroutine of a worker, or its `func(…)`: `await deliver(arq.job(charge, ctx={"redis": pool}))`.

    `args(message)` is what it is enqueued with, the event's value by default, pickled as arq does; `ctx` is what the
    worker's `on_startup` put there, to which the job's own entries are added. `max_tries` is the worker's; a `func`'s
    own goes before it. A job that raises `Retry` comes again until then. Any other exception is final: it is raised,
    and the job does not run again for it. Raises UsageError for what cannot be pickled.
    """
    worker = library("arq.worker", "arq")
    coroutine = getattr(function, "coroutine", function)
    own = getattr(function, "max_tries", None)
    most = max_tries if own is None else own

    async def handle(message: Message) -> None:
        positional, named = pickled(*arguments_of(message, args), coroutine.__qualname__)
        tried = retries_of(message) + 1
        made = {
            "job_id": message.message_id or str(message.id),
            "job_try": tried,
            "enqueue_time": datetime.fromtimestamp(message.timestamp, UTC),
            "score": int(message.timestamp * 1000),
        }
        try:
            await coroutine({**(ctx or {}), **made}, *positional, **named)
        except (worker.Retry, worker.RetryJob) as asked:
            error = NotHandled(f"the job asked for a retry: {asked!r}")
            # At the next one arq fails the job before it runs.
            raise (error if tried < most else as_final(error, Final("arq", used_up=True))) from asked
        except Exception as error:  # noqa: BLE001 - a job may fail with anything
            raise as_final(error, Final("arq", used_up=tried > 1)) from error.__cause__

    asks = mentions(coroutine, "Retry", "RetryJob")
    gives_up(handle, lambda message: None if asks else Final("arq", used_up=retries_of(message) > 0))
    handle.__wrapped__ = coroutine  # type: ignore[attr-defined]  # the code that a process can die in
    return handle
