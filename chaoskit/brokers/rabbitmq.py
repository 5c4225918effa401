"""RabbitMQ queues, classic and quorum (AMQP 0-9-1): competing consumers, or a single active one."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal

import attrs

from chaoskit.brokers import verbs
from chaoskit.brokers.base import Settings, key_bytes, one_queue, routing
from chaoskit.brokers.fields import boolean, one_of, optional_int, positive_int, resource_name
from chaoskit.brokers.impossible import Impossible, Reasons
from chaoskit.brokers.serialization import Serialization, competing, partitions
from chaoskit.brokers.timing import CONNECTED, timed
from chaoskit.brokers.wording import DEFAULT, IDEMPOTENT, SLOW, Wording, Words, passed_unless
from chaoskit.models.partitioners import by_murmur3
from chaoskit.models.producer import Home, Producer
from chaoskit.models.queue.model import QueueSettings, beyond
from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.models.stored import Growth
from chaoskit.traces.queue.capacity import unsettled_at
from chaoskit.traces.queue.rules import QueueRules
from chaoskit.traces.queue.state import QueueState
from chaoskit.values import faults
from chaoskit.values.event import Event
from chaoskit.values.schedule import Raw
from chaoskit.values.settling import Verbs
from chaoskit.values.timing import Timing

WORDS = Words(
    routed_by="routing key",
    dead="to the dead-letter exchange",
    put_back="published",
    no_order="competing consumers are handed messages in order, and finish them in any order.",
    wordings={
        faults.Fail: passed_unless(
            "prefetch=1 with consumers=1, on a classic queue or with a delivery-limit, so that nothing "
            "waits in a buffer"
        ),
        faults.Duplicate: Wording(
            "{event} was requeued (basic.nack) and came again before anything newer, with redelivered=true",
            f"no setting: at least once. {IDEMPOTENT}",
        ),
        faults.Redeliver: Wording(
            "consumer {consumer} lost its channel before {event} was acknowledged: {again} came again, requeued by the "
            "closed channel{after}",
            f"no setting: what is not acknowledged when a channel closes is requeued; prefetch=1 makes it one message. "
            f"{IDEMPOTENT}",
        ),
        faults.DeadLetter: Wording(
            "{event} was rejected before it had any effect and went to the dead-letter exchange; the queue went "
            "on{back}",
            "no dead-letter exchange (dead_letter_exchange=False), or nobody who publishes dead letters again",
        ),
        faults.Rehash: Wording(
            "a queue was bound to the hash exchange ({count}, then {to}): {event} of key {key} went to queue "
            "{home}{backlog}",
            "bindings of the hash exchange that never change while there is a backlog",
        ),
        faults.Overtake: Wording(
            SLOW,
            "a single active consumer (single_active_consumer=True), or consumers=1; a failed attempt is overtaken "
            "there, too, unless prefetch=1",
        ),
        faults.BatchSwap: Wording(
            "{at} was not confirmed and was published again behind {over}",
            "waiting for each publisher confirm before the next message (outstanding_confirms=1)",
        ),
        faults.Resend: Wording(
            "the publisher confirm for {at} was lost and it was published again: another message, redelivered=false",
            f"no setting: RabbitMQ does not deduplicate. {IDEMPOTENT}",
        ),
        faults.Zombie: Wording(
            "the connection of consumer {old} was lost: {held} went to consumer {new}, while consumer {old} ran on "
            "with what was in its buffer; its acknowledgement failed",
            "no setting: prefetch=1 makes it one message. Compare a version in the same transaction as the effect",
        ),
        faults.Lose: Wording(
            "{event} was acknowledged before it was handled (auto-ack), and consumer {consumer} died",
            "manual acknowledgement (auto_ack=False), with a dead-letter exchange for what reaches the delivery-limit",
        ),
    },
)
SINGLE = WORDS.but(
    {
        faults.Fail: passed_unless(
            "prefetch=1, on a classic queue or with a delivery-limit: a single consumer runs what is "
            "in its buffer first"
        ),
        faults.Overtake: DEFAULT[faults.Overtake],
    },
    no_order="",
)
LIMITED = Wording(
    "{event} exceeded the delivery-limit before it had any effect, and there is no dead-letter exchange: it was "
    "dropped",
    "a dead-letter exchange (dead_letter_exchange=True), or a higher delivery-limit",
)
EXPIRED = Wording(
    "{event} waited longer than the message TTL, or the queue was longer than its limit (drop-head), and there is no "
    "dead-letter exchange: it was dropped",
    "a dead-letter exchange (dead_letter_exchange=True); no x-message-ttl and x-max-length (message_ttl=None, "
    "max_length=None), or overflow reject-publish",
)
LIMITED_OR_EXPIRED = Wording(
    "{event} exceeded the delivery-limit, the message TTL or the length of the queue before it had any effect, and "
    "there is no dead-letter exchange: it was dropped",
    EXPIRED.ruled_out_by,
)


@attrs.frozen(kw_only=True)
class RabbitMQ(Settings):
    """A RabbitMQ queue and its consumers, which acknowledge by hand."""

    queue_type: Literal["quorum", "classic"] = one_of(
        ("quorum", "classic"), "a quorum queue counts and limits deliveries."
    )
    consumers: int = positive_int(2, "that compete.")
    single_active_consumer: bool = boolean("one of them is served, the next one when it fails.")
    prefetch: int = positive_int(10, "unacknowledged messages of one consumer (basic.qos).")
    heartbeat: int = timed("silence", 60, "seconds, after which a connection that is not heard is closed.")
    consumer_timeout: int | None = optional_int(
        "seconds (`consumer_timeout`, there in milliseconds), after which the broker closes the channel of a consumer "
        "that has not acknowledged a message; None: never, as on classic queues since 4.3.",
        default=1800,
    )
    delivery_limit: int | None = optional_int(
        "redeliveries of a message in a quorum queue; 20 since 4.0. None: no limit (the default of 3.x; -1 in 4.x), "
        "and then what is given back goes to the back of the queue.",
        default=20,
    )
    dead_letter_exchange: bool = boolean("rejected messages go there, and somebody publishes them again.")
    auto_ack: bool = boolean("no acknowledgements, so that a crash loses what was handed over.")
    outstanding_confirms: int = positive_int(
        1, "messages that the publisher sends before it has the confirm of the first."
    )
    queues: int = positive_int(
        1, "behind a hash exchange, each with these consumers; a key has its queue until the bindings change."
    )
    growth: bool = boolean("queues may be bound to that exchange while there is a backlog.", default=True)
    message_ttl: int | None = optional_int(
        "milliseconds that a message waits in the queue at most (x-message-ttl): then it is dropped, or goes to the "
        "dead-letter exchange if there is one; None: no limit."
    )
    max_length: int | None = optional_int(
        "messages that wait in the queue at most (x-max-length with overflow drop-head): the oldest go the same way; "
        "None: no limit."
    )
    queue: str = resource_name("events")

    usual_timing: ClassVar[Timing] = CONNECTED
    guarantees: ClassVar[tuple[str, ...]] = (
        "A queue hands out in the order of publication; with several consumers they finish in any order.",
        "What was not acknowledged when a channel closes comes again, before anything that was never delivered.",
        "What is given back comes before new messages; without a delivery-limit, a quorum queue puts it at the back.",
        "redelivered=false means that this message was never delivered before.",
        "A single active consumer gets everything in order; while it only looks dead, two may work.",
        "No deduplication: what is published again is another message.",
    )
    sources: ClassVar[tuple[str, ...]] = (
        (
            "rabbitmq.com/docs: confirms, nack, reliability, semantics, consumers, quorum-queues, dlx, "
            "modulus-hash-exchange, ttl, maxlength"
        ),
        "github.com/rabbitmq/rabbitmq-server: rabbit_fifo.erl, rabbitmq_consistent_hash_exchange, issue 10499",
    )

    @property
    def words(self) -> Words:
        words = SINGLE if self._ordered else WORDS
        # With auto-ack a crash is the loss to tell of.
        if self.auto_ack or not (self._limited or self._expires):
            return words
        limited = LIMITED_OR_EXPIRED if self._expires else LIMITED
        return words.but({faults.Lose: limited if self._limited else EXPIRED})

    @property
    def _expires(self) -> bool:
        """Messages leave the queue, whoever has not had them."""
        return self.message_ttl is not None or self.max_length is not None

    @property
    def _ordered(self) -> bool:
        return self.single_active_consumer or self.consumers == 1

    @property
    def _limited(self) -> bool:
        """Deliveries are counted, and at the limit a message leaves."""
        return self.queue_type == "quorum" and self.delivery_limit is not None

    def rules(self) -> QueueRules:
        quorum, limit = self.queue_type == "quorum", self.delivery_limit
        return QueueRules(
            broker="RabbitMQ",
            order="dispatch",
            # The next one is promoted only when the active one is gone.
            consumers=1 if self.single_active_consumer or self.consumers == 1 else None,
            prefetch=None if self.auto_ack else self.prefetch,
            # The broker hands out ahead of the acknowledgements: what lies at a client runs before what comes back.
            buffered_at_return=_buffered,
            returns="front" if quorum else "place",
            # Without a limit a quorum queue appends what is given back, as if it were new.
            nacked="tail" if quorum and limit is None else None,
            loss="returns",
            settles="at_hand_over" if self.auto_ack else "after_run",
            settles_setting="auto_ack=True",
            # The limit counts redeliveries: the first delivery is one more.
            limit=limit + 1 if quorum and limit is not None else None,
            limit_setting=f"delivery_limit={limit}",
            dead="any" if self.dead_letter_exchange else "never",
            dead_setting="dead_letter_exchange=False",
            gives_up=not self.auto_ack and not self.dead_letter_exchange,
            loses=self.loses if self._expires and not self.dead_letter_exchange else None,
            send_window=self.outstanding_confirms,
        )

    def impossible(self) -> Reasons:
        no: Reasons = {}
        if self.queues == 1:
            no[faults.Rehash] = Impossible(
                "one queue takes every key",
                {"queues": 2},
                "{queues} or more, behind a hash exchange, makes it possible",
            )
        elif not self.growth:
            no[faults.Rehash] = Impossible(
                "the bindings of the hash exchange never change (growth=False)", {"growth": True}
            )
        if self._ordered and self.queues == 1:
            no[faults.Overtake] = Impossible(
                "one consumer at a time handles the queue in order", {"consumers": 2, "single_active_consumer": False}
            )
        if self.outstanding_confirms == 1:
            no[faults.BatchSwap] = Impossible(
                "each confirm is awaited before the next message", {"outstanding_confirms": 2}
            )
        if not self.dead_letter_exchange:
            no[faults.DeadLetter] = Impossible(
                "nothing is dead-lettered and published again", {"dead_letter_exchange": True}
            )
        return no | self._impossible_by_acks()

    def _impossible_by_acks(self) -> Reasons:
        no: Reasons = {}
        if self.auto_ack:
            never = Impossible("with auto-ack a message is gone once it was handed over", {"auto_ack": False})
            no |= dict.fromkeys((faults.Duplicate, faults.Redeliver, faults.Zombie), never)
            no[faults.DeadLetter] = Impossible(
                "with auto-ack nothing is rejected", {"auto_ack": False, "dead_letter_exchange": True}
            )
        elif self.dead_letter_exchange or not (self._limited or self._expires):
            no[faults.Lose] = Impossible(
                "what is not acknowledged is kept",
                {
                    "auto_ack": True,
                    "queue_type": "quorum",
                    "message_ttl": 60000,
                    "max_length": 1000,
                    "dead_letter_exchange": False,
                },
                "{auto_ack} makes it possible, or the delivery limit of {queue_type}, {message_ttl} or {max_length} "
                "with {dead_letter_exchange}",
            )
        return no

    def lossy(self) -> tuple[str, ...]:
        if self.auto_ack:
            return ("auto_ack",)
        if self.dead_letter_exchange:
            return ()
        limits = [name for name in ("message_ttl", "max_length") if getattr(self, name) is not None]
        # A limit loses only where nothing takes what reaches it: hence the exchange is named, too.
        limits = ["delivery_limit", *limits] if self._limited else limits
        return (*limits, "dead_letter_exchange") if limits else ()

    @property
    def serialization(self) -> Serialization:
        if self.queues > 1 and self.single_active_consumer:
            return partitions(
                "queue",
                "a hash exchange keeps a key in one queue, which a single active consumer reads in order",
                "rabbitmq.com/docs: consumers (single active consumer), modulus-hash-exchange",
                competes=True,
            )
        return competing(
            "queue",
            "the consumers of a queue compete, and finish in any order",
            "rabbitmq.com/docs: semantics, consumers",
            queues=6,
            single_active_consumer=True,
        )

    @property
    def _verbs(self) -> Verbs:
        return verbs.at_hand_over("auto_ack=True") if self.auto_ack else verbs.RABBITMQ

    def stages(self) -> QueueSettings:
        quorum, limit = self.queue_type == "quorum", self.delivery_limit
        home: Home = one_queue
        growth: Growth | None = None
        if self.queues > 1:
            # The exchange's hash is not portable: what counts is that a key keeps its queue, and that most may move.
            home, growth = routing(lambda key: key_bytes(self, key), by_murmur3, self.queues, grows=self.growth)
        policy = LeasePolicy(
            self.consumers,
            lock="queue" if self._ordered else "message",
            brings="consumer",
            window=self.prefetch,
            goes_on=True,
            # It is served first, but not before what lies in the clients' buffers already.
            behind_buffers=not quorum or limit is not None,
            to_the_back=quorum and limit is None,
            returns="front" if quorum else "place",
            refused="lost" if self.auto_ack else "again",
            settles_first=self.auto_ack,
            max_attempts=limit + 1 if quorum and limit is not None else 10,
            gives_up="dead" if self.dead_letter_exchange else "lost" if self._limited else "never",
            expires="never" if self.consumer_timeout is None else "channel",
        )
        producer = Producer(home, self.queues, max_in_flight=self.outstanding_confirms)
        fields = partial(_quorum if quorum else _classic, self.queue)
        # Otherwise any message may be lost, and not only those that are too many.
        only_more = self.message_ttl is None and not self.auto_ack and not self._limited
        loses = beyond(self.max_length) if self.max_length is not None and only_more else None
        return QueueSettings(
            self.queue, producer, policy, fields, "application", growth, loses=loses, verbs=self._verbs
        )


def _classic(queue: str, event: Event, step: Raw, reason: str = "rejected") -> dict[str, Any]:
    """message_id and timestamp are the application's and stay, also when it is published again; a classic queue has no
    count. What was dead-lettered has an x-death header."""
    headers = {}
    if len(step) > 6 and step[8] >= 0:  # it was set aside, and is put back
        headers["x-death"] = [{"count": 1, "reason": reason, "queue": queue, "exchange": "", "routing-keys": [queue]}]
    return {"message_id": str(event.id), "redelivered": step[5] > 1, "headers": headers}


def _quorum(queue: str, event: Event, step: Raw) -> dict[str, Any]:
    """A quorum queue adds x-delivery-count from the second delivery on; `attempt` counts from 1."""
    carried = _classic(queue, event, step, "delivery_limit")
    carried["attempt"] = step[5]
    return carried


def _buffered(state: QueueState, at: int, holder: str | None, gone: bool) -> frozenset[int]:
    """The broker fills the prefetch ahead: the new messages that can lie with live consumers when this one comes back.

    What came back before is served first, so it has taken room there; what lay there then, still does.
    """
    limit, queue = state.rules.prefetch, state.facts.queue(at)
    live = set(state.facts.names) if state.rules.consumers != 1 else {state.active.get(queue, "A")}
    if gone:
        live -= {holder or ""}
    waiting = [other for other in state.after(at) if state.messages[other].phase == "new"]
    if limit is None:
        return frozenset(waiting if live else ())
    back = [o for o, its in enumerate(state.messages) if its.phase == "back" and its.sure and not its.behind]
    taken = sum(state.facts.queue(other) == queue for other in back if other != at) + (holder in live)
    free = sum(limit - len(unsettled_at(state, at, who)) for who in live)
    return state.buffered.intersection(waiting) | frozenset(waiting[: max(0, free - taken)])
