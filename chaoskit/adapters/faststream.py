"""FastStream subscribers of Kafka, RabbitMQ, NATS and Redis, in FastStream's own test broker.

A subscriber is called below the broker's middlewares with the client's own message object, so that pydantic, `Depends`
and the `ack_policy` work as they do in service; what it publishes goes where the test broker sends it.
Sources: faststream.ag (getting-started/acknowledgement, testing); faststream 0.7 subscriber configurations.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

import attrs

from chaoskit.adapters.faststream_messages import BUILDERS
from chaoskit.adapters.faststream_policies import NACKED, REJECTED, comes_again, final, status_of_a_failure
from chaoskit.adapters.installed import library
from chaoskit.adapters.refusing import NotHandled
from chaoskit.adapters.serializing import Headers, Serializer, raw_value
from chaoskit.execution.retried import as_final, gives_up
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Message

_SEEN: ContextVar[list[Any]] = ContextVar("chaoskit_faststream_seen")
"""The message of FastStream that the present delivery became."""


@asynccontextmanager
async def subscriber(
    broker: Any, function: Any = None, *, serializer: Serializer | None = None, headers: Headers | None = None
) -> AsyncIterator[Callable[[Message], Awaitable[None]]]:
    """The handler that a subscriber is, in a broker that runs meanwhile: in an async test

        async with faststream.subscriber(broker, on_order) as handler:
            await deliver(handler)

    or `deliver(spawn=lambda: faststream.subscriber(broker, on_order))`. `function` is the decorated one; it can be left
    out where the broker has one subscriber. `serializer` makes the body of the event's value, JSON by default;
    `headers(message)` are the producer's. What the `ack_policy` nacks is raised and comes again. What it acknowledges
    or rejects though it failed is final: it is raised, and gone, or with the dead letters where RabbitMQ has them.
    Raises UsageError for a function that is no subscriber of this broker.
    """
    found, kind = _subscriber_of(broker, function), type(broker).__module__.split(".")[1]
    if kind not in BUILDERS:
        raise UsageError(f"{type(broker).__name__}: known are FastStream's brokers of {', '.join(sorted(BUILDERS))}")

    async def handle(message: Message) -> None:
        body = raw_value(message.value, serializer)
        told = {
            "content-type": "application/json" if serializer is None else "",
            "correlation_id": str(message.id),
            **_as_text(message.headers),
            **({} if headers is None else headers(message)),
        }
        raw = BUILDERS[kind](message, body, {name: value for name, value in told.items() if value}, found)
        _judge(kind, found, *await _processed(found, raw), attempt=message.attempt)

    own = function or found.calls[0].handler
    # The code that a process can die in.
    handle.__wrapped__ = getattr(own, "_original_call", own)  # type: ignore[attr-defined]
    gives_up(handle, lambda message: final(kind, found, status_of_a_failure(found), message.attempt))
    async with _running(broker, kind):
        yield handle


def _as_text(headers: dict[str, Any]) -> dict[str, Any]:
    """Without those that Spring writes into a dead-letter topic of Kafka, as numbers: no service of FastStream has
    them, which reads headers as text."""
    return {name: value for name, value in headers.items() if not name.startswith(("kafka_", "retry_topic-"))}


def _subscriber_of(broker: Any, function: Any) -> Any:
    subscribers = [each for each in broker.subscribers if each.calls]
    if function is not None:
        subscribers = [
            each
            for each in subscribers
            if any(function in (call.handler, call.handler._original_call) for call in each.calls)
        ]
    if len(subscribers) != 1:
        raise UsageError(
            f"{function or 'this broker'!r} has {len(subscribers)} subscribers of {type(broker).__name__}: name the "
            "function below its one @broker.subscriber(…), faststream.subscriber(broker, on_order)"
        )
    return subscribers[0]


# The broker.


@attrs.define
class _Running:
    """Processes of one broker share its test broker: what that patches is the broker's own."""

    processes: int = 0
    stack: AsyncExitStack = attrs.field(factory=AsyncExitStack)


_RUNNING: WeakKeyDictionary[Any, _Running] = WeakKeyDictionary()


@asynccontextmanager
async def _running(broker: Any, kind: str) -> AsyncIterator[None]:
    running = _RUNNING.setdefault(broker, _Running())
    if running.processes == 0:
        test = getattr(library(f"faststream.{kind}", f"faststream[{kind}]"), _TEST_BROKERS[kind])
        await running.stack.enter_async_context(test(broker, connect_only=False))
        config = broker.config.broker_config
        running.stack.callback(setattr, config, "broker_middlewares", config.broker_middlewares)
        broker.add_middleware(_listener())
    running.processes += 1
    try:
        yield
    finally:
        running.processes -= 1
        if running.processes == 0:
            await running.stack.aclose()


_TEST_BROKERS = {
    "kafka": "TestKafkaBroker",
    "rabbit": "TestRabbitBroker",
    "nats": "TestNatsBroker",
    "redis": "TestRedisBroker",
}


def _listener() -> Any:
    """A middleware that keeps the message, of which the acknowledgement is read when all is over."""
    base: Any = library("faststream", "faststream").BaseMiddleware

    class Listener(base):  # type: ignore[misc]
        async def consume_scope(self, call_next: Any, msg: Any) -> Any:
            _SEEN.get().append(msg)
            return await call_next(msg)

    return Listener


# A delivery.


async def _processed(found: Any, raw: Any) -> tuple[Exception | None, str | None]:
    """What was raised, and whether it was ACKED, NACKED, REJECTED, or none of them."""
    seen: list[Any] = []
    token = _SEEN.set(seen)
    error: Exception | None = None
    try:
        await found.process_message(raw)
    except Exception as raised:  # noqa: BLE001 - a subscriber may fail with anything
        error = raised
    finally:
        _SEEN.reset(token)
    committed = seen[-1].committed if seen else None
    if (requeue := getattr(raw, "requeued", None)) is not None:  # nack(requeue=False) rejects
        return error, NACKED if requeue else REJECTED
    return error, None if committed is None else committed.value


def _judge(kind: str, found: Any, error: Exception | None, status: str | None, *, attempt: int | None) -> None:
    if error is not None:
        how = final(kind, found, status, attempt)
        raise error if how is None else as_final(error, how)
    if comes_again(kind, found, status):  # what it rejects by hand it has decided
        raise NotHandled(_SAID[status])


_SAID = {
    None: "nothing has acknowledged it: ack_policy=MANUAL",
    NACKED: "it was nacked",
    REJECTED: "it was rejected, and stays pending",
}
