"""What a restart takes: the memory of the consumer that restarts, and of no other one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Event, JetStream, Kafka, Kinesis, PubSub, RabbitMQ, Redeliver, RedisStreams, Scenario, SqsStandard
from chaoskit.brokers import Settings
from chaoskit.strategies import events

PAYMENTS = events(st.integers(1, 9), keys=st.sampled_from(["a", "b"]))
SETTINGS: dict[str, Any] = {"faults": {Redeliver}, "schedules": 40, "seed": 1}
RESTARTS = [Kafka(), Kafka(partitions=2, consumers=2), Kafka(commit_every=3), Kinesis(), RabbitMQ(consumers=1)]
"""Brokers on which a message comes again since its consumer restarted."""


def once(balances: dict[Any, int], seen: set[Any]) -> Callable[[Any], None]:
    def handle(message: Any) -> None:
        if message.id not in seen:
            seen.add(message.id)
            balances[message.key] = balances.get(message.key, 0) + message.value

    return handle


def remembers_in_the_process(deliver: Any) -> Any:
    balances: dict[Any, int] = {}
    deliver(spawn=lambda: once(balances, set()))
    return balances


async def remembers_in_the_process_async(deliver: Any) -> Any:
    balances: dict[Any, int] = {}

    def make() -> Any:
        handle = once(balances, set())

        async def handle_async(message: Any) -> None:
            handle(message)

        return handle_async

    await deliver(spawn=make)
    return balances


def remembers_outside(deliver: Any) -> Any:
    balances: dict[Any, int] = {}
    seen: set[Any] = set()
    deliver(spawn=lambda: once(balances, seen))
    return balances


def never_restarts(deliver: Any) -> Any:
    balances: dict[Any, int] = {}
    deliver(once(balances, set()))
    return balances


@pytest.mark.parametrize("broker", RESTARTS, ids=lambda broker: type(broker).__name__)
@pytest.mark.parametrize("test", [remembers_in_the_process, remembers_in_the_process_async])
def test_memory_of_the_process_is_lost_by_a_restart(test: Any, broker: Settings) -> None:
    """One event that comes again counts twice."""
    found = chaoskit.check(test, PAYMENTS, broker, **SETTINGS)
    assert found.status == "violated"
    assert (len(found.scenario.events), len(found.scenario.faults)) == (1, 1)
    assert "restart" in [step.action for step in found.schedule]
    assert chaoskit.run(test, found.scenario).status == "violated"


@pytest.mark.parametrize(
    "broker",
    [*RESTARTS, SqsStandard(), PubSub(), JetStream(), RedisStreams()],
    ids=lambda broker: type(broker).__name__,
)
@pytest.mark.parametrize("test", [remembers_outside, never_restarts])
def test_memory_outside_of_the_process_is_kept(test: Any, broker: Settings) -> None:
    """A database survives, and so does a handler that is given as it is."""
    assert chaoskit.check(test, PAYMENTS, broker, **SETTINGS).status == "held"


def test_only_the_consumer_that_restarts_forgets() -> None:
    """Two consumers, of which the one with the redelivery gets a new handler; the other keeps its own."""
    runs: list[list[list[Any]]] = []

    def test(deliver: Any) -> Any:
        made: list[list[Any]] = []
        runs.append(made)

        def make() -> Callable[[Any], None]:
            seen: list[Any] = []
            made.append(seen)
            return lambda message: seen.append(message.id)

        deliver(spawn=make)
        return {"handled": sorted({id_ for seen in made for id_ in seen})}

    stream = [Event(key, number) for number, key in enumerate("adadadad")]
    broker = Kafka(partitions=2, consumers=2)
    assert [step.consumer for step in Scenario(stream, broker).schedule()] == [0, 1] * 4
    verdict = chaoskit.run(test, Scenario(stream, broker, [Redeliver("e3", 0)]))
    assert verdict.status == "held"
    assert max(runs, key=len) == [["e1", "e3"], ["e2", "e4", "e6", "e8"], ["e3", "e5", "e7"]]


@pytest.mark.parametrize("restarts", [1, 2, 3])
def test_each_restart_makes_a_new_handler(restarts: int) -> None:
    """As many as there were processes."""
    runs: list[list[int]] = []

    def test(deliver: Any) -> Any:
        made: list[int] = []
        runs.append(made)
        balances: dict[Any, int] = {}

        def make() -> Callable[[Any], None]:
            made.append(1)
            return once(balances, seen)

        seen: set[Any] = set()
        deliver(spawn=make)
        return balances

    stream = [Event("a", number) for number in range(1, 6)]
    faults = [Redeliver(f"e{number}", 0) for number in range(1, restarts + 1)]
    assert chaoskit.run(test, Scenario(stream, Kafka(), faults)).status == "held"
    assert {len(made) for made in runs} == {1, restarts + 1}
