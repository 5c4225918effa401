"""What a provider puts around the object that a webhook tells of: made where the test gives only what is inside.

Sources: docs.stripe.com/api/events/object; api.slack.com/apis/events-api. GitHub and Shopify send the object itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from chaoskit.values.event import Message

_ENVELOPE = "_chaoskit_envelope"


@attrs.frozen
class Envelope:
    """`fields`: what the receiver reads of it. `is_inside`: whether a value is what `make` puts it around, by the name
    `body`."""

    provider: str
    body: str
    fields: tuple[str, ...]
    is_inside: Callable[[Mapping[str, Any]], bool]
    make: Callable[[Message], dict[str, Any]]
    example: str


def signs(sign: Any, envelope: Envelope) -> None:
    """Whoever signs so sends this envelope."""
    sign.__dict__[_ENVELOPE] = envelope


def sent_by(sign: Any, message: Message) -> Any:
    """What is sent of this message where the test does not say it."""
    envelope = _of(sign)
    if envelope is None or not isinstance(message.value, Mapping) or not envelope.is_inside(message.value):
        return message.value
    return envelope.make(message)


def what_is_missing(sign: Any, sent: Any) -> str:
    """Why an endpoint may not know what to do with what was sent; empty where nothing is missing."""
    envelope = _of(sign)
    if envelope is None:
        return ""
    has = sent if isinstance(sent, Mapping) else {}
    missing = [repr(field) for field in envelope.fields if field not in has]
    if not missing:
        return ""
    return (
        f"it is signed as {envelope.provider}'s, and has no {' and no '.join(missing)}: give values as "
        f"{envelope.provider} sends them, or what makes them of yours, body=lambda message: {envelope.example}"
    )


def _of(sign: Any) -> Envelope | None:
    return getattr(sign, "__dict__", {}).get(_ENVELOPE)
