"""A journal takes the entries of a key in their order, and raises for each until it is its turn: `3! 2! 1 2 3`.

What waits for what is as deep as the stream is long, so that one second chance for each message is not enough.
"""

from __future__ import annotations

from hypothesis import strategies as st

from chaoskit import Message
from chaoskit.execution.deliver import Deliver
from chaoskit.strategies import events
from handlers import Truth

EVENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]))
TRUTH: Truth = {}


def test(deliver: Deliver) -> dict[str, list[int]]:
    """The entries of each key."""
    entries: dict[str, list[int]] = {}

    def handle(message: Message) -> None:
        written = entries.get(message.key, [])
        if message.seq > len(written) + 1:
            raise LookupError(f"entry {len(written) + 1} of {message.key} has not come yet")
        if message.seq == len(written) + 1:
            entries[message.key] = [*written, message.value]

    deliver(handle)
    return entries
