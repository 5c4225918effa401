"""Huey tasks: each delivery runs the task as a consumer does, with its `retries`.

Nothing is enqueued. `Celery()` has the rules of its Redis queue: a task is taken off the list before it runs, a crash
loses it, and a retry is put at the end. Sources: huey.readthedocs.io (guide); huey 3.5 api.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chaoskit.adapters.arguments import CalledWith, arguments_of, pickled, retries_of
from chaoskit.adapters.installed import library
from chaoskit.adapters.refusing import NotHandled, mentions
from chaoskit.execution.retried import Final, as_final, gives_up
from chaoskit.values.event import Message


def task(task: Any, args: CalledWith | None = None) -> Callable[[Message], None]:
    """A task: `deliver(huey.task(charge, lambda message: (message.key, message.value)))`.

    `args(message)` is what it is called with, the event's value by default, pickled as Huey does. What it raises is
    raised. It comes again while `retries` are left, or where it asks for it (`RetryTask`,
    `CancelExecution(retry=True)`); else the failure is final, and the task does not run again for it. A task that is
    cancelled for good is settled. Raises UsageError for what cannot be pickled.
    """
    exceptions = library("huey.exceptions", "huey")

    def handle(message: Message) -> None:
        positional, named = pickled(*arguments_of(message, args), task.func.__name__)
        left = _left(task, message)
        instance = task.task_class(positional, named, id=message.message_id or str(message.id), retries=left)
        try:
            instance.execute()
        except exceptions.RetryTask as asked:
            raise NotHandled(f"the task asked for a retry: {asked!r}") from asked
        except exceptions.CancelExecution as cancelled:
            again = left if cancelled.retry is None else cancelled.retry
            if again:
                raise NotHandled("the task was cancelled, to be retried") from cancelled
        except Exception as error:
            if left:
                raise
            raise as_final(error, _final(message)) from error.__cause__

    asks = mentions(task.func, "RetryTask", "CancelExecution")
    gives_up(handle, lambda message: None if asks or _left(task, message) else _final(message))
    handle.__wrapped__ = task.func  # type: ignore[attr-defined]  # the code that a process can die in
    return handle


def _left(task: Any, message: Message) -> int:
    return max((task.task_class.default_retries or 0) - retries_of(message), 0)


def _final(message: Message) -> Final:
    return Final("huey", used_up=retries_of(message) > 0)
