"""The same service, repaired: it books the events of an account in the order of their `seq`, whatever comes first.

The producer numbers the events of each account 1, 2, 3, …. One that is early waits in the database until the gap
before it closes; one that was booked is dropped.
"""

from __future__ import annotations

import sqlite3

from chaoskit import Message

SCHEMA = """
    CREATE TABLE accounts (iban TEXT PRIMARY KEY, balance INTEGER NOT NULL, booked INTEGER NOT NULL);
    CREATE TABLE early (iban TEXT, seq INTEGER, amount INTEGER, PRIMARY KEY (iban, seq));
"""


class Wallet:
    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        db.executescript(SCHEMA)

    def handle(self, message: Message) -> None:
        amount = message.value["amount"]
        if message.value["kind"] == "debit":
            amount = -amount
        with self.db:
            self.db.execute("INSERT OR IGNORE INTO early VALUES (?, ?, ?)", (message.key, message.seq, amount))
            self.db.execute("INSERT OR IGNORE INTO accounts VALUES (?, 0, 0)", (message.key,))
            while self._book_next(message.key):
                pass

    def _book_next(self, iban: str) -> bool:
        """Book the event that is next for this account, if it is here."""
        balance, booked = self.db.execute("SELECT balance, booked FROM accounts WHERE iban = ?", (iban,)).fetchone()
        self.db.execute("DELETE FROM early WHERE iban = ? AND seq <= ?", (iban, booked))
        row = self.db.execute("SELECT amount FROM early WHERE iban = ? AND seq = ?", (iban, booked + 1)).fetchone()
        if row is None:
            return False
        refused = balance + row[0] < 0  # would overdraw
        balance += 0 if refused else row[0]
        self.db.execute("UPDATE accounts SET balance = ?, booked = booked + 1 WHERE iban = ?", (balance, iban))
        return True

    def balances(self) -> dict[str, int]:
        return dict(self.db.execute("SELECT iban, balance FROM accounts"))
