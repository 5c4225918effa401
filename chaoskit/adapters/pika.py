"""`pika`'s blocking channel: `with deliver.consumer(BlockingChannel) as channel`, or `BlockingConnection`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from chaoskit.adapters.amqp import Tags, properties, refuse_other_mode
from chaoskit.adapters.installed import library
from chaoskit.adapters.stand_in import StandIn
from chaoskit.execution.consumer import Source, Stopped
from chaoskit.values.event import Message

Callback = Callable[[Any, Any, Any, bytes], Any]


class BlockingChannel(StandIn):
    """Declarations do nothing. A message is settled by its delivery tag; `start_consuming` calls the callback with each
    and returns when nothing is left."""

    _stands_for = "pika's BlockingChannel"

    def __init__(self, source: Source, connection: BlockingConnection | None = None, **config: Any) -> None:
        super().__init__(source)
        self._library = library("pika", "pika")
        self.connection = connection or BlockingConnection(source)
        self.channel_number = 1
        self.is_open = True
        self._tags = Tags(source)
        self._consumer: tuple[str, Callback, bool, str] | None = None

    @staticmethod
    def settles_by_hand(**config: Any) -> bool:
        return True

    @property
    def is_closed(self) -> bool:
        return not self.is_open

    # Consuming.

    def basic_consume(
        self,
        queue: str,
        on_message_callback: Callback,
        auto_ack: bool = False,
        exclusive: bool = False,
        consumer_tag: str | None = None,
        arguments: Mapping[str, Any] | None = None,
    ) -> str:
        refuse_other_mode(self._source, auto_ack)
        self._consumer = (queue, on_message_callback, auto_ack, consumer_tag or "ctag1.0")
        return self._consumer[3]

    def start_consuming(self) -> None:
        while self._consumer is not None:
            queue, callback, auto_ack, tag = self._consumer
            message = self._source.take()
            if message is None:
                self._consumer = None
            else:
                callback(self, *self._delivery(message, queue, auto_ack, tag))

    def consume(
        self,
        queue: str,
        auto_ack: bool = False,
        exclusive: bool = False,
        arguments: Mapping[str, Any] | None = None,
        inactivity_timeout: float | None = None,
        consumer_tag: str | None = None,
    ) -> Iterator[tuple[Any, Any, Any]]:
        """With an inactivity timeout it says a few times that there is nothing, before it ends."""
        refuse_other_mode(self._source, auto_ack)
        while True:
            message = self._source.take()
            if message is not None:
                yield self._delivery(message, queue, auto_ack, consumer_tag or "ctag1.0")
            elif inactivity_timeout is None:
                return
            else:
                try:
                    self._source.idle()
                except Stopped:
                    return
                yield None, None, None

    def basic_get(self, queue: str, auto_ack: bool = False) -> tuple[Any, Any, Any]:
        refuse_other_mode(self._source, auto_ack)
        message = self._source.take()
        if message is None:
            self._source.idle()
            return None, None, None
        method, header, body = self._delivery(message, queue, auto_ack, "")
        found = self._library.spec.Basic.GetOk(
            delivery_tag=method.delivery_tag, redelivered=method.redelivered, exchange=method.exchange,
            routing_key=method.routing_key, message_count=0,
        )  # fmt: skip
        return found, header, body

    def stop_consuming(self, consumer_tag: str | None = None) -> None:
        self._consumer = None

    def basic_cancel(self, consumer_tag: str) -> None:
        self._consumer = None

    def cancel(self) -> int:
        return 0

    def _delivery(self, message: Message, queue: str, auto_ack: bool, consumer_tag: str) -> tuple[Any, Any, bytes]:
        method = self._library.spec.Basic.Deliver(
            consumer_tag=consumer_tag, delivery_tag=self._tags.given(message, auto_ack),
            redelivered=bool(message.redelivered), exchange="", routing_key=queue,
        )  # fmt: skip
        return method, self._library.BasicProperties(**properties(self._source, message)), self._bytes(message)

    # Settling.

    def basic_ack(self, delivery_tag: int = 0, multiple: bool = False) -> None:
        self._settle("ack", delivery_tag, multiple)

    def basic_nack(self, delivery_tag: int = 0, multiple: bool = False, requeue: bool = True) -> None:
        self._settle("nack", delivery_tag, multiple, requeue=requeue)

    def basic_reject(self, delivery_tag: int = 0, requeue: bool = True) -> None:
        self._settle("nack", delivery_tag, False, requeue=requeue)

    def _settle(self, verb: str, tag: int, multiple: bool, **options: bool) -> None:
        if not self._tags.settle(verb, tag, multiple, **options):
            self.is_open = False
            raise self._library.exceptions.ChannelClosedByBroker(
                406, f"PRECONDITION_FAILED - unknown delivery tag {tag}"
            )

    # What happens around it.

    def basic_publish(
        self, exchange: str, routing_key: str, body: bytes, properties: Any = None, mandatory: bool = False
    ) -> None:
        """An effect by the name of `publish`, as `deliver.effect` records it."""
        self._source.effect("publish", body if isinstance(body, bytes) else str(body).encode(), (exchange, routing_key))

    def _declared(self, *args: Any, **options: Any) -> Any:
        """Nothing comes of it: what is there is what the broker's settings say."""
        queue = str((args[0] if args else options.get("queue")) or "amq.gen-1")
        ok = self._library.spec.Queue.DeclareOk(queue=queue, message_count=0, consumer_count=0)
        return self._library.frame.Method(self.channel_number, ok)

    queue_declare = queue_bind = exchange_declare = exchange_bind = basic_qos = confirm_delivery = _declared

    def close(self, reply_code: int = 0, reply_text: str = "Normal shutdown") -> None:
        self.is_open = False


class BlockingConnection(StandIn):
    """Gives the one channel."""

    _stands_for = "pika's BlockingConnection"

    def __init__(self, source: Source, **config: Any) -> None:
        super().__init__(source)
        self.is_open = True

    settles_by_hand = staticmethod(BlockingChannel.settles_by_hand)

    @property
    def is_closed(self) -> bool:
        return not self.is_open

    def channel(self, channel_number: int | None = None) -> BlockingChannel:
        return BlockingChannel(self._source, self)

    def process_data_events(self, time_limit: float = 0) -> None:
        """Nothing comes of it."""

    def sleep(self, duration: float) -> None:
        """Time does not pass by it."""

    def add_callback_threadsafe(self, callback: Callable[[], Any]) -> None:
        callback()

    def close(self, reply_code: int = 200, reply_text: str = "Normal shutdown") -> None:
        self.is_open = False

    def __enter__(self) -> BlockingConnection:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
