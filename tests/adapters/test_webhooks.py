"""Webhook endpoints as Flask, FastAPI, Django and Stripe document them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from chaoskit import Event, Message, Overtake, Resend, UsageError, Webhook, check
from chaoskit.adapters import webhooks
from chaoskit.adapters.refusing import NotHandled
from chaoskit.values.epoch import EPOCH, epoch_of, seed_at

SECRET = "whsec_test"
CUSTOMERS = [
    Event("c1", {"type": "customer.created", "data": {"object": {"id": "c1", "mail": "old@x.org"}}}),
    Event("c1", {"type": "customer.updated", "data": {"object": {"id": "c1", "mail": "new@x.org"}}}),
]
MESSAGE = Message("c1", CUSTOMERS[0].value, "e1", 1, {}, 1_700_000_000.5, "/webhook", message_id="evt_0")
Hook = Callable[[bytes, str], None]
"""From the payload and the signature's header; raises ValueError for a signature that is none."""

# One endpoint in each framework, as its pages write it.


def in_flask(hook: Hook) -> Any:
    flask = pytest.importorskip("flask", reason="flask is missing")
    app = flask.Flask(__name__)

    @app.route("/webhook", methods=["POST"])
    def webhook() -> Any:
        try:
            hook(flask.request.data, flask.request.headers["Stripe-Signature"])
        except ValueError:
            return flask.jsonify(success=False), 400
        return flask.jsonify(success=True)

    return app


def in_django(hook: Hook) -> Any:
    pytest.importorskip("django", reason="django is missing")
    import one_django  # noqa: F401
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpResponse
    from django.test import override_settings
    from django.urls import path
    from django.views.decorators.csrf import csrf_exempt

    @csrf_exempt
    def webhook(request: Any) -> Any:
        try:
            hook(request.body, request.META["HTTP_STRIPE_SIGNATURE"])
        except ValueError:
            return HttpResponse(status=400)
        return HttpResponse(status=200)

    handler = WSGIHandler()

    def app(environ: Any, start_response: Any) -> Any:
        with override_settings(ROOT_URLCONF=(path("webhook", webhook),)):
            return handler(environ, start_response)

    return app


def in_fastapi(hook: Hook) -> Any:
    fastapi = pytest.importorskip("fastapi", reason="fastapi is missing")
    app = fastapi.FastAPI()

    async def webhook(request: Any, stripe_signature: str = fastapi.Header()) -> dict[str, bool]:
        try:
            hook(await request.body(), stripe_signature)
        except ValueError:
            raise fastapi.HTTPException(status_code=400) from None
        return {"success": True}

    webhook.__annotations__["request"] = fastapi.Request  # a name that only this function knows
    app.post("/webhook")(webhook)
    return app


def customers(framework: Any, *, fetches: bool, app_of: list[Any] | None = None) -> Any:
    """A copy of Stripe's customers: of what the event says, or of what the API says when it comes."""
    stripe = pytest.importorskip("stripe", reason="stripe is missing")

    def prepared(deliver: Any) -> tuple[Any, dict[str, str]]:
        mails: dict[str, str] = {}

        def hook(payload: bytes, signature: str) -> None:
            try:
                event = stripe.Webhook.construct_event(payload, signature, SECRET)
            except stripe.SignatureVerificationError as error:
                raise ValueError from error
            customer = event["data"]["object"]
            if fetches:
                customer = [sent for sent in deliver.sent() if sent.key == customer["id"]][-1].value["data"]["object"]
            mails[customer["id"]] = customer["mail"]

        return framework(hook), mails

    def test(deliver: Any) -> dict[str, str]:
        app, mails = prepared(deliver)
        deliver(webhooks.wsgi(app, sign=webhooks.stripe(SECRET), body=webhooks.stripe_event))
        return mails

    async def test_async(deliver: Any) -> dict[str, str]:
        app, mails = prepared(deliver)
        await deliver(webhooks.asgi(app, "/webhook", sign=webhooks.stripe(SECRET), body=webhooks.stripe_event))
        return mails

    return test_async if framework is in_fastapi else test


@pytest.mark.parametrize("framework", [in_flask, in_django, in_fastapi])
def test_an_update_that_comes_before_its_creation_is_undone(framework: Any) -> None:
    """Stripe keeps no order. Who fetches the object, as its page says, holds."""
    found = check(customers(framework, fetches=False), CUSTOMERS, Webhook(), schedules=30, seed=1)
    assert found.status == "violated"
    assert found.observed == {"c1": "old@x.org"}
    found = check(customers(framework, fetches=False), CUSTOMERS, Webhook(), faults={Overtake}, schedules=30, seed=1)
    assert found.status == "violated"
    held = check(customers(framework, fetches=True), CUSTOMERS, Webhook(), schedules=30, seed=1)
    assert held.status == "held", held.report()


def test_the_id_of_an_event_does_not_recognise_a_second_event_of_the_change() -> None:
    """Stripe may make two events of one change: its `id` is the delivery's, not the producer's."""

    def test(deliver: Any) -> list[str]:
        mails: dict[str, str] = {}

        def app(environ: Any, start_response: Any) -> list[bytes]:
            event = json.load(environ["wsgi.input"])
            mails.setdefault(event["id"], event["data"]["object"]["mail"])
            start_response("204 No Content", [])
            return []

        deliver(webhooks.wsgi(app, body=webhooks.stripe_event))
        return sorted(mails.values())

    found = check(test, CUSTOMERS, Webhook(), schedules=60, seed=1)
    assert found.status == "violated"
    assert found.scenario is not None
    assert {type(fault) for fault in found.scenario.faults} == {Resend}


STATUS = ("created", "paid", "refunded")


def invoices(repair: str) -> Any:
    """Their status: of the newest event as `created` says, of what the API says, or of the events in their order."""

    def test(deliver: Any) -> dict[str, str]:
        stored: dict[str, tuple[int, int]] = {}

        def app(environ: Any, start_response: Any) -> list[bytes]:
            event = json.load(environ["wsgi.input"])
            key, status = event["data"]["object"]["id"], STATUS.index(event["type"])
            before, created = stored.get(key, (-1, 0))
            if repair == "fetch":
                status = max(STATUS.index(sent.value["type"]) for sent in deliver.sent() if sent.key == key)
            too_early = repair == "states" and status > before + 1
            newer = {">": event["created"] > created, ">=": event["created"] >= created, "states": status > before}
            if not too_early and newer.get(repair, True):
                stored[key] = status, event["created"]
            # The provider sends again what came too early.
            start_response("409 Conflict" if too_early else "200 OK", [])
            return []

        deliver(webhooks.wsgi(app, body=webhooks.stripe_event))
        return {key: STATUS[status] for key, (status, _) in stored.items()}

    return test


@pytest.mark.parametrize(
    ("repair", "status"), [(">", "violated"), (">=", "violated"), ("fetch", "held"), ("states", "held")]
)
def test_created_does_not_tell_the_newer_of_two_events(repair: str, status: str) -> None:
    """Stripe's has whole seconds: events of one call tie."""
    stream = [
        Event(key, {"type": kind, "data": {"object": {"id": key}}}) for kind in STATUS for key in ("in_1", "in_2")
    ]
    found = check(invoices(repair), stream, Webhook(), faults={Overtake}, schedules=30, seed=1)
    assert found.status == status, found.report()


def test_whole_seconds_tie_and_never_run_ahead() -> None:
    for begins in (EPOCH, epoch_of(seed_at(1.8e9, 1))):
        sent = [attrs.evolve(MESSAGE, timestamp=begins + position) for position in range(7)]
        seconds = [webhooks.stripe_event(message)["created"] for message in sent]
        assert seconds == sorted(seconds)
        assert all(second <= message.timestamp for second, message in zip(seconds, sent, strict=True))
        assert seconds[0] == seconds[1] < seconds[3]
        assert [webhooks.slack_event(message)["event_time"] for message in sent] == seconds


# Requests.


def request_of(**settings: Any) -> tuple[dict[str, Any], bytes]:
    got: list[dict[str, Any]] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        got.append(environ)
        start_response("200 OK", [])
        return [b"ok"]

    webhooks.wsgi(app, **settings)(MESSAGE)
    return got[0], got[0]["wsgi.input"].read()


def test_signatures_are_those_of_the_providers_own_pages() -> None:
    """The examples with which Slack and GitHub explain theirs."""
    slack = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&"
        b"channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&"
        b"response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F"
        b"96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    sign = webhooks.slack("8f742231b10e8888abcd99yyyzzz85a5", now=lambda: 1531420618.9)
    assert sign(MESSAGE, slack) == {
        "X-Slack-Request-Timestamp": "1531420618",
        "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    }
    github = webhooks.github("It's a Secret to Everybody", lambda message: message.value["type"])
    assert github(MESSAGE, b"Hello, World!")["X-Hub-Signature-256"] == (
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    )
    assert github(MESSAGE, b"")["X-GitHub-Event"] == "customer.created"


def test_a_request_carries_what_the_provider_sends() -> None:
    """Headers, body and path, the broker's own where none is named."""
    environ, body = request_of(sign=webhooks.shopify("shpss", "orders/paid"), headers=lambda m: {"X-Id": str(m.id)})
    digest = hmac.new(b"shpss", body, hashlib.sha256).digest()
    assert environ["HTTP_X_SHOPIFY_HMAC_SHA256"] == base64.b64encode(digest).decode()
    assert (environ["HTTP_X_SHOPIFY_TOPIC"], environ["HTTP_X_ID"]) == ("orders/paid", "e1")
    assert (environ["PATH_INFO"], environ["CONTENT_TYPE"]) == ("/webhook", "application/json")
    assert environ["CONTENT_LENGTH"] == str(len(body))
    environ, body = request_of(path="/hooks?v=1", body=webhooks.slack_event, serializer=lambda value: value["event_id"])
    assert (environ["PATH_INFO"], environ["QUERY_STRING"], body) == ("/hooks", "v=1", b"Evevt_0")


@pytest.mark.parametrize("status", ["302 Found", "400 Bad Request", "500 Oops"])
def test_what_is_not_2xx_comes_again(status: str) -> None:
    """A redirect, too: the provider does not follow it."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response(status, [])
        return [b"no\n  way"]

    with pytest.raises(NotHandled, match=f"HTTP {status[:3]}: no way"):
        webhooks.wsgi(app)(MESSAGE)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"path": "/webhok"}, "(/webhok)"),
        ({"sign": webhooks.stripe("other", now=lambda: 1)}, "sign="),
        ({}, "too early"),
    ],
)
def test_a_request_that_is_refused_in_order_has_a_wrong_path_or_signature(settings: Any, says: str) -> None:
    """Unless another one was answered with 2xx: then it is the event."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"].read()
        signed = webhooks.stripe(SECRET, now=lambda: 1)(MESSAGE, body)["Stripe-Signature"]
        known = environ["PATH_INFO"] == "/webhook" and environ["HTTP_STRIPE_SIGNATURE"] == signed
        is_early = known and json.loads(body)["type"] == "customer.updated"
        start_response("409 Conflict" if is_early else "200 OK" if known else "400 Bad Request", [])
        return [b"too early" if is_early else b""]

    def test(deliver: Any) -> int:
        deliver(webhooks.wsgi(app, **{"sign": webhooks.stripe(SECRET, now=lambda: 1), **settings}))
        return 1

    with pytest.raises(UsageError) as refused:
        check(test, CUSTOMERS, Webhook(), schedules=5, seed=1)
    shown = "\n".join([str(refused.value), *getattr(refused.value, "__notes__", ())])
    assert says in shown
    assert ("check the path" in shown) == ("overdraft" not in shown) == bool(settings)


def test_a_task_that_fails_behind_the_answer_is_lost() -> None:
    """FastAPI answers before its background tasks: the provider has heard 200, and what failed comes no second time."""
    fastapi = pytest.importorskip("fastapi", reason="fastapi is missing")

    async def test(deliver: Any, *, behind: bool) -> dict[str, int]:
        known: set[str] = set()
        points: dict[str, int] = {}
        app = fastapi.FastAPI()

        def book(event: dict[str, Any]) -> None:
            if event["type"] == "created":
                known.add(event["customer"])
            elif event["customer"] not in known:
                raise LookupError(event["customer"])  # its creation has not come yet
            points[event["customer"]] = max(points.get(event["customer"], 0), event["points"])

        async def work(event: dict[str, Any]) -> None:
            book(event)

        async def webhook(event: dict[str, Any], tasks: Any) -> None:
            if behind:
                tasks.add_task(work, event)
            else:
                book(event)

        webhook.__annotations__["tasks"] = fastapi.BackgroundTasks  # a name that only this function knows
        app.post("/webhook")(webhook)
        await deliver(webhooks.asgi(app))
        return points

    stream = [
        Event("c1", {"type": "created", "customer": "c1", "points": 0}),
        Event("c1", {"type": "paid", "customer": "c1", "points": 5}),
    ]

    async def behind(deliver: Any) -> Any:
        return await test(deliver, behind=True)

    async def before(deliver: Any) -> Any:
        return await test(deliver, behind=False)

    found = check(behind, stream, Webhook(), schedules=30, seed=1)
    assert found.status == "violated"
    assert found.observed == {"c1": 0}
    held = check(before, stream, Webhook(), schedules=30, seed=1)
    assert held.status == "held", held.report()


def test_a_signature_is_of_the_virtual_time_where_clocks_are_virtual() -> None:
    """Years before this one, by which Stripe's library judges its age, too."""
    pytest.importorskip("time_machine", reason="time-machine is missing")
    test = customers(in_flask, fetches=True)
    held = check(test, CUSTOMERS, Webhook(), faults={Overtake}, schedules=10, seed=1, freeze_time=True)
    assert held.status == "held", held.report()


def endpoint(field: str, seen: list[Any]) -> Any:
    """An application of no framework, which needs this field of the body."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        event = json.loads(environ["wsgi.input"].read())
        seen.append(event[field])
        start_response("200 OK", [])
        return [b""]

    return app


@pytest.mark.parametrize(
    ("sign", "value", "field"),
    [
        (webhooks.stripe(SECRET), {"type": "invoice.paid", "data": {"object": {"id": "in_1"}}}, "id"),
        (webhooks.slack(SECRET), {"type": "message", "text": "hello"}, "event"),
    ],
)
def test_a_signature_brings_its_envelope(sign: Any, value: Any, field: str) -> None:
    """Without `body=`; what is complete is sent as it is."""
    seen: list[Any] = []
    handle = webhooks.wsgi(endpoint(field, seen), "/", sign=sign)
    handle(attrs.evolve(MESSAGE, value=value))
    handle(attrs.evolve(MESSAGE, value={**value, field: "own"}))
    assert seen == [{"id": MESSAGE.message_id or str(MESSAGE.id), "event": value}[field], "own"]


@pytest.mark.parametrize("sign", [webhooks.stripe(SECRET), webhooks.slack(SECRET)])
def test_what_a_provider_would_have_sent_is_named(sign: Any) -> None:
    """In the place of the KeyError of whoever reads it."""
    handle = webhooks.wsgi(endpoint("type", []), "/", sign=sign)
    with pytest.raises(UsageError, match=r"took no request \(KeyError: 'type'\): it is signed as .* and has no '"):
        handle(attrs.evolve(MESSAGE, value={"amount": 5}))
    own = webhooks.wsgi(endpoint("amount", []), "/", sign=sign)
    own(attrs.evolve(MESSAGE, value={"amount": 5}))  # it needs no more than that
