"""Amazon SQS: a standard queue, a FIFO queue, and both behind an SNS topic.

A standard queue promises no order and may deliver twice, even after a delete. A FIFO queue keeps the order of each
MessageGroupId: while messages of a group are in flight nothing more of it is handed out, and what a receive did not
delete comes back together, in order.
"""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar, Literal

import attrs

from chaoskit.brokers.base import Settings, one_queue
from chaoskit.brokers.fields import boolean, one_of, optional_int, positive_int, resource_name, without_effect
from chaoskit.brokers.impossible import Impossible, Reasons, delivered_once
from chaoskit.brokers.sqs_rules import fifo_rules, standard_rules
from chaoskit.brokers.wording import DEFAULT, IDEMPOTENT, Wording, Words, passed_unless
from chaoskit.models.producer import Producer
from chaoskit.models.queue.model import Fields, Loses, QueueSettings
from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.traces.queue.rules import QueueRules
from chaoskit.values import faults
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Event, Stream
from chaoskit.values.schedule import Raw

DEDUPLICATION_WINDOW = 300
"""Seconds in which a FIFO queue or topic drops what has a deduplication id that it accepted: 5 minutes, fixed."""

_NO_ORDER = (
    "a FIFO queue (SqsFifo) with one message group for what depends on each other; a standard queue has no order"
)

STANDARD = Words(
    no_order="A standard queue promises no order, not even between messages of one key.",
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

FIFO = Words(
    lanes="key",
    lane="group",
    wordings={
        faults.Fail: passed_unless(
            "a consumer that stops at a failed message and gives back the rest of its receive (skips_failed=False)"
        ),
        faults.Duplicate: Wording(
            "the visibility timeout of {event} expired before it was deleted: it came again at once",
            f"no setting: at least once. {IDEMPOTENT}",
        ),
        faults.Redeliver: Wording(
            "the visibility timeout of a receive expired before {event} was deleted: {again} came again, in order",
            f"max_number_of_messages=1 brings back one message only. {IDEMPOTENT}",
        ),
        faults.DeadLetter: Wording(
            "{event} exceeded maxReceiveCount before it had any effect and went to the dead-letter queue; its group "
            "went on{back}",
            "no dead-letter queue on a FIFO queue (max_receive_count=None): AWS says so where the order must be exact",
        ),
        faults.Overtake: Wording(
            "the group of {event} was received late: {over} of other groups went first",
            "one MessageGroupId for events that depend on each other; SQS orders nothing between groups",
        ),
        faults.BatchSwap: Wording(
            "the entry of {at} in a SendMessageBatch failed, and was sent again after {over}",
            "one message a request (send_batch=1), or sending the rest of a group again, too",
        ),
        faults.Resend: Wording(
            "the producer sent {at} again more than 5 minutes later: outside of the deduplication interval it is "
            "another message",
            f"retries within 5 minutes carry the same MessageDeduplicationId and are dropped. {IDEMPOTENT}",
        ),
        faults.Zombie: STANDARD.of(faults.Zombie).unless(
            "ChangeMessageVisibility while the handler works (a heartbeat), and stopping when it fails"
        ),
        faults.Lose: Wording(
            "{event} has the body of an earlier message, sent within 5 minutes: content-based deduplication dropped it",
            "a MessageDeduplicationId of its own for each message (content_based_deduplication=False)",
        ),
    },
)

SENT_AGAIN = Wording(
    "{event} exceeded maxReceiveCount before it had any effect, and somebody sent it again from the dead-letter queue "
    "within 5 minutes, with the same MessageDeduplicationId: the queue dropped it",
    'redrive by StartMessageMoveTask (redrive="move_task"), which is exempt from deduplication; or a '
    "MessageDeduplicationId of its own for what is sent again",
)

_NO_DLQ = Impossible("without a redrive policy nothing is dead-lettered", {"max_receive_count": 10})
_NO_RETENTION = Impossible("messages are received within MessageRetentionPeriod", {"retention_exceeded": True})
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


@attrs.frozen(kw_only=True)
class SqsStandard(Settings):
    """An SQS standard queue and the consumers that poll it."""

    consumers: int = positive_int(2, "that receive at the same time.")
    max_receive_count: int | None = optional_int("`maxReceiveCount` of the redrive policy; None: no dead-letter queue.")
    visibility_timeout: int = positive_int(30, "of a receive, in seconds.")
    retention_exceeded: bool = boolean(
        "messages may wait longer than MessageRetentionPeriod (4 days by default), and are lost."
    )
    queue: str = resource_name("events")

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
        return _impossible_standard(self.max_receive_count, self.retention_exceeded)

    def lossy(self) -> tuple[str, ...]:
        return ("retention_exceeded",) if self.retention_exceeded else ()

    def stages(self) -> QueueSettings:
        return standard_queue(self.queue, self.consumers, self.max_receive_count)


def _impossible_standard(max_receive_count: int | None, retention_exceeded: bool) -> Reasons:
    no = {faults.Rehash: _NO_GROUPS} | delivered_once(max_receive_count, "max_receive_count")
    if max_receive_count is None:
        no[faults.DeadLetter] = _NO_DLQ
    if not retention_exceeded:
        no[faults.Lose] = _NO_RETENTION
    return no


def standard_queue(queue: str, consumers: int, max_receive_count: int | None, **leasing: Any) -> QueueSettings:
    """A standard queue as the models run it."""
    policy = LeasePolicy(
        consumers, in_order=False, max_attempts=max_receive_count or 10, gives_up=_gives_up(max_receive_count)
    )
    return QueueSettings(
        queue, Producer(one_queue, 1, max_in_flight=10), attrs.evolve(policy, **leasing), _standard_fields
    )


def _gives_up(max_receive_count: int | None) -> Literal["dead", "never"]:
    return "dead" if max_receive_count is not None else "never"


def _standard_fields(event: Event, step: Raw) -> dict[str, Any]:
    """MessageId stays on a redelivery; ApproximateReceiveCount counts."""
    return {"message_id": f"message-{step[4]}", "attempt": step[5], "redelivered": None}


@attrs.frozen(kw_only=True)
class SqsFifo(Settings):
    """An SQS FIFO queue and the consumers that poll it. The key of an event is its MessageGroupId."""

    consumers: int = positive_int(2, "that receive at the same time.")
    max_number_of_messages: int = positive_int(
        10, "of one receive; consumers use 10, the most that SQS allows (the API's default is 1)."
    )
    max_receive_count: int | None = optional_int("`maxReceiveCount` of the redrive policy; None: no dead-letter queue.")
    content_based_deduplication: bool = boolean(
        "the SHA-256 of the body is the MessageDeduplicationId; else it is the event's id."
    )
    deduplication_scope: Literal["queue", "messageGroup"] = one_of(
        ("queue", "messageGroup"), 'where a deduplication id may not repeat: in the "queue", or in its "messageGroup".'
    )
    send_batch: int = positive_int(
        1, "entries of one SendMessageBatch, of which some may fail and be sent again; at most 10."
    )
    redrive: Literal["move_task", "send"] = one_of(
        ("move_task", "send"),
        'how dead letters come back: by StartMessageMoveTask ("move_task"), or somebody receives and sends them again '
        '("send"), so that one that is sent within 5 minutes with the same deduplication id is dropped.',
    )
    retention_exceeded: bool = boolean(
        "messages may wait longer than MessageRetentionPeriod (4 days by default), and are lost."
    )
    skips_failed: bool = boolean(
        "the consumer goes on after a failed message of a receive and deletes the others, so that the failed one "
        "comes back alone and late."
    )
    visibility_timeout: int = positive_int(30, "of a receive, in seconds.")
    queue: str = resource_name("events.fifo")

    guarantees: ClassVar[tuple[str, ...]] = (
        "The messages of one MessageGroupId are handed out in order; between groups there is no order.",
        "While messages of a group are in flight nothing more of that group is handed out.",
        "What a receive did not delete comes back together, in order, before anything later of the group.",
        "What is sent again within 5 minutes with the same MessageDeduplicationId is dropped.",
        "At least once: a handler slower than the visibility timeout runs beside the next receiver.",
    )
    sources: ClassVar[tuple[str, ...]] = SOURCES

    @property
    def words(self) -> Words:
        causes = [_FIFO_LOSSES[name] for name in self.lossy()] or [FIFO.of(faults.Lose)]
        how = "; or ".join(cause.happened for cause in causes)
        return FIFO.but({faults.Lose: Wording(how, "; ".join(cause.ruled_out_by for cause in causes))})

    def __attrs_post_init__(self) -> None:
        for name, value in (("max_number_of_messages", self.max_number_of_messages), ("send_batch", self.send_batch)):
            if value > 10:
                raise UsageError(f"{type(self).__name__}({name}={value}): SQS takes 10 messages a request at most")
        if self.max_receive_count is None:
            without_effect(self, ["redrive"], "max_receive_count=None")

    def rules(self) -> QueueRules:
        return attrs.evolve(
            fifo_rules("SQS FIFO", self.max_receive_count, self.visibility_timeout, self.loses or None),
            receive=self.max_number_of_messages,
            send_window=self.send_batch,
            skips_failed=self.skips_failed,
            skips_setting="skips_failed=True",
        )

    def impossible(self) -> Reasons:
        return _impossible_fifo(self.max_receive_count, self.send_batch, bool(self.loses))

    def lossy(self) -> tuple[str, ...]:
        set_so = {
            "content_based_deduplication": self.content_based_deduplication,
            "redrive": self.redrive == "send",
            "retention_exceeded": self.retention_exceeded,
        }
        return tuple(name for name, is_set in set_so.items() if is_set)

    def stages(self) -> QueueSettings:
        by_body = self.content_based_deduplication
        only_by_body = self.lossy() == ("content_based_deduplication",)
        return fifo_queue(
            self.queue,
            self.consumers,
            self.max_number_of_messages,
            self.max_receive_count,
            self.send_batch,
            _deduplicates(only_by_body, self.deduplication_scope == "queue"),
            self.visibility_timeout,
            _content_based if by_body else _fifo_fields,
            brings="message" if self.skips_failed else "lane",
            goes_on=self.skips_failed,
            trims=self.lossy() == ("retention_exceeded",),
        )


_FIFO_LOSSES = {
    "content_based_deduplication": FIFO.of(faults.Lose),
    "redrive": SENT_AGAIN,
    "retention_exceeded": STANDARD.of(faults.Lose),
}
"""How a FIFO queue loses a message, by the setting that makes it so."""


def _impossible_fifo(max_receive_count: int | None, send_batch: int, loses: bool) -> Reasons:
    no = delivered_once(max_receive_count, "max_receive_count")
    no[faults.Rehash] = Impossible("SQS keeps the order of a group when it splits partitions")
    if send_batch == 1:
        no[faults.BatchSwap] = Impossible("one message a request: nothing overtakes a retry", {"send_batch": 10})
    if max_receive_count is None:
        no[faults.DeadLetter] = _NO_DLQ
    if not loses:
        no[faults.Lose] = Impossible(
            "each message has a MessageDeduplicationId of its own, and is received within MessageRetentionPeriod",
            {
                "content_based_deduplication": True,
                "retention_exceeded": True,
                "max_receive_count": 3,
                "redrive": "send",
            },
            "{content_based_deduplication} makes it possible, or {retention_exceeded}, or {max_receive_count} "
            "with {redrive}",
        )
    return no


def _deduplicates(content_based: bool, whole_queue: bool) -> Loses | None:
    """Which events content-based deduplication drops: those with the body of an earlier one of its scope."""

    def loses(stream: Stream, position: int) -> bool:
        event = stream[position]
        return any(
            repr(earlier.value) == repr(event.value) and (whole_queue or earlier.key == event.key)
            for earlier in stream.events[:position]
        )

    return loses if content_based else None


def fifo_queue(
    queue: str,
    consumers: int,
    receive: int,
    max_receive_count: int | None,
    send_batch: int,
    loses: Loses | None,
    visibility_timeout: int = 30,
    fields: Fields | None = None,
    **leasing: Any,
) -> QueueSettings:
    """A FIFO queue as the models run it."""
    policy = LeasePolicy(
        consumers, "group", "lane", receive, max_attempts=max_receive_count or 10, gives_up=_gives_up(max_receive_count)
    )
    return QueueSettings(
        queue,
        Producer(one_queue, 1, max_in_flight=send_batch),
        attrs.evolve(policy, **leasing),
        fields or _fifo_fields,
        loses=loses,
        window=DEDUPLICATION_WINDOW,
        lease=visibility_timeout,
    )


def _fifo_fields(event: Event, step: Raw) -> dict[str, Any]:
    """MessageId, SequenceNumber, group and deduplication id stay on a redelivery; ApproximateReceiveCount counts."""
    return {
        "message_id": f"message-{step[4]}",
        "sequence": _SEQUENCE + 256 * step[4],
        "group": None if event.key is None else str(event.key),
        "deduplication_id": str(event.id),
        "attempt": step[5],
    }


_SEQUENCE = 18_849_496_460_467_696_128
"""Sequence numbers of a FIFO queue are large, increase, and are not consecutive."""


def _content_based(event: Event, step: Raw) -> dict[str, Any]:
    body = event.value if isinstance(event.value, str) else repr(event.value)
    digest = hashlib.sha256(body.encode("utf-8", "backslashreplace")).hexdigest()
    return {**_fifo_fields(event, step), "deduplication_id": digest}


@attrs.frozen(kw_only=True)
class SnsSqs(Settings):
    """An SQS queue that subscribes to an SNS topic: both standard, or both FIFO."""

    fifo: bool = boolean(
        "a FIFO topic and queue: group and deduplication id are passed on, and the topic deduplicates, too."
    )
    consumers: int = positive_int(2, "that receive from the queue at the same time.")
    max_number_of_messages: int = positive_int(10, "of one receive from a FIFO queue.")
    max_receive_count: int | None = optional_int(
        "`maxReceiveCount` of the queue's redrive policy; None: no dead-letter queue."
    )
    filter_policy: bool = boolean("the subscription filters, so that this queue sees a part of the topic only.")
    visibility_timeout: int = positive_int(30, "of a receive, in seconds.")
    queue: str = resource_name("events")

    def __attrs_post_init__(self) -> None:
        if not self.fifo:
            without_effect(self, ["max_number_of_messages"], "fifo=False")

    guarantees: ClassVar[tuple[str, ...]] = (
        "A standard topic promises no order, and each subscription has its own.",
        (
            "A FIFO topic delivers the messages of one group to a FIFO queue in order, and drops what is sent again "
            "within 5 minutes."
        ),
        "At least once.",
    )
    sources: ClassVar[tuple[str, ...]] = ("docs.aws.amazon.com/sns: fifo-message-grouping", *SOURCES)

    def rules(self) -> QueueRules:
        filtered = "filter_policy=True" if self.filter_policy else None
        if not self.fifo:
            return standard_rules("SNS to SQS", self.max_receive_count, self.visibility_timeout, filtered)
        rules = fifo_rules("SNS to SQS FIFO", self.max_receive_count, self.visibility_timeout, filtered)
        return attrs.evolve(rules, receive=self.max_number_of_messages)

    @property
    def words(self) -> Words:
        words = FIFO if self.fifo else STANDARD
        filtered = Wording(
            "the filter policy of the subscription dropped {event}",
            "a subscription without a filter policy (filter_policy=False)",
        )
        return words.but({faults.Lose: filtered})

    def impossible(self) -> Reasons:
        if self.fifo:
            no = _impossible_fifo(self.max_receive_count, 1, loses=True)
            no[faults.BatchSwap] = Impossible("a FIFO topic keeps the order of a group", {"fifo": False})
        else:
            no = _impossible_standard(self.max_receive_count, True)
        if not self.filter_policy:
            no[faults.Lose] = Impossible("the subscription has no filter policy", {"filter_policy": True})
        return no

    def lossy(self) -> tuple[str, ...]:
        return ("filter_policy",) if self.filter_policy else ()

    def stages(self) -> QueueSettings:
        if self.fifo:
            return fifo_queue(
                self.queue,
                self.consumers,
                self.max_number_of_messages,
                self.max_receive_count,
                1,
                None,
                self.visibility_timeout,
            )
        return standard_queue(self.queue, self.consumers, self.max_receive_count)


LAMBDA_STANDARD = STANDARD.but(
    {
        faults.Redeliver: Wording(
            "the function failed at {event}: {again} came back when the visibility timeout of the batch had "
            "expired{after}",
            f"report_batch_item_failures=True brings back only what is reported. {IDEMPOTENT}",
        )
    },
    restarts="function {consumer} fails",
    whole_batch="report_batch_item_failures=True (ReportBatchItemFailures), with a function that returns which "
    "messages failed, brings back only those. Else what had succeeded is handled a second time",
)
LAMBDA_FIFO = FIFO.but(
    {faults.Redeliver: LAMBDA_STANDARD.of(faults.Redeliver), faults.Lose: STANDARD.of(faults.Lose)},
    restarts="function {consumer} fails",
    whole_batch=LAMBDA_STANDARD.whole_batch,
)


@attrs.frozen(kw_only=True)
class LambdaSqs(Settings):
    """A Lambda function whose event source is an SQS queue."""

    fifo: bool = boolean("a FIFO queue: one batch of a group at a time.")
    batch_size: int = positive_int(10, "messages of one invocation, at most; 10 for a FIFO queue, else up to 10,000.")
    report_batch_item_failures: bool = boolean(
        "the function reports which messages failed (ReportBatchItemFailures), and only those come back; else the "
        "whole batch does."
    )
    skips_failed: bool = boolean(
        "with such reports from a FIFO queue, the function goes on after a failed message and reports it alone; else "
        "it stops there, and reports the rest of the batch as failed, too.",
        default=True,
    )
    maximum_concurrency: int = positive_int(2, "invocations at the same time.")
    max_receive_count: int | None = optional_int("`maxReceiveCount` of the redrive policy; None: no dead-letter queue.")
    retention_exceeded: bool = boolean(
        "messages may wait longer than MessageRetentionPeriod (4 days by default), and are lost."
    )
    visibility_timeout: int = positive_int(30, "of the queue, in seconds; six times the function's timeout is advised.")
    queue: str = resource_name("events")

    guarantees: ClassVar[tuple[str, ...]] = (
        "A batch that fails comes back whole, with what had succeeded; with partial responses only what was reported.",
        "FIFO: at most one batch of a message group is in flight, and its messages are in order.",
        "At least once, also with FIFO: the delete after a success can fail.",
    )
    sources: ClassVar[tuple[str, ...]] = ("docs.aws.amazon.com/lambda: with-sqs", *SOURCES)

    def __attrs_post_init__(self) -> None:
        most = 10 if self.fifo else 10_000
        if self.batch_size > most:
            raise UsageError(f"LambdaSqs(fifo={self.fifo}, batch_size={self.batch_size}): {most:,} at most")

    def rules(self) -> QueueRules:
        lost = "retention_exceeded=True" if self.retention_exceeded else None
        make = fifo_rules if self.fifo else standard_rules
        return attrs.evolve(
            make("Lambda", self.max_receive_count, self.visibility_timeout, lost),
            receive=self.batch_size,
            batch_returns="failed" if self.report_batch_item_failures else "whole",
            skips_failed=not self.fifo or (self.report_batch_item_failures and self.skips_failed),
            skips_setting="report_batch_item_failures=True with skips_failed=True",
            limit_exact=False,
        )

    @property
    def words(self) -> Words:
        return LAMBDA_FIFO if self.fifo else LAMBDA_STANDARD

    def impossible(self) -> Reasons:
        if self.fifo:
            no = _impossible_fifo(self.max_receive_count, 1, loses=True)
            no[faults.BatchSwap] = Impossible("one message a request keeps the order of a group", {"fifo": False})
            return no if self.retention_exceeded else no | {faults.Lose: _NO_RETENTION}
        return _impossible_standard(self.max_receive_count, self.retention_exceeded)

    def lossy(self) -> tuple[str, ...]:
        return ("retention_exceeded",) if self.retention_exceeded else ()

    def stages(self) -> QueueSettings:
        partial = self.report_batch_item_failures
        if self.fifo:
            brings = "batch" if not partial else "message" if self.skips_failed else "lane"
            return fifo_queue(
                self.queue,
                self.maximum_concurrency,
                self.batch_size,
                self.max_receive_count,
                1,
                None,
                self.visibility_timeout,
                brings=brings,
                goes_on=partial and self.skips_failed,
            )
        brings = "message" if partial else "batch"
        return standard_queue(
            self.queue, self.maximum_concurrency, self.max_receive_count, brings=brings, window=self.batch_size
        )
