"""`azure.servicebus.ServiceBusReceiver`, and that of `azure.servicebus.aio`: `deliver.consumer(ServiceBusReceiver)`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from chaoskit.adapters.installed import library
from chaoskit.adapters.stand_in import StandIn
from chaoskit.execution.consumer import ALL, Source, Stopped
from chaoskit.execution.stopped_task import StoppedTask
from chaoskit.values.event import Message

PACKAGE = "azure-servicebus"
LOCK = timedelta(seconds=60)


class _Receiver(StandIn):
    """What both have in common. With `receive_mode="receiveanddelete"` nothing is settled."""

    def __init__(self, source: Source, *, receive_mode: Any = "peeklock", **config: Any) -> None:
        super().__init__(source)
        self._library = library("azure.servicebus", PACKAGE)
        self._mode = self._library.ServiceBusReceiveMode(getattr(receive_mode, "value", receive_mode))
        self._given: dict[int, tuple[Any, Any]] = {}
        self.session = None

    @staticmethod
    def settles_by_hand(*, receive_mode: Any = "peeklock", **config: Any) -> bool:
        return str(getattr(receive_mode, "value", receive_mode)) != "receiveanddelete"

    def _next(self) -> Any:
        return next(iter(self._several(1)), None)

    def _several(self, most: int | None) -> list[Any]:
        found = []
        for message in self._source.take_several(ALL if most is None else most):
            received = self._received(message)
            self._given[id(received)] = (received, message)
            found.append(received)
        return found

    def _received(self, message: Message) -> Any:
        """A `ServiceBusReceivedMessage`, of what AMQP 1.0 carries."""
        amqp = library("azure.servicebus._pyamqp.message", PACKAGE)
        enqueued = round(message.timestamp * 1000)
        until = datetime.now(UTC) + LOCK  # what it asks the clock for itself
        annotations = {
            b"x-opt-enqueued-time": enqueued, b"x-opt-sequence-number": message.sequence,
            b"x-opt-locked-until": round(until.timestamp() * 1000),
        }  # fmt: skip
        made = amqp.Message(
            header=amqp.Header(delivery_count=(message.attempt or 1) - 1), message_annotations=annotations,
            properties=amqp.Properties(
                message_id=_sent(message.message_id or str(message.id)), group_id=_sent(message.group),
                content_type=b"application/json" if self._source.serializer is None else None,
            ),
            application_properties={
                name.encode(): _sent(value) for name, value in self._source.headers(message).items()
            },
            data=[self._bytes(message)],
        )  # fmt: skip
        number = len(self._given)
        tag = (number + 1).to_bytes(16)  # of which the client makes the lock token
        return self._library.ServiceBusReceivedMessage(made, self._mode, frame=[0, number, tag], receiver=self)

    def _settle(self, received: Any, verb: str) -> None:
        if received._settled:
            raise library("azure.servicebus.exceptions", PACKAGE).MessageAlreadySettled(
                action={"ack": "complete", "nack": "abandon", "reject": "dead-letter"}[verb]
            )
        received._settled = True
        getattr(self._given[id(received)][1], verb)()

    def _renew(self, received: Any) -> datetime:
        self._given[id(received)][1].extend()
        return datetime.now(UTC) + LOCK


def _sent(value: Any) -> Any:
    """As the client decodes it, to which a string is bytes."""
    return value.encode() if isinstance(value, str) else value


class ServiceBusReceiver(_Receiver):
    """A message is settled by `complete_message`, `abandon_message` and `dead_letter_message`."""

    _stands_for = "azure.servicebus.ServiceBusReceiver"

    def __iter__(self) -> ServiceBusReceiver:
        return self

    def __next__(self) -> Any:
        received = self._next()
        if received is None:
            raise StopIteration
        return received

    def receive_messages(self, max_message_count: int | None = 1, max_wait_time: float | None = None) -> list[Any]:
        found = self._several(max_message_count)
        if not found:
            self._source.idle(Stopped)
        return found

    def complete_message(self, message: Any) -> None:
        self._settle(message, "ack")

    def abandon_message(self, message: Any) -> None:
        self._settle(message, "nack")

    def dead_letter_message(
        self, message: Any, reason: str | None = None, error_description: str | None = None
    ) -> None:
        self._settle(message, "reject")

    def renew_message_lock(self, message: Any, *, timeout: float | None = None, **options: Any) -> datetime:
        return self._renew(message)

    def close(self) -> None:
        """It has nothing open."""

    def __enter__(self) -> ServiceBusReceiver:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _GivesReceivers(StandIn):
    """In the place of a `ServiceBusClient`: it gives the receiver."""

    _receiver: type[_Receiver]

    @staticmethod
    def settles_by_hand(*args: Any, **config: Any) -> bool:
        return True

    def get_queue_receiver(self, queue_name: str, **config: Any) -> Any:
        return self._receiver(self._source, **config)

    def get_subscription_receiver(self, topic_name: str, subscription_name: str, **config: Any) -> Any:
        return self._receiver(self._source, **config)


class ServiceBusClient(_GivesReceivers):
    """`from_connection_string` and the like make it; here `deliver.consumer(ServiceBusClient)` does."""

    _stands_for = "azure.servicebus.ServiceBusClient"
    _receiver = ServiceBusReceiver

    def close(self) -> None:
        """It has nothing open."""

    def __enter__(self) -> ServiceBusClient:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class AsyncServiceBusReceiver(_Receiver):
    """The same for `azure.servicebus.aio.ServiceBusReceiver`: its calls are awaited."""

    _stands_for = "azure.servicebus.aio.ServiceBusReceiver"

    def __aiter__(self) -> AsyncServiceBusReceiver:
        return self

    async def __anext__(self) -> Any:
        received = self._next()
        if received is None:
            raise StopAsyncIteration
        return received

    async def receive_messages(
        self, max_message_count: int | None = 1, max_wait_time: float | None = None
    ) -> list[Any]:
        found = self._several(max_message_count)
        if not found:
            self._source.idle(StoppedTask)
        return found

    async def complete_message(self, message: Any) -> None:
        self._settle(message, "ack")

    async def abandon_message(self, message: Any) -> None:
        self._settle(message, "nack")

    async def dead_letter_message(
        self, message: Any, reason: str | None = None, error_description: str | None = None
    ) -> None:
        self._settle(message, "reject")

    async def renew_message_lock(self, message: Any, *, timeout: float | None = None, **options: Any) -> datetime:
        return self._renew(message)

    async def close(self) -> None:
        """It has nothing open."""

    async def __aenter__(self) -> AsyncServiceBusReceiver:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


class AsyncServiceBusClient(_GivesReceivers):
    """The same for `azure.servicebus.aio.ServiceBusClient`."""

    _stands_for = "azure.servicebus.aio.ServiceBusClient"
    _receiver = AsyncServiceBusReceiver

    async def close(self) -> None:
        """It has nothing open."""

    async def __aenter__(self) -> AsyncServiceBusClient:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()
