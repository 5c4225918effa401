"""What providers send beside a webhook's body: ids and signatures, computed for each delivery as they document it.

Sources: docs.stripe.com/webhooks/signature, docs.github.com/webhooks (validating-webhook-deliveries,
webhook-events-and-payloads, redelivering-webhooks), shopify.dev/docs/apps/build/webhooks, api.slack.com
(verifying-requests-from-slack, events-api), github.com/standard-webhooks/standard-webhooks (spec).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from chaoskit.adapters.envelopes import Envelope, signs
from chaoskit.adapters.seconds import second_of
from chaoskit.values.event import Message

Sign = Callable[[Message, bytes], dict[str, str]]
"""From a message and the bytes of its body to headers."""
Named = str | Callable[[Message], str]
"""A text, or a function of the message."""


def stripe(secret: str, *, now: Callable[[], float] | None = None) -> Sign:
    """`Stripe-Signature`, by the endpoint's `secret` ("whsec_…").

    `now()` are seconds since the epoch, by default those of `time.time`, which may be virtual: a signature is of the
    time of its delivery, and endpoints refuse one that is older than 5 minutes by their own clock. A value that has
    `type` and `data` and no `id` is sent as `stripe_event` makes it, unless `body=` says something else.
    """

    def sign(message: Message, body: bytes) -> dict[str, str]:
        stamp = int(time.time() if now is None else now())
        return {
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": f"t={stamp},v1={_hmac(secret, f'{stamp}.'.encode() + body).hex()}",
        }

    signs(sign, _STRIPE)
    return sign


def stripe_event(message: Message) -> dict[str, Any]:
    """Stripe's Event around the value, which has its `type` and `data`: `wsgi(…, body=stripe_event)`.

    `id` is that of the delivery's event, which a retry keeps and a second event of the same change does not. `created`
    is in whole seconds, and neighbouring events often have the same, as Stripe makes several of one call: it tells
    nobody which of them is the newer. `type`, `data` and whatever else the value has, which is a dict, stand in the
    place of what is put here; only `id` is always that of the delivery.
    """
    return {
        "object": "event",
        "api_version": "2025-03-31.basil",
        "created": second_of(message),
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        **message.value,
        "id": message.message_id or str(message.id),
    }


def github(secret: str, event: Named = "push") -> Sign:
    """`X-Hub-Signature-256`, by the webhook's `secret`, with the name of the `event` and the delivery's GUID."""

    def sign(message: Message, body: bytes) -> dict[str, str]:
        return {
            "User-Agent": "GitHub-Hookshot/0000000",
            "X-GitHub-Event": _named(event, message),
            # A redelivery keeps it.
            "X-GitHub-Delivery": _guid(message.message_id or message.id),
            "X-GitHub-Hook-ID": "1",
            "X-Hub-Signature": f"sha1={_hmac(secret, body, 'sha1').hex()}",
            "X-Hub-Signature-256": f"sha256={_hmac(secret, body).hex()}",
        }

    return sign


def shopify(secret: str, topic: Named = "orders/create", *, shop: str = "example.myshopify.com") -> Sign:
    """`X-Shopify-Hmac-Sha256`, by the app's client `secret`, with the `topic`, the delivery's id and the event's."""

    def sign(message: Message, body: bytes) -> dict[str, str]:
        return {
            "X-Shopify-Topic": _named(topic, message),
            "X-Shopify-Hmac-Sha256": base64.b64encode(_hmac(secret, body)).decode(),
            "X-Shopify-Shop-Domain": shop,
            "X-Shopify-API-Version": "2025-04",
            "X-Shopify-Webhook-Id": _guid(message.message_id or message.id),
            "X-Shopify-Triggered-At": datetime.fromtimestamp(message.timestamp, UTC).isoformat(),
            # The same for all that comes of one action of the merchant.
            "X-Shopify-Event-Id": _guid(message.id),
        }

    return sign


def slack(secret: str, *, now: Callable[[], float] | None = None) -> Sign:
    """`X-Slack-Signature`, by the app's signing `secret`. `now` as for Stripe. A value that is an event, with its
    `type`, is sent in the envelope of `slack_event`, unless `body=` says something else.

    What `Webhook(provider="slack")` sends again has `X-Slack-Retry-Num`, 1 to 3, and as the `X-Slack-Retry-Reason`
    always http_timeout: whatever an endpoint had done by then, its answer may have come too late.
    """

    def sign(message: Message, body: bytes) -> dict[str, str]:
        stamp = int(time.time() if now is None else now())
        signed = _hmac(secret, f"v0:{stamp}:".encode() + body)
        retry = (message.attempt or 1) - 1
        again = {"X-Slack-Retry-Num": str(retry), "X-Slack-Retry-Reason": "http_timeout"} if retry else {}
        return {"X-Slack-Request-Timestamp": str(stamp), "X-Slack-Signature": f"v0={signed.hex()}", **again}

    signs(sign, _SLACK)
    return sign


def slack_event(message: Message) -> dict[str, Any]:
    """The envelope of Slack's Events API around the value, which is the event: `wsgi(…, body=slack_event)`.

    `event_time` is in whole seconds, and neighbouring events often have the same.
    """
    return {
        "token": "token",
        "team_id": "T0000001",
        "api_app_id": "A0000001",
        "event": message.value,
        "type": "event_callback",
        "event_id": f"Ev{message.message_id or message.id}",
        "event_time": second_of(message),
    }


def standard(secret: str, *, now: Callable[[], float] | None = None, prefix: str = "webhook") -> Sign:
    """The headers of Standard Webhooks, by the endpoint's `secret`: "whsec_" and base64. `now` as for Stripe.

    Svix sends the same as "svix-id" and so on: `prefix="svix"`. A retry keeps its id. Raises ValueError for a secret
    that is no base64.
    """
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)

    def sign(message: Message, body: bytes) -> dict[str, str]:
        stamp = int(time.time() if now is None else now())
        id_ = f"msg_{_guid(message.message_id or message.id)}"
        signed = hmac.new(key, f"{id_}.{stamp}.".encode() + body, hashlib.sha256).digest()
        return {
            f"{prefix}-id": id_,
            f"{prefix}-timestamp": str(stamp),
            f"{prefix}-signature": f"v1,{base64.b64encode(signed).decode()}",
        }

    return sign


_STRIPE = Envelope(
    "Stripe",
    "stripe_event",
    ("type", "data"),
    lambda value: {"type", "data"} <= value.keys() and "id" not in value,
    stripe_event,
    'stripe_event(message) | {"type": "invoice.paid", "data": {"object": message.value}}',
)
_SLACK = Envelope(
    "Slack",
    "slack_event",
    ("event", "type"),
    lambda value: "type" in value and value.keys().isdisjoint({"event", "token", "challenge"}),
    slack_event,
    'slack_event(message) | {"event": {"type": "message", **message.value}}',
)


def _hmac(secret: str, body: bytes, digest: str = "sha256") -> bytes:
    return hmac.new(secret.encode(), body, getattr(hashlib, digest)).digest()


def _named(name: Named, message: Message) -> str:
    return name if isinstance(name, str) else name(message)


def _guid(of: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, str(of)))
