"""A Flask endpoint that keeps a copy of Stripe's customers.

Stripe promises no order: an update may come before its creation, which then undoes it. Who fetches the object instead
of trusting the event holds; `deliver.sent()` stands for Stripe's API.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Event, Webhook, chaos
from chaoskit.adapters import webhooks

flask = pytest.importorskip("flask")
stripe = pytest.importorskip("stripe")

SECRET = "whsec_test"


def events_of(mails: list[str]) -> list[Event]:
    kinds = ["customer.created", *["customer.updated"] * (len(mails) - 1)]
    return [
        Event("cus_1", {"type": kind, "data": {"object": {"id": "cus_1", "email": mail}}})
        for kind, mail in zip(kinds, mails, strict=True)
    ]


CUSTOMERS = st.lists(st.sampled_from(["a@x.org", "b@x.org", "c@x.org"]), min_size=1, max_size=4).map(events_of)


def service(emails: dict[str, str], fetch: Any) -> Any:
    """As the documentation of Stripe has it."""
    app = flask.Flask(__name__)

    @app.route("/webhook", methods=["POST"])
    def webhook() -> Any:
        try:
            event = stripe.Webhook.construct_event(
                flask.request.data, flask.request.headers["Stripe-Signature"], SECRET
            )
        except (ValueError, stripe.SignatureVerificationError):
            return flask.jsonify(success=False), 400
        customer = fetch(event["data"]["object"])
        emails[customer["id"]] = customer["email"]
        return flask.jsonify(success=True)

    return app


@pytest.mark.parametrize("fetches", [pytest.param(False, id="written"), pytest.param(True, id="repaired")])
@chaos(CUSTOMERS, broker=Webhook())
def test_the_last_address_is_kept(deliver: Any, fetches: bool) -> dict[str, str]:
    emails: dict[str, str] = {}
    app = service(emails, lambda event: deliver.sent()[-1].value["data"]["object"] if fetches else event)
    deliver(webhooks.wsgi(app, "/webhook", sign=webhooks.stripe(SECRET), body=webhooks.stripe_event))
    return emails
