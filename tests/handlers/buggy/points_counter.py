"""A points counter that remembers nothing: whatever comes twice counts twice."""

from __future__ import annotations

from hypothesis import strategies as st

from chaoskit import Duplicate, Message, Redeliver, Resend, Zombie
from chaoskit.execution.deliver import Deliver
from chaoskit.strategies import events
from handlers import Truth

EVENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]))
TRUTH: Truth = {Duplicate: (1, 1), Redeliver: (1, 1), Resend: (1, 1), Zombie: (1, 1)}


def test(deliver: Deliver) -> dict[str, int]:
    """The points of each member."""
    points: dict[str, int] = {}

    def handle(message: Message) -> None:
        points[message.key] = points.get(message.key, 0) + message.value

    deliver(handle)
    return points
