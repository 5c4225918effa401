"""redis-py: a consumer group of a stream, which claims what others have left."""

from __future__ import annotations

from typing import Any

from payments import event_id, payments

from chaoskit import RedisStreams, chaos
from chaoskit.adapters.redis import Redis


def consume(r: Any, table: dict[bytes, int]) -> None:
    while True:
        left = r.xautoclaim("payments", "billing", "worker-1", min_idle_time=60_000)[1]
        fresh = r.xreadgroup("billing", "worker-1", {"payments": ">"}, count=1, block=5000)
        for id_, fields in [*left, *(entry for _, entries in fresh for entry in entries)]:
            table[fields[b"event-id"]] = int(fields[b"amount"])
            r.xack("payments", "billing", id_)


@chaos(payments, broker=RedisStreams(), schedules=100)
def test_payments(deliver: Any) -> dict[bytes, int]:
    table: dict[bytes, int] = {}

    def process() -> None:
        with deliver.consumer(Redis, headers=event_id) as r:
            consume(r, table)

    deliver(spawn=process)
    return table
