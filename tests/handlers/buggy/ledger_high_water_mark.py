"""A ledger that drops any `seq` not above the highest seen, and with it what only comes late."""

from __future__ import annotations

from hypothesis import strategies as st

from chaoskit import BatchSwap, DeadLetter, Message, Rehash
from chaoskit.execution.deliver import Deliver
from chaoskit.strategies import events
from handlers import Truth

EVENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]))
TRUTH: Truth = {DeadLetter: (2, 1), Rehash: (2, 1), BatchSwap: (2, 1)}


def test(deliver: Deliver) -> dict[str, int]:
    """The balance of each account."""
    balances: dict[str, int] = {}
    highest: dict[str, int] = {}

    def handle(message: Message) -> None:
        if message.seq <= highest.get(message.key, 0):
            return
        highest[message.key] = message.seq
        balances[message.key] = balances.get(message.key, 0) + message.value

    deliver(handle)
    return balances
