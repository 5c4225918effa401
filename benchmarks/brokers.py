"""Question 6: what does each broker's model cost, against Kafka's?"""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.measure import CPU, Expected, Figure, Row, Section, in_turn, medians, say
from benchmarks.subjects import ints, newest_wins
from chaoskit import check
from chaoskit.brokers import (
    BROKERS,
    Celery,
    JetStream,
    Kafka,
    Kinesis,
    LambdaSqs,
    PostgresQueue,
    PubSub,
    RabbitMQ,
    ServiceBus,
    Settings,
    SnsSqs,
)
from chaoskit.report.broker_facts import as_written

EVENTS = 10
SCHEDULES = 2000
VARIANTS: tuple[Settings, ...] = (
    Kafka(idempotent_producer=False),
    Kafka(group="share", consumers=2),
    Kafka(group="parallel"),
    Kinesis(consumer="lambda"),
    SnsSqs(fifo=True),
    LambdaSqs(fifo=True),
    PubSub(ordering=True),
    RabbitMQ(single_active_consumer=True),
    ServiceBus(sessions=True),
    JetStream(max_ack_pending=1),
    PostgresQueue(style="lease"),
    Celery(acks_late=True),
)
EXPECTED = Expected(0.5, at_least=True)
EXPECTED_OF = dict.fromkeys(("`SqsFifo()`", "`RabbitMQ()`"), Expected(0.8, at_least=True))


def measure(quick: bool) -> Section:
    repetitions, schedules = (3, 1000) if quick else (5, SCHEDULES)
    say(f"brokers: {EVENTS} events")
    systems = {f"`{as_written(broker)}`": broker for broker in (*(kind() for kind in BROKERS.values()), *VARIANTS)}
    sides = {name: partial(_check, broker, schedules) for name, broker in systems.items() if broker.kinds()}
    _check(Kafka(), schedules, repetitions)  # imports
    found = medians(in_turn(sides, repetitions))
    kafka = found["`Kafka()`"]
    rows = tuple(
        Row(
            name,
            rate / kafka,
            Figure(rate, "/s"),
            Figure(kafka, "/s"),
            f"median of {repetitions}",
            EXPECTED_OF.get(name, EXPECTED),
        )
        for name, rate in found.items()
        if rate is not kafka
    )
    note = (
        f"Schedules per second of CPU time of a check of {schedules:,} schedules: a correct handler (the value with "
        f"the greatest `seq` wins), {EVENTS} events of two keys, ints. Every broker is measured in turn, then every "
        "broker again."
    )
    return Section("Schedules per second, by broker", "broker", "`Kafka()`", note, rows)


def _check(broker: Settings, schedules: int, repetition: int) -> float:
    events: Any = ints(EVENTS)
    started = CPU()
    verdict = check(newest_wins, events, broker, schedules=schedules, seed=repetition)
    seconds = CPU() - started
    assert verdict.status == "held", (broker, verdict.reasons)
    return verdict.tally.schedules / seconds
