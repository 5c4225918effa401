"""What is committed together, and what is not: the inbox row, the status row, an error that nobody looks at."""

from __future__ import annotations

import contextlib
from typing import Any

import attrs

import chaoskit
from chaoskit import Message
from handlers.inside.halves import Mail, Tables
from inside.subjects import Handle


class Refused(Exception):
    """A unique key: somebody was there first."""


@attrs.define
class Transaction:
    """What is written in it is there when it is committed, and a process that dies takes it with it."""

    tables: Tables
    inserted: list[tuple[str, object, Any]] = attrs.field(factory=list)
    added: list[tuple[str, object, int]] = attrs.field(factory=list)

    @chaoskit.atomic
    def insert(self, table: str, key: object, value: Any) -> None:
        self.inserted.append((table, key, value))

    @chaoskit.atomic
    def add(self, table: str, key: object, amount: int) -> None:
        self.added.append((table, key, amount))

    @chaoskit.atomic
    def commit(self) -> None:
        """All of it, or nothing where a key is there already."""
        if any(key in self.tables.rows[table] for table, key, _ in self.inserted):
            raise Refused
        self.tables.put(*self.inserted)
        for table, key, amount in self.added:
            self.tables.put((table, key, (self.tables.get(table, key) or 0) + amount))


def inbox_row_outside(tables: Tables, mail: Mail) -> Handle:
    def handle(message: Message) -> None:
        if tables.get("done", message.id):
            return
        transaction = Transaction(tables)
        transaction.add("orders", message.key, message.value)
        transaction.commit()
        tables.put(("done", message.id, True))

    return handle


def inbox_row_inside(tables: Tables, mail: Mail) -> Handle:
    def handle(message: Message) -> None:
        if tables.get("done", message.id):
            return
        transaction = Transaction(tables)
        transaction.insert("done", message.id, True)
        transaction.add("orders", message.key, message.value)
        transaction.commit()

    return handle


def swallows_the_commit(tables: Tables, mail: Mail) -> Handle:
    def handle(message: Message) -> None:
        if tables.get("done", message.id):
            return
        transaction = Transaction(tables)
        transaction.insert("done", message.id, True)
        transaction.add("orders", message.key, message.value)
        try:  # noqa: SIM105 - as it is written
            transaction.commit()
        except:  # noqa: E722 - the bug itself
            pass

    return handle


def looks_at_the_commit(tables: Tables, mail: Mail) -> Handle:
    """Its twin: a key that is there already is an answer, and another error is none."""

    def handle(message: Message) -> None:
        if tables.get("done", message.id):
            return
        transaction = Transaction(tables)
        transaction.insert("done", message.id, True)
        transaction.add("orders", message.key, message.value)
        with contextlib.suppress(Refused):
            transaction.commit()

    return handle


def status_row_first(tables: Tables, mail: Mail) -> Handle:
    """Who finds the row believes that somebody does it."""

    def handle(message: Message) -> None:
        if tables.get("status", message.id) is not None:
            return
        tables.put(("status", message.id, "processing"))
        tables.put(("orders", message.id, message.value))
        tables.put(("status", message.id, "done"))

    return handle


def status_row_done(tables: Tables, mail: Mail) -> Handle:
    """Only one that is done ends it, and a late "processing" does not change that."""

    def handle(message: Message) -> None:
        if tables.get("status", message.id) == "done":
            return
        tables.change("status", message.id, None, "processing")
        tables.put(("orders", message.id, message.value), ("status", message.id, "done"))

    return handle
