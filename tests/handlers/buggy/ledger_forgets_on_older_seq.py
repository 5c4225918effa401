"""A ledger that starts its set of seen ids anew when a payment arrives that is older than its successors."""

from __future__ import annotations

from hypothesis import strategies as st

from chaoskit import BatchSwap, DeadLetter, Message, Redeliver, Rehash, Resend, Zombie
from chaoskit.execution.deliver import Deliver
from chaoskit.strategies import events
from chaoskit.values.event import EventId
from handlers import Truth

EVENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]))
TRUTH: Truth = {
    (Redeliver, DeadLetter): (2, 2),
    (Redeliver, Rehash): (2, 2),
    (Redeliver, BatchSwap): (2, 2),
    (Zombie, DeadLetter): (2, 2),
    (Zombie, Rehash): (2, 2),
    (Zombie, BatchSwap): (2, 2),
    # (Resend, DeadLetter) do, at two events with three faults or at three events with two: no search shrinks one to the
    # other.
    (Resend, Rehash): (2, 2),
    (Resend, BatchSwap): (2, 2),
}


def test(deliver: Deliver) -> dict[str, int]:
    """The balance of each account."""
    balances: dict[str, int] = {}
    seen: dict[str, set[EventId]] = {}
    highest: dict[str, int] = {}

    def handle(message: Message) -> None:
        known = seen.setdefault(message.key, set())
        if message.id in known:
            return
        if message.seq < highest.get(message.key, 0):
            known.clear()
        known.add(message.id)
        highest[message.key] = max(message.seq, highest.get(message.key, 0))
        balances[message.key] = balances.get(message.key, 0) + message.value

    deliver(handle)
    return balances
