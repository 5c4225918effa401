"""Handlers that survive every delivery that Kafka can make."""

from __future__ import annotations

from handlers.correct import (
    ledger_durable_ids,
    orders_retried_until_customer_known,
    profile_upsert_by_seq,
    raises_until_its_turn,
    replica_with_tombstones,
    resequencer,
)

CORRECT = (
    profile_upsert_by_seq,
    ledger_durable_ids,
    resequencer,
    replica_with_tombstones,
    orders_retried_until_customer_known,
    raises_until_its_turn,
)
