"""Dramatiq actors: each delivery is a message that a worker runs, and the Retries middleware's rule brings it back.

Nothing is enqueued. `Celery(acks_late=True, reject_on_worker_lost=True)` has the rules of its queues: a message is
acknowledged after it ran, and what fails is published again. Sources: dramatiq.io (guide, reference); dramatiq 2.2
worker.py, middleware/retries.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chaoskit.adapters.arguments import CalledWith, arguments_of, retries_of
from chaoskit.adapters.installed import library
from chaoskit.execution.retried import Final, as_final, gives_up
from chaoskit.values.errors import Unavailable, UsageError
from chaoskit.values.event import Message


def actor(actor: Any, args: CalledWith | None = None) -> Callable[[Message], None]:
    """An actor: `deliver(dramatiq.actor(charge, lambda message: (message.key, message.value)))`.

    `args(message)` is what it is sent with, the event's value by default, encoded as its messages are. What the actor
    raises is raised. It comes again as long as `max_retries` and `retry_when` say so, and not for what it `throws`;
    after that the failure is final: the message goes to the dead-letter queue, and does not come again.
    `CurrentMessage` and middleware of your own sees each message. Raises UsageError for what cannot be encoded.
    """
    middleware = _middleware(actor)
    skip = library("dramatiq.middleware", "dramatiq").SkipMessage

    def handle(message: Message) -> None:
        sent = _sent(actor, message, args)
        error: Exception | None = None
        try:
            for each in middleware:
                each.before_process_message(actor.broker, sent)
            actor(*sent.args, **sent.kwargs)
        except skip:
            return
        except Exception as raised:  # noqa: BLE001 - an actor may fail with anything
            error = raised
        for each in reversed(middleware):
            each.after_process_message(actor.broker, sent, result=None, exception=error)
        if error is not None:
            how = _final(actor, message, error)
            raise error if how is None else as_final(error, how)

    gives_up(handle, lambda message: _final(actor, message, Unavailable()))
    handle.__wrapped__ = actor.fn  # type: ignore[attr-defined]  # the code that a process can die in
    return handle


def _middleware(actor: Any) -> list[Any]:
    """Those that an actor sees. Dramatiq's others enqueue, store, or look at the clock."""
    present = library("dramatiq.middleware", "dramatiq").CurrentMessage
    return [
        each
        for each in actor.broker.middleware
        if isinstance(each, present) or not type(each).__module__.startswith("dramatiq.")
    ]


def _sent(actor: Any, message: Message, args: CalledWith | None) -> Any:
    positional, named = arguments_of(message, args)
    made = actor.message(*positional, **named).copy(
        message_id=message.message_id or str(message.id),
        message_timestamp=int(message.timestamp * 1000),
        options={"retries": retries_of(message)},
    )
    dramatiq = library("dramatiq", "dramatiq")
    try:
        return library("dramatiq.broker", "dramatiq").MessageProxy(dramatiq.Message.decode(made.encode()))
    except (TypeError, ValueError, dramatiq.errors.DramatiqError) as error:
        raise UsageError(f"{actor.actor_name} cannot be sent {positional!r} and {named!r}: {error}") from error


def _final(actor: Any, message: Message, error: Exception) -> Final | None:
    return None if _retries(actor, message, error) else Final("dramatiq", used_up=retries_of(message) > 0)


def _retries(actor: Any, message: Message, error: Exception) -> bool:
    retries = library("dramatiq.middleware", "dramatiq").Retries
    found = next((each for each in actor.broker.middleware if isinstance(each, retries)), None)
    throws = actor.options.get("throws")
    if found is None or (throws and isinstance(error, throws)):
        return False
    if (when := actor.options.get("retry_when", found.retry_when)) is not None:
        return bool(when(retries_of(message), error))
    most = actor.options.get("max_retries", found.max_retries)
    return most is None or retries_of(message) < most
