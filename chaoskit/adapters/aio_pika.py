"""`aio_pika`: `async with deliver.consumer(Queue) as queue`, or `Connection`, whose channel declares that queue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from chaoskit.adapters.amqp import Tags, properties, refuse_other_mode
from chaoskit.adapters.installed import library
from chaoskit.adapters.stand_in import StandIn
from chaoskit.execution.consumer import Source
from chaoskit.execution.stopped_task import StoppedTask
from chaoskit.values.event import Message

PACKAGE = "aio-pika"
TAG = "ctag1.0"


class _Acks:
    """What an IncomingMessage asks of its channel."""

    is_closed = False

    def __init__(self, tags: Tags) -> None:
        self._tags = tags
        self.connection = self

    async def basic_ack(self, delivery_tag: int, multiple: bool = False, **options: Any) -> None:
        self._settle("ack", delivery_tag, multiple)

    async def basic_nack(self, delivery_tag: int, multiple: bool = False, requeue: bool = True, **options: Any) -> None:
        self._settle("nack", delivery_tag, multiple, requeue=requeue)

    async def basic_reject(self, delivery_tag: int, requeue: bool = True, **options: Any) -> None:
        self._settle("nack", delivery_tag, False, requeue=requeue)

    def _settle(self, verb: str, tag: int, multiple: bool, **options: bool) -> None:
        if not self._tags.settle(verb, tag, multiple, **options):
            raise library("aio_pika.exceptions", PACKAGE).ChannelPreconditionFailed(f"unknown delivery tag {tag}")


class Queue(StandIn):
    """Declarations do nothing. Messages are real `IncomingMessage`s, settled by `message.process()`, `ack`, `nack` and
    `reject`. A consumer that is called with each handles one at a time, as with `prefetch_count=1`."""

    _stands_for = "aio_pika's Queue"

    def __init__(self, source: Source, name: str = "events", **config: Any) -> None:
        super().__init__(source)
        self._library = library("aio_pika", PACKAGE)
        self._channel = _Acks(Tags(source))
        self.name = name

    @staticmethod
    def settles_by_hand(*args: Any, **config: Any) -> bool:
        return True

    def iterator(self, *, no_ack: bool = False, **options: Any) -> QueueIterator:
        refuse_other_mode(self._source, no_ack)
        return QueueIterator(self, no_ack)

    def __aiter__(self) -> QueueIterator:
        return self.iterator()

    async def consume(self, callback: Callable[[Any], Awaitable[Any]], no_ack: bool = False, **options: Any) -> str:
        refuse_other_mode(self._source, no_ack)

        async def called(message: Message) -> None:
            incoming = self._incoming(message, no_ack)
            try:
                await callback(incoming)
            except Exception as error:  # noqa: BLE001 - the client logs it and goes on, and the message stays as it is
                self._source.refused(error)

        self._source.call_in_a_task(called, callback)
        return TAG

    async def get(self, *, no_ack: bool = False, fail: bool = True, timeout: float | None = 5) -> Any:
        refuse_other_mode(self._source, no_ack)
        message = self._source.take()
        if message is not None:
            return self._incoming(message, no_ack)
        self._source.idle(StoppedTask)
        if fail:
            raise self._library.exceptions.QueueEmpty
        return None

    async def cancel(self, consumer_tag: str, **options: Any) -> None:
        """Nothing comes of it."""

    async def bind(self, *args: Any, **options: Any) -> None:
        """Nothing comes of it."""

    def _incoming(self, message: Message, no_ack: bool) -> Any:
        commands, header = library("pamqp.commands", PACKAGE), library("pamqp.header", PACKAGE)
        carried = properties(self._source, message)
        carried["timestamp"] = _time(carried["timestamp"])
        delivery = commands.Basic.Deliver(
            consumer_tag=TAG, delivery_tag=self._channel._tags.given(message, no_ack),
            redelivered=bool(message.redelivered), exchange="", routing_key=self.name,
        )  # fmt: skip
        delivered = library("aiormq.abc", PACKAGE).DeliveredMessage(
            delivery=delivery, header=header.ContentHeader(properties=commands.Basic.Properties(**carried)),
            body=self._bytes(message), channel=self._channel,
        )  # fmt: skip
        return self._library.IncomingMessage(delivered, no_ack=no_ack)


class QueueIterator:
    """Of a queue: `async with queue.iterator() as messages`."""

    def __init__(self, queue: Queue, no_ack: bool) -> None:
        self._queue, self._no_ack = queue, no_ack

    def __aiter__(self) -> QueueIterator:
        return self

    async def __anext__(self) -> Any:
        message = self._queue._source.take()
        if message is None:
            raise StopAsyncIteration
        return self._queue._incoming(message, self._no_ack)

    async def __aenter__(self) -> QueueIterator:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """It has nothing open."""


class Channel(StandIn):
    """Declares the one queue."""

    _stands_for = "aio_pika's Channel"

    async def set_qos(self, *args: Any, **options: Any) -> None:
        """Nothing comes of it: how many messages a consumer holds is a setting of the broker."""

    async def declare_queue(self, name: str | None = None, **options: Any) -> Queue:
        return Queue(self._source, name or "events")

    async def get_queue(self, name: str, **options: Any) -> Queue:
        return Queue(self._source, name)

    async def close(self) -> None:
        """It has nothing open."""

    async def __aenter__(self) -> Channel:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


class Connection(StandIn):
    """In the place of what `aio_pika.connect_robust` gives."""

    _stands_for = "aio_pika's Connection"

    settles_by_hand = staticmethod(Queue.settles_by_hand)

    def __init__(self, source: Source, **config: Any) -> None:
        super().__init__(source)

    async def channel(self, **options: Any) -> Channel:
        return Channel(self._source)

    async def close(self) -> None:
        """It has nothing open."""

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
