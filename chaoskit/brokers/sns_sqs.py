"""An Amazon SQS queue behind an SNS topic, which may filter: both standard, or both FIFO."""

from __future__ import annotations

from typing import ClassVar

import attrs

from chaoskit.brokers.base import Settings
from chaoskit.brokers.fields import boolean, optional_int, positive_int, resource_name, without_effect
from chaoskit.brokers.impossible import Impossible, Reasons
from chaoskit.brokers.serialization import Serialization
from chaoskit.brokers.sqs_fifo import FIFO, fifo_queue, fifo_rules, impossible_fifo, of_either
from chaoskit.brokers.sqs_standard import (
    SOURCES,
    STANDARD,
    impossible_standard,
    standard_queue,
    standard_rules,
)
from chaoskit.brokers.timing import INVISIBLE, timed
from chaoskit.brokers.wording import Wording, Words
from chaoskit.models.queue.model import QueueSettings
from chaoskit.traces.queue.rules import QueueRules
from chaoskit.values import faults
from chaoskit.values.timing import Timing


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
    visibility_timeout: int = timed("lease", 30, "of a receive, in seconds.")
    queue: str = resource_name("events")

    def __attrs_post_init__(self) -> None:
        if not self.fifo:
            without_effect(self, ["max_number_of_messages"], "fifo=False")

    usual_timing: ClassVar[Timing] = INVISIBLE
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
            # What SNS loses is its own: see the filter policy below.
            no = impossible_fifo(self.max_receive_count, 1, loses=True)
            no[faults.BatchSwap] = Impossible("a FIFO topic keeps the order of a group", {"fifo": False})
        else:
            no = impossible_standard(self.max_receive_count, True)
        if not self.filter_policy:
            no[faults.Lose] = Impossible("the subscription has no filter policy", {"filter_policy": True})
        return no

    def lossy(self) -> tuple[str, ...]:
        return ("filter_policy",) if self.filter_policy else ()

    @property
    def serialization(self) -> Serialization:
        return of_either(self.fifo, self.max_number_of_messages)

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
        # SNS itself adds nothing that a standard queue would not do already.
        return standard_queue(self.queue, self.consumers, self.max_receive_count)
