"""An Amazon SQS standard queue: no order is promised, and a message may come twice, even after a delete."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import attrs

from chaoskit.brokers import verbs
from chaoskit.brokers.base import Settings, one_queue
from chaoskit.brokers.fields import boolean, optional_int, positive_int, resource_name
from chaoskit.brokers.impossible import Impossible, Reasons, delivered_once
from chaoskit.brokers.serialization import Serialization, unordered
from chaoskit.brokers.timing import INVISIBLE, timed
from chaoskit.brokers.wording import DEFAULT, IDEMPOTENT, Wording, Words, passed_unless
from chaoskit.models.handover import Handover
from chaoskit.models.producer import Producer
from chaoskit.models.queue.model import QueueSettings
from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.traces.queue.rules import QueueRules
from chaoskit.values import faults
from chaoskit.values.event import Event
from chaoskit.values.schedule import Raw
from chaoskit.values.timing import Timing

_NO_ORDER = (
    "a FIFO queue (SqsFifo) with one message group for what depends on each other; a standard queue has no order"
)

STANDARD = Words(
    no_order="a standard queue promises no order, not even between messages of one key.",
    wordings={
        faults.Fail: passed_unless(""),
        faults.Duplicate: Wording(
            "SQS delivered {event} twice in a row: a standard queue may deliver a message more than once",
            f"no setting of a standard queue. {IDEMPOTENT}",
        ),
        faults.Redeliver: Wording(
            "the visibility timeout of {event} expired before it was deleted: {again} came again{after}",
            f"no setting: a longer VisibilityTimeout makes it rarer. {IDEMPOTENT}",
        ),
        faults.DeadLetter: Wording(
            "{event} exceeded maxReceiveCount before it had any effect and went to the dead-letter queue{back}",
            "no redrive (StartMessageMoveTask) of messages whose successors were handled; or a handler that drops or "
            "holds back what is out of order (compare `seq`)",
        ),
        faults.Overtake: Wording("SQS handed out {over} before {event}", _NO_ORDER),
        faults.BatchSwap: DEFAULT[faults.BatchSwap].unless(_NO_ORDER),
        faults.Resend: Wording(
            "the producer got no answer for {at} and sent it again: a message with another MessageId",
            f"a FIFO queue drops a retry within 5 minutes; a standard queue does not. {IDEMPOTENT}",
        ),
        faults.Zombie: Wording(
            "the visibility timeout expired while consumer {old} still worked: {held} came to consumer {new}, and "
            "consumer {old} finished nevertheless",
            "ChangeMessageVisibility while the handler works (a heartbeat), and a version that is compared in the same "
            "transaction as the effect",
        ),
        faults.Lose: Wording(
            "{event} was not received within MessageRetentionPeriod: it is gone",
            "a longer MessageRetentionPeriod (up to 14 days) or an alarm on ApproximateAgeOfOldestMessage",
        ),
    },
)

NO_DLQ = Impossible("without a redrive policy nothing is dead-lettered", {"max_receive_count": 10})
NO_RETENTION = Impossible("messages are received within MessageRetentionPeriod", {"retention_exceeded": True})
_NO_GROUPS = Impossible("a queue has no partitions that could change")
SOURCES = (
    (
        "docs.aws.amazon.com/AWSSimpleQueueService: standard-queues, sqs-visibility-timeout, "
        "FIFO-queues-understanding-logic,"
        " FIFO-queues-exactly-once-processing, using-messagededuplicationid-property, sqs-dead-letter-queues,"
        " sqs-configure-dead-letter-queue-redrive, quotas-messages"
    ),
    "github.com/localstack/localstack: test_sqs.py (behaviour validated against AWS)",
)

STANDARD_QUEUE = unordered(
    "message",
    "a standard queue keeps no order",
    "docs.aws.amazon.com/AWSSimpleQueueService: standard-queues",
    "a FIFO queue (SqsFifo) keeps that of a message group",
)


@attrs.frozen(kw_only=True)
class SqsStandard(Settings):
    """An SQS standard queue and the consumers that poll it."""

    consumers: int = positive_int(2, "that receive at the same time.")
    max_receive_count: int | None = optional_int("`maxReceiveCount` of the redrive policy; None: no dead-letter queue.")
    visibility_timeout: int = timed("lease", 30, "of a receive, in seconds.")
    retention_exceeded: bool = boolean(
        "messages may wait longer than MessageRetentionPeriod (4 days by default), and are lost."
    )
    queue: str = resource_name("events")

    usual_timing: ClassVar[Timing] = INVISIBLE
    guarantees: ClassVar[tuple[str, ...]] = (
        "No order: any message may come before any other.",
        "At least once: a message may come again at any time, even after it was deleted.",
        "No deduplication: what the producer sends again is another message.",
    )
    sources: ClassVar[tuple[str, ...]] = SOURCES

    @property
    def words(self) -> Words:
        return STANDARD

    def rules(self) -> QueueRules:
        lost = "retention_exceeded=True" if self.retention_exceeded else None
        return standard_rules("SQS", self.max_receive_count, self.visibility_timeout, lost)

    def impossible(self) -> Reasons:
        return impossible_standard(self.max_receive_count, self.retention_exceeded)

    def lossy(self) -> tuple[str, ...]:
        return ("retention_exceeded",) if self.retention_exceeded else ()

    @property
    def serialization(self) -> Serialization:
        return STANDARD_QUEUE

    def stages(self) -> QueueSettings:
        return standard_queue(self.queue, self.consumers, self.max_receive_count)


def impossible_standard(max_receive_count: int | None, retention_exceeded: bool) -> Reasons:
    no = {faults.Rehash: _NO_GROUPS} | delivered_once(max_receive_count, "max_receive_count")
    if max_receive_count is None:
        no[faults.DeadLetter] = NO_DLQ
    if not retention_exceeded:
        no[faults.Lose] = NO_RETENTION
    return no


RECEIVE = Handover(10)
"""One ReceiveMessage gives 10 messages at most."""


def standard_queue(
    queue: str, consumers: int, max_receive_count: int | None, handover: Handover = RECEIVE, **leasing: Any
) -> QueueSettings:
    """A standard queue as the models run it."""
    policy = LeasePolicy(
        # Where nothing gives a message up, so many attempts stand for as long as anybody waits.
        consumers,
        in_order=False,
        max_attempts=max_receive_count or 10,
        gives_up=gives_up(max_receive_count),
        expires="lease",
    )
    return QueueSettings(
        queue,
        Producer(one_queue, 1, max_in_flight=10),
        attrs.evolve(policy, **leasing),
        _standard_fields,
        verbs=verbs.SQS,
        handover=handover,
    )


def standard_rules(name: str, max_receive_count: int | None, visibility_timeout: int, lost: str | None) -> QueueRules:
    """A standard queue as `permits` judges it: no order, and anything may come again."""
    return QueueRules(
        broker=name,
        order="none",
        receive=10,  # the most that SQS allows
        settled="may_return",  # a server that missed the delete has it still
        late_ack="maybe",
        limit=max_receive_count,
        limit_setting=f"max_receive_count={max_receive_count}",
        dead="never" if max_receive_count is None else "limit",
        dead_setting="max_receive_count=None",
        loses=lost,
        # Where nothing is in order, the order of the sends binds nothing.
        send_window=None,
        lease=visibility_timeout,
    )


def gives_up(max_receive_count: int | None) -> Literal["dead", "never"]:
    return "dead" if max_receive_count is not None else "never"


def _standard_fields(event: Event, step: Raw) -> dict[str, Any]:
    """MessageId stays on a redelivery; ApproximateReceiveCount counts."""
    return {"message_id": f"message-{step[4]}", "attempt": step[5], "redelivered": None}
