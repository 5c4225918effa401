"""How far each order is, from a standard queue: the shop sends the whole status, with a version that it counts up."""

from __future__ import annotations

import sqlite3

SCHEMA = "CREATE TABLE orders (number TEXT PRIMARY KEY, version INTEGER NOT NULL, status TEXT NOT NULL) WITHOUT ROWID"


class Orders:
    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        db.execute(SCHEMA)

    def handle(self, order: str, version: int, status: str) -> None:
        """The newest version wins, whatever order they come in and however often."""
        with self.db:
            self.db.execute(
                "INSERT INTO orders VALUES (?, ?, ?) ON CONFLICT (number) DO UPDATE"
                " SET version = excluded.version, status = excluded.status WHERE excluded.version > version",
                (order, version, status),
            )

    def statuses(self) -> dict[str, str]:
        return dict(self.db.execute("SELECT number, status FROM orders"))
