"""Apache Kafka: a topic read by one consumer group.

Sources: kafka.apache.org/documentation (semantics, basic_ops_modify_topic), Kafka's `ProducerConfig`,
`ConsumerConfig`, `RecordAccumulator`, `Sender`, `BuiltInPartitioner` and `ConsumerCoordinator`; librdkafka's
INTRODUCTION.md and CONFIGURATION.md; KIP-480, KIP-679, KIP-794. What the model does is written down in
docs/kafka.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal

import attrs

from chaoskit.brokers.consumer import Reading
from chaoskit.brokers.kafka_words import RULED_OUT_BY, sentences
from chaoskit.brokers.log import LogModel, LogSettings
from chaoskit.brokers.partitioners import KAFKA_PARTITIONERS
from chaoskit.brokers.producer import Producer
from chaoskit.errors import StreamError, UsageError, did_you_mean
from chaoskit.event import Event, Stream
from chaoskit.faults import KINDS, BatchSwap, DeadLetter, Fault, FaultKind, Overtake
from chaoskit.schedule import Schedule


def _positive(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if type(value) is not int or value < 1:
        raise UsageError(f"Kafka({attribute.name}={value!r}): a whole number, 1 or more, is needed")


def _bool(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, bool):
        raise UsageError(f"Kafka({attribute.name}={value!r}): True or False is needed")


def _one_of(*known: str) -> Callable[[object, attrs.Attribute[Any], Any], None]:
    def check(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value not in known:
            raise UsageError(f"Kafka({attribute.name}={value!r}): not known{did_you_mean(str(value), known)}")

    return check


@attrs.frozen(kw_only=True)
class Kafka:
    """A Kafka topic and the consumer group that reads it. Raises UsageError for settings that contradict.

    `partitions`: of the topic, at first. `consumers`: members of the group; partition p belongs to member
    p % consumers.
    `partitioner`: "murmur2" is the Java client's default (also kafka-python and aiokafka); librdkafka's names are
    known, its default is "consistent_random".
    `idempotent_producer`: `enable.idempotence`; true by default in Java since 3.0 (KIP-679), false in librdkafka.
    `max_in_flight`: `max.in.flight.requests.per.connection`; 5 in Java, 1,000,000 in librdkafka. An idempotent
    producer allows 5 at most.
    `records_per_batch`: records that one batch of a partition holds (`linger.ms`, `batch.size`).
    `retry_order`: how a failed batch is queued again: "newest_first" as Java does, "sequence" as librdkafka does.
    `commit_every`: the consumer commits after each k-th record; None: after every record, and now and then a
    commit is late.
    `on_error`: what the consumer does when the handler raises: "retry" (seek back and show it again), "stop" (the
    process dies and starts again), "skip" (log and go on: the record is lost).
    `max_attempts`: of "retry" and "stop" before the record goes to the dead-letter topic; 10 in Spring Kafka's
    DefaultErrorHandler.
    `max_poll_records`: `max.poll.records`; 500 in Java. The search draws no replay longer than one poll.
    `key_serializer`: from a key to its bytes, for keys that are neither str nor bytes.
    `topic`: its name, as messages carry it.
    """

    partitions: int = attrs.field(default=6, validator=_positive)
    consumers: int = attrs.field(default=1, validator=_positive)
    partitioner: str = attrs.field(default="murmur2", validator=_one_of(*KAFKA_PARTITIONERS))
    idempotent_producer: bool = attrs.field(default=True, validator=_bool)
    max_in_flight: int = attrs.field(default=5, validator=_positive)
    records_per_batch: int = attrs.field(default=1, validator=_positive)
    retry_order: str = attrs.field(default="newest_first", validator=_one_of("newest_first", "sequence"))
    commit_every: int | None = attrs.field(default=None, validator=attrs.validators.optional(_positive))
    on_error: Literal["retry", "stop", "skip"] = attrs.field(
        default="retry", validator=_one_of("retry", "stop", "skip")
    )
    max_attempts: int = attrs.field(default=10, validator=_positive)
    max_poll_records: int = attrs.field(default=500, validator=_positive)
    key_serializer: Callable[[Any], bytes] | None = None
    topic: str = "events"

    def __attrs_post_init__(self) -> None:
        if self.idempotent_producer and self.max_in_flight > 5:
            raise UsageError(
                f"Kafka(idempotent_producer=True, max_in_flight={self.max_in_flight}): an idempotent producer has at "
                "most 5 requests in flight (the client refuses more); set idempotent_producer=False or "
                "max_in_flight=5"
            )
        if self.key_serializer is not None and not callable(self.key_serializer):
            raise UsageError(f"Kafka(key_serializer={self.key_serializer!r}): a function from key to bytes is needed")

    def kinds(self) -> tuple[FaultKind, ...]:
        return tuple(kind for kind in KINDS if self.why_impossible(kind) is None)

    def why_impossible(self, kind: FaultKind) -> str | None:
        if kind is BatchSwap and self.idempotent_producer:
            return "an idempotent producer keeps its batches in order; idempotent_producer=False makes it possible"
        if kind is BatchSwap and self.max_in_flight == 1:
            return "with one batch in flight nothing overtakes a retry; max_in_flight=2 or more makes it possible"
        if kind is DeadLetter and self.on_error != "retry":
            why = "the partition waits for its handler" if self.on_error == "stop" else "a refused record is lost"
            return f'with on_error="{self.on_error}" {why}; on_error="retry" makes it possible'
        if kind is Overtake and self.partitions == 1:
            return "a single partition is read in order; partitions=2 or more makes it possible"
        return None

    def model(self, stream: Stream) -> LogModel:
        return LogModel(stream, _settings(self))

    def explain(self, schedule: Schedule, events: Sequence[Event]) -> list[tuple[Fault | None, str]]:
        return sentences(schedule, events, self.partitions)

    def ruled_out_by(self, kind: FaultKind) -> str:
        return RULED_OUT_BY[kind]

    def key_bytes(self, key: Any) -> bytes | None:
        if self.key_serializer is not None and key is not None:
            data = self.key_serializer(key)
            if not isinstance(data, bytes):
                raise StreamError(f"key_serializer gave {data!r} for key {key!r}; bytes are needed")
            return data
        if key is None or isinstance(key, bytes):
            return key
        if isinstance(key, str):
            try:
                return key.encode()
            except UnicodeEncodeError as error:
                raise StreamError(f"key {key!r} cannot be sent as UTF-8: {error}") from error
        raise StreamError(
            f"key {key!r} is {type(key).__name__}: Kafka partitions by bytes. Use str (sent as UTF-8), bytes or None, "
            f"or say how your producer writes it: Kafka(key_serializer=lambda key: …)"
        )


@lru_cache(maxsize=64)
def _settings(kafka: Kafka) -> LogSettings:
    """The log model's settings, with caches of their own: a search makes thousands of models of one broker."""
    hash_, spreads_null, hashes_empty = KAFKA_PARTITIONERS[kafka.partitioner]
    key_bytes = kafka.key_bytes

    @lru_cache(maxsize=1 << 12, typed=True)
    def partition(key: Any, count: int) -> int | None:
        """None: the record may go anywhere."""
        data = key_bytes(key)
        if spreads_null and (data is None or (data == b"" and not hashes_empty)):
            return None
        return hash_(data or b"", count)

    def home(key: Any, position: int, count: int) -> int:
        """Records without affinity are spread round robin, so that nothing keeps them in order."""
        found = partition(key, count)
        return position % count if found is None else found

    def growth(key: Any) -> list[int]:
        """The two least counts that move the key, and twice the count where that moves it."""
        old, doubled = partition(key, kafka.partitions), 2 * kafka.partitions
        moving = [n for n in range(kafka.partitions + 1, doubled + 8) if partition(key, n) != old]
        return sorted({*moving[:2], *(n for n in moving if n == doubled)})

    return LogSettings(
        topic=kafka.topic,
        producer=Producer(
            home,
            kafka.partitions,
            kafka.records_per_batch,
            kafka.max_in_flight,
            kafka.retry_order == "newest_first",
        ),
        reading=Reading(kafka.consumers, kafka.commit_every, kafka.on_error, kafka.max_attempts),
        longest_replay=kafka.max_poll_records,
        growth=lru_cache(maxsize=1 << 12, typed=True)(growth),
    )
