"""Amazon Kinesis Data Streams, read by the Kinesis Client Library or by a Lambda function.

A shard is a log. A key has its shard by the MD5 of the key, until the stream is split or merged.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import attrs

from chaoskit.brokers import verbs
from chaoskit.brokers.base import Settings, key_bytes, routing
from chaoskit.brokers.fields import (
    boolean,
    one_of,
    opt_in,
    optional_int,
    positive_int,
    resource_name,
    setting,
    without_effect,
)
from chaoskit.brokers.impossible import OR_MORE, WHERE_THE_APPLICATION_DOES, Impossible, Reasons
from chaoskit.brokers.serialization import Serialization, partitions
from chaoskit.brokers.timing import timed
from chaoskit.brokers.wording import IDEMPOTENT, Wording, Words, passed_unless
from chaoskit.models.handover import Handover
from chaoskit.models.log.model import LogSettings
from chaoskit.models.log.policy import Reading
from chaoskit.models.partitioners import by_md5_range
from chaoskit.models.producer import Producer
from chaoskit.models.queue.model import QueueSettings
from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.traces.log.batches import BatchMachine
from chaoskit.traces.log.cursor import CursorMachine
from chaoskit.traces.log.lane import Lane
from chaoskit.traces.log.producer import requests
from chaoskit.traces.log.rules import LogRules
from chaoskit.traces.tokens import Grow, Put, Trace, deliveries
from chaoskit.values import faults
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Event
from chaoskit.values.schedule import Raw
from chaoskit.values.settling import COMMITS
from chaoskit.values.timing import Timing

SHARD = Handover(10_000, one_lane=True, failed="from the lowest")
"""`processRecords` gets those of one shard."""
KCL = Words(
    lane="shard",
    lanes="partition",
    worker="worker",
    unit="shard",
    routed_by="partition key",
    place="shard {partition}, record {offset}",
    restarts="worker {consumer} restarts",
    wordings={
        faults.Duplicate: Wording(
            "the record processor retried {record} itself", f"a processor that does not retry in place. {IDEMPOTENT}"
        ),
        faults.Redeliver: Wording(
            "worker {consumer} restarted before it had checkpointed {event}: {again} came again",
            f"no setting: what was not checkpointed comes again; checkpoint_every=1 makes it one record. {IDEMPOTENT}",
        ),
        faults.DeadLetter: Wording(
            "{record} used up its attempts before it had any effect; the application set it aside and went on{back}",
            "a processor that stops at a record it cannot handle (dead_letters=False)",
        ),
        faults.Rehash: Wording(
            "the stream was resharded from {count} to {to} shards: {event} of key {key} went to shard {home}{backlog}",
            "reading parents to their end before their children, as the KCL does (parent_first=True)",
        ),
        faults.BatchSwap: Wording(
            "the record of {at} failed in a PutRecords request, and was sent again after {over}",
            "PutRecord for one record at a time (records_per_put=1), or stopping the key until its record is accepted",
        ),
        faults.Resend: Wording(
            "the producer got no answer for {at} and put it again: {record} is another record of the same event",
            f"no setting: Kinesis does not deduplicate. {IDEMPOTENT}",
        ),
        faults.Zombie: Wording(
            "the lease of worker {old} expired (failoverTimeMillis): worker {new} read on from the checkpoint, while "
            "worker {old} still ran {held}; its own checkpoint was refused (ShutdownException)",
            "no setting: a longer failoverTimeMillis makes it rarer. Compare a version in the transaction of the "
            "effect",
        ),
        faults.Rewind: Wording(
            "the checkpoint was set back to {first} when {at} was done, by an operator or because the lease table was "
            "lost: {again} came again",
            "nobody who deletes or edits the lease table while the effects of the handler are still there. "
            f"{IDEMPOTENT}",
        ),
        faults.Lose: Wording(
            "the checkpoint was lost and the iterator started at LATEST: {record} was passed over",
            "TRIM_HORIZON instead of LATEST where there is no checkpoint (start_at_latest=False)",
        ),
    },
)

LAMBDA = KCL.but(
    {
        faults.Fail: passed_unless(
            "a function that stops at the first failed record of a batch, or report_batch_item_failures=False"
        ),
        faults.Duplicate: Wording(
            "the function failed after {event}, a batch by itself, and was invoked again", IDEMPOTENT
        ),
        faults.Redeliver: Wording(
            "the function failed at {event}: its batch was retried in place, with {again}",
            f"report_batch_item_failures=True retries from the lowest reported record only. {IDEMPOTENT}",
        ),
        faults.Lose: Wording(
            "the batch of {event} used up its retries or grew too old and was skipped: only metadata goes to the "
            "on-failure destination",
            "endless retries (maximum_retry_attempts=-1, which is the default)",
        ),
    },
    worker="function",
    restarts="function {consumer} fails",
    whole_batch="report_batch_item_failures=True (ReportBatchItemFailures), with a function that returns the first "
    "record that failed, retries from there on. Else what had succeeded is handled a second time",
)


@attrs.frozen(kw_only=True)
class Kinesis(Settings):
    """A Kinesis data stream and what reads it."""

    shards: int = positive_int(2, "of the stream, at first, of the same size.")
    growth: bool = boolean("shards may be split and merged.", default=True)
    consumer: Literal["kcl", "lambda"] = one_of(
        ("kcl", "lambda"), '"kcl" (Kinesis Client Library) or "lambda" (an event source mapping).'
    )
    workers: int = positive_int(1, "of the KCL; shard s belongs to worker s % workers.")
    failover_time: int = timed(
        "silence", 10, "seconds (failoverTimeMillis of the KCL), after which a lease is taken from a silent worker."
    )
    checkpoint_every: int | None = optional_int(
        "the worker checkpoints after each k-th record; None: after every record, and now and then a checkpoint is "
        "late."
    )
    records_per_put: int = positive_int(
        10, "of one PutRecords request, of which some may fail and are sent again; at most 500, and 1 means PutRecord."
    )
    parent_first: bool = boolean("parents are read to their end before their children, as the KCL does.", default=True)
    checkpoint_resets: bool = opt_in(
        faults.Rewind,
        "checkpoints may be set back: the lease table is edited, or lost and reading starts at TRIM_HORIZON.",
    )
    start_at_latest: bool = boolean("a lost checkpoint starts at LATEST and passes over records.")
    dead_letters: bool = boolean("the application sets failed records aside and puts them back later.")
    batch_size: int = positive_int(100, "records of one invocation of Lambda.")
    report_batch_item_failures: bool = boolean("Lambda retries from the lowest record that was reported.")
    bisect_batch_on_function_error: bool = boolean("Lambda halves a batch that failed.")
    maximum_retry_attempts: int = setting(-1, "of Lambda, before it skips the batch; -1 is endless.", "int")
    parallelization_factor: int = positive_int(
        1, "batches of one shard that Lambda has at a time, 1 to 10; each key stays in order."
    )
    stream: str = resource_name("events")

    usual_timing: ClassVar[Timing] = Timing(lease=1.0)
    guarantees: ClassVar[tuple[str, ...]] = (
        "The records of one shard are read in the order of their sequence numbers; between shards there is no order.",
        "A key keeps its shard until the stream is resharded; the KCL reads parents before their children.",
        "At least once: after a restart everything since the checkpoint comes again, in order.",
        "PutRecords keeps no order between its records: what failed and is sent again lands behind the rest.",
        "Lambda retries a batch in place and blocks the shard; first times are in order, later ones may not be.",
    )
    sources: ClassVar[tuple[str, ...]] = (
        (
            "docs.aws.amazon.com/streams: kinesis-record-processor-duplicates, kinesis-using-sdk-java-after-resharding,"
            " developing-producers-with-sdk"
        ),
        "Kinesis API reference: PutRecords, SplitShard, MergeShards",
        "github.com/awslabs/amazon-kinesis-client: LeaseManagementConfig",
        "docs.aws.amazon.com/lambda: with-kinesis",
    )

    def __attrs_post_init__(self) -> None:
        if self.records_per_put > 500:
            raise UsageError(f"Kinesis(records_per_put={self.records_per_put}): PutRecords takes 500 records at most")
        if self.parallelization_factor > 10:
            raise UsageError(f"Kinesis(parallelization_factor={self.parallelization_factor}): 10 at most")
        if type(self.maximum_retry_attempts) is not int or not -1 <= self.maximum_retry_attempts <= 10_000:
            raise UsageError(
                f"Kinesis(maximum_retry_attempts={self.maximum_retry_attempts!r}): -1 (endless) to 10,000 is needed"
            )

        without_effect(self, _IDLE[self.consumer], f'consumer="{self.consumer}"')

    @property
    def words(self) -> Words:
        return KCL if self.consumer == "kcl" else LAMBDA

    def impossible(self) -> Reasons:
        no: Reasons = {}
        if self.consumer == "lambda":
            no[faults.Rewind] = Impossible(
                "an event source mapping starts where it was created to", {"consumer": "kcl", "checkpoint_resets": True}
            )
        if self.records_per_put == 1:
            no[faults.BatchSwap] = Impossible(
                "PutRecord for one record at a time keeps the order", {"records_per_put": 10}
            )
        # An event source mapping reads parents first by itself.
        if self.parent_first or self.consumer == "lambda":
            no[faults.Rehash] = Impossible(
                "parents are read to their end before their children, so that a key stays in order",
                {"consumer": "kcl", "parent_first": False},
            )
        elif not self.growth:
            no[faults.Rehash] = Impossible("the stream is never resharded (growth=False)", {"growth": True})
        if self.shards == 1 and (self.consumer == "kcl" or self.parallelization_factor == 1):
            more = {"parallelization_factor": 2} if self.consumer == "lambda" else {}
            hint = f"{OR_MORE}, and so does {{}}" if more else OR_MORE
            no[faults.Overtake] = Impossible("a single shard is read in order", {"shards": 2, **more}, hint)
        return no | (self._impossible_with_kcl() if self.consumer == "kcl" else self._impossible_with_lambda())

    def _impossible_with_kcl(self) -> Reasons:
        no: Reasons = {}
        if not self.dead_letters:
            no[faults.DeadLetter] = Impossible(
                "the KCL sets nothing aside", {"dead_letters": True}, WHERE_THE_APPLICATION_DOES
            )
        if not self.start_at_latest:
            no[faults.Lose] = Impossible(
                "a reader without a checkpoint starts at the oldest record", {"start_at_latest": True}
            )
        return no

    def _impossible_with_lambda(self) -> Reasons:
        no: Reasons = {
            faults.DeadLetter: Impossible(
                "a skipped batch leaves metadata only, which nobody can put back",
                {"consumer": "kcl", "dead_letters": True},
            ),
            faults.Zombie: Impossible(
                "Lambda ends an execution at its timeout, so that no old owner goes on", {"consumer": "kcl"}
            ),
        }
        if self.maximum_retry_attempts < 0:
            no[faults.Lose] = Impossible("a batch is retried without end", {"maximum_retry_attempts": 2})
        return no

    def lossy(self) -> tuple[str, ...]:
        if self.consumer == "kcl":
            return ("start_at_latest",) if self.start_at_latest else ()
        return ("maximum_retry_attempts",) if self.maximum_retry_attempts >= 0 else ()

    def _invoked(self, lane: Lane) -> BatchMachine:
        return BatchMachine(
            lane,
            batch_size=self.batch_size,
            bisects=self.bisect_batch_on_function_error,
            partial_answers=self.report_batch_item_failures,
            most_retries=None if self.maximum_retry_attempts < 0 else self.maximum_retry_attempts,
        )

    def rules(self) -> LogRules:
        by_lambda = self.consumer == "lambda"
        return LogRules(
            unit_word="shard",
            commit_word="checkpoint",
            writes=requests(self.records_per_put),
            order_hint="" if self.records_per_put > 1 else "records_per_put=10",
            reads=self._invoked if by_lambda else CursorMachine,
            max_attempts=10 if self.dead_letters else None,
            # The KCL refuses a checkpoint below the one that it has made.
            commits_go_back=False,
            commit_every=self.checkpoint_every,
            # GetRecords returns 10,000 at most, and the KCL hands them over as they come.
            max_poll_records=self.batch_size if by_lambda else 10_000,
            poll_word="batch_size" if by_lambda else "what was handed to processRecords",
            # Lambda ends an execution at its timeout.
            zombies=not by_lambda,
            start_at_latest=self.start_at_latest,
            resets_back=self.checkpoint_resets,
            reset_hint="checkpoint_resets=True" if self.consumer == "kcl" else "",
            checks=(_parents_first,) if self.parent_first or by_lambda else (),
            # What Lambda sends to a destination is metadata, without the records.
            dead_letters=self.dead_letters and not by_lambda,
            dead_hint="dead_letters=True with consumer='kcl'",
            units=self.shards,
            grows="any" if self.growth else "never",
            parallel_keys=by_lambda and self.parallelization_factor > 1,
        )

    @property
    def serialization(self) -> Serialization:
        if self.consumer == "kcl":
            return partitions(
                "shard",
                "a shard is leased to one worker, which reads it in the order of its sequence numbers",
                "github.com/awslabs/amazon-kinesis-client: LeaseManagementConfig",
            )
        return partitions(
            "shard",
            f"{self.parallelization_factor} {'batch' if self.parallelization_factor == 1 else 'batches'} of a shard at "
            "a time (ParallelizationFactor), and of a partition key one",
            "docs.aws.amazon.com/lambda: with-kinesis",
            owned=False,
            slices=self.parallelization_factor,
        )

    def stages(self) -> LogSettings | QueueSettings:
        home, growth = routing(lambda key: key_bytes(self, key), by_md5_range, self.shards, grows=self.growth)
        producer = Producer(home, self.shards, max_in_flight=self.records_per_put)
        if self.consumer == "kcl":
            every, blocks = self.checkpoint_every, not self.dead_letters
            reading = Reading(self.workers, every, "retry", 10, blocks, resets=True, takes=_only_forward)
            own = COMMITS if every is None else verbs.by_itself("checkpoint_every")
            return LogSettings(self.stream, producer, reading, 10_000, growth, numbered=True, verbs=own, handover=SHARD)
        policy = LeasePolicy(
            # One invocation of a shard at a time, or so many.
            max(self.shards, self.parallelization_factor),
            lock="group" if self.parallelization_factor > 1 else "queue",
            brings="lane" if self.report_batch_item_failures else "batch",
            window=self.batch_size,
            goes_on=self.report_batch_item_failures,
            # With both, AWS splits at the failure that was reported: then nothing is halved.
            split=_in_halves if self.bisect_batch_on_function_error and not self.report_batch_item_failures else None,
            max_attempts=10 if self.maximum_retry_attempts < 0 else self.maximum_retry_attempts + 1,
            gives_up="never" if self.maximum_retry_attempts < 0 else "lost",
            # A function ends at its timeout.
            twice=False,
        )
        handover = Handover(
            self.batch_size,
            one_lane=True,
            whole=True,
            failed="from the lowest" if self.report_batch_item_failures else None,
            again="same" if policy.split is None else "halves",
        )
        return QueueSettings(
            self.stream, producer, policy, _record, growth=growth, style="invoked", verbs=verbs.INVOKED,
            handover=handover,
        )  # fmt: skip


_IDLE = {
    "kcl": (
        "batch_size",
        "parallelization_factor",
        "bisect_batch_on_function_error",
        "report_batch_item_failures",
        "maximum_retry_attempts",
    ),
    "lambda": ("workers", "checkpoint_every", "parent_first", "start_at_latest", "checkpoint_resets", "dead_letters"),
}
"""Settings that this consumer does not read."""


def _in_halves(size: int) -> list[int]:
    """BisectBatchOnFunctionError. Of a single record there is no first half."""
    return [half for half in (size // 2, size - size // 2) if half]


def _only_forward(committed: int, offset: int) -> bool:
    """The KCL does not take a checkpoint behind the last one."""
    return offset >= committed


def _record(event: Event, step: Raw) -> dict[str, Any]:
    """A Kinesis record has a shard and a sequence number, which stay when it is read again, and no count."""
    return {"partition": step[3], "offset": step[4], "sequence": step[4]}


def _parents_first(rules: LogRules, trace: Trace) -> tuple[int, tuple[str, ...]] | None:
    """After a reshard, a child is read only when its parent was read to the end."""
    # Which shard is whose parent is not in a trace: it is taken from the growth, and from the names.
    grown, before = False, set[str]()
    started: dict[str, str] = {}
    for index, word in enumerate(trace.words):
        grown = grown or isinstance(word, Grow)
        if isinstance(word, Put) and not grown:
            before.add(word.label.unit or "")  # a parent that was never read is a parent, too
        for member in deliveries(word):
            unit = member.label.unit or ""
            if unit in started:
                child = started[unit]
                return index, (
                    f"{child} is read only after the end of its parent {unit}, and {member.label.name} was left there",
                )
            if (unit not in before and grown) or unit.startswith("child"):
                started |= dict.fromkeys(_parents(unit, before, trace), unit)
            elif not grown:
                before.add(unit)
                started |= {
                    parent: unit for parent in _units(trace) if parent and unit != parent and unit.startswith(parent)
                }
    return None


def _units(trace: Trace) -> set[str]:
    return {member.label.unit or "" for word in trace.words for member in deliveries(word)}


def _parents(unit: str, before: set[str], trace: Trace) -> set[str]:
    """By the name (`s0` of `s0.1`, `parent` of `child`); if there was one unit only, that one."""
    known = _units(trace) - {unit}
    named = {parent for parent in known if parent and (unit.startswith(parent) or parent.startswith("parent"))}
    return named or (before if len(before) == 1 else set())
