"""Known mistakes inside a handler over real databases, each with its right twin. SQLite and PostgreSQL read the same
text, but for what locks a row."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs

import chaoskit
from chaoskit import Message
from databases.servers import Postgres

Handle = Callable[[Message], None]

TABLES = """
CREATE TABLE seen (id TEXT PRIMARY KEY);
CREATE TABLE balances (owner TEXT PRIMARY KEY, amount INTEGER NOT NULL, version INTEGER NOT NULL DEFAULT 0);
CREATE TABLE payments (id TEXT NOT NULL, amount INTEGER NOT NULL);
CREATE TABLE unique_payments (id TEXT PRIMARY KEY, amount INTEGER NOT NULL);
CREATE TABLE outbox (id TEXT PRIMARY KEY)
"""
NAMES = ("seen", "balances", "payments", "unique_payments", "outbox")


@attrs.define
class Db:
    """One connection, on which each statement is committed by itself unless it stands in a transaction."""

    real: Any
    database: Database

    @chaoskit.atomic
    def run(self, text: str, *given: Any) -> Any:
        """One statement: the rows, or how many were changed."""
        cursor = self.real.execute(text.replace("?", self.database.mark), given)
        return cursor.rowcount if cursor.description is None else cursor.fetchall()

    def __enter__(self) -> None:
        """Begin a transaction, which ends with the block."""
        self.real.execute(self.database.begin)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.real.commit() if kind is None else self.real.rollback()


@attrs.frozen
class Database:
    connect: Callable[[], Any]
    mark: str
    begin: str
    for_update: str

    @contextlib.contextmanager
    def opened(self) -> Iterator[Db]:
        with contextlib.closing(self.connect()) as real:
            yield Db(real, self)


@contextlib.contextmanager
def made(database: Database) -> Iterator[Db]:
    """With its tables; and the connection of the test."""
    with database.opened() as db:
        for statement in [*(f"DROP TABLE IF EXISTS {name}" for name in NAMES), *TABLES.split(";")]:
            db.run(statement)
        yield db


def reset(db: Db) -> None:
    with db:
        for name in NAMES:
            db.run(f"DELETE FROM {name}")


def rows(db: Db) -> dict[str, list[Any]]:
    """All that is there, but for versions."""
    read = {
        "balances": db.run("SELECT owner, amount FROM balances"),
        "payments": db.run("SELECT id, amount FROM payments UNION ALL SELECT id, amount FROM unique_payments"),
        "outbox": db.run("SELECT id FROM outbox"),
    }
    return {name: sorted(map(tuple, found)) for name, found in read.items()}


def sqlite(path: Path) -> contextlib.AbstractContextManager[Db]:
    def connect() -> sqlite3.Connection:
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA journal_mode=MEMORY")
        db.execute("PRAGMA synchronous=OFF")
        return db

    return made(Database(connect, "?", "BEGIN IMMEDIATE", ""))


def postgresql(server: Postgres) -> contextlib.AbstractContextManager[Db]:
    import psycopg

    # A schema of its own: other tests of this worker have tables with the same names.
    def connect() -> Any:
        return psycopg.connect(server.uri, autocommit=True, options="-c search_path=pairs")

    with psycopg.connect(server.uri, autocommit=True) as db:
        db.execute("CREATE SCHEMA IF NOT EXISTS pairs")
    return made(Database(connect, "%s", "BEGIN", " FOR UPDATE"))


NEW = "INSERT INTO seen VALUES (?) ON CONFLICT DO NOTHING"
ADD = (
    "INSERT INTO balances (owner, amount) VALUES (?, ?) "
    "ON CONFLICT (owner) DO UPDATE SET amount = balances.amount + excluded.amount"
)
OPEN = "INSERT INTO balances (owner, amount) VALUES (?, 0) ON CONFLICT DO NOTHING"
READ = "SELECT amount FROM balances WHERE owner = ?"
SET = "UPDATE balances SET amount = ? WHERE owner = ?"


def inbox_row_outside(db: Db) -> Handle:
    def handle(message: Message) -> None:
        if db.run("SELECT 1 FROM seen WHERE id = ?", message.id):
            return
        db.run(ADD, message.key, message.value)
        db.run(NEW, message.id)

    return handle


def inbox_row_inside(db: Db) -> Handle:
    def handle(message: Message) -> None:
        with db:
            if db.run(NEW, message.id):
                db.run(ADD, message.key, message.value)

    return handle


def swallows_the_commit(db: Db) -> Handle:
    def handle(message: Message) -> None:
        db.real.execute(db.database.begin)
        if db.run(NEW, message.id):
            db.run(ADD, message.key, message.value)
        try:  # noqa: SIM105 - as it is written
            db.real.commit()
        except:  # noqa: E722 - the bug itself
            pass

    return handle


def outbox_row_outside(db: Db) -> Handle:
    def handle(message: Message) -> None:
        if db.run("INSERT INTO unique_payments VALUES (?, ?) ON CONFLICT DO NOTHING", message.id, message.value):
            db.run("INSERT INTO outbox VALUES (?)", message.id)

    return handle


def outbox_row_inside(db: Db) -> Handle:
    def handle(message: Message) -> None:
        with db:
            outbox_row_outside(db)(message)

    return handle


def checks_then_inserts(db: Db) -> Handle:
    def handle(message: Message) -> None:
        if not db.run("SELECT 1 FROM payments WHERE id = ?", message.id):
            db.run("INSERT INTO payments VALUES (?, ?)", message.id, message.value)

    return handle


def unique_key(db: Db) -> Handle:
    def handle(message: Message) -> None:
        if not db.run("SELECT 1 FROM unique_payments WHERE id = ?", message.id):
            db.run("INSERT INTO unique_payments VALUES (?, ?) ON CONFLICT DO NOTHING", message.id, message.value)

    return handle


def reads_before_it_locks(db: Db) -> Handle:
    def handle(message: Message) -> None:
        db.run(OPEN, message.key)
        ((amount,),) = db.run(READ, message.key)
        with db:
            if db.run(NEW, message.id):
                db.run(SET, amount + message.value, message.key)

    return handle


def locks_the_row(db: Db) -> Handle:
    """SELECT … FOR UPDATE; and SQLite's lock is taken by BEGIN IMMEDIATE."""

    def handle(message: Message) -> None:
        with db:
            db.run(OPEN, message.key)
            ((amount,),) = db.run(READ + db.database.for_update, message.key)
            if db.run(NEW, message.id):
                db.run(SET, amount + message.value, message.key)

    return handle


def advisory_lock_of_nothing(db: Db) -> Handle:
    """Outside of a transaction such a lock ends with the statement that takes it."""

    def handle(message: Message) -> None:
        db.run("SELECT pg_advisory_xact_lock(hashtext(?))", message.key)
        db.run(OPEN, message.key)
        ((amount,),) = db.run(READ, message.key)
        with db:
            if db.run(NEW, message.id):
                db.run(SET, amount + message.value, message.key)

    return handle


def compares_a_version(db: Db) -> Handle:
    def handle(message: Message) -> None:
        db.run(OPEN, message.key)
        ((amount, version),) = db.run("SELECT amount, version FROM balances WHERE owner = ?", message.key)
        with db:
            if db.run(NEW, message.id) and not db.run(
                "UPDATE balances SET amount = ?, version = version + 1 WHERE owner = ? AND version = ?",
                amount + message.value, message.key, version,
            ):  # fmt: skip
                raise RuntimeError("somebody was there first")

    return handle
