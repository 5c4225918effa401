"""JetStream of `nats-py`: `async with deliver.consumer(JetStreamContext) as js`, and its subscriptions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from chaoskit.adapters.installed import library
from chaoskit.adapters.stand_in import StandIn
from chaoskit.execution.consumer import Source
from chaoskit.execution.stopped_task import StoppedTask
from chaoskit.values.event import Message

PACKAGE = "nats-py"


class _ReplySubjects:
    """What a message asks of its client: an acknowledgement is published to its reply subject."""

    is_closed = False

    def __init__(self) -> None:
        self._given: dict[str, Any] = {}

    def given(self, reply: str, message: Message) -> None:
        self._given[reply] = message

    async def publish(self, subject: str, payload: bytes = b"", **options: Any) -> None:
        message, word = self._given[subject], payload.partition(b" ")[0]
        if word in (b"", b"+ACK"):
            message.ack()
        elif word == b"-NAK":
            message.nack()
        elif word == b"+TERM":
            message.reject()
        elif word == b"+WPI":
            message.extend()

    async def request(self, subject: str, payload: bytes = b"", **options: Any) -> Any:
        await self.publish(subject, payload)


class _Subscription(StandIn):
    def __init__(self, source: Source, subject: str, durable: str | None) -> None:
        super().__init__(source)
        self._library = library("nats", PACKAGE)
        self.subject, self._durable = subject, durable or "consumer"
        self._acks = _ReplySubjects()
        self._count = 0

    def _next(self) -> Any:
        return next(iter(self._several(1)), None)

    def _several(self, most: int) -> list[Any]:
        return [self._msg(message) for message in self._source.take_several(most)]

    def _msg(self, message: Message) -> Any:
        """A `nats.aio.msg.Msg`, whose reply subject says what JetStream says of this delivery."""
        self._count += 1
        time = round(message.timestamp * 1_000_000) * 1000
        sequence = message.sequence or self._count
        reply = f"$JS.ACK.EVENTS.{self._durable}.{message.attempt or 1}.{sequence}.{self._count}.{time}.0"
        self._acks.given(reply, message)
        headers = {name: _text(value) for name, value in self._source.headers(message).items()}
        if message.deduplication_id is not None:
            headers["Nats-Msg-Id"] = message.deduplication_id
        subject = self.subject if "*" not in self.subject and ">" not in self.subject else message.topic or "events"
        return self._library.aio.msg.Msg(
            _client=self._acks, subject=subject, reply=reply, data=self._bytes(message), headers=headers or None
        )

    async def unsubscribe(self, limit: int = 0) -> None:
        """It has nothing open."""

    async def drain(self) -> None:
        """It has nothing open."""


class PullSubscription(_Subscription):
    """`fetch` times out when nothing is left."""

    _stands_for = "a pull subscription of nats-py"

    async def fetch(self, batch: int = 1, timeout: float | None = 5, heartbeat: float | None = None) -> list[Any]:
        found = self._several(batch)
        if not found:
            self._source.idle(StoppedTask)
            raise self._library.errors.TimeoutError
        return found


class PushSubscription(_Subscription):
    """Its callback is called with one message at a time, and what that raises leaves its message unsettled; without a
    callback there are `next_msg` and `messages`."""

    _stands_for = "a push subscription of nats-py"

    async def next_msg(self, timeout: float | None = 1.0) -> Any:
        msg = self._next()
        if msg is None:
            self._source.idle(StoppedTask)
            raise self._library.errors.TimeoutError
        return msg

    @property
    def messages(self) -> AsyncIterator[Any]:
        return self._all()

    async def _all(self) -> AsyncIterator[Any]:
        while (msg := self._next()) is not None:
            yield msg

    def call(self, callback: Callable[[Any], Awaitable[Any]], manual_ack: bool) -> None:
        async def called(message: Message) -> None:
            msg = self._msg(message)
            try:
                await callback(msg)
                if not manual_ack and not msg.is_acked:
                    await msg.ack()
            except Exception as error:  # noqa: BLE001 - the client hands it to its error_cb, and goes on
                self._source.refused(error)

        self._source.call_in_a_task(called, callback)


class JetStreamContext(StandIn):
    """Gives the subscription. What is published by it is an effect."""

    _stands_for = "nats-py's JetStreamContext"

    @staticmethod
    def settles_by_hand(*args: Any, **config: Any) -> bool:
        return True

    async def pull_subscribe(
        self, subject: str, durable: str | None = None, stream: str | None = None, **options: Any
    ) -> PullSubscription:
        return PullSubscription(self._source, subject, durable)

    async def pull_subscribe_bind(
        self, consumer: str | None = None, stream: str | None = None, **options: Any
    ) -> PullSubscription:
        return PullSubscription(self._source, ">", consumer)

    async def subscribe(
        self,
        subject: str,
        queue: str | None = None,
        cb: Callable[[Any], Awaitable[Any]] | None = None,
        durable: str | None = None,
        stream: str | None = None,
        config: Any = None,
        manual_ack: bool = False,
        **options: Any,
    ) -> PushSubscription:
        subscription = PushSubscription(self._source, subject, durable)
        if cb is not None:
            subscription.call(cb, manual_ack)
        return subscription

    async def publish(self, subject: str, payload: bytes = b"", **options: Any) -> None:
        """An effect by the name of `publish`, as `deliver.effect` records it."""
        self._source.effect("publish", payload, subject)

    async def add_stream(self, *args: Any, **options: Any) -> None:
        """Nothing comes of it: what is there is what the broker's settings say."""


class Client(StandIn):
    """In the place of what `nats.connect` gives."""

    _stands_for = "nats-py's Client"
    settles_by_hand = staticmethod(JetStreamContext.settles_by_hand)

    def jetstream(self, **options: Any) -> JetStreamContext:
        return JetStreamContext(self._source)

    async def close(self) -> None:
        """It has nothing open."""

    async def drain(self) -> None:
        """It has nothing open."""

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
