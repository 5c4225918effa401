"""A ledger that skips an offset not above the highest applied in that partition.

A dead letter that is put back has a new offset: a replay that shows the old one as well makes it count twice. So does
whatever a producer sends again.
"""

from __future__ import annotations

from hypothesis import strategies as st

from chaoskit import DeadLetter, Message, Redeliver, Resend, Zombie
from chaoskit.execution.deliver import Deliver
from chaoskit.strategies import events
from handlers import Truth

EVENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]))
TRUTH: Truth = {Resend: (1, 1), (Redeliver, DeadLetter): (2, 2), (Zombie, DeadLetter): (2, 2)}


def test(deliver: Deliver) -> dict[str, int]:
    """The balance of each account."""
    balances: dict[str, int] = {}
    applied: dict[int | None, int] = {}

    def handle(message: Message) -> None:
        assert message.offset is not None
        if message.offset <= applied.get(message.partition, -1):
            return
        applied[message.partition] = message.offset
        balances[message.key] = balances.get(message.key, 0) + message.value

    deliver(handle)
    return balances
