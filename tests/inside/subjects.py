"""Handlers that a death in the middle breaks, each with its correct twin, over doubles and over SQLite in a file."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import chaoskit
from chaoskit import Message
from chaoskit.execution.deliver import Deliver

Handle = Callable[[Message], None]
Test = Callable[[Deliver], dict[Any, Any]]


class Store:
    """Stands for a database: each method is one statement."""

    def __init__(self) -> None:
        self.seen: set[object] = set()
        self.balances: dict[str, int] = {}
        self.rows: dict[object, object] = {}

    @chaoskit.atomic
    def knows(self, message: Message) -> bool:
        return message.id in self.seen

    @chaoskit.atomic
    def mark(self, message: Message) -> None:
        self.seen.add(message.id)

    @chaoskit.atomic
    def add(self, message: Message) -> None:
        self.balances[message.key] = self.balances.get(message.key, 0) + message.value

    @chaoskit.atomic
    def set_row(self, table: str, message: Message) -> None:
        self.rows[table, message.id] = message.value

    @chaoskit.atomic
    def set_rows(self, tables: list[str], message: Message) -> None:
        """In one transaction."""
        for table in tables:
            self.set_row(table, message)

    @chaoskit.atomic
    def add_once(self, messages: list[Message]) -> None:
        """In one transaction, with the ids."""
        for message in messages:
            if message.id not in self.seen:
                self.add(message)
                self.seen.add(message.id)


def work_before_mark(store: Store) -> Handle:
    def handle(message: Message) -> None:
        if store.knows(message):
            return
        store.add(message)
        store.mark(message)

    return handle


def mark_before_work(store: Store) -> Handle:
    def handle(message: Message) -> None:
        if store.knows(message):
            return
        store.mark(message)
        store.add(message)

    return handle


def both_at_once(store: Store) -> Handle:
    def handle(message: Message) -> None:
        if not store.knows(message):
            store.add_once([message])

    return handle


def over(make: Callable[[Store], Handle]) -> Test:
    def test(deliver: Deliver) -> dict[Any, Any]:
        store = Store()
        deliver(spawn=lambda: make(store))
        return store.rows or store.balances

    return test


def buffered(size: int) -> Test:
    """Writes behind: a message is acknowledged before it is stored, unless `size` is 1."""

    def test(deliver: Deliver) -> dict[str, int]:
        store = Store()

        @contextlib.contextmanager
        def process() -> Iterator[Handle]:
            waiting: list[Message] = []

            def handle(message: Message) -> None:
                waiting.append(message)
                if len(waiting) >= size:
                    store.add_once(waiting)
                    waiting.clear()

            yield handle
            store.add_once(waiting)

        deliver(spawn=process)
        return store.balances

    return test


# SQLite, in a file, with a connection for each process.


def connected(path: Path) -> sqlite3.Connection:
    """Nothing that is asked here depends on what a power cut leaves."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode=MEMORY")
    db.execute("PRAGMA synchronous=OFF")
    return db


def prepared(path: Path) -> None:
    with contextlib.closing(connected(path)) as db:
        db.execute("CREATE TABLE seen (id TEXT PRIMARY KEY)")
        db.execute("CREATE TABLE balances (owner TEXT PRIMARY KEY, amount INTEGER)")
        db.commit()


ADD = "INSERT INTO balances VALUES (?, ?) ON CONFLICT DO UPDATE SET amount = amount + excluded.amount"


def in_file(path: Path, make: Callable[[sqlite3.Connection], Handle]) -> Test:
    """`make` gives what handles a message, over the connection of its process."""

    def test(deliver: Deliver) -> dict[str, int]:
        with contextlib.closing(connected(path)) as db, db:
            db.execute("DELETE FROM seen")
            db.execute("DELETE FROM balances")

        @contextlib.contextmanager
        def process() -> Iterator[Handle]:
            with contextlib.closing(connected(path)) as db:
                yield make(db)

        deliver(spawn=process)
        with contextlib.closing(connected(path)) as db:
            return dict(db.execute("SELECT owner, amount FROM balances"))

    return test


def add_once(db: sqlite3.Connection, message: Message, one_transaction: bool) -> None:
    if db.execute("SELECT 1 FROM seen WHERE id = ?", (message.id,)).fetchone():
        return
    with db:  # which rolls back where the id is there by now
        db.execute(ADD, (message.key, message.value))
        if not one_transaction:
            db.commit()
        db.execute("INSERT INTO seen VALUES (?)", (message.id,))


def in_sqlite(path: Path, *, one_transaction: bool) -> Test:
    def make(db: sqlite3.Connection) -> Handle:
        def handle(message: Message) -> None:
            add_once(db, message, one_transaction)

        return handle

    return in_file(path, make)


def opening_its_own(path: Path, *, one_transaction: bool) -> Test:
    """A connection for each message, as many a handler has it, and no context manager of the process's."""

    def test(deliver: Deliver) -> dict[str, int]:
        with contextlib.closing(connected(path)) as db, db:
            db.execute("DELETE FROM seen")
            db.execute("DELETE FROM balances")

        def make() -> Handle:
            def handle(message: Message) -> None:
                with contextlib.closing(sqlite3.connect(path)) as db:
                    db.execute("PRAGMA synchronous=OFF")
                    add_once(db, message, one_transaction)

            return handle

        deliver(spawn=make)
        with contextlib.closing(connected(path)) as db:
            return dict(db.execute("SELECT owner, amount FROM balances"))

    return test
