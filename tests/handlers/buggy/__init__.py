"""Handlers that some delivery of Kafka's breaks. Each says in its TRUTH which, and the least one."""

from __future__ import annotations

from handlers.buggy import (
    ledger_forgets_on_older_seq,
    ledger_high_water_mark,
    ledger_ids_in_process_memory,
    ledger_last_id_only,
    ledger_offset_guard,
    ledger_quarantines_third_delivery,
    orders_need_known_customer,
    points_counter,
    profile_blind_overwrite,
    wallet_refuses_overdraft,
)

BUGGY = (
    points_counter,
    profile_blind_overwrite,
    ledger_last_id_only,
    ledger_high_water_mark,
    wallet_refuses_overdraft,
    orders_need_known_customer,
    ledger_forgets_on_older_seq,
    ledger_quarantines_third_delivery,
    ledger_ids_in_process_memory,
    ledger_offset_guard,
)
