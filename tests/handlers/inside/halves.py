"""Handlers that leave something half done where a call fails or their process dies, each with its correct twin."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from typing import Any

import chaoskit
from chaoskit import Message
from chaoskit.execution.deliver import Deliver
from inside.subjects import ADD

Handle = Callable[[Message], None]
Test = Callable[[Deliver], Any]


class Tables:
    """Stands for a database: each method is one statement or one transaction."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[object, Any]] = {"orders": {}, "outbox": {}, "done": {}, "status": {}, "mark": {}}

    @chaoskit.atomic
    def get(self, table: str, key: object) -> Any:
        return self.rows[table].get(key)

    @chaoskit.atomic
    def put(self, *rows: tuple[str, object, Any]) -> None:
        for table, key, value in rows:
            self.rows[table][key] = value

    @chaoskit.atomic
    def change(self, table: str, key: object, before: Any, after: Any) -> None:
        """UPDATE … WHERE value = before."""
        if self.rows[table].get(key) == before:
            self.rows[table][key] = after

    @chaoskit.atomic
    def move_mark(self, message: Message) -> bool:
        """UPDATE … SET mark WHERE mark < seq."""
        is_newer = message.seq > self.rows["mark"].get(message.key, 0)
        if is_newer:
            self.rows["mark"][message.key] = message.seq
        return is_newer

    @chaoskit.atomic
    def put_newer(self, message: Message) -> None:
        """UPDATE … SET value, seq WHERE seq < …"""
        if message.seq > self.rows["orders"].get(message.key, (0, None))[0]:
            self.rows["orders"][message.key] = message.seq, message.value

    @chaoskit.atomic
    def advance(self, message: Message) -> None:
        """UPDATE … SET value, mark WHERE mark < seq."""
        if message.seq > self.rows["mark"].get(message.key, 0):
            self.rows["mark"][message.key] = message.seq
            self.rows["orders"][message.key] = message.value


Mail = Callable[[Message], None]
Make = Callable[[Tables, Mail], Handle]


def finally_marks(tables: Tables, mail: Mail) -> Handle:
    def handle(message: Message) -> None:
        if tables.get("done", message.id):
            return
        try:
            tables.put(("orders", message.id, message.value))
        finally:
            tables.put(("done", message.id, True))

    return handle


def marks_when_done(tables: Tables, mail: Mail) -> Handle:
    def handle(message: Message) -> None:
        if tables.get("done", message.id):
            return
        tables.put(("orders", message.id, message.value))
        tables.put(("done", message.id, True))

    return handle


def answers_all_the_same(tables: Tables, mail: Mail) -> Handle:
    def handle(message: Message) -> None:
        with contextlib.suppress(Exception):
            tables.put(("orders", message.id, message.value))

    return handle


def lets_it_out(tables: Tables, mail: Mail) -> Handle:
    def handle(message: Message) -> None:
        tables.put(("orders", message.id, message.value))

    return handle


def outbox_apart(tables: Tables, mail: Mail) -> Handle:
    def handle(message: Message) -> None:
        if tables.get("orders", message.id) is None:
            tables.put(("orders", message.id, message.value))
            tables.put(("outbox", message.id, message.value))

    return handle


def outbox_in_one_transaction(tables: Tables, mail: Mail) -> Handle:
    def handle(message: Message) -> None:
        if tables.get("orders", message.id) is None:
            tables.put(("orders", message.id, message.value), ("outbox", message.id, message.value))

    return handle


def done_only_from_processing(tables: Tables, mail: Mail) -> Handle:
    def handle(message: Message) -> None:
        tables.change("status", message.id, None, "processing")
        try:
            tables.put(("orders", message.id, message.value))
        except Exception:
            tables.put(("status", message.id, "failed"))
            raise
        tables.change("status", message.id, "processing", "done")

    return handle


def done_from_anything(tables: Tables, mail: Mail) -> Handle:
    def handle(message: Message) -> None:
        tables.change("status", message.id, None, "processing")
        try:
            tables.put(("orders", message.id, message.value))
        except Exception:
            tables.change("status", message.id, "processing", "failed")
            raise
        tables.put(("status", message.id, "done"))

    return handle


def watermark_first(tables: Tables, mail: Mail) -> Handle:
    """A late older write is refused, so that only what is between the two is wrong."""

    def handle(message: Message) -> None:
        if tables.move_mark(message):
            tables.put_newer(message)

    return handle


def watermark_with_the_work(tables: Tables, mail: Mail) -> Handle:
    """And compared there: between a look and what follows it another execution may write what is newer."""

    def handle(message: Message) -> None:
        tables.advance(message)

    return handle


def marks_before_the_mail(tables: Tables, mail: Mail) -> Handle:
    def handle(message: Message) -> None:
        if not tables.get("done", message.id):
            tables.put(("done", message.id, True))
            mail(message)

    return handle


def marks_after_the_mail(tables: Tables, mail: Mail) -> Handle:
    def handle(message: Message) -> None:
        if not tables.get("done", message.id):
            mail(message)
            tables.put(("done", message.id, True))

    return handle


def saves_before_the_mail(tables: Tables, mail: Mail) -> Handle:
    def handle(message: Message) -> None:
        if tables.get("orders", message.id) is None:
            tables.put(("orders", message.id, message.value))
            mail(message)

    return handle


def mails_from_the_outbox(tables: Tables, mail: Mail) -> Handle:
    def handle(message: Message) -> None:
        if tables.get("orders", message.id) is None:
            tables.put(("orders", message.id, message.value), ("outbox", message.id, "to send"))
        if tables.get("outbox", message.id) == "to send":
            mail(message)
            tables.put(("outbox", message.id, "sent"))

    return handle


def over_tables(make: Make) -> Test:
    def test(deliver: Deliver) -> dict[str, dict[object, Any]]:
        tables = Tables()

        @chaoskit.atomic
        def mail(message: Message) -> None:
            deliver.effect("mail", message.value, key=message.id)

        deliver(spawn=lambda: make(tables, mail))
        return tables.rows

    return test


# On SQLite, in a file, with a connection for each process.


def commits(db: sqlite3.Connection) -> Handle:
    def handle(message: Message) -> None:
        with db:
            if not db.execute("SELECT 1 FROM seen WHERE id = ?", (message.id,)).fetchone():
                db.execute(ADD, (message.key, message.value))
                db.execute("INSERT INTO seen VALUES (?)", (message.id,))

    return handle


def swallows_the_commit(db: sqlite3.Connection) -> Handle:
    def handle(message: Message) -> None:
        if db.execute("SELECT 1 FROM seen WHERE id = ?", (message.id,)).fetchone():
            return
        db.execute(ADD, (message.key, message.value))
        db.execute("INSERT INTO seen VALUES (?)", (message.id,))
        try:  # noqa: SIM105 - as it is written
            db.commit()
        except:  # noqa: E722 - the bug itself
            pass

    return handle
