"""Messages of RabbitMQ as AMQP 0-9-1 carries them, whichever the client: their properties, and their delivery tags."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from chaoskit.adapters.seconds import second_of
from chaoskit.execution.consumer import Source
from chaoskit.values.event import Message


class Tags:
    """The deliveries of one channel, numbered from 1, and how they are settled by their numbers."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._unsettled: dict[int, Any] = {}
        self._last = 0

    def given(self, message: Message, no_ack: bool) -> int:
        self._last += 1
        if not no_ack:
            self._unsettled[self._last] = message
        return self._last

    def settle(self, verb: str, tag: int, multiple: bool, **options: bool) -> bool:
        """False where there is no such delivery that is unsettled: the broker closes the channel."""
        tags = [each for each in self._unsettled if each <= tag or not tag] if multiple else [tag]
        if any(each not in self._unsettled for each in tags) or (not tags and tag):
            return False
        for each in tags:
            getattr(self._unsettled.pop(each), verb)(**options)
        return True


def properties(source: Source, message: Message) -> dict[str, Any]:
    """By the names of the specification. The id is the producer's: that of the event."""
    found: dict[str, Any] = {
        "delivery_mode": 2,
        "message_id": str(message.id),
        "timestamp": second_of(message),
        "headers": {**source.headers(message), **_of_the_broker(message)},
    }
    if source.serializer is None:
        found["content_type"] = "application/json"
    return found


def _of_the_broker(message: Message) -> dict[str, Any]:
    """The headers that it adds: of a quorum queue from the second delivery on, and of what was dead-lettered."""
    found: dict[str, Any] = {}
    if (message.attempt or 1) > 1:
        found["x-delivery-count"] = (message.attempt or 1) - 1
    if deaths := message.headers.get("x-death"):
        time = datetime.fromtimestamp(second_of(message), UTC)
        found["x-death"] = [{**death, "time": time} for death in deaths]
        found |= {f"x-first-death-{what}": deaths[-1][what] for what in ("exchange", "queue", "reason")}
    return found


def refuse_other_mode(source: Source, no_ack: bool) -> None:
    """Whether a consumer acknowledges is a setting of the broker, too, and both have to say the same."""
    if no_ack == source.settles_by_hand:
        source.misused(
            f"the loop consumes with auto_ack={no_ack} (no_ack), and the broker is RabbitMQ(auto_ack={not no_ack}): "
            "say the same to both"
        )
