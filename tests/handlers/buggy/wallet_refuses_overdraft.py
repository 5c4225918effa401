"""A wallet with durable ids that refuses a debit for good where the balance does not cover it yet."""

from __future__ import annotations

from hypothesis import strategies as st

from chaoskit import BatchSwap, DeadLetter, Message, Rehash
from chaoskit.execution.deliver import Deliver
from chaoskit.strategies import events
from chaoskit.values.event import EventId
from handlers import Truth

PAYMENTS = st.fixed_dictionaries({"kind": st.sampled_from(["credit", "debit"]), "amount": st.integers(1, 100)})
EVENTS = events(PAYMENTS, keys=st.sampled_from(["alice", "bob"]))
TRUTH: Truth = {DeadLetter: (2, 1), Rehash: (2, 1), BatchSwap: (2, 1)}


def test(deliver: Deliver) -> dict[str, int]:
    """The balance of each wallet."""
    balances: dict[str, int] = {}
    seen: set[EventId] = set()

    def handle(message: Message) -> None:
        if message.id in seen:
            return
        seen.add(message.id)
        balance = balances.get(message.key, 0)
        amount = message.value["amount"]
        if message.value["kind"] == "credit":
            balances[message.key] = balance + amount
        elif balance >= amount:
            balances[message.key] = balance - amount

    deliver(handle)
    return balances
