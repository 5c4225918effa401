"""How the providers of webhooks differ: when each tries again, how often, and what it does with what it has given up.

All of them take an answer of 2xx in time for a success, and anything else for a failure, and none keeps an order.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

_STANDARD = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""The schedule that Standard Webhooks gives as an example: over three days."""


@attrs.frozen(kw_only=True)
class Provider:
    """One provider. Times are in seconds.

    `title`: its name in sentences. `answers_within`: then a request has failed. `retries`: the waits before each
    further attempt, the last of them for all that follow; of one that never tries again, before a script of the
    receiver asks it to. `attempts`: the most of one event, the first among them; None: it tries for `lasts`, and their
    number is not told. `two_events`: one change may come as two events with different ids. `resent_by_hand`: what it
    has given up can be sent again. `counts`: it says in a header which attempt this is. `promise`: what its
    documentation says, and `source` where.
    """

    title: str
    answers_within: float
    retries: tuple[float, ...]
    attempts: int | None = None
    lasts: str
    two_events: bool = False
    resent_by_hand: bool = False
    counts: bool = False
    promise: str
    source: str

    @property
    def never_tries_again(self) -> bool:
        return self.attempts == 1


PROVIDERS: Mapping[str, Provider] = {
    "stripe": Provider(
        title="Stripe",
        # It names no time, and says no more of the waits than that they grow.
        answers_within=10.0,
        retries=_STANDARD,
        lasts="3 days",
        two_events=True,
        resent_by_hand=True,
        promise="Stripe tries for 3 days, and may make two events of one change.",
        source="docs.stripe.com/webhooks (automatic retries, event ordering, duplicates)",
    ),
    "standard": Provider(
        title="the provider",
        answers_within=15.0,
        retries=_STANDARD,
        lasts="3 days",
        two_events=True,
        resent_by_hand=True,
        promise="Standard Webhooks (Svix): as Stripe; `webhook-id` stays the same when it is sent again.",
        source="github.com/standard-webhooks/standard-webhooks: spec (deliverability and reliability)",
    ),
    "github": Provider(
        title="GitHub",
        answers_within=10.0,
        # The script that its page shows runs each six hours.
        retries=(21_600.0,),
        attempts=1,
        lasts="3 days",
        promise=(
            "GitHub sends each event once. A delivery that failed is sent again, with the same X-GitHub-Delivery, only "
            "when it is asked for, and within 3 days."
        ),
        source=(
            "docs.github.com/webhooks: handling failed deliveries, redelivering webhooks, best practices (10 seconds, "
            "X-GitHub-Delivery)"
        ),
    ),
    "shopify": Provider(
        title="Shopify",
        answers_within=5.0,
        # It says that the waits double, and not what they are: these fill its 4 hours.
        retries=tuple(56.0 * 2**number for number in range(8)),
        attempts=9,
        lasts="4 hours",
        two_events=True,
        promise=(
            "Shopify tries 8 more times in 4 hours, and then no more. Two subscriptions of one topic have the same "
            "X-Shopify-Event-Id."
        ),
        source=(
            "shopify.dev: docs/apps/build/webhooks (troubleshooting, ignore duplicates), "
            "changelog/updates-to-webhook-retry-mechanism"
        ),
    ),
    "slack": Provider(
        title="Slack",
        answers_within=3.0,
        retries=(0.0, 60.0, 300.0),
        attempts=4,
        lasts="6 minutes",
        counts=True,
        promise=(
            "Slack waits 3 seconds for the answer, tries 3 more times (at once, after 1 and after 5 minutes), counts "
            "them in X-Slack-Retry-Num, and then no more."
        ),
        source="api.slack.com/apis/events-api (error handling: retries, X-Slack-No-Retry)",
    ),
}
"""By the name that the broker's setting has."""
