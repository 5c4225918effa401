"""The chaos test of the wallet service."""

from __future__ import annotations

import sqlite3
from typing import Any

from wallet import Wallet

from chaoskit import Kafka, chaos
from chaoskit.strategies import wallet


@chaos(wallet(accounts=2), broker=Kafka(partitions=6))
def test_balances_survive_any_delivery(deliver: Any) -> dict[str, int]:
    db = sqlite3.connect(":memory:")  # fresh state for every schedule
    try:
        service = Wallet(db)
        deliver(service.handle)  # the schedule happens here
        return service.balances()  # compared with in-order delivery of the same events
    finally:
        db.close()
