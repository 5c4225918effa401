"""A call that fails inside a handler that takes batches: of all its messages at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Event, Fail, Gather, JetStream, Kafka, LambdaSqs, Scenario, SqsFifo, SqsStandard, Unavailable
from chaoskit.invariants import final_state, no_error
from chaoskit.repro.read import read
from chaoskit.strategies import events
from inside.subjects import Store

PAYMENTS = events(st.integers(1, 9), keys=st.sampled_from("ab"), max_size=5)
THREE = [Event("a", value, id=f"e{value}") for value in (1, 2, 3)]
Batch = Callable[[Store], Callable[[list[Any]], Any]]


def each_by_itself(store: Store) -> Callable[[list[Any]], None]:
    def handle(messages: list[Any]) -> None:
        for message in messages:
            store.set_row("bank", message)

    return handle


def swallows_behind_the_first(store: Store) -> Callable[[list[Any]], None]:
    """What goes wrong takes a batch of two."""

    def handle(messages: list[Any]) -> None:
        store.set_row("bank", messages[0])
        try:
            for message in messages[1:]:
                store.set_row("bank", message)
        except Unavailable:
            pass

    return handle


def over(make: Batch) -> Callable[[Any], Any]:
    def test(deliver: Any) -> dict[Any, Any]:
        store = Store()
        deliver(spawn=lambda: make(store), batch=True)
        return store.rows

    return test


@pytest.mark.parametrize("broker", [Kafka(partitions=1), SqsStandard(), LambdaSqs()], ids=lambda b: type(b).__name__)
def test_an_error_that_is_swallowed_in_the_middle_of_a_batch_is_found(broker: Any) -> None:
    found = chaoskit.check(
        over(swallows_behind_the_first), PAYMENTS, broker, faults={Fail, Gather}, seed=1, schedules=300
    )
    assert found.scenario is not None
    assert sorted(type(fault).__name__ for fault in found.scenario.faults) == ["Fail", "Gather"]
    assert len(found.scenario.events) == 2
    right = chaoskit.check(over(each_by_itself), PAYMENTS, broker, seed=1, schedules=300)
    assert right.status == "held", right.report()
    assert "calls failed inside the handler at 1 of the 1 places where they can (Fail)" in right.notes


def test_it_is_the_call_of_that_number_of_all_messages_and_all_of_them_come_again() -> None:
    seen: list[list[Any]] = []

    def noting(store: Store) -> Callable[[list[Any]], None]:
        seen.clear()

        def handle(messages: list[Any]) -> None:
            done: list[Any] = []
            seen.append(done)
            for message in messages:
                store.set_row("bank", message)
                done.append(message.id)

        return handle

    scenario = Scenario(THREE, Kafka(partitions=1), [Gather("e1", 1), Fail("e1", point=2)])
    verdict = chaoskit.run(over(noting), scenario, invariants=[final_state(), no_error()])
    assert verdict.status == "held", verdict.report()
    assert seen == [["e1"], ["e1"], ["e2"], ["e3"]]


@pytest.mark.parametrize("broker", [Kafka(partitions=1, on_error="skip"), JetStream(max_deliver=1)])
def test_what_is_dropped_with_its_batch_may_be_there_or_not(broker: Any) -> None:
    """Each message is whole or not at all: that the first was done before the second failed is right."""
    for point in (1, 2, 3):
        scenario = Scenario(THREE, broker, [Gather("e1", 1), Fail("e2", point=point)])
        verdict = chaoskit.run(over(each_by_itself), scenario)
        assert verdict.status == "held", (point, verdict.report())


def test_an_awaited_call_fails_too_and_a_file_follows_its_number(tmp_path: Path) -> None:
    async def test(deliver: Any) -> dict[Any, Any]:
        rows: dict[Any, Any] = {}

        @chaoskit.atomic
        async def put(message: Any) -> None:
            await asyncio.sleep(0)
            rows[message.id] = message.value

        async def handle(messages: list[Any]) -> None:
            for message in messages:
                try:
                    await put(message)
                except Unavailable:
                    return

        await deliver(spawn=lambda: handle, batch=True)
        return rows

    scenario = Scenario(THREE, SqsFifo(max_number_of_messages=3), [Gather("e1", 1), Fail("e3", point=2)])
    verdict = chaoskit.run(test, scenario)
    assert verdict.status == "violated"
    (failed,) = [step for step in verdict.schedule or () if step.failed is not None]
    assert (failed.event, failed.point) == ("e3", 2)
    repro = read(verdict.save(tmp_path / "batch.json"))
    assert verdict.schedule is not None
    assert repro.schedule == verdict.schedule.steps
