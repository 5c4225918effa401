"""Webhooks: HTTP requests of a provider, which tries again as it says (`brokers/providers.py`), in no order."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar, Literal

import attrs

from chaoskit.brokers import verbs
from chaoskit.brokers.base import Settings, one_queue
from chaoskit.brokers.fields import boolean, one_of, positive_int, resource_name, without_effect
from chaoskit.brokers.impossible import Impossible, Reasons
from chaoskit.brokers.providers import PROVIDERS, Provider
from chaoskit.brokers.serialization import Serialization, unordered
from chaoskit.brokers.wording import FAILED, IDEMPOTENT, IN_ORDER, Wording, Words, passed_unless
from chaoskit.models.producer import Producer
from chaoskit.models.queue.model import QueueSettings
from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.traces.queue.rules import QueueRules
from chaoskit.values import faults
from chaoskit.values.event import Event
from chaoskit.values.schedule import Raw
from chaoskit.values.timing import Timing

WORDS = Words(
    lane="request handler",
    worker="request handler",
    restarts="no answer from handler {consumer}",
    shown_again="the provider sent it again",
    dead="to the failed deliveries",
    put_back="resent by hand",
    no_order="webhooks promise no order, not even for one object.",
    wordings={
        faults.Fail: passed_unless(""),
        faults.Duplicate: Wording("the provider sent {event} twice in a row", f"no setting. {IDEMPOTENT}"),
        faults.Redeliver: Wording(
            "the handler had done its work on {event}, but the provider got no 2xx in time (a crash, a slow answer): "
            "it was sent again{after}",
            f"no setting: retries go on for 3 days. {IDEMPOTENT}",
        ),
        faults.DeadLetter: Wording(
            "the endpoint failed before {event} had any effect, until the retries were used up{back}",
            "nobody who resends (gives_up=False), or a handler that fetches the present state instead of trusting "
            "order",
        ),
        faults.Overtake: Wording(
            "{event} arrived after {over}: the provider keeps no order between its requests",
            "no setting. Fetch the present state of the object, or compare its version and drop what is older",
        ),
        faults.Resend: Wording(
            "the provider made a second event of the same change as {at}",
            "no setting. Identify a change by its object and type, not by the id of the delivery",
        ),
        faults.Zombie: Wording(
            "{held} timed out at the provider and was sent again while the first request still ran",
            "answering at once and working later; a version compared in the same transaction as the effect",
        ),
        faults.Lose: Wording(
            "the endpoint was down for more than 3 days: {event} was given up",
            "listing events from the API after an outage (gives_up=False)",
        ),
    },
)


@lru_cache(maxsize=16)
def _words(name: str, redelivers: bool) -> Words:
    """The words of one provider, where it is not as Stripe is."""
    its = PROVIDERS[name]
    if its.never_tries_again:
        return _redelivered(its) if redelivers else _sent_once(its)
    if its.attempts is None:
        return WORDS
    late = f"no setting: {its.title} tries {its.attempts - 1} more times in {its.lasts}. {IDEMPOTENT}"
    return WORDS.but(
        {
            faults.Redeliver: WORDS.of(faults.Redeliver).unless(late),
            faults.Resend: Wording(
                f"{its.title} sent the same change as {{at}} for a second subscription",
                "one subscription for each topic; else identify a change by X-Shopify-Event-Id, not by the id of the "
                "delivery",
            ),
            faults.Lose: Wording(
                f"the endpoint was down for more than {its.lasts}: {{event}} was given up",
                "asking the API for what happened meanwhile after an outage (gives_up=False)",
            ),
        },
        skipped=f"its {its.attempts} attempts were used up, and {its.title} does not send it again",
    )


def _sent_once(its: Provider) -> Words:
    asks = "a script that asks for what failed to be sent again (redelivers=True)"
    return WORDS.but(
        {
            faults.Fail: Wording(FAILED, f"{asks}. {IN_ORDER}"),
            faults.Lose: Wording(
                f"the endpoint did not answer when {its.title} sent {{event}}, which comes again only when it is asked "
                "for",
                asks,
            ),
        },
        skipped=f"{its.title} notes a failed delivery, and does not send it again by itself",
    )


def _redelivered(its: Provider) -> Words:
    return WORDS.but(
        {
            faults.Duplicate: Wording("{event} was redelivered, though it had arrived", f"no setting. {IDEMPOTENT}"),
            faults.Redeliver: Wording(
                f"the handler had done its work on {{event}}, but {its.title} got no 2xx within "
                f"{its.answers_within:.0f} seconds (a crash, a slow answer): it was redelivered{{after}}",
                f"answering at once, and working later. {IDEMPOTENT}",
            ),
        },
        shown_again="it was redelivered",
    )


@attrs.frozen(kw_only=True)
class Webhook(Settings):
    """A webhook endpoint, and the provider that sends to it."""

    provider: Literal["stripe", "standard", "github", "shopify", "slack"] = one_of(
        tuple(PROVIDERS), "who sends, and so how often and when again; Svix and others are as Standard Webhooks say."
    )
    endpoints: int = positive_int(2, "request handlers at the same time.")
    gives_up: bool = boolean(
        "the endpoint may be down longer than the provider retries, so that events are lost, or resent by hand later "
        "(Stripe, Standard Webhooks)."
    )
    redelivers: bool = boolean(
        "of GitHub, which sends nothing again by itself: a script, or somebody, has all redelivered that failed."
    )
    endpoint: str = resource_name("/webhook", "its path, as messages carry it.")

    guarantees: ClassVar[tuple[str, ...]] = (
        "No order.",
        "What is not answered with 2xx in time has failed, though its effect may have happened.",
        *(provider.promise for provider in PROVIDERS.values()),
    )
    sources: ClassVar[tuple[str, ...]] = (
        *(provider.source for provider in PROVIDERS.values()),
        "github.com/stripe/stripe-cli/issues/418; stripe-python _webhook.py",
    )

    def __attrs_post_init__(self) -> None:
        where = f'provider="{self.provider}"'
        without_effect(self, ["gives_up"] if self._its.never_tries_again else ["redelivers"], where)

    @property
    def _its(self) -> Provider:
        return PROVIDERS[self.provider]

    @property
    def _sends_once(self) -> bool:
        """Nothing comes a second time."""
        return self._its.never_tries_again and not self.redelivers

    @property
    def _resent(self) -> bool:
        """What was given up may be sent again by hand."""
        return self.gives_up and self._its.resent_by_hand

    @property
    def _limit(self) -> int | None:
        """After so many attempts it is gone."""
        return None if self.redelivers or self._sends_once else self._its.attempts

    @property
    def timing(self) -> Timing:
        first, *_ = retries = self._its.retries
        return Timing(lease=self._its.answers_within + first, retries=retries)

    @property
    def words(self) -> Words:
        return _words(self.provider, self.redelivers)

    def rules(self) -> QueueRules:
        loses = self.lossy()
        return QueueRules(
            broker=self._its.title if self._its.attempts else "the provider",
            order="none",
            # A provider whose request timed out does not know that it was handled.
            settled="final" if self._sends_once else "may_return",
            settles="at_hand_over" if self._sends_once else "after_run",
            settles_setting=f'provider="{self.provider}", which sends nothing again',
            late_ack="maybe",
            # A request that is cut, hours before it is made again, is not at work any more.
            zombies=not self._its.never_tries_again,
            sends_again=self._its.two_events,
            marks=self._its.counts,
            limit=self._limit,
            limit_setting=f'provider="{self.provider}"',
            dead="any" if self._resent else "never",
            dead_setting="gives_up=False",
            loses=f"{loses[0]}={getattr(self, loses[0])}" if loses else None,
            send_window=None,
            # Each delivery is a request of its own.
            one_at_a_time=False,
        )

    def impossible(self) -> Reasons:
        its = self._its
        no: Reasons = {
            faults.Rehash: Impossible("a webhook has no partitions"),
            faults.BatchSwap: Impossible(
                "each event has a request of its own, there are no batches: Overtake is one that arrives later"
            ),
        }
        if not its.two_events:
            no[faults.Resend] = Impossible(f"{its.title} makes one event of a change")
        if self._sends_once:
            never = Impossible(f"{its.title} sends nothing again by itself", {"redelivers": True})
            no |= {faults.Duplicate: never, faults.Redeliver: never}
        elif its.never_tries_again:
            no[faults.Lose] = Impossible("all that fails is redelivered", {"redelivers": False})
        elif not self.gives_up:
            why = Impossible(f"the endpoint answers within the {its.lasts} of retries", {"gives_up": True})
            no |= {faults.DeadLetter: why, faults.Lose: why}
        if not its.resent_by_hand:
            no[faults.DeadLetter] = Impossible(f"what {its.title} has given up is sent by nobody under another id")
        if its.never_tries_again:
            no[faults.Zombie] = Impossible("a request is cut long before it is made again")
        return no

    def lossy(self) -> tuple[str, ...]:
        return ("redelivers",) if self._sends_once else ("gives_up",) if self.gives_up else ()

    @property
    def serialization(self) -> Serialization:
        return unordered(
            "request",
            "each event is a request of its own, and none waits for another",
            "docs.stripe.com/webhooks",
            "a queue behind the endpoint cannot bring back the order of what arrives in any order; a version that is "
            "compared can",
        )

    def stages(self) -> QueueSettings:
        policy = LeasePolicy(
            self.endpoints,
            in_order=False,
            window=1,
            refused="lost" if self._sends_once else "again",
            settles_first=self._sends_once,
            max_attempts=self._limit or 10,
            gives_up="lost" if self._sends_once or self._limit else "dead" if self._resent else "never",
            twice=not self._its.never_tries_again,
        )
        return QueueSettings(
            self.endpoint,
            Producer(one_queue, 1, max_in_flight=10),
            policy,
            _counted if self._its.counts else _request,
            "application",
            verbs=verbs.ANSWERED,
        )


def _request(event: Event, step: Raw) -> dict[str, Any]:
    """A retry has the event's id; what is made twice of one change has another one. There is no count."""
    return {"message_id": f"evt_{step[4]}"}


def _counted(event: Event, step: Raw) -> dict[str, Any]:
    """The same, where a header says which attempt it is."""
    return {**_request(event, step), "attempt": step[5]}
