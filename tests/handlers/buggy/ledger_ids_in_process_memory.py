"""A ledger with a durable balance, whose set of seen ids dies with the process."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from chaoskit import Message, Redeliver, Zombie
from chaoskit.execution.deliver import Deliver
from chaoskit.strategies import events
from chaoskit.values.event import EventId
from handlers import Truth

EVENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]))
TRUTH: Truth = {Redeliver: (1, 1), Zombie: (1, 1)}


def test(deliver: Deliver) -> dict[str, int]:
    """The balance of each account."""
    balances: dict[str, int] = {}

    def make_handler() -> Callable[[Message], None]:
        seen: set[EventId] = set()

        def handle(message: Message) -> None:
            if message.id in seen:
                return
            seen.add(message.id)
            balances[message.key] = balances.get(message.key, 0) + message.value

        return handle

    deliver(spawn=make_handler)
    return balances
