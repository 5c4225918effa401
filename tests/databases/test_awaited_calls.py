"""Awaited statements and commits fail as called ones do: who swallows a failed commit is found, and its twin holds."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

import chaoskit
from chaoskit import Event, Fail, Kafka, Message, Overlap, Scenario
from databases.servers import Postgres
from databases.test_postgres import balances, checked, reset
from databases.wallets import ADD, Process

Committing = Callable[[Any], Any]


async def lets_it_out(commit: Any) -> None:
    await commit()


async def swallows(commit: Any) -> None:
    with contextlib.suppress(Exception):
        await commit()


def with_session(server: Postgres, ends: Committing) -> Process:
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

    @asynccontextmanager
    async def process() -> AsyncIterator[Callable[[Message], Any]]:
        engine = create_async_engine(server.sqlalchemy("asyncpg"), poolclass=sa.pool.NullPool)

        async def handle(message: Message) -> None:
            async with AsyncSession(engine) as session:
                if (await session.execute(sa.text("SELECT 1 FROM seen WHERE id = :id"), {"id": message.id})).first():
                    return
                add = sa.text(ADD.format(":owner", ":amount"))
                await session.execute(add, {"owner": message.key, "amount": message.value})
                await session.execute(sa.text("INSERT INTO seen VALUES (:id)"), {"id": message.id})
                await ends(session.commit)

        yield handle
        await engine.dispose()

    return process


def with_engine_begin(server: Postgres, ends: Committing) -> Process:
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import create_async_engine

    @asynccontextmanager
    async def process() -> AsyncIterator[Callable[[Message], Any]]:
        engine = create_async_engine(server.sqlalchemy("asyncpg"), poolclass=sa.pool.NullPool)

        async def handle(message: Message) -> None:
            async def written() -> None:
                async with engine.begin() as db:
                    seen = await db.execute(sa.text("SELECT 1 FROM seen WHERE id = :id"), {"id": message.id})
                    if not seen.first():
                        add = sa.text(ADD.format(":owner", ":amount"))
                        await db.execute(add, {"owner": message.key, "amount": message.value})
                        await db.execute(sa.text("INSERT INTO seen VALUES (:id)"), {"id": message.id})

            await ends(written)

        yield handle
        await engine.dispose()

    return process


def with_asyncpg(server: Postgres, ends: Committing) -> Process:
    import asyncpg

    @asynccontextmanager
    async def process() -> AsyncIterator[Callable[[Message], Any]]:
        db = await asyncpg.connect(server.uri)
        try:

            async def handle(message: Message) -> None:
                transaction = db.transaction()
                await transaction.start()
                try:
                    if not await db.fetchval("SELECT 1 FROM seen WHERE id = $1", message.id):
                        await db.execute(ADD.format("$1", "$2"), message.key, message.value)
                        await db.execute("INSERT INTO seen VALUES ($1)", message.id)
                except Exception:
                    await transaction.rollback()
                    raise
                await ends(transaction.commit)

            yield handle
        finally:
            await db.close()

    return process


def with_psycopg(server: Postgres, ends: Committing) -> Process:
    import psycopg

    @asynccontextmanager
    async def process() -> AsyncIterator[Callable[[Message], Any]]:
        async with await psycopg.AsyncConnection.connect(server.uri, autocommit=True) as db:

            async def handle(message: Message) -> None:
                async def written() -> None:
                    async with db.transaction():
                        cursor = await db.execute("SELECT 1 FROM seen WHERE id = %s", [message.id])
                        if not await cursor.fetchone():
                            await db.execute(
                                ADD.format("%(owner)s", "%(amount)s"), {"owner": message.key, "amount": message.value}
                            )
                            await db.execute("INSERT INTO seen VALUES (%s)", [message.id])

                await ends(written)

            yield handle

    return process


def failed_at(server: Postgres, process: Process, point: int) -> tuple[str, str]:
    """The line at which a call fails, or one of this test, where it makes fewer; and whether the handler survives."""
    lines: list[str] = []

    def raises() -> Exception:
        frames = [frame for frame in traceback.extract_stack() if frame.filename == __file__]
        lines.append(frames[-2].line or "")
        return TimeoutError()

    async def test(deliver: Any) -> dict[str, int]:
        reset(server)
        await deliver(spawn=process)
        return balances(server)

    scenario = Scenario(ONE, Kafka(partitions=1), [Fail("e1", point=point)])
    verdict = chaoskit.run(test, scenario, points=("databases",), fails_with=raises)
    return lines[-1], verdict.status


ONE = [Event("a", 1, id="e1")]


@pytest.mark.parametrize(
    ("wallet", "line"),
    [
        (with_session, "await commit()"),
        (with_engine_begin, "async with engine.begin() as db:"),
        (with_asyncpg, "await commit()"),
        (with_psycopg, "async with db.transaction():"),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_a_commit_fails_behind_the_statements_and_nothing_is_left_of_it(
    server: Postgres, wallet: Callable[[Postgres, Committing], Process], line: str
) -> None:
    """Its transaction is rolled back: who swallows the error has lost the event, who lets it out gets it again."""
    reported = [failed_at(server, wallet(server, lets_it_out), point) for point in range(1, 9)]
    lines = [each for each, _ in reported]
    assert [status for _, status in reported] == ["held"] * len(reported)
    assert [each for each in lines if each == line] == [line]
    assert failed_at(server, wallet(server, swallows), lines.index(line) + 1) == (line, "violated")


def test_a_commit_whose_failure_is_swallowed_is_found_and_its_twin_holds(server: Postgres) -> None:
    settings: dict[str, Any] = {"without": {Overlap}, "points": ("databases",), "seed": 1, "is_async": True}
    found = checked(server, with_asyncpg(server, swallows), **settings)
    assert found.scenario is not None
    assert [type(fault) for fault in found.scenario.faults] == [Fail]
    assert checked(server, with_asyncpg(server, lets_it_out), schedules=20, **settings).status == "held"
