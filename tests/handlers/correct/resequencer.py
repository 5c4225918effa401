"""A resequencer stores what comes early until the gap in `seq` closes, and appends in the order of `seq`."""

from __future__ import annotations

from hypothesis import strategies as st

from chaoskit import Message
from chaoskit.execution.deliver import Deliver
from chaoskit.strategies import events
from handlers import Truth

EVENTS = events(st.sampled_from("abcde"), keys=st.sampled_from(["chapter-1", "chapter-2"]))
TRUTH: Truth = {}


def test(deliver: Deliver) -> dict[str, str]:
    """The text of each chapter."""
    texts: dict[str, str] = {}
    following: dict[str, int] = {}
    held: dict[tuple[str, int], str] = {}

    def handle(message: Message) -> None:
        key = message.key
        due = following.setdefault(key, 1)
        if message.seq < due:
            return
        held[key, message.seq] = message.value
        while (key, due) in held:
            texts[key] = texts.get(key, "") + held.pop((key, due))
            due += 1
        following[key] = due

    deliver(handle)
    return texts
