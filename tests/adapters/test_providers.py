"""What each provider of webhooks sends again, and what handlers that expect something else do with it: each as its
documentation writes one, with a bug that is known of it, and repaired."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import pytest

from chaoskit import DeadLetter, Event, Fail, Lose, Message, Redeliver, Resend, UsageError, Verdict, Webhook, check
from chaoskit.adapters import webhooks
from chaoskit.brokers.providers import PROVIDERS

SECRET = "It's a Secret to Everybody"
Handler = Callable[[Mapping[str, str], bytes], int]
"""From the headers and the body of a request to the status of its answer."""


def served(handler: Handler) -> Any:
    """In Flask, with the handler behind its route."""
    flask = pytest.importorskip("flask", reason="flask is missing")
    app = flask.Flask(__name__)

    @app.route("/webhook", methods=["POST"])
    def webhook() -> Any:
        return "", handler(flask.request.headers, flask.request.get_data())

    return app


def found(make: Any, events: list[Event], provider: str, sign: Any, **settings: Any) -> Verdict:
    def test(deliver: Any) -> Any:
        state: dict[Any, Any] = {}
        deliver(webhooks.wsgi(served(make(state)), sign=sign))
        return state

    return check(test, events, Webhook(provider=provider, **settings), schedules=40, seed=1)


def told(verdict: Verdict) -> str:
    """Its report, without its line breaks."""
    return " ".join(verdict.report().split())


# Stripe: fulfilment of an order (docs.stripe.com/checkout/fulfillment), which has to bear a second call.

CHECKOUTS = [
    Event(f"cs_{n}", {"type": "checkout.session.completed", "data": {"object": {"id": f"cs_{n}", "amount_total": n}}})
    for n in (5, 3)
]


def fulfils(*, once: bool) -> Any:
    stripe = pytest.importorskip("stripe", reason="stripe is missing")

    def made(sent: dict[str, int]) -> Handler:
        def webhook(headers: Mapping[str, str], payload: bytes) -> int:
            try:
                event = stripe.Webhook.construct_event(payload, headers["Stripe-Signature"], "whsec_test")
            except (ValueError, stripe.SignatureVerificationError):
                return 400
            session = event["data"]["object"]
            if event["type"] == "checkout.session.completed" and not (once and session["id"] in sent):
                sent[session["id"]] = sent.get(session["id"], 0) + 1
            return 200

        return webhook

    return made


def test_stripe_fulfils_an_order_twice() -> None:
    sign = webhooks.stripe("whsec_test")
    assert found(fulfils(once=False), CHECKOUTS, "stripe", sign).status == "violated"
    held = found(fulfils(once=True), CHECKOUTS, "stripe", sign)
    assert held.status == "held", held.report()


# GitHub (docs.github.com/webhooks: handling and validating deliveries): whoever counts on a second delivery loses.

JOBS = [
    Event("job", {"action": "queued", "workflow_job": {"id": 29, "status": "queued"}}),
    Event("job", {"action": "completed", "workflow_job": {"id": 29, "status": "completed"}}),
]


def tracks(*, whatever_comes: bool) -> Any:
    def made(jobs: dict[str, str]) -> Handler:
        def webhook(headers: Mapping[str, str], payload: bytes) -> int:
            expected = "sha256=" + hmac.new(SECRET.encode(), payload, hashlib.sha256).hexdigest()
            if not hmac.compare_digest(expected, headers["X-Hub-Signature-256"]):
                return 403
            if headers["X-GitHub-Event"] != "workflow_job":
                return 202
            told = json.loads(payload)
            id_ = str(told["workflow_job"]["id"])
            if told["action"] == "queued":
                jobs.setdefault(id_, "queued")
            elif whatever_comes or id_ in jobs:
                jobs[id_] = told["workflow_job"]["status"]
            else:
                return 404  # unknown as yet: it will come again
            return 202

        return webhook

    return made


def test_github_sends_nothing_again_by_itself() -> None:
    sign = webhooks.github(SECRET, "workflow_job")
    lost = found(tracks(whatever_comes=False), JOBS, "github", sign)
    assert lost.status == "violated"
    assert lost.observed == {"29": "queued"}
    assert "GitHub notes a failed delivery, and does not send it again by itself" in told(lost)
    for settings, whatever_comes in (({"redelivers": True}, False), ({}, True)):
        held = found(tracks(whatever_comes=whatever_comes), JOBS, "github", sign, **settings)
        assert held.status == "held", held.report()


# Shopify (shopify.dev: deliver webhooks through HTTPS, ignore duplicates): which of its ids tells a duplicate.

ORDERS = [Event("o1", {"id": 820982911946154508, "total_price": "403.00"})]


def books(header: str) -> Any:
    def made(seen: dict[str, str]) -> Handler:
        def webhook(headers: Mapping[str, str], data: bytes) -> int:
            digest = hmac.new(SECRET.encode(), data, hashlib.sha256).digest()
            if not hmac.compare_digest(base64.b64encode(digest).decode(), headers["X-Shopify-Hmac-Sha256"]):
                return 401
            seen[headers[header]] = json.loads(data)["total_price"]
            return 200

        return webhook

    return made


def test_shopify_has_one_event_id_for_two_subscriptions() -> None:
    sign = webhooks.shopify(SECRET, "orders/create")
    twice = found(books("X-Shopify-Webhook-Id"), ORDERS, "shopify", sign)
    assert twice.status == "violated"
    assert twice.scenario is not None
    assert {type(fault) for fault in twice.scenario.faults} == {Resend}
    held = found(books("X-Shopify-Event-Id"), ORDERS, "shopify", sign)
    assert held.status == "held", held.report()


# Slack (api.slack.com/apis/events-api: retries): a retry is no duplicate of what was handled.

POSTS = [Event("C1", {"type": "message", "channel": "C1", "ts": f"{n}.000"}) for n in (1, 2)]


def reads(by: str) -> Any:
    def made(posts: dict[str, int]) -> Handler:
        seen = set()

        def webhook(headers: Mapping[str, str], body: bytes) -> int:
            stamp = headers["X-Slack-Request-Timestamp"]
            signed = hmac.new(SECRET.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
            if not hmac.compare_digest(f"v0={signed}", headers["X-Slack-Signature"]):
                return 403
            told = json.loads(body)
            if by == "retry" and headers.get("X-Slack-Retry-Num"):
                return 200  # meant: that was handled before
            if by == "id" and told["event_id"] in seen:
                return 200
            seen.add(told["event_id"])
            channel = told["event"]["channel"]
            posts[channel] = posts.get(channel, 0) + 1
            return 200

        return webhook

    return made


def test_a_retry_of_slack_is_no_duplicate() -> None:
    """Whoever drops what has X-Slack-Retry-Num drops what its first attempt has not done."""
    sign = webhooks.slack(SECRET)
    assert found(reads("nothing"), POSTS, "slack", sign).status == "violated"
    dropped = found(reads("retry"), POSTS, "slack", sign)
    assert dropped.observed == {}
    assert dropped.scenario is not None
    assert {type(fault) for fault in dropped.scenario.faults} == {Fail}
    held = found(reads("id"), POSTS, "slack", sign)
    assert held.status == "held", held.report()


# Requests.

MESSAGE = Message("C1", {"type": "message"}, "e1", 1, {}, 1_700_000_000.5, "/webhook", message_id="evt_0")


def test_each_attempt_of_slack_is_counted_in_its_headers() -> None:
    sign = webhooks.slack(SECRET, now=lambda: 1)
    told = [sign(attrs.evolve(MESSAGE, attempt=attempt), b"") for attempt in (None, 1, 2, 4)]
    assert [headers.get("X-Slack-Retry-Num") for headers in told] == [None, None, "1", "3"]
    assert told[3]["X-Slack-Retry-Reason"] == "http_timeout"


def test_a_signature_of_standard_webhooks_is_that_of_its_library() -> None:
    """With the id and the secret of the test vectors in its repository."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    sign = webhooks.standard(secret, now=lambda: 1614265330.7)
    told = sign(MESSAGE, b'{"test": 2432232314}')
    signed = f"{told['webhook-id']}.1614265330.".encode() + b'{"test": 2432232314}'
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert told["webhook-timestamp"] == "1614265330"
    assert (
        told["webhook-signature"] == f"v1,{base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()}"
    )
    assert sign(attrs.evolve(MESSAGE, attempt=2), b"")["webhook-id"] == told["webhook-id"]
    assert set(webhooks.standard(secret, prefix="svix")(MESSAGE, b"")) == {
        "svix-id",
        "svix-timestamp",
        "svix-signature",
    }


def test_an_endpoint_may_ask_slack_for_no_retry() -> None:
    """Then what failed is gone, and the report says by whose answer."""

    def test(deliver: Any, *, asks: bool) -> list[str]:
        handled: list[str] = []

        def app(environ: Any, start_response: Any) -> list[bytes]:
            ts = json.load(environ["wsgi.input"])["event"]["ts"]
            fails = ts == "2.000" and "1.000" not in handled
            start_response("500 Oops" if fails else "200 OK", [("X-Slack-No-Retry", "1")] if asks else [])
            if not fails:
                handled.append(ts)
            return []

        deliver(webhooks.wsgi(app, sign=webhooks.slack(SECRET)))
        return sorted(set(handled))

    gone = check(lambda deliver: test(deliver, asks=True), POSTS, Webhook(provider="slack"), schedules=30, seed=1)
    assert gone.observed == ["1.000"]
    assert "X-Slack-No-Retry: Slack does not send it again" in told(gone)
    held = check(lambda deliver: test(deliver, asks=False), POSTS, Webhook(provider="slack"), schedules=30, seed=1)
    assert held.status == "held", held.report()


# The broker.


def test_a_provider_gives_up_after_its_last_attempt() -> None:
    """What Slack sends is refused for 6 minutes, and is gone; Stripe tries for days."""

    def test(deliver: Any) -> list[Any]:
        tries: list[Any] = []
        done: set[Any] = set()

        def handle(message: Message) -> None:
            tries.append(message.id)
            if message.id == "e1" and "e2" in done and tries.count("e1") <= 6:
                raise ValueError("not now")
            done.add(message.id)

        deliver(handle)
        return sorted(done)

    lost = check(test, POSTS, Webhook(provider="slack"), schedules=30, seed=1)
    assert lost.schedule is not None
    assert max(step.attempt or 0 for step in lost.schedule) == 4
    assert "its 4 attempts were used up, and Slack does not send it again" in told(lost)
    assert check(test, POSTS, Webhook(), schedules=30, seed=1).status == "held"


@pytest.mark.parametrize(
    ("provider", "settings", "possible"),
    [
        ("stripe", {"gives_up": True}, {DeadLetter, Lose, Redeliver, Resend}),
        ("standard", {}, {Redeliver, Resend}),
        ("github", {}, {Lose}),
        ("github", {"redelivers": True}, {Redeliver}),
        ("shopify", {}, {Redeliver, Resend}),
        ("slack", {"gives_up": True}, {Redeliver, Lose}),
    ],
)
def test_what_a_provider_can_do(provider: str, settings: dict[str, bool], possible: set[Any]) -> None:
    kinds = set(Webhook(provider=provider, **settings).kinds())
    assert kinds & {DeadLetter, Lose, Redeliver, Resend} == possible


def test_traces_are_judged_by_the_provider() -> None:
    slack, github = Webhook(provider="slack"), Webhook(provider="github")
    assert slack.permits("1! 2 1r! 1r! 1r!")
    assert 'at most 4 times: provider="slack"' in str(slack.permits("1! 2 1r! 1r! 1r! 1r"))
    assert github.permits("2 1! 3")
    assert 'provider="github", which sends nothing again' in str(github.permits("1! 1r"))
    assert Webhook(provider="github", redelivers=True).permits("1! 2 1")
    assert not slack.permits("log: 1 1'")


def test_settings_are_those_of_the_provider() -> None:
    with pytest.raises(UsageError, match="did you mean 'github'"):
        Webhook(provider="gitub")
    with pytest.raises(UsageError, match=r'redelivers has no effect with provider="stripe"'):
        Webhook(redelivers=True)
    with pytest.raises(UsageError, match=r'gives_up has no effect with provider="github"'):
        Webhook(provider="github", gives_up=True)
    for name, provider in PROVIDERS.items():
        assert provider.source
        assert list(provider.retries) == sorted(provider.retries), name
