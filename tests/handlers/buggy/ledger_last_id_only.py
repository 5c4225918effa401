"""A ledger that remembers the last id of each key only: a replayed suffix starts with an older one."""

from __future__ import annotations

from hypothesis import strategies as st

from chaoskit import Message, Redeliver, Resend, Zombie
from chaoskit.execution.deliver import Deliver
from chaoskit.strategies import events
from chaoskit.values.event import EventId
from handlers import Truth

EVENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]))
TRUTH: Truth = {Redeliver: (2, 1), Resend: (2, 1), Zombie: (2, 1)}


def test(deliver: Deliver) -> dict[str, int]:
    """The balance of each account."""
    balances: dict[str, int] = {}
    last: dict[str, EventId] = {}

    def handle(message: Message) -> None:
        if last.get(message.key) == message.id:
            return
        last[message.key] = message.id
        balances[message.key] = balances.get(message.key, 0) + message.value

    deliver(handle)
    return balances
