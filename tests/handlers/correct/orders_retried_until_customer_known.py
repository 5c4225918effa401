"""Orders raise until their customer is known, so that the consumer shows them again: `o1! c1 o1`."""

from __future__ import annotations

from hypothesis import strategies as st

from chaoskit import Event, Message
from chaoskit.execution.deliver import Deliver
from chaoskit.strategies import events
from chaoskit.values.event import EventId
from handlers import Truth


def _customer_first(stream: list[Event]) -> bool:
    """Produced in an order in which every order finds its customer."""
    return stream[0].key == "customer-1"


EVENTS = events(st.integers(1, 100), keys=st.sampled_from(["customer-1", "order-7"]), valid=_customer_first)
TRUTH: Truth = {}


def test(deliver: Deliver) -> dict[EventId, int]:
    """The orders that are attached to the customer, with their amounts."""
    customers: set[str] = set()
    orders: dict[EventId, int] = {}

    def handle(message: Message) -> None:
        if message.key == "customer-1":
            customers.add(message.key)
            return
        if "customer-1" not in customers:
            raise LookupError(f"order {message.id}: its customer is not known yet")
        orders[message.id] = message.value

    deliver(handle)
    return orders
