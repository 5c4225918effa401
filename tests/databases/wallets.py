"""One consumer over PostgreSQL, as five libraries write it: a balance for each owner, and the ids that are in it.

`together` says whether the balance and the id are committed at once. Each gives a process: what one consumer has open.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg

from chaoskit import Message
from databases.servers import Postgres

TABLES = """
CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS balances (owner TEXT PRIMARY KEY, amount INTEGER NOT NULL);
DELETE FROM seen; DELETE FROM balances;
"""
ADD = "INSERT INTO balances VALUES ({0}, {1}) ON CONFLICT (owner) DO UPDATE SET amount = balances.amount + {1}"
Process = Callable[[], Any]


def with_psycopg(server: Postgres, *, together: bool) -> Process:
    @contextmanager
    def process() -> Iterator[Callable[[Message], None]]:
        with psycopg.connect(server.uri) as db:

            def handle(message: Message) -> None:
                if db.execute("SELECT 1 FROM seen WHERE id = %s", [message.id]).fetchone():
                    db.rollback()
                    return
                try:
                    db.execute(ADD.format("%(owner)s", "%(amount)s"), {"owner": message.key, "amount": message.value})
                    if not together:
                        db.commit()
                    db.execute("INSERT INTO seen VALUES (%s)", [message.id])
                except psycopg.Error:  # another execution was there first
                    db.rollback()
                    raise
                db.commit()

            yield handle

    return process


def with_sqlalchemy(server: Postgres, *, together: bool) -> Process:
    import sqlalchemy as sa
    from sqlalchemy.orm import Session

    @contextmanager
    def process() -> Iterator[Callable[[Message], None]]:
        # One engine a process: a pool that an earlier one has filled would outlive it.
        engine = sa.create_engine(server.sqlalchemy("psycopg"), poolclass=sa.pool.NullPool)

        def handle(message: Message) -> None:
            with Session(engine) as session:
                if session.execute(sa.text("SELECT 1 FROM seen WHERE id = :id"), {"id": message.id}).first():
                    return
                add = sa.text(ADD.format(":owner", ":amount"))
                session.execute(add, {"owner": message.key, "amount": message.value})
                if not together:
                    session.commit()
                session.execute(sa.text("INSERT INTO seen VALUES (:id)"), {"id": message.id})
                session.commit()

        yield handle
        engine.dispose()

    return process


def with_asyncpg(server: Postgres, *, together: bool) -> Process:
    import asyncpg

    @asynccontextmanager
    async def process() -> AsyncIterator[Callable[[Message], Any]]:
        db = await asyncpg.connect(server.uri)
        try:

            async def handle(message: Message) -> None:
                if await db.fetchval("SELECT 1 FROM seen WHERE id = $1", message.id):
                    return
                if together:
                    async with db.transaction():
                        await db.execute(ADD.format("$1", "$2"), message.key, message.value)
                        await db.execute("INSERT INTO seen VALUES ($1)", message.id)
                else:
                    await db.execute(ADD.format("$1", "$2"), message.key, message.value)
                    await db.execute("INSERT INTO seen VALUES ($1)", message.id)

            yield handle
        finally:
            await db.close()

    return process


def with_async_sqlalchemy(server: Postgres, *, together: bool) -> Process:
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
                if not together:
                    await session.commit()
                await session.execute(sa.text("INSERT INTO seen VALUES (:id)"), {"id": message.id})
                await session.commit()

        yield handle
        await engine.dispose()

    return process
