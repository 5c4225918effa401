"""The table of docs/brokers.md: which primitive each broker can make, by its settings. Columns stand as there.

`yes` possible under the column's settings. `no` impossible, and asking for the fault by name is refused. `only`
impossible there and possible with the settings given, which the refusal names. `unless` possible there, and not with
the settings given. The first word of a cell is its footnote (c1 to c26) or what the table says beside its mark.
"""

from __future__ import annotations

from typing import Any, Literal

import attrs

from chaoskit.brokers import (
    Celery,
    Debezium,
    EventHubs,
    JetStream,
    Kafka,
    Kinesis,
    Outbox,
    PostgresQueue,
    PubSub,
    RabbitMQ,
    RabbitMQStream,
    RedisList,
    RedisStreams,
    ServiceBus,
    SnsSqs,
    SqsFifo,
    SqsStandard,
    Webhook,
)
from chaoskit.values.faults import (
    BatchSwap,
    DeadLetter,
    Duplicate,
    Fail,
    FaultKind,
    Lose,
    Overtake,
    Redeliver,
    Rehash,
    Resend,
    Zombie,
)
from models.primitives import By

Verdict = Literal["yes", "no", "only", "unless"]

KIND: dict[str, FaultKind] = {
    "F1": Duplicate, "F6": Zombie, "F8": Resend, "F9": BatchSwap, "F11": DeadLetter, "F12": Rehash, "F13": Lose,
}  # fmt: skip
"""The kind of fault that is this primitive and nothing else."""

MADE_BY: dict[str, tuple[FaultKind, ...]] = {
    **{primitive: (kind,) for primitive, kind in KIND.items()},
    "F2": (Redeliver,), "F2h": (Redeliver,), "window": (Redeliver,), "F3": (Redeliver,), "F4": (Redeliver,),
    "F5": (Overtake,), "two relays": (Zombie,), "copies": (Redeliver, DeadLetter),
}  # fmt: skip
"""The kinds of fault that make what a detector reads."""


@attrs.frozen
class Cell:
    """`seen`: the detector that reads the primitive here, where it is not its own. `by`: the unit, where it is not the
    column's. `kind`: the fault that must be refused. `alone`: several events of this kind, one after another, look
    like the primitive, so that each single fault is asked. `lane`: settings that leave a single lane. `without`: kinds
    that make copies of another primitive, which hand-overs alone do not tell apart. `of`: the kinds that make it here.
    `unmet`: why the model does not keep to the table yet."""

    verdict: Verdict
    note: str
    settings: dict[str, Any] = attrs.Factory(dict)
    seen: str | None = None
    by: By | None = None
    kind: FaultKind | None = None
    alone: bool = False
    lane: dict[str, Any] | None = None
    without: tuple[FaultKind, ...] = ()
    of: tuple[FaultKind, ...] | None = None
    unmet: str = ""

    def made_by(self, primitive: str) -> tuple[FaultKind, ...]:
        return self.of or MADE_BY[self.seen or primitive]


def yes(note: str = "", *, seen: str | None = None, by: By | None = None, unmet: str = "", **settings: Any) -> Cell:
    return Cell("yes", note, settings, seen, by, unmet=unmet)


def no(note: str = "", **more: Any) -> Cell:
    return Cell("no", note, **more)


def only(
    note: str,
    *,
    kind: FaultKind | None = None,
    seen: str | None = None,
    lane: dict[str, Any] | None = None,
    **settings: Any,
) -> Cell:
    return Cell("only", note, settings, seen, kind=kind, lane=lane)


def unless(note: str, *, of: tuple[FaultKind, ...] | None = None, **settings: Any) -> Cell:
    return Cell("unless", note, settings, of=of)


@attrs.frozen
class Column:
    """`by`: what the broker keeps in order. `held`: how many of a key can be unsettled at once. `republished`: the
    primitives for which a copy counts as the message that it repeats."""

    broker: Any
    by: By
    cells: dict[str, Cell]
    held: int = 1
    republished: frozenset[str] = frozenset()


ALONE = no(alone=True)
BEFORE_NEW = {"F2": ALONE, "F4": ALONE}
"""What brings a message back alone brings no suffix; several such events, one after another, can look like one."""

TABLE: dict[str, Column] = {
    # Log-shaped.
    "Kafka": Column(
        Kafka(),
        "lane",
        {
            "F1": yes("c1 assumed"),
            "F2": yes(),
            "F2h": no(),
            "F3": no(without=(DeadLetter, Fail)),
            "F4": no(),
            "F5": no("c3", lane={"partitions": 1}),
            "F6": yes(),
            "F8": only("c6", application_resends=True),
            "F9": only("c6", idempotent_producer=False),
            "F11": unless("app only", on_error="stop"),
            "F12": yes("c10"),
            "F13": only("c12", commit_ahead=True),
        },
    ),
    "Kafka, not idempotent": Column(
        Kafka(idempotent_producer=False),
        "lane",
        {
            "F1": yes(),
            "F2": yes(),
            "F2h": no(),
            "F3": no(),
            "F4": no(),
            "F5": no("c3", lane={"partitions": 1}),
            "F6": yes(),
            "F8": yes(),
            "F9": unless("≤ batches in flight", max_in_flight=1),
            "F11": unless("app only", on_error="skip"),
            "F12": yes("c10"),
            "F13": only("c12", commit_ahead=True),
        },
    ),
    "Kafka and a retry topic": Column(
        Kafka(on_error="retry_topic"),
        "lane",
        {
            "F1": yes(),
            "F2": yes(),
            "F2h": no(),
            "F3": yes("F11", seen="F11"),
            "F4": no(),
            "F5": yes("F11", seen="F11"),
            "F6": yes(),
            "F8": yes(seen="copies"),
            "F9": only("as topic", idempotent_producer=False),
            "F11": yes(),
            "F12": yes("c10"),
            "F13": only("c12", commit_ahead=True),
        },
    ),
    "Parallel Consumer": Column(
        Kafka(group="parallel"),
        "key",
        {
            "F1": yes(),
            "F2": no("c2", by="lane", alone=True),
            "F2h": yes(by="lane"),
            "F3": no("per key"),
            "F4": no(),
            "F5": yes("across keys", by="lane"),
            "F5 of a key": no("across keys only"),
            "F6": yes(),
            "F8": only("as topic, c6", application_resends=True),
            "F9": only("as topic", idempotent_producer=False),
            "F11": unless("app only", on_error="stop"),
            "F12": yes("c10"),
            "F13": only("c12", commit_ahead=True),
        },
    ),
    "Kinesis and KCL": Column(
        Kinesis(),
        "lane",
        {
            "F1": yes("c1 assumed"),
            "F2": yes(),
            "F2h": no(),
            "F3": no(),
            "F4": no(),
            "F5": no(lane={"shards": 1}),
            "F6": yes(),
            "F8": yes(),
            "F9": unless("PutRecords", records_per_put=1),
            "F11": only("app only", dead_letters=True),
            "F12": only("c11", parent_first=False),
            "F13": only("c12", start_at_latest=True),
        },
    ),
    "Kinesis and Lambda": Column(
        Kinesis(consumer="lambda"),
        "lane",
        {
            "F1": yes(),
            "F2": yes(),
            "F2h": no(),
            "F3": no(),
            "F4": yes("batch", seen="F2"),
            "F5": only("c4", lane={"shards": 1}, parallelization_factor=2),
            "F6": no("c5"),
            "F8": yes(),
            "F9": unless("PutRecords", records_per_put=1),
            "F10": only("metadata only", kind=Lose, seen="F13", maximum_retry_attempts=2),
            "F11": no("F10 only"),
            "F12": no("parent-first kept"),
            "F13": only("after retries", maximum_retry_attempts=2),
        },
    ),
    "Event Hubs": Column(
        EventHubs(),
        "lane",
        {
            "F1": yes("c1 assumed"),
            "F2": yes(),
            "F2h": no(),
            "F3": no(),
            "F4": no(),
            "F5": no(lane={"partitions": 1}),
            "F6": yes(),
            "F8": yes(),
            "F9": unless("async sends", outstanding_sends=1),
            "F11": only("app only", dead_letters=True),
            "F12": only("c10", partitions_added=True),
            "F13": only("c12", start_at_latest=True),
        },
    ),
    "RabbitMQ stream": Column(
        RabbitMQStream(),
        "lane",
        {
            "F1": yes("c1 assumed"),
            "F2": yes(),
            "F2h": no(),
            "F3": no(),
            "F4": no(),
            "F5": no(lane={"partitions": 1}),
            "F6": yes(),
            "F8": unless("c7", named_producer=True),
            "F9": unless("c8", named_producer=True),
            "F9 of one send": unless("c8", outstanding_confirms=1),
            "F11": only("app only", dead_letters=True),
            "F12": yes("c10"),
            "F13": only("c12", start_at_latest=True),
        },
    ),
    "Debezium": Column(
        Debezium(),
        "lane",
        {
            "F1": no(without=(Fail,)),
            "F2": yes("as F8"),
            "F2h": no(without=(Zombie, Rehash)),
            "F3": no(without=(Zombie, Rehash)),
            "F4": no(without=(Zombie, Rehash)),
            "F5": no(lane={"partitions": 1}),
            "F6": yes(seen="two relays"),
            "F8": yes(seen="copies"),
            "F9": no(),
            "F11": only("c9", dead_letter_queue=True),
            "F12": yes("as topic"),
            "F13": only("c13", slot_lost=True),
        },
        republished=frozenset({"F2", "F2h", "F3", "F4"}),
    ),
    # Queue-shaped.
    "SQS standard": Column(
        SqsStandard(),
        "lane",
        {
            "F1": yes(),
            "F2h": yes(),
            "F3": yes("∞"),
            **BEFORE_NEW,
            "F5": yes(),
            "F6": yes(),
            "F8": yes(),
            "F9": yes(),
            "F11": only("c23", max_receive_count=2),
            "F12": no("–"),
            "F13": only("retention", retention_exceeded=True),
        },
    ),
    "SQS FIFO": Column(
        SqsFifo(),
        "key",
        {
            "F1": yes(),
            "F2": unless("c15", max_number_of_messages=1),
            "F2h": yes("≤10", seen="window"),
            "F3": only("c17", skips_failed=True),
            "F4": no(),
            "F5": no(),
            "F6": yes(),
            "F8": yes(">5 min"),
            "F9": only("c20", send_batch=10),
            "F11": only("c23", max_receive_count=2),
            "F12": no(),
            "F13": only("dedup collision", content_based_deduplication=True),
        },
        held=10,
    ),
    "SNS to SQS": Column(
        SnsSqs(),
        "lane",
        {
            "F1": yes(),
            "F2h": yes(),
            "F3": yes("∞"),
            **BEFORE_NEW,
            "F5": yes(),
            "F6": yes(),
            "F8": yes(),
            "F9": yes(),
            "F11": only("c23", max_receive_count=2),
            "F12": no("–"),
            "F13": only("filter", filter_policy=True),
        },
    ),
    "Pub/Sub": Column(
        PubSub(),
        "lane",
        {
            "F1": yes(),
            "F2h": yes(),
            "F3": yes("∞"),
            **BEFORE_NEW,
            "F2": no("c16", alone=True),
            "F5": yes(),
            "F6": yes(),
            "F8": yes(),
            "F9": yes(),
            "F11": only("c23", max_delivery_attempts=5),
            "F12": no("–"),
            "F13": only("filter", filtered=True),
        },
    ),
    "Pub/Sub, ordered": Column(
        PubSub(ordering=True),
        "key",
        {
            "F1": yes(),
            "F2": yes("F4"),
            "F2h": no(),
            "F3": no(),
            "F4": yes(),
            "F5": no(),
            "F6": yes(),
            "F8": yes(),
            "F9": only("c21", resumes_early=True),
            "F11": only("c23", max_delivery_attempts=5),
            "F12": no(),
            "F13": only("filter", filtered=True),
        },
    ),
    "RabbitMQ": Column(
        RabbitMQ(),
        "lane",
        {
            "F1": yes(),
            "F2h": yes(),
            "F3": yes("t"),
            **BEFORE_NEW,
            "F5": unless("✔", single_active_consumer=True),
            "F6": yes(),
            "F8": yes(),
            "F9": only("c22", outstanding_confirms=2),
            "F11": only("c23", dead_letter_exchange=True),
            "F12": only("c25", queues=2),
            "F13": unless("limit", queue_type="classic"),
            "F13 by auto-ack": yes("autoAck", auto_ack=True, queue_type="classic"),
        },
        held=10,
    ),
    "RabbitMQ, single active consumer": Column(
        RabbitMQ(single_active_consumer=True),
        "lane",
        {
            "F1": yes(),
            "F2": unless("≤ prefetch", prefetch=1),
            "F2h": yes(seen="window"),
            "F3": unless("c18", of=(Redeliver, Zombie), prefetch=1),
            "F4": no(),
            "F5": no("c18", kind=Overtake),
            "F6": yes(),
            "F8": yes(),
            "F9": only("c22", outstanding_confirms=2),
            "F11": only("c23", dead_letter_exchange=True),
            "F12": only("c25", queues=2),
            "F13": unless("limit", queue_type="classic"),
            "F13 by auto-ack": yes("autoAck", auto_ack=True, queue_type="classic"),
        },
        held=10,
    ),
    "Redis Streams": Column(
        RedisStreams(),
        "lane",
        {
            "F1": yes(),
            "F2h": yes(),
            "F3": yes("∞"),
            **BEFORE_NEW,
            "F5": yes(),
            "F6": yes(),
            "F8": yes(),
            "F9": only("c22", pipelined_adds=2),
            "F11": only("app", dead_letters=True),
            "F12": no("–"),
            "F13": only("trim", trims=True),
            "F13 by NOACK": only("NOACK", noack=True),
        },
    ),
    "Redis list": Column(
        RedisList(),
        "lane",
        {
            "F1": yes(),
            "F2h": yes(),
            "F3": yes("∞"),
            **BEFORE_NEW,
            "F5": yes(),
            "F6": yes(),
            "F8": yes(),
            "F9": only("c22", pipelined_pushes=2),
            "F11": only("app", dead_letters=True),
            "F12": no("–"),
            "F13": only("crash without LMOVE", reliable=False),
        },
    ),
    "JetStream": Column(
        JetStream(),
        "lane",
        {
            "F1": yes(),
            "F2h": yes(),
            "F3": yes("t"),
            **BEFORE_NEW,
            "F5": yes(),
            "F6": yes(),
            "F8": yes(">2 min or no Msg-Id"),
            "F9": only("c22", publish_async_max_pending=2),
            "F10": only("c24", kind=Lose, seen="F13", max_deliver=5),
            "F11": only("c24", dead_letters=True, max_deliver=5),
            "F12": only("c26", partitions=2),
            "F13": only("MaxDeliver", max_deliver=5),
            "F13 by AckNone": only("AckNone", ack_policy="none"),
        },
    ),
    "JetStream, MaxAckPending=1": Column(
        JetStream(max_ack_pending=1),
        "lane",
        {
            "F1": yes(),
            "F2": no(),
            "F2h": no(),
            "F3": no(),
            "F4": no(),
            "F5": no(kind=Overtake),
            "F6": yes(),
            "F8": yes(">2 min or no Msg-Id"),
            "F9": only("c22", publish_async_max_pending=2),
            "F10": only("c24", kind=Lose, seen="F13", max_deliver=5),
            "F11": only("c24", dead_letters=True, max_deliver=5),
            "F12": only("c26", partitions=2),
            "F13": only("MaxDeliver", max_deliver=5),
        },
    ),
    "Service Bus": Column(
        ServiceBus(),
        "lane",
        {
            "F1": yes(),
            "F2h": yes(),
            "F3": yes("t"),
            **BEFORE_NEW,
            "F5": yes(),
            "F6": yes(),
            "F8": yes("off by default"),
            "F9": only("async", concurrent_sends=2),
            "F11": yes("10"),
            "F12": no("–"),
            "F13": only("ReceiveAndDelete", receive_mode="receive_and_delete"),
        },
    ),
    "Service Bus sessions": Column(
        ServiceBus(sessions=True),
        "key",
        {
            "F1": yes(),
            "F2": yes("unsettled"),
            "F2h": yes(seen="window"),
            "F3": no(),
            "F4": no(),
            "F5": no(),
            "F6": yes(),
            "F8": yes("off by default"),
            "F9": only("c22", concurrent_sends=2),
            "F11": yes("10"),
            "F12": no(),
            "F13": only("ReceiveAndDelete", receive_mode="receive_and_delete"),
        },
        held=10,
    ),
    "Postgres SKIP LOCKED": Column(
        PostgresQueue(),
        "lane",
        {
            "F1": yes(),
            "F2h": yes(),
            "F3": yes(),
            **BEFORE_NEW,
            "F5": yes(),
            "F6": only("lease style only", style="lease"),
            "F8": yes(),
            "F9": yes(),
            "F11": only("app", dead_letters=True),
            "F12": no("–"),
            "F13": no("–"),
        },
    ),
    "Outbox": Column(
        Outbox(),
        "lane",
        {
            "F1": yes("c14"),
            "F2": yes("as F8"),
            "F2h": yes(seen="window"),
            "F3": yes("visibility", seen="F9"),
            "F4": no(alone=True, without=(Zombie,)),
            "F5": only("c19", kind=Overtake, relays=2),
            "F6": yes(seen="two relays"),
            "F8": yes(seen="copies"),
            "F9": unless("✔", open_transactions=1),
            "F11": only("app", dead_letters=True),
            "F12": no("–"),
            "F13": only("id-cursor race", cursor="id"),
        },
        republished=frozenset({"F1", "F2", "F2h", "F3", "F4"}),
    ),
    "Celery on Redis": Column(
        Celery(acks_late=True),
        "lane",
        {
            "F1": unless("acks_late", acks_late=False),
            "F2h": yes("acks_late"),
            "F3": yes("acks_late, ∞"),
            **BEFORE_NEW,
            "F5": unless("✔", concurrency=1),
            "F6": unless("acks_late", acks_late=False),
            "F8": yes(),
            "F9": yes(),
            "F11": unless("retry ✔", retries=False),
            "F12": no("–"),
            "F13": unless("acks_early crash", reject_on_worker_lost=True),
        },
    ),
    "Webhook": Column(
        Webhook(),
        "lane",
        {
            "F1": yes(),
            "F2h": yes(),
            "F3": yes("3 days"),
            **BEFORE_NEW,
            "F5": yes(),
            "F6": yes(),
            "F8": yes("2 kinds"),
            "F9": yes("a request for each event: to arrive later is all there is", seen="F5"),
            "F11": only("give-up 3 d", gives_up=True),
            "F12": no("–"),
            "F13": only("after 3 d", gives_up=True),
        },
    ),
    "Kafka share group": Column(
        Kafka(group="share", consumers=2),
        "lane",
        {
            "F1": yes(),
            "F2h": yes(),
            "F3": yes("span ≤ 200"),
            **BEFORE_NEW,
            "F2": no(alone=True, without=(Zombie,)),
            "F5": unless("✔", consumers=1),
            "F6": yes(),
            "F8": only("as topic", application_resends=True),
            "F9": only("as topic", idempotent_producer=False),
            "F10": yes("5", seen="F13"),
            "F11": no("F10 only"),
            "F12": no("n/a"),
            "F13": yes("count limit"),
        },
    ),
}

LATE_SETTLE: dict[str, str] = {
    "SQS standard": "maybe",
    "SQS FIFO": "refused",
    "Pub/Sub": "maybe",
    "Pub/Sub, ordered": "maybe",
    "RabbitMQ": "refused",
    "RabbitMQ, single active consumer": "refused",
    "Redis Streams": "accepted",
    "Redis list": "accepted",
    "JetStream": "accepted",
    "JetStream, MaxAckPending=1": "accepted",
    "Service Bus": "refused",
    "Service Bus sessions": "refused",
    "Celery on Redis": "accepted",
    "Kafka share group": "refused",
}
"""F7: what a broker does with the acknowledgement of one that no longer holds the message; the row has no entry for
SNS, an outbox and webhooks, and a lease in a table is open unless the update compares a token."""
