"""aiosqlite keeps each connection in a thread of its own, which a death has to reach."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

import chaoskit
from chaoskit import Crash, Event, Kafka, Message, Scenario, Stream
from chaoskit.execution.deliver import Deliver


class Slow(sqlite3.Connection):
    """Its file takes a moment to close: whoever waits for that has to wait for it in its thread."""

    def close(self) -> None:
        time.sleep(0.05)
        super().close()


@pytest.mark.parametrize("point", [1, 2, 3])
def test_a_death_rolls_back_what_aiosqlite_had_begun(tmp_path: Path, point: int) -> None:
    aiosqlite = pytest.importorskip("aiosqlite", reason="aiosqlite is missing")
    path = tmp_path / "shop.db"

    async def test(deliver: Deliver) -> int:
        path.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("CREATE TABLE seen (id PRIMARY KEY)")
        refused: list[Exception] = []

        def process() -> Any:
            async def handle(message: Message) -> None:
                db = await aiosqlite.connect(path, timeout=0.1, factory=Slow)
                try:  # what closes it does not run in a process that is dead
                    await db.execute("INSERT OR IGNORE INTO seen VALUES (?)", [message.id])
                    await db.commit()
                except sqlite3.Error as error:
                    refused.append(error)
                finally:
                    await db.close()

            return handle

        await deliver(spawn=process)
        assert not refused
        with contextlib.closing(sqlite3.connect(path)) as db:
            return int(db.execute("SELECT count(*) FROM seen").fetchone()[0])

    scenario = Scenario(Stream((Event("k", 1, id="e1", seq=1),)), Kafka(), faults=[Crash("e1", point)])
    verdict = chaoskit.run(test, scenario)
    assert verdict.status == "held", verdict.report()
