"""Webhooks, with Stripe as the reference: HTTP requests that are retried for days, in no order."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from chaoskit.brokers import verbs
from chaoskit.brokers.base import Settings, one_queue
from chaoskit.brokers.fields import boolean, positive_int, resource_name
from chaoskit.brokers.impossible import Impossible, Reasons
from chaoskit.brokers.serialization import Serialization, unordered
from chaoskit.brokers.wording import IDEMPOTENT, Wording, Words, passed_unless
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


TRIES_AGAIN = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0)
"""Seconds between the attempts of a provider: the schedule that Standard Webhooks recommends, over more than a day."""


@attrs.frozen(kw_only=True)
class Webhook(Settings):
    """A webhook endpoint, and a provider that sends to it and retries."""

    endpoints: int = positive_int(2, "request handlers at the same time.")
    gives_up: bool = boolean(
        "the endpoint may be down longer than the provider retries (3 days), so that events are lost, or resent by "
        "hand later."
    )
    endpoint: str = resource_name("/webhook", "its path, as messages carry it.")

    usual_timing: ClassVar[Timing] = Timing(lease=TRIES_AGAIN[0], retries=TRIES_AGAIN)
    guarantees: ClassVar[tuple[str, ...]] = (
        "No order.",
        (
            "At least once for 3 days: what is not answered with 2xx in time is sent again, though its effect may have "
            "happened."
        ),
        "One change may be sent as two events with different ids.",
    )
    sources: ClassVar[tuple[str, ...]] = (
        "docs.stripe.com/webhooks",
        "github.com/standard-webhooks/standard-webhooks: the specification (retry schedule)",
        "github.com/stripe/stripe-cli/issues/418; stripe-python _webhook.py",
    )

    @property
    def words(self) -> Words:
        return WORDS

    def rules(self) -> QueueRules:
        return QueueRules(
            broker="the provider",
            order="none",
            # A provider whose request timed out does not know that it was handled.
            settled="may_return",
            late_ack="maybe",
            marks=False,
            dead="any" if self.gives_up else "never",
            dead_setting="gives_up=False",
            loses="gives_up=True" if self.gives_up else None,
            send_window=None,
            # Each delivery is a request of its own.
            one_at_a_time=False,
        )

    def impossible(self) -> Reasons:
        no: Reasons = {
            faults.Rehash: Impossible("a webhook has no partitions"),
            faults.BatchSwap: Impossible(
                "each event has a request of its own, there are no batches: Overtake is one that arrives later"
            ),
        }
        if not self.gives_up:
            why = Impossible("the endpoint answers within the 3 days of retries", {"gives_up": True})
            no |= {faults.DeadLetter: why, faults.Lose: why}
        return no

    def lossy(self) -> tuple[str, ...]:
        return ("gives_up",) if self.gives_up else ()

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
        policy = LeasePolicy(self.endpoints, in_order=False, window=1, gives_up="dead" if self.gives_up else "never")
        return QueueSettings(
            self.endpoint,
            Producer(one_queue, 1, max_in_flight=10),
            policy,
            _request,
            "application",
            verbs=verbs.ANSWERED,
        )


def _request(event: Event, step: Raw) -> dict[str, Any]:
    """A retry has the event's id; what is made twice of one change has another one. There is no count."""
    return {"message_id": f"evt_{step[4]}"}
