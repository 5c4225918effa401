"""A call that fails between two questions of a loop: it is the loop's to catch, or the end of its process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from adapters.test_loops import iterates, iterates_async, polls, waits
from chaoskit import Event, Fail, Kafka, RabbitMQ, Scenario, Unavailable, check
from chaoskit.strategies import events

PAYMENTS = events(st.integers(1, 9), keys=st.sampled_from("ab"), max_size=5)
LOOPS = [iterates, polls, iterates_async, waits]


def over(loop: Any, swallows: bool, raised: list[object] | None = None) -> Any:
    def handler(rows: dict[Any, Any]) -> Callable[[Any], None]:
        @chaoskit.atomic
        def put(message: Any) -> None:
            rows[message.id] = message.value

        def handle(message: Any) -> None:
            try:
                put(message)
            except Unavailable:
                if raised is not None:
                    raised.append(message.id)
                if not swallows:
                    raise

        return handle

    def test(deliver: Any) -> dict[Any, Any]:
        rows: dict[Any, Any] = {}

        def process() -> None:
            with deliver.consumer() as consumer:
                loop(consumer, handler(rows))

        deliver(spawn=process)
        return rows

    async def awaited(deliver: Any) -> dict[Any, Any]:
        rows: dict[Any, Any] = {}

        async def process() -> None:
            async with deliver.consumer() as consumer:
                await loop(consumer, handler(rows))

        await deliver(spawn=process)
        return rows

    return awaited if asyncio.iscoroutinefunction(loop) else test


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("broker", [Kafka(partitions=1), RabbitMQ(consumers=2)], ids=["Kafka", "RabbitMQ"])
def test_what_a_loop_swallows_is_found_and_what_it_lets_out_comes_again(loop: Any, broker: Any) -> None:
    found = check(over(loop, swallows=True), PAYMENTS, broker, faults={Fail}, seed=1, schedules=100)
    assert found.scenario is not None
    assert [(type(fault), fault.point) for fault in found.scenario.faults] == [(Fail, 1)]
    assert len(found.scenario.events) == 1
    right = check(over(loop, swallows=False), PAYMENTS, broker, seed=1, schedules=100)
    assert right.status == "held", right.report()
    assert "calls failed inside the handler at 1 of the 1 places where they can (Fail)" in right.notes


@pytest.mark.parametrize("loop", LOOPS)
def test_it_fails_at_its_message_and_at_no_other(loop: Any) -> None:
    raised: list[object] = []
    scenario = Scenario([Event("a", 1, id="e1"), Event("a", 2, id="e2")], Kafka(partitions=1), [Fail("e2", point=1)])
    verdict = chaoskit.run(over(loop, swallows=True, raised=raised), scenario)
    assert (verdict.status, set(raised)) == ("violated", {"e2"})
    assert [step.event for step in verdict.schedule or () if step.failed is not None] == ["e2"]
