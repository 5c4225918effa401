"""A replica of a table: a delete leaves a tombstone with its version, so that an older write stays dead."""

from __future__ import annotations

from hypothesis import strategies as st

from chaoskit import Message
from chaoskit.execution.deliver import Deliver
from chaoskit.strategies import events
from handlers import Truth

ROWS = st.none() | st.sampled_from(["draft", "paid", "sent"])
EVENTS = events(ROWS, keys=st.sampled_from(["invoice-1", "invoice-2"]))
TRUTH: Truth = {}


def test(deliver: Deliver) -> dict[str, str]:
    """The rows that are not deleted."""
    replica: dict[str, tuple[int, str | None]] = {}

    def handle(message: Message) -> None:
        version, _ = replica.get(message.key, (0, None))
        if message.seq > version:
            replica[message.key] = (message.seq, message.value)

    deliver(handle)
    return {key: row for key, (_, row) in replica.items() if row is not None}
