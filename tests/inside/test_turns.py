"""The baton between the threads of a run: who has it next, however late a thread gets its core."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Crash, Kafka, Message
from chaoskit.execution.threads import ProcessThread
from chaoskit.strategies import events

PAYMENTS = events(st.integers(1, 9), keys=st.just("a"), min_size=3, max_size=3)


class Late:
    """A lock whose releaser gets no core for a while afterwards, as on a busy machine."""

    def __init__(self, lock: threading.Lock) -> None:
        self.acquire, self._lock = lock.acquire, lock

    def release(self) -> None:
        self._lock.release()
        time.sleep(0.002)


def test_a_process_that_is_late_does_its_last_job_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ProcessThread.__init__
    stopped: list[int] = []

    def make(self: Any, *args: Any) -> None:
        made(self, *args)
        self._back = Late(self._back)

    monkeypatch.setattr(ProcessThread, "__init__", make)

    class Process:
        def __enter__(self) -> Any:
            return lambda message: rows.__setitem__(message.id, message.value)

        def __exit__(self, *error: object) -> None:
            stopped.append(1)

    rows: dict[Any, Any] = {}

    def test(deliver: Any) -> dict[Any, Any]:
        rows.clear()
        deliver(spawn=Process)
        return dict(rows)

    verdict = chaoskit.check(test, PAYMENTS, Kafka(), faults={Crash}, schedules=10, seed=1, limit=2)
    assert verdict.status == "held"
    assert len(stopped) > verdict.tally.schedules  # one has died and one has stopped in each, and one in order


def test_the_next_messages_are_handled_in_the_thread_that_has_the_baton() -> None:
    turns: list[int] = []
    do = ProcessThread.do

    def counted(deliver: Any) -> dict[Any, Any]:
        rows: dict[Any, Any] = {}

        def process() -> Any:
            def handle(message: Message) -> None:
                rows[message.id] = message.value

            return handle

        deliver(spawn=process)
        return rows

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProcessThread, "do", lambda self, job, **kinds: turns.append(1) or do(self, job, **kinds))
        verdict = chaoskit.check(counted, PAYMENTS, Kafka(), faults={Crash}, schedules=50, seed=1)
    assert verdict.status == "held"
    assert len(turns) < 6 * verdict.tally.schedules  # of some five deliveries, two beginnings and an end each


def test_a_process_that_gets_no_loop_raises_why(monkeypatch: pytest.MonkeyPatch) -> None:
    get_loop = asyncio.Runner.get_loop

    def none_in_a_process(self: Any) -> Any:
        if threading.current_thread().name == "consumer process":
            raise OSError("too many open files")
        return get_loop(self)

    monkeypatch.setattr(asyncio.Runner, "get_loop", none_in_a_process)

    async def test(deliver: Any) -> set[Any]:
        seen: set[Any] = set()

        async def handle(message: Message) -> None:
            seen.add(message.id)

        await deliver(spawn=lambda: handle)
        return seen

    with pytest.raises(OSError, match="too many open files"):
        chaoskit.check(test, PAYMENTS, Kafka(), faults={Crash}, schedules=1, seed=1, limit=2)
