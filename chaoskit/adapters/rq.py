"""RQ jobs: each delivery performs a job as a worker does, with the `Retry` that it was enqueued with.

No Redis is asked. `Celery()` has the rules of its queues: a job is taken off the list before it runs, a worker that is
killed leaves it in the registry of failed jobs, and a retry is put at the end. Sources: python-rq.org/docs (jobs,
exceptions); rq 3.0 job.py, worker/base.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chaoskit.adapters.arguments import CalledWith, arguments_of, pickled, retries_of
from chaoskit.adapters.installed import library
from chaoskit.adapters.refusing import Dropped, NotHandled
from chaoskit.values.event import Message


def job(
    function: Callable[..., Any], args: CalledWith | None = None, *, retry: Any = None
) -> Callable[[Message], None]:
    """The function of a job: `deliver(rq.job(charge, lambda message: (message.key,), retry=Retry(max=3)))`.

    `args(message)` is what it is enqueued with, the event's value by default, pickled as RQ does. `get_current_job()`
    works in it. What it raises is raised. It comes again as often as `retry` says, or where it returns a `Retry`; else
    the failure is final, and the function does not run again for it. With `deliver(spawn=…)` make it once, outside.
    Raises UsageError for what cannot be pickled.
    """
    dropped = Dropped()
    kind: Any = library("rq.job", "rq").Job
    asks = library("rq", "rq").Retry

    class Performed(kind):  # type: ignore[misc]
        # Not by its name, as a worker finds it: this may be a function of a test.
        func = property(lambda self: function)

    def handle(message: Message) -> None:
        if dropped.passes_over(message):
            return
        positional, named = pickled(*arguments_of(message, args), function.__qualname__)
        identity = message.message_id or str(message.id)
        made = Performed.create(function, positional, named, connection=_NoRedis(), id=identity)
        made.retries_left = None if retry is None else max(retry.max - retries_of(message), 0)
        made.number_of_retries = retries_of(message)
        try:
            result = made.perform()
        except Exception:
            if retry is None or retries_of(message) >= retry.max:
                dropped.note(message)
            raise
        if isinstance(result, asks) and retries_of(message) < result.max:
            raise NotHandled("the job returned a Retry")

    handle.__wrapped__ = function  # type: ignore[attr-defined]  # the code that a process can die in
    return handle


class _NoRedis:
    """What a job is made with that nobody stores."""

    connection_pool = None

    def persist(self, key: str) -> None:
        """RQ 2 lets what it performs not run out."""
