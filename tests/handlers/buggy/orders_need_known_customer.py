"""Orders are attached only to a customer that is already known; any other order is turned away for good."""

from __future__ import annotations

from hypothesis import strategies as st

from chaoskit import BatchSwap, DeadLetter, Message, Rehash
from chaoskit.execution.deliver import Deliver
from chaoskit.strategies import events
from chaoskit.values.event import EventId
from handlers import Truth

# With six partitions they lie on two, and growth by a few partitions brings them together.
CUSTOMER, ORDER = "customer-1", "order-7"
EVENTS = events(st.sampled_from(["books", "flowers", "tea"]), keys=st.sampled_from([CUSTOMER, ORDER]))
TRUTH: Truth = {DeadLetter: (2, 1), Rehash: (2, 1), BatchSwap: (2, 1)}


def test(deliver: Deliver) -> dict[str, int]:
    """How many orders each known customer has.

    Not which: an order that overtakes another of its own key would break the order within that key, too.
    """
    orders: dict[str, int] = {}
    seen: set[EventId] = set()

    def handle(message: Message) -> None:
        if message.id in seen:
            return
        seen.add(message.id)
        if message.key == CUSTOMER:
            orders.setdefault(CUSTOMER, 0)
        elif CUSTOMER in orders:
            orders[CUSTOMER] += 1

    deliver(handle)
    return orders
