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
from chaoskit.adapters.refusing import NotHandled, mentions
from chaoskit.execution.retried import Final, as_final, gives_up
from chaoskit.values.event import Message


def job(
    function: Callable[..., Any], args: CalledWith | None = None, *, retry: Any = None
) -> Callable[[Message], None]:
    """The function of a job: `deliver(rq.job(charge, lambda message: (message.key,), retry=Retry(max=3)))`.

    `args(message)` is what it is enqueued with, the event's value by default, pickled as RQ does. `get_current_job()`
    works in it. What it raises is raised. It comes again as often as `retry` says, or where it returns a `Retry`; else
    the failure is final, and the function does not run again for it. Raises UsageError for what cannot be pickled.
    """
    kind: Any = library("rq.job", "rq").Job
    asks = library("rq", "rq").Retry

    class Performed(kind):  # type: ignore[misc]
        # Not by its name, as a worker finds it: this may be a function of a test.
        func = property(lambda self: function)

    def of_an_attempt(message: Message) -> Final | None:
        tried = retries_of(message)
        return None if retry is not None and tried < retry.max else Final("rq", used_up=tried > 0)

    def handle(message: Message) -> None:
        positional, named = pickled(*arguments_of(message, args), function.__qualname__)
        identity = message.message_id or str(message.id)
        made = Performed.create(function, positional, named, connection=_NoRedis(), id=identity)
        made.retries_left = None if retry is None else max(retry.max - retries_of(message), 0)
        made.number_of_retries = tried = retries_of(message)
        try:
            result = made.perform()
        except Exception as error:
            if (how := of_an_attempt(message)) is not None:
                raise as_final(error, how) from error.__cause__
            raise
        if isinstance(result, asks):
            asked = NotHandled("the job returned a Retry")
            raise asked if tried < result.max else as_final(asked, Final("rq", used_up=True))

    gives_up(handle, lambda message: None if mentions(function, "Retry") else of_an_attempt(message))
    handle.__wrapped__ = function  # type: ignore[attr-defined]  # the code that a process can die in
    return handle


class _NoRedis:
    """What a job is made with that nobody stores."""

    connection_pool = None

    def persist(self, key: str) -> None:
        """RQ 2 lets what it performs not run out."""
