"""A profile is written only when its `seq` is greater than the stored one: late and repeated ones lose."""

from __future__ import annotations

from hypothesis import strategies as st

from chaoskit import Message
from chaoskit.execution.deliver import Deliver
from chaoskit.strategies import events
from handlers import Truth

CITIES = ["Aachen", "Bern", "Cork"]
EVENTS = events(st.sampled_from(CITIES), keys=st.sampled_from(["alice", "bob"]))
TRUTH: Truth = {}


def test(deliver: Deliver) -> dict[str, str]:
    """The city of each profile."""
    profiles: dict[str, tuple[int, str]] = {}

    def handle(message: Message) -> None:
        stored, _ = profiles.get(message.key, (0, ""))
        if message.seq > stored:
            profiles[message.key] = (message.seq, message.value)

    deliver(handle)
    return {key: city for key, (_, city) in profiles.items()}
