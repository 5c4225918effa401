"""Apache Pulsar: one subscription of a topic, of any of the four types."""

from __future__ import annotations

from base64 import b64encode
from functools import partial
from typing import Any, ClassVar, Literal

import attrs

from chaoskit.brokers import verbs
from chaoskit.brokers.base import Settings, key_bytes, one_queue, routing
from chaoskit.brokers.fields import (
    at_least,
    boolean,
    one_of,
    opt_in,
    optional_int,
    positive_int,
    resource_name,
    setting,
    without_effect,
)
from chaoskit.brokers.impossible import NO_GROWTH, Impossible, Reasons
from chaoskit.brokers.serialization import Serialization, competing, keys, partitions
from chaoskit.brokers.timing import CONNECTED, timed
from chaoskit.brokers.wording import DEFAULT, IDEMPOTENT, SLOW, Wording, Words, passed_unless
from chaoskit.models.producer import Home, Logs, Producer
from chaoskit.models.queue.model import QueueSettings
from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.models.stored import Growth
from chaoskit.traces.queue.capacity import unsettled_at
from chaoskit.traces.queue.rules import QueueRules
from chaoskit.traces.queue.state import QueueState
from chaoskit.values import faults
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Event
from chaoskit.values.schedule import Raw
from chaoskit.values.timing import Timing

ONE_ACTIVE = Words(
    unit="partition",
    dead="to the dead-letter topic",
    put_back="published",
    restarts="consumer {consumer} reconnects",
    wordings={
        faults.Fail: passed_unless(
            "a consumer that tries again by itself, and acknowledges nothing in between: behind a negative "
            "acknowledgement it goes on"
        ),
        faults.Duplicate: Wording(
            "the connection broke when {event} was handled and its acknowledgement was not sent yet: it came again at "
            "once",
            f"no setting: acknowledgements are sent in groups (acknowledgmentGroupTime). {IDEMPOTENT}",
        ),
        faults.Redeliver: Wording(
            "consumer {consumer} was disconnected before {event} was acknowledged: the cursor of the subscription "
            "still stood before it, and what was unacked came again ({again}){after}",
            f"no setting: what is unacked when a consumer is gone comes again. {IDEMPOTENT}",
        ),
        faults.DeadLetter: Wording(
            "{event} was redelivered maxRedeliverCount times before it had any effect and went to the dead-letter "
            "topic; the subscription went on{back}",
            "no dead-letter policy (max_redeliver_count=None), or nobody who publishes dead letters again",
        ),
        faults.Rehash: DEFAULT[faults.Rehash].unless("a number of partitions that never changes (growth=False)"),
        faults.Resend: Wording(
            "the send receipt for {at} was lost with the connection, and the producer sent all that was pending "
            "again: {record} is another entry in the ledger",
            f"deduplication by the broker (deduplication=True, brokerDeduplicationEnabled). {IDEMPOTENT}",
        ),
        faults.Rewind: Wording(
            "the cursor of the subscription was reset to {event} when {at} was acknowledged: {again} came again",
            "nobody who resets the cursor (reset-cursor, seek) while the effects of the handler are still there. "
            f"{IDEMPOTENT}",
        ),
        faults.Zombie: Wording(
            "the broker lost the connection of consumer {old} and gave {held} to consumer {new}, while consumer {old} "
            "still worked at what was in its receiver queue",
            "no setting. Compare a version in the same transaction as the effect",
        ),
        faults.Lose: Wording(
            "{event} was unacked for longer than the TTL of the namespace: its cursor was moved behind it",
            "a namespace without a message TTL (message_ttl=None), which is the default",
        ),
    },
)
SHARED = ONE_ACTIVE.but(
    {
        faults.Overtake: Wording(
            SLOW, "Key_Shared, with one key for what depends on each other; or one consumer at a time (Failover)"
        )
    },
    no_order="a Shared subscription hands messages to its consumers in turn, and they finish them in any order.",
)
KEY_SHARED = ONE_ACTIVE.but(
    {
        faults.Overtake: Wording(
            "key {key} was handled late: others finished {over} first",
            "one key for events that depend on each other: nothing orders two keys",
        )
    },
    lanes="key",
    lane="key",
)
TIMED_OUT = Wording(
    "{event} was not acknowledged within the ack timeout: {again} came again{after}",
    f"no ack timeout (ack_timeout=None), which is the default, and consumers that never lose their connection. "
    f"{IDEMPOTENT}",
)
RECONSUMED = passed_unless("negative acknowledgements with a consumer that stops there")


_TYPES = "pulsar.apache.org/docs: concepts-messaging (subscription types)"
SERIALIZATION = {
    "Exclusive": attrs.evolve(
        partitions("subscription", "one consumer has all partitions, in order", _TYPES), sole=True
    ),
    "Failover": partitions("partition", "each partition has one consumer at a time, which gets it in order", _TYPES),
    "Shared": competing(
        "subscription",
        "consumers take turns, and finish in any order",
        _TYPES,
        subscription_type="Key_Shared",
    ),
    "Key_Shared": keys("key", "the messages of a key go to one consumer, in order", f"{_TYPES}; PIP-379"),
}


@attrs.frozen(kw_only=True)
class Pulsar(Settings):
    """An Apache Pulsar topic, one subscription of it, and its consumers."""

    subscription_type: Literal["Exclusive", "Failover", "Shared", "Key_Shared"] = one_of(
        ("Exclusive", "Failover", "Shared", "Key_Shared"),
        "one consumer; one for each partition, and another in its place; all take turns; all, each with its keys.",
    )
    consumers: int | None = optional_int("of the subscription; None: 1 where it is Exclusive, else 2.")
    partitions: int = positive_int(1, "of the topic, at first; 1 is a topic without partitions, which never has more.")
    growth: bool = boolean("partitions may be added.", default=True)
    messages_per_batch: int = positive_int(
        1, "that the producer stores as one entry; 1 where it awaits each send, though batching is on by default."
    )
    batch_index_ack: bool = boolean(
        "enableBatchIndexAcknowledgment (and acknowledgmentAtBatchIndexLevelEnabled of the broker): without it the "
        "whole batch of an unacked message comes again."
    )
    receiver_queue_size: int = setting(
        1000, "messages that a consumer has fetched, beside the one that it works at.", "int >= 0", at_least(0)
    )
    ack_timeout: int | None = timed(
        "lease", None, "seconds after which the client asks again for what it has not acknowledged; None: never."
    )
    negative_ack_delay: int = timed("retries", 60, "seconds (negativeAckRedeliveryDelay; of reconsumeLater its delay).")
    on_error: Literal["nack", "reconsume_later"] = one_of(
        ("nack", "reconsume_later"),
        "what the consumer answers when the handler raises: a negative acknowledgement (it is shown again, by default "
        "a minute later), or, where it is Shared and with enableRetry, a copy in the retry letter topic.",
    )
    max_redeliver_count: int | None = optional_int(
        "of the dead-letter policy (Shared and Key_Shared); None: no policy. A retry letter topic has 16."
    )
    deduplication: bool = boolean(
        "brokerDeduplicationEnabled: what a producer sends again under its sequence id is dropped."
    )
    message_ttl: int | None = optional_int(
        "seconds after which a namespace takes an unacked message for acknowledged (messageTTLInSeconds); None: never."
    )
    cursor_resets: bool = opt_in(
        faults.Rewind,
        "the cursor of the subscription may be set back: pulsar-admin topics reset-cursor, or a consumer's seek().",
    )
    topic: str = resource_name("events")

    usual_timing: ClassVar[Timing] = CONNECTED
    guarantees: ClassVar[tuple[str, ...]] = (
        "Exclusive and Failover: the messages of a partition come in order, to one consumer at a time.",
        "Key_Shared: those of a key do. Shared: they are handed out in order, and finished in any order.",
        "Behind a negative acknowledgement the consumer goes on: what it gave back comes later, whatever the type.",
        "What was unacked when a consumer is gone comes again, in order, before anything new.",
        "A producer that reconnects sends what was pending again, in order; only deduplication drops it.",
    )
    sources: ClassVar[tuple[str, ...]] = (
        "pulsar.apache.org/docs: concepts-messaging, admin-api-topics (reset-cursor)",
        "pulsar.apache.org/docs: cookbooks-message-expiry, cookbooks-deduplication",
        "github.com/apache/pulsar: ConsumerConfigurationData, ConsumerImpl, NegativeAcksTracker, JavaStringHash",
        "github.com/apache/pulsar issues 4118 and 15317, PIP-22, PIP-106, PIP-379; pulsar-site pull request 1117",
    )

    def __attrs_post_init__(self) -> None:
        if self.subscription_type == "Exclusive" and self._consumers > 1:
            raise UsageError(
                f"Pulsar(consumers={self.consumers}): an Exclusive subscription has one consumer; "
                'subscription_type="Failover" has others that stand by'
            )
        if self.messages_per_batch > 1 and not (self._serial and self._redeliveries is None):
            raise UsageError(
                f"Pulsar(messages_per_batch={self.messages_per_batch}): a batch goes to one consumer, and is given up, "
                "as a whole: it is modelled where there is one consumer at a time and no dead-letter policy; set "
                "consumers=1 and max_redeliver_count=None, or messages_per_batch=1"
            )
        if self.messages_per_batch == 1:
            without_effect(self, ["batch_index_ack"], "messages_per_batch=1")
        where = f'subscription_type="{self.subscription_type}"'
        if not self._shared:
            without_effect(self, ["max_redeliver_count"], where)
        if self.subscription_type != "Shared":
            without_effect(self, ["on_error"], where)

    @property
    def _consumers(self) -> int:
        return self.consumers or (1 if self.subscription_type == "Exclusive" else 2)

    @property
    def _shared(self) -> bool:
        return self.subscription_type in ("Shared", "Key_Shared")

    @property
    def _serial(self) -> bool:
        """One consumer at a time handles a partition."""
        return self.subscription_type in ("Exclusive", "Failover") or self._consumers == 1

    @property
    def _one_by_one(self) -> bool:
        """What was not acknowledged in time comes back alone. Where one consumer has all, the client asks for all that
        is unacked."""
        return self.ack_timeout is not None and self.subscription_type == "Shared" and not self._serial

    @property
    def _retries(self) -> bool:
        """What failed is published to the retry letter topic."""
        return self.on_error == "reconsume_later"

    @property
    def _whole_entries(self) -> bool:
        """An entry is settled as one: what is unacked of it brings back the rest."""
        return self.messages_per_batch > 1 and not self.batch_index_ack

    @property
    def whole_batch(self) -> str:
        return "batch_index_ack=True" if self._whole_entries else ""

    @property
    def _redeliveries(self) -> int | None:
        """Of one message, before it goes to the dead-letter topic. Source: RetryMessageUtil.MAX_RECONSUMETIMES."""
        return 16 if self._retries and self.max_redeliver_count is None else self.max_redeliver_count

    @property
    def words(self) -> Words:
        words = ONE_ACTIVE if self._serial else KEY_SHARED if self.subscription_type == "Key_Shared" else SHARED
        if self.ack_timeout is not None:
            words = words.but({faults.Redeliver: TIMED_OUT})
        return words.but({faults.Fail: RECONSUMED}) if self._retries else words

    def impossible(self) -> Reasons:
        no: Reasons = {
            faults.BatchSwap: Impossible("a producer that reconnects sends what was pending again, in order")
        }
        if self.deduplication:
            no[faults.Resend] = Impossible("the broker drops a sequence id that it has", {"deduplication": False})
        if self.partitions == 1:
            no[faults.Rehash] = Impossible(
                "a topic without partitions stays one", {"partitions": 2}, "{partitions} or more makes it possible"
            )
        elif not self.growth:
            no[faults.Rehash] = NO_GROWTH
        if self._serial and self.partitions == 1:
            no[faults.Overtake] = Impossible(
                "one consumer at a time handles the topic in order",
                {"partitions": 2, "subscription_type": "Shared", "consumers": 2},
                "{partitions} or more makes it possible, and so does {subscription_type} with {consumers}",
            )
        if self._redeliveries is None:
            policy: dict[str, object] = {"subscription_type": "Shared", "max_redeliver_count": 16}
            whole = {"messages_per_batch": 1} if self.messages_per_batch > 1 else {}
            no[faults.DeadLetter] = Impossible("there is no dead-letter policy", policy | whole)
        if self.message_ttl is None:
            no[faults.Lose] = Impossible("what is unacked is kept", {"message_ttl": 3600})
        return no

    def lossy(self) -> tuple[str, ...]:
        return ("message_ttl",) if self.message_ttl is not None else ()

    def rules(self) -> QueueRules:
        limit = None if self._redeliveries is None else self._redeliveries + 1
        return QueueRules(
            broker="Pulsar",
            order="none" if self._retries else "dispatch",
            consumers=1 if self._serial or self.subscription_type == "Key_Shared" else None,
            moves_unseen=True,
            along=partial(_stored_with, self.messages_per_batch) if self._whole_entries else None,
            resets=partial(_from_cursor_on, self.subscription_type) if self.cursor_resets else None,
            at_hand=self.receiver_queue_size + 1,
            at_hand_setting=f"receiver_queue_size={self.receiver_queue_size}",
            buffered_at_return=partial(_buffered, self.receiver_queue_size + 1),
            returns="place",
            loss="lease" if self._one_by_one else "returns",
            late_ack="maybe",
            marks=self._shared,
            limit=limit,
            limit_setting=f"max_redeliver_count={self._redeliveries}",
            limit_exact=False,
            dead="never" if limit is None else "any" if self._retries else "limit",
            dead_setting="max_redeliver_count=None",
            failure_settles=self._retries,
            loses=self.loses or None,
            send_window=1,
            lease=self.ack_timeout,
        )

    @property
    def serialization(self) -> Serialization:
        return SERIALIZATION[self.subscription_type]

    def stages(self) -> QueueSettings:
        home: Home = one_queue
        growth: Growth | None = None
        if self.partitions > 1:
            home, growth = routing(self._key, _by_java_hash, self.partitions, grows=self.growth)
        policy = LeasePolicy(
            self._consumers,
            lock="queue" if self._serial else "group" if self.subscription_type == "Key_Shared" else "message",
            brings="message" if self._one_by_one else "consumer",
            window=self.receiver_queue_size + 1,
            goes_on=True,
            refused="renewed" if self._retries else "again",
            max_attempts=10 if self._redeliveries is None else self._redeliveries + 1,
            gives_up="never" if self._redeliveries is None else "dead",
            trims=self.message_ttl is not None,
            along=partial(_entry_of, self.messages_per_batch) if self._whole_entries else None,
            expires="never" if self.ack_timeout is None else "lease",
        )
        producer = Producer(home, self.partitions, self.messages_per_batch, max_in_flight=1000, retries_copy=True)
        fields = _counted if self._shared else _placed
        return QueueSettings(
            self.topic,
            producer,
            policy,
            fields,
            "sender",
            growth,
            lease=self.ack_timeout or 30,
            verbs=verbs.PULSAR,
        )

    def _key(self, key: Any) -> bytes | None:
        """The key of a message is a text; bytes are sent as base64 (TypedMessageBuilder.keyBytes)."""
        return b64encode(key) if isinstance(key, bytes) else key_bytes(self, key)


def _by_java_hash(key: bytes, partitions: int) -> int:
    """Java's String.hashCode, the default of the Java and Python clients (JavaStringHash)."""
    found = 0
    text = key.decode().encode("utf-16-be")
    for unit in (int.from_bytes(text[at : at + 2]) for at in range(0, len(text), 2)):
        found = (31 * found + unit) & 0xFFFFFFFF
    return (found & 0x7FFFFFFF) % partitions


def _placed(event: Event, step: Raw) -> dict[str, Any]:
    """A message id is ledger, entry and partition; it stays on a redelivery. Without a Shared type nothing counts."""
    return {"message_id": f"1:{step[4]}:{step[3]}", "partition": step[3]}


def _counted(event: Event, step: Raw) -> dict[str, Any]:
    """The redelivery count is 0 at first; `attempt` counts from 1."""
    return {**_placed(event, step), "attempt": step[5]}


def _entry_of(size: int, logs: Logs, lane: int, number: int) -> range:
    """The numbers of the messages that a producer sent as one with this one. What is sent again is another entry."""
    start, log = 0, logs.partitions[lane]
    copies = [log[:at].count(position) for at, position in enumerate(log)]
    for at in range(1, len(log)):
        if at - start == size or copies[at] != copies[at - 1] or log[at] <= log[at - 1]:
            if at > number:
                return range(start, at)
            start = at
    return range(start, len(log))


def _stored_with(size: int, state: QueueState, at: int) -> list[int]:
    """The same for the judge: the messages of a partition that stand side by side. A copy is of another entry."""
    entry: list[int] = []
    for other in sorted([at, *state.same_unit(at)], key=state.place):
        if entry and (
            len(entry) == size
            or state.facts.labels[other].copy != state.facts.labels[entry[-1]].copy
            or state.facts.number(other) <= state.facts.number(entry[-1])
        ):
            if at in entry:
                break
            entry = []
        entry.append(other)
    return [other for other in entry if other != at]


def _from_cursor_on(subscription_type: str, state: QueueState, to: int) -> list[int]:
    """What is behind a cursor in its partition, whatever its key."""
    units = [label.unit or "" for label in state.facts.labels]
    if subscription_type == "Key_Shared":
        units = [unit.rpartition("g")[0] for unit in units]
    return [at for at, unit in enumerate(units) if unit == units[to] and state.place(at) >= state.place(to)]


def _buffered(most: int, state: QueueState, at: int, holder: str | None, gone: bool) -> frozenset[int]:
    """The new messages that run before one that comes back. What is given back waits in the client while all others go
    on; what was lost with a consumer is due at once, and goes before all but what lies in receiver queues."""
    waiting = [other for other in state.after(at) if state.messages[other].phase == "new"]
    if not gone:
        return frozenset(waiting)
    live = set(state.facts.names) - {holder} if state.rules.consumers != 1 else set()
    free = sum(most - len(unsettled_at(state, at, who)) for who in live)
    return state.buffered.intersection(waiting) | frozenset(waiting[:free])
