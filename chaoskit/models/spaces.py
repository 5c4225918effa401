"""What a search may choose from: how large the arguments of a fault can be at one event of one stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from chaoskit.models.log.policy import Reading
from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.models.stored import Stored

Arguments = tuple[Sequence[int], ...] | None
"""What each argument of a fault can be, the mildest first; None where the fault cannot act at this event."""


@attrs.frozen(eq=False)
class LogSpace:
    """A stream in a log. `longest_replay` bounds what a search draws, not what the model can do. `most_together`:
    messages that one call may have."""

    stored: Stored
    reading: Reading
    longest_replay: int
    most_together: int = 1

    @property
    def size(self) -> int:
        return len(self.stored.stream)

    def in_lane(self, position: int) -> int:
        """How many events are in the partition of this one."""
        return len(self.stored.lane(position))


@attrs.frozen(eq=False)
class QueueSpace:
    """A stream in a queue. `longest`: the most deliveries after which a message comes back; `can_lose`: whether the
    settings can lose the event at this position; `lanes`: what is handled in order with each event; `most_together`:
    messages that one call may have."""

    stored: Stored
    policy: LeasePolicy
    longest: int
    can_lose: Callable[[int], bool]
    lanes: dict[int, list[int]]
    most_together: int = 1

    @property
    def size(self) -> int:
        return len(self.stored.stream)

    def in_lane(self, position: int) -> int:
        return len(self.lanes[position])
