"""A Kafka consumer group: its words, and what a retry topic adds to a record."""

from __future__ import annotations

from typing import Any

from chaoskit.brokers.serialization import partitions
from chaoskit.brokers.wording import DEFAULT, IDEMPOTENT, Wording, Words, passed_unless
from chaoskit.values import faults
from chaoskit.values.schedule import Raw

PARTITIONS = partitions(
    "partition",
    "a partition is read by one member of the group, in the order of its offsets",
    "kafka.apache.org/documentation: intro_consumers, semantics",
)

WORDS = Words(
    lane="partition",
    lanes="partition",
    unit="partition",
    place="partition {partition}, offset {offset}",
    dead="to the dead-letter topic",
    skipped="the consumer went on without it",
    wordings={
        faults.Duplicate: Wording(
            "the consumer sought back after a failed commit and was handed {record} again",
            f"no Kafka setting: at-least-once delivery may show a record twice. {IDEMPOTENT}",
        ),
        faults.Rewind: Wording(
            "the committed offset was set back to {first} when {at} was done, by an operator or because it had "
            "expired: {again} came again",
            "no group that is empty for longer than offsets.retention.minutes, and nobody who runs "
            "kafka-consumer-groups --reset-offsets while the effects of the handler are still there. "
            f"{IDEMPOTENT}",
        ),
        faults.Redeliver: Wording(
            "consumer {consumer} restarted before {first} was committed: {again} came again",
            "no Kafka setting: whatever was not committed when a consumer stops comes again. Committing after every "
            f"record (commit_every=1) makes the replay one record long. {IDEMPOTENT}",
        ),
        faults.DeadLetter: Wording(
            "{record} used up its attempts before it had any effect and went to the dead-letter topic; its successors "
            "were committed{back}",
            'on_error="stop" lets the partition wait instead of going on without the record. Otherwise nobody may put '
            "dead letters back into the topic, or the handler has to drop or hold back what is out of order (compare "
            "`seq`)",
        ),
        faults.Rehash: DEFAULT[faults.Rehash].unless(
            "a partition count that never changes. To grow, drain the topic first, or move to a new topic; otherwise "
            "the handler has to notice stale events (compare `seq`)",
        ),
        faults.BatchSwap: Wording(
            "the producer's batch with {at} failed{lost}, and its retry landed behind {over} in partition {partition}: "
            "offset {offset}",
            "enable.idempotence=true (idempotent_producer=True), or max.in.flight.requests.per.connection=1",
        ),
        faults.Overtake: DEFAULT[faults.Overtake].unless(
            "one key for events that depend on each other, so that they share a partition; Kafka orders nothing "
            "between partitions",
        ),
        faults.Resend: Wording(
            "the producer got no answer for {at} and sent it again: {again} came once more, from another offset",
            "enable.idempotence=true (idempotent_producer=True) for the retries of the client; what the application "
            "sends again only the handler can notice (remember event ids)",
        ),
        faults.Zombie: Wording(
            "consumer {old} exceeded max.poll.interval.ms: its partitions went to consumer {new}, which read from the "
            "commit, while consumer {old} still ran {held}; its own commit was refused",
            "no Kafka setting: a longer max.poll.interval.ms makes it rarer. Fence the old owner (compare a version in "
            "the same transaction as the effect)",
        ),
        faults.Lose: Wording(
            "the offset behind {record} was committed before it was handled, and consumer {consumer} died: it is never "
            "delivered",
            "commits after the handler is done (commit_ahead=False)",
        ),
    },
)
"""Kafka's words for a consumer group."""

AUTO_COMMIT = Wording(
    "{record} was handed over, the client committed it in the background (enable.auto.commit) before it was handled, "
    "and consumer {consumer} died: it is never delivered",
    "a commit behind the handler: enable.auto.commit=false (auto_commit=False), or in librdkafka's clients "
    "enable.auto.offset.store=false and store_offsets() behind the handler",
)
FROM_LATEST = Wording(
    "the group learned of partition {partition} only after {record} was in it, and began at its end "
    "(auto.offset.reset=latest): {event} is never delivered",
    'auto.offset.reset=earliest (auto_offset_reset="earliest"), at least while the topic grows',
)

RETRY_TOPIC = WORDS.but(
    {
        faults.Fail: passed_unless('on_error="retry", which reads a failed record again before the next'),
        faults.DeadLetter: Wording(
            "{record} failed before it had any effect and was published to the retry topic, its offset committed; its "
            "successors went on{back}",
            'on_error="stop" lets the partition wait; blocking retries (on_error="retry") let it wait for '
            "max_attempts. With retry topics Kafka's order is lost",
        ),
    },
    beside="a topic and its retry topic have a listener each",
    dead="to the retry topic",
    set_aside="it was published {dead}",
)


def put_back(topic: str, step: Raw, epoch: float) -> dict[str, Any]:
    """The headers that Spring adds in a retry topic or dead-letter topic, in its encoding (big-endian), but none that
    tells of the exception. Source: spring-kafka `KafkaHeaders`, `RetryTopicHeaders`."""
    _, _, position, _, _, _, _, retries, partition, offset = step
    sent = int(1000 * (epoch + position)).to_bytes(8)
    # Of the two only a dead-letter topic says so in the names.
    prefix = "kafka_original-" if retries else "kafka_dlt-original-"
    headers = {
        f"{prefix}topic": topic.encode(),
        f"{prefix}partition": partition.to_bytes(4),
        f"{prefix}offset": offset.to_bytes(8),
        f"{prefix}timestamp": sent,
    }
    if retries:
        headers |= {"retry_topic-attempts": (retries + 1).to_bytes(4), "retry_topic-original-timestamp": sent}
    return headers
