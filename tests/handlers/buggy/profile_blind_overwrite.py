"""A profile that the last message to arrive overwrites, be it older or not."""

from __future__ import annotations

from hypothesis import strategies as st

from chaoskit import BatchSwap, DeadLetter, Message, Rehash, Resend, Zombie
from chaoskit.execution.deliver import Deliver
from chaoskit.strategies import events
from handlers import Truth

CITIES = ["Aachen", "Bern", "Cork"]
EVENTS = events(st.sampled_from(CITIES), keys=st.sampled_from(["alice", "bob"]))
TRUTH: Truth = {DeadLetter: (2, 1), Rehash: (2, 1), BatchSwap: (2, 1), Resend: (2, 1), Zombie: (2, 1)}


def test(deliver: Deliver) -> dict[str, str]:
    """The city of each profile."""
    profiles: dict[str, str] = {}

    def handle(message: Message) -> None:
        profiles[message.key] = message.value

    deliver(handle)
    return profiles
