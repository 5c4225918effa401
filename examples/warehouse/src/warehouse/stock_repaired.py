"""How many pieces of each article there are, from a FIFO queue with one message group for each article.

A scanner numbers the movements of an article 1, 2, 3, …. A movement counts once, however often it comes, and late ones
count too: below the newest number of an article only those are open that are missing. An article that is sold out keeps
its row, which knows the newest number.
"""

from __future__ import annotations

import sqlite3

SCHEMA = (
    "CREATE TABLE stock (article TEXT PRIMARY KEY, newest INTEGER NOT NULL, pieces INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE missing (article TEXT, number INTEGER, PRIMARY KEY (article, number)) WITHOUT ROWID",
)


class Stock:
    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        for table in SCHEMA:
            db.execute(table)

    def handle(self, article: str, number: int, pieces: int) -> None:
        """Book that this many pieces came in, or, below 0, went out."""
        with self.db:
            if self._is_open(article, number):
                self.db.execute(
                    "INSERT INTO stock VALUES (?, ?, ?) ON CONFLICT (article) DO UPDATE"
                    " SET newest = max(newest, excluded.newest), pieces = pieces + excluded.pieces",
                    (article, number, pieces),
                )

    def _is_open(self, article: str, number: int) -> bool:
        """Whether this movement was not booked yet; it counts as booked from now on."""
        row = self.db.execute("SELECT newest FROM stock WHERE article = ?", (article,)).fetchone()
        newest = row[0] if row else 0
        if number <= newest:
            missing = (article, number)
            return self.db.execute("DELETE FROM missing WHERE article = ? AND number = ?", missing).rowcount > 0
        gap = [(article, below) for below in range(newest + 1, number)]
        self.db.executemany("INSERT INTO missing VALUES (?, ?)", gap)
        return True

    def pieces(self) -> dict[str, int]:
        return dict(self.db.execute("SELECT article, pieces FROM stock WHERE pieces != 0"))
