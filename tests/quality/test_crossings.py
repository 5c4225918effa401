"""Each way to be a consumer beside all that it may ask: what was built apart is used together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Event, Message, Stream
from chaoskit.strategies import events
from models.systems import SYSTEMS

PAYMENTS = events(st.integers(1, 9), keys=st.sampled_from("ab"), max_size=6)
NAMES = (
    "Kafka", "Kinesis, Lambda, bisects", "SqsStandard, dead letters", "SqsFifo, dead letters", "RabbitMQ",
    "JetStream, max_deliver", "JetStream, term", "ServiceBus", "LambdaSqs",
)  # fmt: skip
"""Logs, queues and groups; with dead letters put back, and with limits at which a message is left half done."""


class Rows:
    """A right handler: the id and the amount are one effect. It asks for all that it may ask."""

    def __init__(self, deliver: Any) -> None:
        self.deliver = deliver
        self.rows: dict[Any, int] = {}
        self.ids: set[Any] = set()

    def take(self, message: Message) -> None:
        assert self.deliver.now() >= message.timestamp
        assert message.id in {event.id for event in self.deliver.sent()}
        self.book(message)

    @chaoskit.atomic
    def book(self, message: Message) -> None:
        if message.id not in self.ids:
            self.ids.add(message.id)
            self.rows[message.key] = self.rows.get(message.key, 0) + message.value

    def take_all(self, messages: list[Message]) -> None:
        for message in messages:
            self.take(message)

    def acknowledge(self, message: Message) -> None:
        self.take(message)
        message.ack()

    def commit(self, message: Message) -> None:
        self.take(message)
        message.commit()

    def consume(self) -> None:
        with self.deliver.consumer() as consumer:
            for message in consumer:
                self.take(message)


def verbs(broker: Any) -> tuple[str, ...]:
    """Those by which a handler may settle; none where what an invocation returns does."""
    return tuple(broker.model(Stream.of([Event("a", 1)])).verbs.names)


def settling(rows: Rows, broker: Any) -> Callable[[Message], None]:
    return rows.commit if "commit" in verbs(broker) else rows.acknowledge


WAYS: dict[str, Callable[[Any, Rows, Any], Any]] = {
    "plain": lambda deliver, rows, broker: deliver(rows.take),
    "process": lambda deliver, rows, broker: deliver(spawn=lambda: rows.take),
    "batch": lambda deliver, rows, broker: deliver(rows.take_all, batch=True),
    "batch process": lambda deliver, rows, broker: deliver(spawn=lambda: rows.take_all, batch=True),
    "settling": lambda deliver, rows, broker: deliver(settling(rows, broker), settle="handler"),
    "settling process": lambda deliver, rows, broker: deliver(spawn=lambda: settling(rows, broker), settle="handler"),
    "loop": lambda deliver, rows, broker: rows.consume(),
    "loop process": lambda deliver, rows, broker: deliver(spawn=rows.consume),
}


CROSSINGS = [(name, way) for name in NAMES for way in WAYS if verbs(SYSTEMS[name]) or "settling" not in way]


@pytest.mark.parametrize(("name", "way"), CROSSINGS)
def test_a_right_consumer_holds_in_each_way(name: str, way: str) -> None:
    """No kind of fault is an alarm, and none makes the tool itself raise in the handler."""
    broker = SYSTEMS[name]

    def test(deliver: Any) -> dict[Any, int]:
        rows = Rows(deliver)
        WAYS[way](deliver, rows, broker)
        return rows.rows

    verdict = chaoskit.check(test, PAYMENTS, broker, schedules=50, seed=5)
    assert verdict.status == "held", verdict.report()
