"""Nothing is left of schedules that reach into the handler: no thread, no file, no socket, and no memory."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Crash, Fail, Message, Overlap, RabbitMQ
from chaoskit.strategies import events
from inside.subjects import in_sqlite, prepared

PAYMENTS = events(st.integers(1, 9), keys=st.sampled_from("ab"), min_size=3, max_size=3)
FILES = Path("/proc/self/fd")
"""Of this process, sockets among them, where the system lists them."""


async def awaiting(deliver: Any) -> dict[Any, Any]:
    rows: dict[Any, Any] = {}

    def process() -> Callable[[Message], Any]:
        async def handle(message: Message) -> None:
            deliver.point("write")
            await asyncio.sleep(0)
            rows[message.id] = message.value

        return handle

    await deliver(spawn=process)
    return rows


@pytest.mark.parametrize("is_async", [False, True])
def test_nothing_is_left_of_deaths_overlaps_and_failed_calls(tmp_path: Path, is_async: bool) -> None:
    prepared(tmp_path / "ledger.db")
    test = awaiting if is_async else in_sqlite(tmp_path / "ledger.db", one_transaction=True)
    kinds, counts = {Crash, Overlap, Fail}, []
    for _ in range(3):  # the first imports, and fills what is remembered for good
        verdict = chaoskit.check(test, PAYMENTS, RabbitMQ(consumers=2), faults=kinds, schedules=60, seed=1)
        assert verdict.status == "held"
        assert {kind.__name__ for kind in kinds} <= set(verdict.tally.by_kind)
        gc.collect()
        files = len(os.listdir(FILES)) if FILES.exists() else 0
        counts.append((threading.active_count(), files, len(gc.get_objects())))
    (threads, opened, objects), last = counts[1:]
    assert last[:2] == (threads, opened)
    assert last[2] - objects < 200  # of some 60 schedules with ten deliveries each
