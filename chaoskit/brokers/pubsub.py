"""Google Cloud Pub/Sub: plain, with ordering keys, and with exactly-once delivery."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from chaoskit.brokers import verbs
from chaoskit.brokers.base import Settings, one_queue
from chaoskit.brokers.fields import boolean, optional_int, positive_int, resource_name
from chaoskit.brokers.impossible import Impossible, Reasons
from chaoskit.brokers.serialization import Serialization, keys, unordered
from chaoskit.brokers.timing import GIVEN_BACK, timed
from chaoskit.brokers.wording import IDEMPOTENT, PUBLISHED_AGAIN, Wording, Words, passed_unless
from chaoskit.models.producer import Producer
from chaoskit.models.queue.model import QueueSettings
from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.traces.queue.rules import QueueRules
from chaoskit.values import faults
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Event
from chaoskit.values.schedule import Raw
from chaoskit.values.timing import Timing

PLAIN = Words(
    lane="subscriber",
    worker="subscriber",
    restarts="subscriber {consumer} restarts",
    dead="to the dead-letter topic",
    put_back="published",
    no_order="without ordering keys Pub/Sub promises no order, not even between messages of one key.",
    wordings={
        faults.Fail: passed_unless(""),
        faults.Duplicate: Wording(
            "{event} was delivered twice in a row: Pub/Sub delivers at least once",
            f"exactly_once=True makes it rarer: then only an ack that failed brings a message back. {IDEMPOTENT}",
        ),
        faults.Redeliver: Wording(
            "the ack deadline of {event} ran out: {again} came again{after}",
            f"no setting: what is not acknowledged in time comes again. {IDEMPOTENT}",
        ),
        faults.DeadLetter: Wording(
            "{event} reached max_delivery_attempts before it had any effect and went to the dead-letter topic{back}",
            "no dead-letter policy (max_delivery_attempts=None), or nobody who publishes dead letters again",
        ),
        faults.Overtake: Wording(
            "Pub/Sub delivered {over} before {event}",
            "ordering keys (ordering=True) with one key for what depends on each other",
        ),
        faults.BatchSwap: Wording(
            PUBLISHED_AGAIN,
            "ordering keys, and resume_publish only after the failed message was published again",
        ),
        faults.Resend: Wording(
            "the publisher got no answer for {at} and published it again: another message_id",
            f"no setting: exactly-once delivery is about one message_id. {IDEMPOTENT}",
        ),
        faults.Zombie: Wording(
            "the ack deadline ran out while subscriber {old} still worked: {held} came to subscriber {new}, and "
            "subscriber {old} finished nevertheless",
            "lease extension by the client library (max_lease_duration), and a version that is compared in the "
            "transaction",
        ),
        faults.Lose: Wording(
            "the filter of the subscription dropped {event}", "a subscription without a filter (filtered=False)"
        ),
    },
)
ORDERED = PLAIN.but(
    {
        faults.Fail: passed_unless(
            "a subscriber that does not go on with a key behind a nack: the client hands out what it has buffered of it"
        ),
        faults.Redeliver: Wording(
            "{event} was not acknowledged in time: it came again with all later messages of its ordering key, even "
            "acknowledged ones ({again})",
            f"no setting: with ordering keys a redelivery brings back what follows. {IDEMPOTENT}",
        ),
        faults.Duplicate: Wording("{event} was not acknowledged in time and came again at once", IDEMPOTENT),
        faults.Overtake: Wording(
            "the ordering key of {event} was delivered late: {over} of other keys went first",
            "one ordering key for events that depend on each other; Pub/Sub orders nothing between keys",
        ),
    },
    lanes="key",
    lane="ordering key",
    no_order="",
)


@attrs.frozen(kw_only=True)
class PubSub(Settings):
    """A Pub/Sub subscription and the subscribers that pull from it. The key of an event is its ordering key."""

    ordering: bool = boolean("`enable_message_ordering` of the subscription.")
    exactly_once: bool = boolean("its `enable_exactly_once_delivery`.")
    subscribers: int = positive_int(2, "that pull at the same time.")
    max_delivery_attempts: int | None = optional_int("of the dead-letter policy, 5 to 100; None: no policy.")
    ack_deadline: int = timed("lease", 10, "seconds; the client libraries extend it.")
    resumes_early: bool = boolean(
        "with ordering the publisher goes on with a key after a failure, before the failed message was published again."
    )
    filtered: bool = boolean("the subscription has a filter.")
    subscription: str = resource_name("events")

    usual_timing: ClassVar[Timing] = GIVEN_BACK
    guarantees: ClassVar[tuple[str, ...]] = (
        "Without ordering keys: no order, at least once.",
        "With ordering keys: the messages of one key come in order; a redelivery brings all later ones of it, too.",
        "Exactly-once delivery: a message is not delivered again before its ack deadline, nor after a confirmed ack.",
        "What is published twice is two messages.",
    )
    sources: ClassVar[tuple[str, ...]] = (
        "cloud.google.com/pubsub/docs: ordering, exactly-once-delivery, handling-failures",
        "google-cloud-pubsub 2.44.0: Subscription, DeadLetterPolicy, ReceivedMessage, messages_on_hold.py",
    )

    def __attrs_post_init__(self) -> None:
        if self.max_delivery_attempts is not None and not 5 <= self.max_delivery_attempts <= 100:
            raise UsageError(
                f"PubSub(max_delivery_attempts={self.max_delivery_attempts!r}): a dead-letter policy takes 5 to 100"
            )

    def rules(self) -> QueueRules:
        attempts = self.max_delivery_attempts
        return QueueRules(
            broker="Pub/Sub",
            order="cascade" if self.ordering else "none",
            unit="ordering key",
            settled="final" if self.exactly_once else "may_return",
            late_ack="refused" if self.exactly_once else "maybe",
            # Without a dead-letter policy a message has no delivery_attempt.
            marks=attempts is not None,
            limit=attempts,
            limit_setting=f"max_delivery_attempts={attempts}",
            # Pub/Sub counts attempts by best effort.
            limit_exact=False,
            dead="never" if attempts is None else "limit",
            dead_setting="max_delivery_attempts=None",
            loses="filtered=True" if self.filtered else None,
            # After a failure the client refuses more of a key until resume_publish.
            send_window=1 if self.ordering and not self.resumes_early else None,
            lease=self.ack_deadline,
        )

    @property
    def words(self) -> Words:
        return ORDERED if self.ordering else PLAIN

    def impossible(self) -> Reasons:
        no: Reasons = {faults.Rehash: Impossible("a subscription has no partitions")}
        if self.ordering and not self.resumes_early:
            no[faults.BatchSwap] = Impossible(
                "the publisher stops a key at a failure until it is published again",
                {"resumes_early": True, "ordering": False},
                "{resumes_early}, or {ordering}, makes it possible",
            )
        if self.max_delivery_attempts is None:
            no[faults.DeadLetter] = Impossible("there is no dead-letter policy", {"max_delivery_attempts": 5})
        if not self.filtered:
            no[faults.Lose] = Impossible("the subscription has no filter", {"filtered": True})
        return no

    def lossy(self) -> tuple[str, ...]:
        return ("filtered",) if self.filtered else ()

    @property
    def serialization(self) -> Serialization:
        if self.ordering:
            return keys(
                "ordering key",
                "the client hands out one message of an ordering key at a time",
                "google-cloud-pubsub: messages_on_hold.py",
            )
        return unordered(
            "message",
            "without ordering keys there is no order",
            "cloud.google.com/pubsub/docs: ordering",
            ordering=True,
        )

    def stages(self) -> QueueSettings:
        policy = LeasePolicy(
            self.subscribers,
            lock="group" if self.ordering else "message",
            brings="lane" if self.ordering else "message",
            in_order=False,
            # The client hands out the next one of a key at a nack, too.
            goes_on=True,
            max_attempts=self.max_delivery_attempts or 10,
            gives_up="never" if self.max_delivery_attempts is None else "dead",
            # The next message of a key is handed over when the one before is acknowledged, or not.
            most_open=1,
            # The client extends a deadline, and not for longer than its max_lease_duration.
            expires="lease",
        )
        fields = _counted if self.max_delivery_attempts is not None else _fields
        return QueueSettings(
            self.subscription, Producer(one_queue, 1, max_in_flight=10), policy, fields, verbs=verbs.PUBSUB
        )


def _fields(event: Event, step: Raw) -> dict[str, Any]:
    """message_id stays on a redelivery and is new when it is published again; the ordering key is the event's key."""
    return {"message_id": f"{step[4] + 1}", "group": None if event.key is None else str(event.key)}


def _counted(event: Event, step: Raw) -> dict[str, Any]:
    """delivery_attempt is there only with a dead-letter policy."""
    return {**_fields(event, step), "attempt": step[5]}
