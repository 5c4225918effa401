"""What the clients of FastStream's brokers hand over: each delivery as an object of that client."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from chaoskit.adapters.installed import library
from chaoskit.adapters.seconds import second_of
from chaoskit.adapters.serializing import raw_headers, raw_key
from chaoskit.values.event import Message

Build = Callable[[Message, bytes, dict[str, Any], Any], Any]
"""From a message, its body, its headers and FastStream's subscriber to the client's object."""


def _kafka(message: Message, body: bytes, headers: dict[str, Any], subscriber: Any) -> Any:
    key = raw_key(message.key)
    return library("aiokafka", "faststream[kafka]").ConsumerRecord(
        topic=message.topic,
        partition=message.partition or 0,
        offset=message.offset or 0,
        timestamp=int(message.timestamp * 1000),
        timestamp_type=0,
        key=key,
        # A tombstone has none.
        value=None if message.value is None else body,
        checksum=None,
        serialized_key_size=-1 if key is None else len(key),
        serialized_value_size=-1 if message.value is None else len(body),
        headers=tuple(raw_headers(headers)),
    )


def _rabbit(message: Message, body: bytes, headers: dict[str, Any], subscriber: Any) -> Any:
    testing = library("faststream.rabbit.testing", "faststream[rabbit]")
    commands, abc = library("pamqp.commands", "pamqp"), library("aiormq.abc", "aiormq")
    properties = commands.Basic.Properties(
        content_type=headers.pop("content-type", None),
        correlation_id=headers.pop("correlation_id", None),
        message_id=message.message_id,
        headers=headers,
        delivery_mode=2,
        timestamp=datetime.fromtimestamp(second_of(message), UTC),
    )
    delivery = commands.Basic.Deliver(
        consumer_tag="ctag1",
        delivery_tag=1,
        redelivered=bool(message.redelivered),
        exchange="",
        routing_key=message.topic or "",
    )
    header = library("pamqp.header", "pamqp").ContentHeader(properties=properties, body_size=len(body))
    delivered = abc.DeliveredMessage(delivery=delivery, header=header, body=body, channel=_Channel())
    # Its acknowledgements go nowhere: FastStream's own message says what they were, but not whether it is queued again.
    return _noting_requeue(testing.PatchedMessage)(delivered)


@lru_cache
def _noting_requeue(kind: Any) -> Any:
    class Answering(kind):  # type: ignore[misc]
        requeued: bool | None = None

        async def nack(self, multiple: bool = False, requeue: bool = True) -> None:
            self.requeued = requeue

        async def reject(self, requeue: bool = False) -> None:
            self.requeued = requeue

    return Answering


class _Channel:
    is_closed = False


def _nats(message: Message, body: bytes, headers: dict[str, Any], subscriber: Any) -> Any:
    stream = getattr(subscriber, "stream", None)
    sequence, nanoseconds = message.sequence or 1, int(message.timestamp * 1e9)
    numbers = f"{message.attempt or 1}.{sequence}.{sequence}.{nanoseconds}.0"
    return library("faststream.nats.testing", "faststream[nats]").PatchedMessage(
        _client=None,
        subject=message.topic,
        reply="" if stream is None else f"$JS.ACK.{stream.name}.consumer.{numbers}",
        data=body,
        headers={name: str(value) for name, value in headers.items()},
    )


def _redis(message: Message, body: bytes, headers: dict[str, Any], subscriber: Any) -> Any:
    if getattr(subscriber, "stream_sub", None) is not None:
        identity = str(message.message_id or message.id).encode()
        return {"type": "stream", "channel": message.topic, "message_ids": [identity], "data": {b"__data__": body}}
    if getattr(subscriber, "list_sub", None) is not None:
        return {"type": "list", "channel": message.topic, "data": body}
    return {"type": "message", "pattern": None, "channel": message.topic, "data": body}


BUILDERS: dict[str, Build] = {"kafka": _kafka, "rabbit": _rabbit, "nats": _nats, "redis": _redis}
"""By the module of FastStream that the broker is of."""
