"""What a handler starts of its own, and what a system does not tell: both are said of a search that looks inside."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Kafka, Message
from chaoskit.search import investigate
from chaoskit.strategies import events

PAYMENTS = events(st.integers(1, 9), keys=st.just("a"), max_size=2)
Put = Callable[[Message], None]


def in_a_thread(put: Put, message: Message) -> None:
    worker = threading.Thread(target=put, args=(message,))
    worker.start()
    worker.join()


def in_a_pool(put: Put, message: Message) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(put, message).result()


def beside_a_process(put: Put, message: Message) -> None:
    subprocess.run([sys.executable, "-I", "-S", "-c", ""], check=True)
    put(message)


def in_its_own_thread(put: Put, message: Message) -> None:
    put(message)


def over(how: Callable[[Put, Message], None]) -> Any:
    def test(deliver: Any) -> dict[object, int]:
        rows: dict[object, int] = {}

        def put(message: Message) -> None:
            rows[message.id] = message.value

        deliver(spawn=lambda: lambda message: how(put, message))
        return rows

    return test


async def awaiting(deliver: Any) -> Any:
    rows: dict[object, int] = {}

    async def handle(message: Message) -> None:
        await asyncio.to_thread(rows.__setitem__, message.id, message.value)

    await deliver(spawn=lambda: handle)
    return rows


def notes(test: Any) -> list[str]:
    verdict = chaoskit.check(test, PAYMENTS, Kafka(partitions=1), seed=1, schedules=2)
    return [note for note in verdict.notes if "of its own (" in note]


@pytest.mark.parametrize("how", [in_a_thread, in_a_pool, beside_a_process])
def test_what_goes_on_where_the_process_dies_is_named_with_its_place(how: Callable[[Put, Message], None]) -> None:
    (note,) = notes(over(how))
    first = how.__code__.co_firstlineno
    places = [f"test_started.py:{line}" for line in range(first, first + 4)]
    assert any(place in note for place in places), note
    assert "nothing stops inside them, and where the process dies they go on to their end" in note


def test_a_thread_that_an_async_handler_asks_for_is_named_too() -> None:
    (note,) = notes(awaiting)
    assert "test_started.py:" in note


def test_of_one_that_starts_none_nothing_is_said() -> None:
    assert not notes(over(in_its_own_thread))


def test_where_the_system_does_not_list_what_is_open_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(investigate, "listing_of_the_open", lambda: None)
    verdict = chaoskit.check(over(in_its_own_thread), PAYMENTS, Kafka(partitions=1), seed=1, schedules=12)
    assert [note for note in verdict.notes if note.startswith("this system does not list what a program has open")]
