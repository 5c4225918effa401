"""What the stand-ins for clients have in common."""

from __future__ import annotations

from typing import Any

from chaoskit.adapters.serializing import raw_value
from chaoskit.execution.consumer import Source
from chaoskit.values.event import Message


class StandIn:
    """A consumer object in the place of a client's own. What it does not know is refused, by name."""

    _stands_for = "a client"

    def __init__(self, source: Source) -> None:
        self._source = source

    def __getattr__(self, name: str) -> Any:
        # Python and its libraries ask for names of this kind, and take no for an answer.
        if name.startswith("_"):
            raise AttributeError(name)
        self._source.misused(f"the stand-in for {self._stands_for} has no {name}: {self._why_not(name)}")

    def _why_not(self, name: str) -> str:
        return (
            "what it has is what a consumer does with messages. Take this call out of the loop, such as into the "
            "function that makes the client"
        )

    def _bytes(self, message: Message) -> bytes:
        return raw_value(message.value, self._source.serializer)
