"""What the examples have in common: a stream of payments, and how their producer marks them."""

from __future__ import annotations

from hypothesis import strategies as st

from chaoskit import Message
from chaoskit.strategies import events

payments = events(st.fixed_dictionaries({"amount": st.integers(1, 100)}), keys=st.sampled_from(["alice", "bob"]))


def event_id(message: Message) -> dict[str, str]:
    """The header by which a consumer knows a payment again."""
    return {"event-id": str(message.id)}
