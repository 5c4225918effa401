"""The status of orders under every delivery that a standard queue can make."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from chaoskit import SqsStandard, chaos
from chaoskit.strategies import events
from hypothesis import strategies as st

from warehouse.orders import Orders

STATUSES = events(
    st.sampled_from(["placed", "paid", "packed", "shipped", "returned"]),
    keys=st.sampled_from(["order 1001", "order 1002", "order 1003"]),
)


@chaos(STATUSES, broker=SqsStandard(max_receive_count=5))
def test_status_of_orders(deliver):
    with closing(sqlite3.connect(":memory:")) as db:  # fresh state for every schedule
        orders = Orders(db)
        deliver(lambda message: orders.handle(message.key, message.seq, message.value))
        return orders.statuses()
