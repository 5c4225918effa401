"""What was tried around a handler that fails, and what came of it."""

from __future__ import annotations

from typing import Literal

import attrs

from chaoskit.values.scenario import Scenario

MoveName = Literal[
    "ids", "version", "resequence", "one key", "transaction", "unique key", "lock", "outbox", "fence"
]  # fmt: skip
"""`ids`: remember the ids of messages and skip those that are known. `version`: drop what is older than what is there.
`resequence`: hold a message back until those before it have come. `one key`: total order, one key for all messages."""


@attrs.frozen
class Repair:
    """A move that was put around the handler, and what a search found then.

    `status` is "held", "violated" or "unknown" (`reasons`); `schedules` is how many distinct ones were run with the
    move in place. `repairs_this`: the minimal scenario of the failure passes with it. `breaks` are the names of the
    kinds of fault that still break the handler, and `scenario` is the least delivery that does; None where nothing
    does. `distance`: the most deliveries that lay between two copies of one message; 0 where none came twice. `needs`
    says what the move takes, `code` shows it in a few lines for this kind of handler.
    """

    move: MoveName
    status: Literal["held", "violated", "unknown"]
    breaks: tuple[str, ...] = ()
    scenario: Scenario | None = None
    repairs_this: bool = False
    schedules: int = 0
    distance: int = 0
    needs: str = ""
    code: str = ""
    reasons: tuple[str, ...] = ()
