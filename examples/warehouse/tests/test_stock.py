"""The stock under every delivery that its FIFO queue can make."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from chaoskit import SqsFifo, chaos
from chaoskit.strategies import events
from hypothesis import strategies as st

from warehouse.stock import Stock

ARTICLES = [f"article {number}" for number in range(1, 13)]
MOVEMENTS = events(st.integers(-999, 999).filter(bool), keys=st.sampled_from(ARTICLES), max_size=18)


@chaos(MOVEMENTS, broker=SqsFifo(max_receive_count=5))
def test_pieces_in_stock(deliver):
    with closing(sqlite3.connect(":memory:")) as db:  # fresh state for every schedule
        stock = Stock(db)
        deliver(lambda message: stock.handle(message.key, message.seq, message.value))
        return stock.pieces()
