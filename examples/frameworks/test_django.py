"""A Django view that keeps the stock of a shop at Shopify.

Shopify promises no order, and sends what was not answered for hours: an older number may come last. Its documentation
says to compare `updated_at`, which the repaired view does.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Event, Webhook, chaos
from chaoskit.adapters import webhooks

pytest.importorskip("django")

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test import override_settings
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

SECRET = "shpss_test"


def levels(numbers: list[int]) -> list[Event]:
    """The stock of one item, counted anew each minute."""
    return [
        Event("sku-1", {"sku": "sku-1", "available": number, "updated_at": f"2026-01-01T00:{minute:02}:00Z"})
        for minute, number in enumerate(numbers)
    ]


LEVELS = st.lists(st.integers(0, 9), min_size=1, max_size=4).map(levels)


def service(stock: dict[str, Any], compares: bool) -> Any:
    @csrf_exempt
    def webhook(request: Any) -> HttpResponse:
        digest = hmac.new(SECRET.encode(), request.body, hashlib.sha256).digest()
        if not hmac.compare_digest(base64.b64encode(digest).decode(), request.headers["X-Shopify-Hmac-Sha256"]):
            return HttpResponse(status=401)
        level = json.loads(request.body)
        known = stock.get(level["sku"], level)
        if not compares or level["updated_at"] >= known["updated_at"]:
            stock[level["sku"]] = level
        return HttpResponse()

    def application(environ: Any, start_response: Any) -> Any:
        with override_settings(ROOT_URLCONF=(path("webhook/", webhook),)):
            return WSGIHandler()(environ, start_response)

    return application


if not settings.configured:  # a project has its own
    settings.configure(ALLOWED_HOSTS=["localhost"])


@pytest.mark.parametrize("compares", [pytest.param(False, id="written"), pytest.param(True, id="repaired")])
@chaos(LEVELS, broker=Webhook())
def test_the_newest_stock_is_kept(deliver: Any, compares: bool) -> dict[str, Any]:
    stock: dict[str, Any] = {}
    deliver(webhooks.wsgi(service(stock, compares), "/webhook/", sign=webhooks.shopify(SECRET)))
    return stock
