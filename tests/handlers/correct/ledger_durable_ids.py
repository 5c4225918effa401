"""A ledger that stores the id of each payment beside the balance: each counts once, whenever it comes."""

from __future__ import annotations

from hypothesis import strategies as st

from chaoskit import Message
from chaoskit.execution.deliver import Deliver
from chaoskit.strategies import events
from chaoskit.values.event import EventId
from handlers import Truth

EVENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]))
TRUTH: Truth = {}


def test(deliver: Deliver) -> dict[str, int]:
    """The balance of each account."""
    balances: dict[str, int] = {}
    seen: set[EventId] = set()

    def handle(message: Message) -> None:
        if message.id in seen:
            return
        seen.add(message.id)
        balances[message.key] = balances.get(message.key, 0) + message.value

    deliver(handle)
    return balances
