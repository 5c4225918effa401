"""`pubsub_v1.SubscriberClient`: `with deliver.consumer(SubscriberClient) as subscriber`, by callback or by `pull`."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from chaoskit.adapters.installed import library
from chaoskit.adapters.serializing import raw_value
from chaoskit.adapters.stand_in import StandIn
from chaoskit.execution.consumer import Source
from chaoskit.values.event import Message

PACKAGE = "google-cloud-pubsub"


class Requests:
    """What a message asks of its client: the queue in which its acknowledgements stand."""

    def __init__(self) -> None:
        self._given: dict[str, Any] = {}

    def given(self, message: Message) -> str:
        ack_id = f"ack-{len(self._given) + 1}"
        self._given[ack_id] = message
        return ack_id

    def put(self, request: Any) -> None:
        kind, message = type(request).__name__, self._given[request.ack_id]
        if kind == "AckRequest":
            message.ack()
        elif kind == "NackRequest":
            message.nack()
        elif kind == "ModAckRequest":
            self.modify(request.ack_id, request.seconds)
        if getattr(request, "future", None) is not None:
            done = library("google.cloud.pubsub_v1.subscriber.exceptions", PACKAGE).AcknowledgeStatus.SUCCESS
            request.future.set_result(done)

    def ack(self, ack_id: str) -> None:
        self._given[ack_id].ack()

    def modify(self, ack_id: str, seconds: float) -> None:
        if seconds == 0:
            self._given[ack_id].nack()
        else:
            self._given[ack_id].extend()


def pb_of(source: Source, message: Message) -> Any:
    """A `PubsubMessage`: the key is its ordering key, as far as the topic has such."""
    types = library("google.cloud.pubsub_v1.types", PACKAGE)
    attributes = {name: _text(value) for name, value in source.headers(message).items()}
    micros = round(message.timestamp * 1_000_000)
    time = library("google.protobuf.timestamp_pb2", PACKAGE).Timestamp(
        seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000
    )
    return types.PubsubMessage(
        data=raw_value(message.value, source.serializer), attributes=attributes,
        message_id=message.message_id or str(message.id), publish_time=time, ordering_key=message.group or "",
    )  # fmt: skip


class StreamingPullFuture:
    """`result()` calls the callback with one message after the other. What the callback raises gives its message back
    and is raised here, as the client does."""

    def __init__(self, source: Source, requests: Requests, callback: Callable[[Any], Any]) -> None:
        self._source, self._requests, self._callback = source, requests, callback
        self._is_cancelled = False

    def result(self, timeout: float | None = None) -> None:
        while not self._is_cancelled:
            message = self._source.take()
            if message is None:
                self._source.idle()
                if timeout is not None:
                    raise concurrent.futures.TimeoutError
                continue
            given = library("google.cloud.pubsub_v1.subscriber.message", PACKAGE).Message(
                pb_of(self._source, message)._pb, self._requests.given(message), message.attempt or 0, self._requests
            )
            try:
                self._callback(given)
            except Exception:
                given.nack()
                raise

    def cancel(self) -> None:
        self._is_cancelled = True

    def cancelled(self) -> bool:
        return self._is_cancelled


class SubscriberClient(StandIn):
    """A message is settled by `ack` or `nack`, or by `acknowledge` and `modify_ack_deadline` with its ack id."""

    _stands_for = "pubsub_v1.SubscriberClient"

    def __init__(self, source: Source, **config: Any) -> None:
        super().__init__(source)
        self._requests = Requests()

    @staticmethod
    def settles_by_hand(**config: Any) -> bool:
        return True

    @staticmethod
    def subscription_path(project: str, subscription: str) -> str:
        return f"projects/{project}/subscriptions/{subscription}"

    def subscribe(self, subscription: str, callback: Callable[[Any], Any], **options: Any) -> StreamingPullFuture:
        return StreamingPullFuture(self._source, self._requests, callback)

    def pull(
        self, request: Mapping[str, Any] | None = None, *, subscription: str = "", max_messages: int = 1, **options: Any
    ) -> Any:
        """Messages, up to so many; none when nothing is left."""
        types = library("google.cloud.pubsub_v1.types", PACKAGE)
        messages = self._source.take_several(_of(request, max_messages=max_messages).max_messages)
        if not messages:
            self._source.idle()
        received = [
            types.ReceivedMessage(
                ack_id=self._requests.given(message), message=pb_of(self._source, message),
                delivery_attempt=message.attempt or 0,
            )
            for message in messages
        ]  # fmt: skip
        return types.PullResponse(received_messages=received)

    def acknowledge(
        self, request: Mapping[str, Any] | None = None, *, subscription: str = "", ack_ids: Sequence[str] = ()
    ) -> None:
        for ack_id in _of(request, ack_ids=ack_ids).ack_ids:
            self._requests.ack(ack_id)

    def modify_ack_deadline(
        self,
        request: Mapping[str, Any] | None = None,
        *,
        subscription: str = "",
        ack_ids: Sequence[str] = (),
        ack_deadline_seconds: int = 0,
    ) -> None:
        asked = _of(request, ack_ids=ack_ids, ack_deadline_seconds=ack_deadline_seconds)
        for ack_id in asked.ack_ids:
            self._requests.modify(ack_id, asked.ack_deadline_seconds)

    def close(self) -> None:
        """It has nothing open."""

    def __enter__(self) -> SubscriberClient:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _of(request: Mapping[str, Any] | None, **fields: Any) -> SimpleNamespace:
    """A call may have its fields in one dict."""
    return SimpleNamespace(**{**fields, **(request or {})})


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
