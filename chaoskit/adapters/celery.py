"""Celery tasks: each delivery runs the task as a worker does, with its request, its retries and its signals.

Nothing is sent anywhere: a retry comes again by the rules of the broker, `Celery(…)`, and no result is stored.
Sources: docs.celeryq.dev (userguide/tasks); celery 5.7 app/trace.py, worker/request.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from chaoskit.adapters.arguments import CalledWith, arguments_of, retries_of
from chaoskit.adapters.installed import library
from chaoskit.adapters.refusing import NotHandled, mentions
from chaoskit.execution.retried import Final, as_final, fails_with, gives_up
from chaoskit.execution.script import FailsWith
from chaoskit.values.errors import Unavailable, UsageError
from chaoskit.values.event import Message


def task(task: Any, args: CalledWith | None = None) -> Callable[[Message], None]:
    """A task, bound or not: `deliver(celery.task(charge, lambda message: (message.key, message.value)))`.

    `args(message)` is what it is called with, the event's value by default; it is serialized as the task's messages
    are, JSON by default. What asks for a retry (`self.retry`, `autoretry_for`, `Reject(requeue=True)`) is raised and
    comes again; any other failure is final, as a worker acknowledges it: it is raised, and the task does not run again
    for it. Where no task retries, say so: `Celery(retries=False)`. What a call raises that a `Fail` lets fail is the
    first of `autoretry_for` that can be made without arguments, unless `fails_with` says it. Raises UsageError for
    arguments that the task does not take or its serializer does not know.
    """
    trace = library("celery.app.trace", "celery").build_tracer
    states = library("celery.states", "celery")
    retried = _retried(task)
    tracer = trace(task.name, task, app=task.app, eager=True, propagate=False)

    def handle(message: Message) -> None:
        positional, named = _sent(task, *arguments_of(message, args))
        with fails_with(retried):
            done = tracer(_id(message), positional, named, _request(task, message))
        if done.info is None or done.info.state == states.IGNORED:
            return
        error = done.info.retval
        if done.info.state == states.RETRY:
            raise error.exc or NotHandled(f"the task asked for a retry: {error}")
        if done.info.state == states.REJECTED:
            if error.requeue:
                raise NotHandled(f"the task was rejected, to be queued again: {error.reason}")
            return
        raise as_final(error, Final("celery", used_up=retries_of(message) > 0))

    def of_an_attempt(message: Message) -> Final | None:
        if getattr(task, "autoretry_for", None) or mentions(task.run, "retry"):
            return None
        return Final("celery", used_up=retries_of(message) > 0)

    gives_up(handle, of_an_attempt)
    handle.__wrapped__ = getattr(task, "_orig_run", task.run)  # type: ignore[attr-defined]  # what a process can die in
    return handle


@contextmanager
def sends(app: Any, take: Callable[[str, Any, Any], Any]) -> Iterator[None]:
    """What the code below sends, by `delay`, `apply_async` or `delay_on_commit`, goes to `take(name, args, kwargs)` in
    the place of a broker, at the moment at which it would be published.

    `take` may record it, `lambda name, args, kwargs: deliver.effect("send", args, name)`, or run the task as a worker
    that is faster than the transaction of its sender. With Django's `transaction.on_commit` nothing is sent in a
    transaction that is not committed.
    """
    sent, ids = app.send_task, itertools.count(1)

    def send_task(name: str, args: Any = None, kwargs: Any = None, *more: Any, **options: Any) -> Any:
        take(name, tuple(args or ()), dict(kwargs or {}))
        return app.AsyncResult(options.get("task_id") or f"sent-{next(ids)}")

    app.send_task = send_task
    try:
        yield
    finally:
        app.send_task = sent


def _retried(task: Any) -> FailsWith:
    """What makes an error that this task retries by itself; as for any handler, where it names none to be made."""
    named, but = getattr(task, "autoretry_for", None) or (), getattr(task, "dont_autoretry_for", None) or ()
    kinds, never = (tuple(each) if isinstance(each, (tuple, list, set)) else (each,) for each in (named, but))
    for kind in (Unavailable, *kinds):
        with suppress(Exception):  # one that takes arguments
            made = kind()
            if isinstance(made, Exception) and isinstance(made, kinds) and not isinstance(made, never):
                return kind  # type: ignore[no-any-return]
    return Unavailable


def _id(message: Message) -> str:
    return message.message_id or str(message.id)


def _sent(task: Any, positional: list[Any], named: dict[str, Any]) -> tuple[Any, Any]:
    """The arguments as they come out of the task's message."""
    serialization = library("kombu.serialization", "celery")
    kind = task.serializer or task.app.conf.task_serializer
    try:
        if task.typing:
            task.__header__(*positional, **named)
        content_type, encoding, data = serialization.dumps((positional, named), serializer=kind)
        positional, named = serialization.loads(data, content_type, encoding, accept={content_type})
    except (TypeError, ValueError, serialization.EncodeError) as error:
        raise UsageError(
            f"{task.name} cannot be called with {tuple(positional)!r} and {named!r} ({error}): say what it is called "
            "with, celery.task(task, lambda message: (…,)) for positional arguments, or a dict for named ones"
        ) from error
    return positional, named


def _request(task: Any, message: Message) -> dict[str, Any]:
    """What a worker puts into `task.request`. `is_eager` keeps a retry from being published."""
    return {
        "id": _id(message),
        "root_id": _id(message),
        "parent_id": None,
        "correlation_id": _id(message),
        "reply_to": None,
        "task": task.name,
        "retries": message.headers.get("retries", 0),
        "is_eager": True,
        "hostname": "celery@worker",
        "headers": {name: value for name, value in message.headers.items() if name != "retries"},
        "delivery_info": {
            "exchange": "",
            "routing_key": message.topic,
            "priority": 0,
            "redelivered": bool(message.redelivered),
        },
    }
