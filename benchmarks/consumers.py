"""Question 9: what does a delivery cost to a loop, and to a loop over each client, against a plain handler?"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import CPU, Figure, Row, Section, in_turn, medians, say
from benchmarks.subjects import Deliver, imported_from
from chaoskit import Event, Fail, Kafka, check
from chaoskit.brokers import JetStream, PubSub, RabbitMQ, RedisStreams, ServiceBus, Settings, SqsStandard
from chaoskit.values.faults import INSIDE

EXAMPLES = Path(__file__).parent.parent / "examples" / "consumers"
SCHEDULES = 1000
REACH_INSIDE = {*INSIDE, Fail}
STREAM = [Event(key, {"amount": amount}) for amount, key in enumerate(("alice", "bob") * 5, start=1)]
CLIENTS: dict[str, Settings] = {
    "confluent_kafka": Kafka(), "aiokafka": Kafka(), "kafka_python": Kafka(), "boto3_sqs": SqsStandard(),
    "pika": RabbitMQ(), "aio_pika": RabbitMQ(), "nats": JetStream(), "redis": RedisStreams(),
    "google_pubsub": PubSub(), "azure_servicebus": ServiceBus(),
}  # fmt: skip


def measure(quick: bool) -> Section:
    repetitions, schedules = (3, 200) if quick else (5, SCHEDULES)
    say(f"consumers: {len(STREAM)} events")
    sides = {
        "a handler": partial(_check, handler, Kafka(), schedules),
        "a handler that `spawn` makes": partial(_check, spawned, Kafka(), schedules),
        'a handler, `settle="handler"`': partial(_check, settling, Kafka(), schedules),
        "a plain loop in the test": partial(_check, loop, Kafka(), schedules),
        "a plain loop as a process": partial(_check, process, Kafka(), schedules),
    }
    for name, broker in CLIENTS.items():
        test = imported_from(EXAMPLES, f"test_{name}").test_payments
        sides[f"`{name}`, a process"] = partial(_check, test, broker, schedules)
    for side in sides.values():
        side(0)  # imports
    found = medians(in_turn(sides, repetitions))
    plain = found.pop("a handler")
    rows = tuple(
        Row(name, cost / plain, Figure(cost, "µs"), Figure(plain, "µs"), f"median of {repetitions}")
        for name, cost in found.items()
    )
    note = (
        f"CPU time of a check of {schedules:,} schedules by their number and that of the events, {len(STREAM)}; "
        "nothing happens inside a handler. The clients are those of `examples/consumers`, each with its broker."
    )
    return Section("A delivery, by who takes it", "consumer", "handler", note, rows)


def _check(test: Any, broker: Settings, schedules: int, repetition: int) -> float:
    started = CPU()
    verdict = check(test, STREAM, broker, without=REACH_INSIDE, schedules=schedules, seed=repetition)
    seconds = CPU() - started
    assert verdict.status == "held", (broker, verdict)
    return seconds / schedules / len(STREAM) * 1e6


def handler(deliver: Deliver) -> dict[Any, Any]:
    table: dict[Any, Any] = {}
    deliver(lambda message: table.update({message.id: message.value["amount"]}))
    return table


def spawned(deliver: Deliver) -> dict[Any, Any]:
    table: dict[Any, Any] = {}
    deliver(spawn=lambda: lambda message: table.update({message.id: message.value["amount"]}))
    return table


def settling(deliver: Deliver) -> dict[Any, Any]:
    table: dict[Any, Any] = {}

    def handle(message: Any) -> None:
        table[message.id] = message.value["amount"]
        message.commit()

    deliver(handle, settle="handler")
    return table


def loop(deliver: Any) -> dict[Any, Any]:
    table: dict[Any, Any] = {}
    with deliver.consumer() as consumer:
        for message in consumer:
            table[message.id] = message.value["amount"]
    return table


def process(deliver: Any) -> dict[Any, Any]:
    table: dict[Any, Any] = {}

    def run() -> None:
        with deliver.consumer() as consumer:
            for message in consumer:
                table[message.id] = message.value["amount"]

    deliver(spawn=run)
    return table
