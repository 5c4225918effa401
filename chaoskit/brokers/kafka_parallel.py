"""The Confluent Parallel Consumer with ordering KEY: its words, and how it hands out the records of a partition."""

from __future__ import annotations

from typing import Any, Literal

from chaoskit.brokers import verbs
from chaoskit.brokers.kafka_group import WORDS, put_back
from chaoskit.brokers.serialization import keys
from chaoskit.brokers.wording import IDEMPOTENT, Wording
from chaoskit.models.producer import Producer
from chaoskit.models.queue.model import QueueSettings
from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.models.stored import Growth
from chaoskit.values import faults
from chaoskit.values.event import Event
from chaoskit.values.schedule import Raw

PARALLEL_KEYS = keys(
    "key",
    "with ordering KEY no two records of one key are under way at a time, and keys of one partition are side by side",
    "github.com/confluentinc/parallel-consumer: README, Ordering Guarantees",
)

PARALLEL = WORDS.but(
    {
        faults.Duplicate: Wording(
            "the Parallel Consumer retried {record} in place", WORDS.of(faults.Duplicate).ruled_out_by
        ),
        faults.Redeliver: Wording(
            "consumer {consumer} restarted while {event} was incomplete: only that was replayed{after}",
            f"no setting: what was not completed comes again. {IDEMPOTENT}",
        ),
        faults.Overtake: Wording(
            "the key of {event} was slow: {over} of other keys went first",
            "one key for events that depend on each other; ordering=KEY orders nothing between keys",
        ),
    }
)

OnError = Literal["retry", "stop", "skip", "retry_topic"]


def parallel_stages(
    topic: str, producer: Producer, growth: Growth | None, consumers: int, on_error: OnError, max_attempts: int
) -> QueueSettings:
    """The Parallel Consumer as the models run it: like a queue in which each key is a group."""
    policy = LeasePolicy(
        consumers,
        lock="group",
        brings="lane",
        # One record of a key at a time; keys of one partition run side by side.
        window=1,
        # Each member has its partitions: it is a consumer group underneath.
        assigned=True,
        notices=True,
        refused="lost" if on_error == "skip" else "renewed" if on_error == "retry_topic" else "again",
        max_attempts=max_attempts,
        gives_up="never" if on_error == "stop" else "dead",
    )
    return QueueSettings(
        topic, producer, policy, _placed, "sender", growth, style="crashed", put_back=put_back, verbs=verbs.PARALLEL
    )


def _placed(event: Event, step: Raw) -> dict[str, Any]:
    return {"partition": step[3], "offset": step[4]}
