"""AWS Lambda behind an Amazon SQS queue: the queue is received in batches, of which each is one invocation."""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs

from chaoskit.brokers import verbs
from chaoskit.brokers.base import Settings
from chaoskit.brokers.fields import boolean, optional_int, positive_int, resource_name
from chaoskit.brokers.impossible import Impossible, Reasons
from chaoskit.brokers.serialization import Serialization
from chaoskit.brokers.sqs_fifo import FIFO, fifo_queue, fifo_rules, impossible_fifo, of_either
from chaoskit.brokers.sqs_standard import (
    NO_RETENTION,
    SOURCES,
    STANDARD,
    impossible_standard,
    standard_queue,
    standard_rules,
)
from chaoskit.brokers.timing import INVISIBLE, timed
from chaoskit.brokers.wording import IDEMPOTENT, Wording, Words
from chaoskit.models.handover import Handover
from chaoskit.models.queue.model import QueueSettings
from chaoskit.traces.queue.rules import QueueRules
from chaoskit.values import faults
from chaoskit.values.errors import UsageError
from chaoskit.values.timing import Timing

LAMBDA_STANDARD = STANDARD.but(
    {
        faults.Redeliver: Wording(
            "the function failed at {event}: {again} came back when the visibility timeout of the batch had "
            "expired{after}",
            f"report_batch_item_failures=True brings back only what is reported. {IDEMPOTENT}",
        )
    },
    worker="function",
    restarts="function {consumer} fails",
    whole_batch="report_batch_item_failures=True (ReportBatchItemFailures), with a function that returns which "
    "messages failed, brings back only those. Else what had succeeded is handled a second time",
)
LAMBDA_FIFO = FIFO.but(
    {faults.Redeliver: LAMBDA_STANDARD.of(faults.Redeliver), faults.Lose: STANDARD.of(faults.Lose)},
    worker="function",
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
    visibility_timeout: int = timed(
        "lease", 30, "of the queue, in seconds; six times the function's timeout is advised."
    )
    queue: str = resource_name("events")

    usual_timing: ClassVar[Timing] = INVISIBLE
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
            # In a standard queue nothing is behind anything.
            skips_failed=not self.fifo or (self.report_batch_item_failures and self.skips_failed),
            skips_setting="report_batch_item_failures=True with skips_failed=True",
            # A batch that was throttled counts as received, though no function has seen it.
            limit_exact=False,
        )

    @property
    def words(self) -> Words:
        return LAMBDA_FIFO if self.fifo else LAMBDA_STANDARD

    def impossible(self) -> Reasons:
        if self.fifo:
            no = impossible_fifo(self.max_receive_count, 1, loses=True)
            no[faults.BatchSwap] = Impossible("one message a request keeps the order of a group", {"fifo": False})
            return no if self.retention_exceeded else no | {faults.Lose: NO_RETENTION}
        return impossible_standard(self.max_receive_count, self.retention_exceeded)

    def lossy(self) -> tuple[str, ...]:
        return ("retention_exceeded",) if self.retention_exceeded else ()

    @property
    def serialization(self) -> Serialization:
        return of_either(self.fifo, self.batch_size)

    def stages(self) -> QueueSettings:
        return attrs.evolve(self._queue(), verbs=verbs.INVOKED)

    def _queue(self) -> QueueSettings:
        partial = self.report_batch_item_failures
        # Of a FIFO queue a function that stops reports all from the failed one on.
        stops = self.fifo and not self.skips_failed
        listed: Literal["listed", "from the lowest"] = "from the lowest" if stops else "listed"
        handover = Handover(self.batch_size, whole=True, failed=listed if partial else None)
        if self.fifo:
            # A function that stops reports the failed message and all behind it: these come back together.
            brings = "batch" if not partial else "message" if self.skips_failed else "lane"
            return fifo_queue(
                self.queue,
                self.maximum_concurrency,
                self.batch_size,
                self.max_receive_count,
                1,
                None,
                self.visibility_timeout,
                handover=handover,
                brings=brings,
                goes_on=partial and self.skips_failed,
                # A function ends at its timeout, before its messages come back.
                twice=False,
            )
        brings = "message" if partial else "batch"
        return standard_queue(
            self.queue, self.maximum_concurrency, self.max_receive_count, handover, brings=brings,
            window=self.batch_size, twice=False,
        )  # fmt: skip
