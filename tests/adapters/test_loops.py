"""The user's own loop against a plain consumer: in the test itself, and as what a process runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from adapters.streams import Table, check, kinds
from chaoskit import BatchSwap, Crash, Kafka, RabbitMQ, Redeliver, UsageError


def iterates(consumer: Any, handle: Callable[[Any], None]) -> None:
    for message in consumer:
        handle(message)


def polls(consumer: Any, handle: Callable[[Any], None]) -> None:
    try:
        while True:
            message = consumer.poll(1.0)
            if message is None:
                continue
            handle(message)
    finally:
        consumer.close()


async def iterates_async(consumer: Any, handle: Callable[[Any], None]) -> None:
    async for message in consumer:
        handle(message)


async def waits(consumer: Any, handle: Callable[[Any], None]) -> None:
    """In a task of its own, which is cancelled at the end."""

    async def run() -> None:
        while True:
            handle(await consumer.get())

    await asyncio.create_task(run())


def once(table: Table) -> Callable[[Any], None]:
    return lambda message: table.add_once(message.id, message.key, message.value["amount"])


def naive(table: Table) -> Callable[[Any], None]:
    return lambda message: table.add(message.key, message.value["amount"])


def inline(loop: Any, handler: Any) -> Any:
    def test(deliver: Any) -> Any:
        table = Table()
        with deliver.consumer() as consumer:
            loop(consumer, handler(table))
        return table.rows

    async def test_async(deliver: Any) -> Any:
        table = Table()
        async with deliver.consumer() as consumer:
            await loop(consumer, handler(table))
        return table.rows

    return test_async if asyncio.iscoroutinefunction(loop) else test


def spawned(loop: Any, handler: Any) -> Any:
    def test(deliver: Any) -> Any:
        table = Table()

        def process() -> None:
            with deliver.consumer() as consumer:
                loop(consumer, handler(table))

        deliver(spawn=process)
        return table.rows

    async def test_async(deliver: Any) -> Any:
        table = Table()

        async def process() -> None:
            async with deliver.consumer() as consumer:
                await loop(consumer, handler(table))

        await deliver(spawn=process)
        return table.rows

    return test_async if asyncio.iscoroutinefunction(loop) else test


@pytest.mark.parametrize("loop", [iterates, polls, iterates_async, waits])
@pytest.mark.parametrize("way", [inline, spawned])
def test_the_bug_of_a_loop_is_found_and_its_twin_held(way: Any, loop: Any) -> None:
    assert kinds(check(way(loop, naive), Kafka(), without={Crash})) <= {"Duplicate", "Redeliver"}
    assert check(way(loop, once), Kafka()).status == "held"


def test_the_memory_of_a_loop_dies_with_its_process() -> None:
    """And in the test itself it does not."""

    def remembers(table: Table) -> Callable[[Any], None]:
        seen = set()

        def handle(message: Any) -> None:
            if message.id not in seen:
                seen.add(message.id)
                table.add(message.key, message.value["amount"])

        return handle

    assert check(inline(iterates, remembers), Kafka(), faults={Redeliver}).status == "held"
    assert kinds(check(spawned(iterates, remembers), Kafka(), faults={Redeliver})) == {"Redeliver"}


def test_a_process_dies_in_the_middle_of_a_loop_and_nothing_of_it_runs_on() -> None:
    """Neither what follows, nor a `finally`, until its state was copied."""

    def flushes(table: Table, in_finally: bool) -> Any:
        def process(deliver: Any) -> None:
            held: list[Any] = []
            try:
                with deliver.consumer() as consumer:
                    for message in consumer:
                        held.append(message)
                        table.add_once(message.id, message.key, message.value["amount"]) if not in_finally else None
            finally:
                for message in held:
                    table.add_once(message.id, message.key, message.value["amount"])

        return process

    def test(in_finally: bool) -> Any:
        def body(deliver: Any) -> Any:
            table = Table()
            process = flushes(table, in_finally)
            deliver(spawn=lambda: process(deliver))
            return table.rows

        return body

    before = set(threading.enumerate())  # other tests have some that can never end
    assert kinds(check(test(in_finally=True), Kafka(), faults={Crash})) == {"Crash"}
    assert check(test(in_finally=False), Kafka(), faults={Crash}).status == "held"
    assert [each.name for each in set(threading.enumerate()) - before if "consumer" in each.name] == []


def test_a_death_between_two_effects_of_a_loop_is_shown_at_its_line() -> None:
    def halves(deliver: Any) -> Any:
        table = Table()

        def process() -> None:
            with deliver.consumer() as consumer:
                for message in consumer:
                    if message.id not in table.ids:
                        table.add(message.key, message.value["amount"])
                        table.ids.add(message.id)

        deliver(spawn=process)
        return table.rows

    verdict = check(halves, RabbitMQ(), faults={Crash})
    assert kinds(verdict) == {"Crash"}
    assert "before `table.ids.add(message.id)`" in " ".join(verdict.report().split())


def test_an_exception_that_leaves_the_loop_ends_its_process_and_another_begins() -> None:
    """As a supervisor does it. In the test itself it fails the run."""

    def needs_its_predecessor(table: Table) -> Callable[[Any], None]:
        def handle(message: Any) -> None:
            if message.seq > table.rows.get(message.key, 0) + 1:
                raise LookupError(message.key)
            table.rows[message.key] = max(message.seq, table.rows.get(message.key, 0))

        return handle

    assert check(spawned(iterates, needs_its_predecessor), Kafka()).status == "held"
    verdict = check(inline(iterates, needs_its_predecessor), Kafka(idempotent_producer=False), faults={BatchSwap})
    assert kinds(verdict) == {"BatchSwap"}
    assert "the test raised LookupError after step" in " ".join(verdict.report().split())


def test_a_loop_that_leaves_early() -> None:
    """Its process ends in order and another one goes on; in the test itself nobody goes on."""

    def two(consumer: Any, handle: Callable[[Any], None]) -> None:
        for number, message in enumerate(consumer, start=1):
            handle(message)
            if number == 2:
                return

    assert check(spawned(two, once), Kafka()).status == "held"
    with pytest.raises(UsageError, match="the loop ended before all messages were delivered, behind e2"):
        check(inline(two, once), Kafka())


def test_a_loop_that_exits_with_an_error_code_has_refused() -> None:
    def exits(table: Table) -> Callable[[Any], None]:
        def handle(message: Any) -> None:
            if message.seq > table.rows.get(message.key, 0) + 1:
                raise SystemExit(1)
            table.rows[message.key] = max(message.seq, table.rows.get(message.key, 0))

        return handle

    assert check(spawned(iterates, exits), Kafka()).status == "held"


def test_a_function_that_is_neither_a_loop_nor_gives_a_handler() -> None:
    async def nothing(deliver: Any) -> Any:
        async def process() -> None:
            pass

        await deliver(spawn=process)
        return {}

    with pytest.raises(UsageError, match="not a handler"):
        check(nothing, Kafka())
