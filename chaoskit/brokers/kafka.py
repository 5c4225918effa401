"""Apache Kafka: a topic read by one consumer group.

Sources: kafka.apache.org/documentation (semantics, basic_ops_modify_topic), Kafka's `ProducerConfig`,
`ConsumerConfig`, `RecordAccumulator`, `Sender`, `BuiltInPartitioner` and `ConsumerCoordinator`; librdkafka's
INTRODUCTION.md and CONFIGURATION.md; KIP-480, KIP-679, KIP-794. What the model does is written down in
docs/kafka.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import attrs

from chaoskit.brokers import verbs
from chaoskit.brokers.base import Settings, key_bytes, routing
from chaoskit.brokers.fields import (
    boolean,
    described,
    one_of,
    opt_in,
    optional_int,
    positive_int,
    setting,
    without_effect,
)
from chaoskit.brokers.impossible import NO_GROWTH, OR_MORE, Impossible, Reasons
from chaoskit.brokers.kafka_group import AUTO_COMMIT, FROM_LATEST, PARTITIONS, RETRY_TOPIC, WORDS, put_back
from chaoskit.brokers.kafka_parallel import PARALLEL, PARALLEL_KEYS, parallel_stages
from chaoskit.brokers.kafka_producer import KafkaProducer
from chaoskit.brokers.kafka_share import SHARE, SHARED, impossible_in_share_group, share_rules, share_stages
from chaoskit.brokers.serialization import Serialization
from chaoskit.brokers.timing import timed
from chaoskit.brokers.wording import Words
from chaoskit.models.handover import Handover
from chaoskit.models.log.model import LogSettings
from chaoskit.models.log.policy import Reading
from chaoskit.models.partitioners import KAFKA_PARTITIONERS
from chaoskit.models.queue.model import QueueSettings
from chaoskit.traces.log.cursor import CursorMachine
from chaoskit.traces.log.parallel import ParallelMachine
from chaoskit.traces.log.rules import LogRules
from chaoskit.traces.queue.rules import QueueRules
from chaoskit.values import faults
from chaoskit.values.errors import StreamError, UsageError
from chaoskit.values.settling import COMMITS, Verbs
from chaoskit.values.timing import Timing


@attrs.frozen(kw_only=True)
class Kafka(Settings):
    """A Kafka topic and the consumer group that reads it.

    Raises UsageError for settings that contradict.
    """

    partitions: int = positive_int(6, "of the topic, at first.")
    growth: bool = boolean("partitions may be added to it later.", default=True)
    consumers: int = positive_int(1, "members of the group; partition p belongs to member p % consumers.")
    group: Literal["consumer", "share", "parallel"] = one_of(
        ("consumer", "share", "parallel"),
        'who reads: "consumer" (a consumer group), "share" (a share group, KIP-932: no order) or "parallel" '
        "(Confluent Parallel Consumer with ordering KEY).",
    )
    partitioner: str = one_of(
        tuple(KAFKA_PARTITIONERS),
        'how a key finds its partition: "murmur2" is the Java client\'s default (also kafka-python and aiokafka); '
        'librdkafka\'s names are known, its default is "consistent_random".',
    )
    idempotent_producer: bool = boolean(
        "`enable.idempotence`; true by default in Java since 3.0 (KIP-679), false in librdkafka.", default=True
    )
    max_in_flight: int = positive_int(
        5,
        "`max.in.flight.requests.per.connection`; 5 in Java, 1,000,000 in librdkafka. An idempotent producer allows 5 "
        "at most.",
    )
    records_per_batch: int = positive_int(1, "records that one batch of a partition holds (`linger.ms`, `batch.size`).")
    retry_order: str = one_of(
        ("newest_first", "sequence"),
        'how a failed batch is queued again: "newest_first" as Java does, "sequence" as librdkafka does, which lets '
        "one batch more overtake a retry, also where max_in_flight is 1.",
    )
    commit_every: int | None = optional_int(
        "the consumer commits after each k-th record; None: after every record, and now and then a commit is late."
    )
    on_error: Literal["retry", "stop", "skip", "retry_topic"] = one_of(
        ("retry", "stop", "skip", "retry_topic"),
        'what the consumer does when the handler raises: "retry" (seek back and show it again), "stop" (the process '
        'dies and starts again), "skip" (log and go on: the record is lost), "retry_topic" (publish it to a retry '
        "topic and go on, as Spring's @RetryableTopic does).",
    )
    max_attempts: int = positive_int(
        10, "before a refused record goes to the dead-letter topic; 10 in Spring Kafka's DefaultErrorHandler."
    )
    max_poll_records: int = positive_int(
        500, "`max.poll.records`; 500 in Java. The search draws no replay longer than one poll."
    )
    commit_ahead: bool = boolean(
        "offsets are committed before the handler is done (by an application that hands records to another thread), "
        "so that a crash loses records."
    )
    auto_commit: bool = boolean(
        "the client commits in the background what it has handed over, so that a crash loses the record in hand, or "
        "the rest of a consume(n): the default of confluent-kafka and aiokafka (`enable.auto.commit`, "
        "`enable_auto_commit`); the Java client and kafka-python commit within the next poll, which is behind the "
        "handler."
    )
    auto_offset_reset: Literal["earliest", "latest"] = one_of(
        ("earliest", "latest"),
        'where a partition is read from of which nothing is committed: "earliest", or "latest", the default of every '
        "client, with which the first records of a partition that is added later are never read.",
    )
    application_resends: bool = boolean(
        "the application sends again what an idempotent producer gave up on (`delivery.timeout.ms`), or a new "
        "producer session does."
    )
    session_timeout: int = timed(
        "silence", 45, "seconds (`session.timeout.ms`), after which a member that is not heard is taken for dead."
    )
    retry_delay: int = timed(
        "retries",
        1,
        "seconds before a refused record is tried again; 1 in Spring's @Backoff and the Parallel Consumer.",
    )
    delivery_count_limit: int = positive_int(5, "`group.share.delivery.count.limit` of a share group.")
    record_lock_duration: int = timed("lease", 30, "seconds (`group.share.record.lock.duration.ms`) of a share group.")
    max_record_locks: int = positive_int(
        200,
        "`group.share.partition.max.record.locks` of a share group. A share group reads none of `commit_every`, "
        "`on_error`, `max_attempts`, `max_poll_records`, `commit_ahead`, `auto_commit` and `auto_offset_reset`, the "
        "Parallel Consumer no `commit_every`, `auto_commit` and `auto_offset_reset`.",
    )
    offset_resets: bool = opt_in(
        faults.Rewind,
        "committed offsets may be set back: kafka-consumer-groups --reset-offsets, or they expired "
        "(offsets.retention.minutes) and auto.offset.reset is earliest.",
    )
    key_serializer: Callable[[Any], bytes] | None = attrs.field(
        default=None,
        metadata=described("from a key to its bytes, for keys that are neither str nor bytes.", "function or None"),
    )
    topic: str = setting("events", "its name, as messages carry it.", "str")

    guarantees: ClassVar[tuple[str, ...]] = (
        "The records of one partition are read in the order of their offsets; between partitions there is no order.",
        "A key keeps its partition while the partition count and the partitioner stay the same.",
        "At least once: after a restart everything since the committed offset comes again, in order.",
        "An idempotent producer neither repeats nor reorders what it sends in one session.",
        'A share group (group="share") promises no order; the Parallel Consumer (group="parallel") that of a key.',
    )
    sources: ClassVar[tuple[str, ...]] = (
        "kafka.apache.org/documentation: semantics, basic_ops_modify_topic, ProducerConfig, ConsumerConfig",
        "kafka.apache.org/documentation: basic_ops_consumer_group (--reset-offsets), offsets.retention.minutes",
        "Kafka's RecordAccumulator, Sender, BuiltInPartitioner, ConsumerCoordinator, SharePartition",
        "librdkafka INTRODUCTION.md, CONFIGURATION.md, rdkafka_msg.c",
        "KIP-98, KIP-429, KIP-480, KIP-679, KIP-794, KIP-932",
        "librdkafka: enable.auto.commit, enable.auto.offset.store; aiokafka: _maybe_do_autocommit",
        "KAFKA-12261, KAFKA-12478, KAFKA-20539 (auto.offset.reset=latest and added partitions)",
        "docs.spring.io/spring-kafka: retrytopic; github.com/confluentinc/parallel-consumer: README",
    )

    def __attrs_post_init__(self) -> None:
        self._sends.check()
        without_effect(self, _IDLE[self.group], f'group="{self.group}"')
        if self.auto_commit:
            without_effect(self, ["commit_every", "commit_ahead"], "auto_commit=True")
        if not self.growth:
            without_effect(self, ["auto_offset_reset"], "growth=False")
        if self.key_serializer is not None and not callable(self.key_serializer):
            raise UsageError(f"Kafka(key_serializer={self.key_serializer!r}): a function from key to bytes is needed")

    @property
    def words(self) -> Words:
        words = self._words_of_group
        # Only in the Java client one request in flight is enough.
        if self.retry_order == "newest_first":
            return words
        swapped = words.of(faults.BatchSwap).unless("enable.idempotence=true (idempotent_producer=True)")
        return words.but({faults.BatchSwap: swapped})

    @property
    def _words_of_group(self) -> Words:
        if self.group == "consumer":
            words = RETRY_TOPIC if self.on_error == "retry_topic" else WORDS
            lost = AUTO_COMMIT if self.auto_commit else WORDS.of(faults.Lose) if self.commit_ahead else FROM_LATEST
            return words.but({faults.Lose: lost})
        return SHARE if self.group == "share" else PARALLEL

    def impossible(self) -> Reasons:
        no = self._sends.impossible()
        if not self.growth:
            no[faults.Rehash] = NO_GROWTH
        if self.group != "consumer":
            no[faults.Rewind] = Impossible(
                "it is modelled for a plain consumer group alone", {"group": "consumer", "offset_resets": True}
            )
        if self.group == "share":
            return no | impossible_in_share_group(self.consumers, self.delivery_count_limit)
        return no | self._impossible_in_order()

    def lossy(self) -> tuple[str, ...]:
        if self.group == "share":
            return ("delivery_count_limit",)
        set_so = {
            "commit_ahead": self.commit_ahead,
            "auto_commit": self.auto_commit,
            "auto_offset_reset": self.auto_offset_reset == "latest",
        }
        return tuple(name for name, is_set in set_so.items() if is_set)

    def drops(self) -> tuple[str, ...]:
        return ("on_error",) if self.on_error == "skip" else ()

    def _impossible_in_order(self) -> Reasons:
        no: Reasons = {}
        if self.on_error in ("stop", "skip"):
            why = "the partition waits for its handler" if self.on_error == "stop" else "a refused record is lost"
            no[faults.DeadLetter] = Impossible(f'with on_error="{self.on_error}" {why}', {"on_error": "retry"})
        # The Parallel Consumer runs the keys of one partition side by side.
        if self.partitions == 1 and self.group == "consumer":
            no[faults.Overtake] = Impossible("a single partition is read in order", {"partitions": 2}, OR_MORE)
        if not self.lossy():
            no[faults.Lose] = Impossible("offsets are committed after the handler is done", {"commit_ahead": True})
            if self.group == "consumer":
                no[faults.Lose] = Impossible(
                    "offsets are committed after the handler is done",
                    {"auto_commit": True, "commit_ahead": True, "auto_offset_reset": "latest"},
                    "{auto_commit} makes it possible (the default of confluent-kafka and aiokafka, which commit in the "
                    "background what was handed over), and so do {commit_ahead} and {auto_offset_reset} (the default "
                    "of every client) on a topic that grows",
                )
        return no

    @property
    def _sends(self) -> KafkaProducer:
        return KafkaProducer(
            self.idempotent_producer,
            self.max_in_flight,
            self.records_per_batch,
            self.retry_order == "newest_first",
            self.application_resends,
        )

    @property
    def timing(self) -> Timing:
        # A share group has its locks; what a consumer of the others has is its member's, and has no lease.
        timing = super().timing
        return attrs.evolve(timing, silence=0.0) if self.group == "share" else attrs.evolve(timing, lease=0.0)

    def rules(self) -> LogRules | QueueRules:
        if self.group == "share":
            return share_rules(self.delivery_count_limit, self.max_record_locks)
        return LogRules(
            writes=self._sends.writes(),
            order_hint="idempotent_producer=False" if self.idempotent_producer else "",
            copy_hint="idempotent_producer=False or application_resends=True" if self.idempotent_producer else "",
            reads=ParallelMachine if self.group == "parallel" else CursorMachine,
            on_error=self.on_error,
            max_attempts=self.max_attempts,
            # For the judge they are one thing: a commit that may be ahead of the handler.
            commit_ahead=self.commit_ahead or self.auto_commit,
            new_units_at_latest=self.auto_offset_reset == "latest",
            resets_back=self.offset_resets,
            reset_hint="offset_resets=True",
            ahead_hint="" if self.commit_ahead else "commit_ahead=True",
            commit_every=self.commit_every,
            max_poll_records=self.max_poll_records,
            poll_word=f"max_poll_records={self.max_poll_records}",
            # A partition that stops has its record still, and one that skips has not kept it.
            dead_letters=self.on_error in ("retry", "retry_topic"),
            dead_hint="on_error='retry' or 'retry_topic'",
            units=self.partitions,
            grows="up" if self.growth else "never",
        )

    def _reading(self) -> Reading:
        # The process dies at the record, starts at the commit and meets it again.
        blocks = self.on_error == "stop"
        ahead = self.commit_ahead or self.auto_commit  # then anything can be lost, and not first records only
        new_from = self.partitions if self.auto_offset_reset == "latest" and not ahead else None
        return Reading(
            self.consumers, self.commit_every, self.on_error, self.max_attempts, blocks, new_from=new_from, ahead=ahead
        )

    @property
    def serialization(self) -> Serialization:
        return {"consumer": PARTITIONS, "share": SHARED, "parallel": PARALLEL_KEYS}[self.group]

    @property
    def _verbs(self) -> Verbs:
        ahead = next((n for n in ("auto_commit", "commit_ahead", "commit_every") if getattr(self, n)), None)
        if self.on_error == "retry_topic":  # Spring publishes the record, and commits its offset
            ahead = 'on_error="retry_topic"'
        return COMMITS if ahead is None else verbs.by_itself(ahead)

    def stages(self) -> LogSettings | QueueSettings:
        hash_, spreads_null, hashes_empty = KAFKA_PARTITIONERS[self.partitioner]
        home, growth = routing(
            self.key_bytes,
            hash_,
            self.partitions,
            grows=self.growth,
            spreads=lambda data: spreads_null and (data is None or (data == b"" and not hashes_empty)),
        )
        producer = self._sends.stage(home, self.partitions)
        if self.group == "consumer":
            # An offset says that all before it is done, and what is skipped is so record by record. With a retry topic
            # a listener takes single records, as Spring says of its own.
            handover = Handover(
                1 if self.on_error == "retry_topic" else self.max_poll_records,
                failed="listed" if self.on_error == "skip" else "from the lowest",
            )
            return LogSettings(
                self.topic, producer, self._reading(), self.max_poll_records, growth, stamp="sender", put_back=put_back,
                verbs=self._verbs, handover=handover,
            )  # fmt: skip
        if self.group == "share":
            return share_stages(
                self.topic, producer, growth, self.consumers, self.delivery_count_limit, self.max_record_locks
            )
        return parallel_stages(self.topic, producer, growth, self.consumers, self.on_error, self.max_attempts)

    def key_bytes(self, key: Any) -> bytes | None:
        if self.key_serializer is not None and key is not None:
            data = self.key_serializer(key)
            if not isinstance(data, bytes):
                raise StreamError(f"key_serializer gave {data!r} for key {key!r}; bytes are needed")
            return data
        return key_bytes(self, key)


_SHARE_ONLY = ("delivery_count_limit", "max_record_locks")
_IDLE = {
    "consumer": _SHARE_ONLY,
    "share": (
        "commit_every",
        "on_error",
        "max_attempts",
        "max_poll_records",
        "commit_ahead",
        "auto_commit",
        "auto_offset_reset",
        "offset_resets",
    ),
    "parallel": ("commit_every", "auto_commit", "auto_offset_reset", "offset_resets", *_SHARE_ONLY),
}
"""Settings that a group does not read."""
