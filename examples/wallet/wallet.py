"""A wallet service: credits and debits of accounts, consumed from Kafka, kept in SQLite.

It has seen the advice: every event id is remembered in the same transaction as its effect, so that nothing is booked
twice. What it has not seen is a debit that comes before the credit it needs.
"""

from __future__ import annotations

import sqlite3

from chaoskit import Message

SCHEMA = """
    CREATE TABLE accounts (iban TEXT PRIMARY KEY, balance INTEGER NOT NULL);
    CREATE TABLE seen (event_id TEXT PRIMARY KEY);
"""


class Wallet:
    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        db.executescript(SCHEMA)

    def handle(self, message: Message) -> None:
        with self.db:
            if self.db.execute("INSERT OR IGNORE INTO seen VALUES (?)", (message.id,)).rowcount == 0:
                return  # booked before
            amount = message.value["amount"]
            if message.value["kind"] == "debit":
                amount = -amount
            if self.balance(message.key) + amount < 0:
                return  # would overdraw: refused
            self.db.execute(
                "INSERT INTO accounts VALUES (?, ?)"
                " ON CONFLICT (iban) DO UPDATE SET balance = balance + excluded.balance",
                (message.key, amount),
            )

    def balance(self, iban: str) -> int:
        row = self.db.execute("SELECT balance FROM accounts WHERE iban = ?", (iban,)).fetchone()
        return row[0] if row else 0

    def balances(self) -> dict[str, int]:
        return dict(self.db.execute("SELECT iban, balance FROM accounts"))
