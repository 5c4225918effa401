"""An Amazon SQS FIFO queue: it keeps the order of each MessageGroupId.

While messages of a group are in flight nothing more of it is handed out, and what a receive did not delete comes back
together, in order.
"""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar, Literal

import attrs

from chaoskit.brokers import verbs
from chaoskit.brokers.base import Settings, one_queue
from chaoskit.brokers.fields import boolean, one_of, optional_int, positive_int, resource_name, without_effect
from chaoskit.brokers.impossible import Impossible, Reasons, delivered_once
from chaoskit.brokers.serialization import Serialization, keys
from chaoskit.brokers.sqs_standard import NO_DLQ, SOURCES, STANDARD, STANDARD_QUEUE, gives_up, standard_rules
from chaoskit.brokers.timing import INVISIBLE, timed
from chaoskit.brokers.wording import IDEMPOTENT, Wording, Words, passed_unless
from chaoskit.models.handover import Handover
from chaoskit.models.producer import Producer
from chaoskit.models.queue.model import Fields, Loses, QueueSettings
from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.traces.queue.rules import QueueRules
from chaoskit.traces.queue.state import QueueState, refuse
from chaoskit.traces.tokens import Batch
from chaoskit.values import faults
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Event, Stream
from chaoskit.values.schedule import Raw
from chaoskit.values.timing import Timing

DEDUPLICATION_WINDOW = 300
"""Seconds in which a FIFO queue or topic drops what has a deduplication id that it accepted: 5 minutes, fixed."""

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
    visibility_timeout: int = timed("lease", 30, "of a receive, in seconds.")
    queue: str = resource_name("events.fifo")

    usual_timing: ClassVar[Timing] = INVISIBLE
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
        return impossible_fifo(self.max_receive_count, self.send_batch, bool(self.loses))

    def lossy(self) -> tuple[str, ...]:
        set_so = {
            "content_based_deduplication": self.content_based_deduplication,
            "redrive": self.redrive == "send",
            "retention_exceeded": self.retention_exceeded,
        }
        return tuple(name for name, is_set in set_so.items() if is_set)

    @property
    def serialization(self) -> Serialization:
        return fifo_groups(min(self.max_number_of_messages, self.send_batch))

    def stages(self) -> QueueSettings:
        by_body = self.content_based_deduplication
        # With another way to lose as well, any message may be lost, and not only equal ones.
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
            # Retention ends for the oldest first; the other ways take a message from the middle.
            trims=self.lossy() == ("retention_exceeded",),
        )


_FIFO_LOSSES = {
    "content_based_deduplication": FIFO.of(faults.Lose),
    "redrive": SENT_AGAIN,
    "retention_exceeded": STANDARD.of(faults.Lose),
}
"""How a FIFO queue loses a message, by the setting that makes it so."""


CALLS_PER_SECOND = 300
"""Of each action (SendMessage, ReceiveMessage, DeleteMessage) on a FIFO queue without high throughput."""


def fifo_groups(batch: int) -> Serialization:
    """The message groups of a FIFO queue of which so many messages go into one request, at most 10."""
    per_second = CALLS_PER_SECOND * batch
    return keys(
        "message group",
        "while messages of a group are in flight nothing more of it is handed out",
        "docs.aws.amazon.com/AWSSimpleQueueService: FIFO-queues-understanding-logic, quotas-messages",
        per_second=per_second,
        quota=f"{CALLS_PER_SECOND} calls a second of each action without high throughput: {per_second:,} messages a "
        f"second with {'one message' if batch == 1 else f'{batch} messages'} a request",
    )


def of_either(fifo: bool, batch: int) -> Serialization:
    """Of a system that reads a queue of either kind."""
    return fifo_groups(batch) if fifo else attrs.evolve(STANDARD_QUEUE, allowed_by={"fifo": True})


def impossible_fifo(max_receive_count: int | None, send_batch: int, loses: bool) -> Reasons:
    no = delivered_once(max_receive_count, "max_receive_count")
    no[faults.Rehash] = Impossible("SQS keeps the order of a group when it splits partitions")
    if send_batch == 1:
        no[faults.BatchSwap] = Impossible("one message a request: nothing overtakes a retry", {"send_batch": 10})
    if max_receive_count is None:
        no[faults.DeadLetter] = NO_DLQ
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
            # By what the body would be, as values need not be hashable; 1 and True are other bodies.
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
    handover: Handover | None = None,
    **leasing: Any,
) -> QueueSettings:
    """A FIFO queue as the models run it."""
    policy = LeasePolicy(
        consumers, "group", "lane", receive, max_attempts=max_receive_count or 10, gives_up=gives_up(max_receive_count),
        expires="lease",
    )  # fmt: skip
    return QueueSettings(
        queue,
        Producer(one_queue, 1, max_in_flight=send_batch),
        attrs.evolve(policy, **leasing),
        fields or _fifo_fields,
        loses=loses,
        window=DEDUPLICATION_WINDOW,
        lease=visibility_timeout,
        handover=handover,
        verbs=verbs.SQS_FIFO,
    )


def _fifo_fields(event: Event, step: Raw) -> dict[str, Any]:
    """MessageId, SequenceNumber, group and deduplication id stay on a redelivery; ApproximateReceiveCount counts."""
    return {
        "message_id": f"message-{step[4]}",
        "sequence": _SEQUENCE + 256 * step[4],
        # A group is text on the wire, whatever the key was.
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


def fifo_rules(name: str, max_receive_count: int | None, visibility_timeout: int, lost: str | None) -> QueueRules:
    """A FIFO queue as `permits` judges it: a group is locked while a receive of it is in flight."""
    return attrs.evolve(
        standard_rules(name, max_receive_count, visibility_timeout, lost),
        order="locked",
        unit="message group",
        check_batch=_keeps_groups_together,
        settled="final",
        late_ack="refused",  # the receipt handle has expired, and the delete fails
        # 5 minutes, fixed; the judge's own figure, and not the models'.
        window=300,
        window_setting="the deduplication interval of 5 minutes",
        send_window=1,
    )


def _keeps_groups_together(state: QueueState, word: Batch) -> None:
    """ReceiveMessage returns as many messages of one group as it can before it goes on to another."""
    units = [state.facts.units[state.facts.ids[each.label]] for each in word.members]
    changes = [unit for at, unit in enumerate(units) if at == 0 or unit != units[at - 1]]
    if len(changes) != len(set(changes)):
        refuse(f"one receive keeps the messages of a {state.rules.unit} together")
