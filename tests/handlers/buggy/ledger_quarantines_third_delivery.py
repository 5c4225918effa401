"""A ledger that quarantines a payment at its third delivery as poisonous, and takes its effect back."""

from __future__ import annotations

from hypothesis import strategies as st

from chaoskit import Duplicate, Message, Redeliver, Resend, Zombie
from chaoskit.execution.deliver import Deliver
from chaoskit.strategies import events
from chaoskit.values.event import EventId
from handlers import Truth

EVENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]))
TRUTH: Truth = {Duplicate: (1, 2), Redeliver: (1, 2), Resend: (1, 2), Zombie: (1, 2)}


def test(deliver: Deliver) -> dict[str, int]:
    """The balance of each account."""
    balances: dict[str, int] = {}
    deliveries: dict[EventId, int] = {}

    def handle(message: Message) -> None:
        count = deliveries[message.id] = deliveries.get(message.id, 0) + 1
        if count == 1:
            balances[message.key] = balances.get(message.key, 0) + message.value
        elif count == 3:
            balances[message.key] -= message.value

    deliver(handle)
    return balances
