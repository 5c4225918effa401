"""How a consumer group reads: who owns what, when it commits, and what becomes of a record whose handler raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import attrs


def any_position(committed: int, offset: int) -> bool:
    return True


@attrs.frozen
class Reading:
    """How the group reads: partition p belongs to consumer p % `consumers`.

    `commit_every`: after each k-th record of a process; None: after every record, unless a redelivery is pending.
    `on_error`, `max_attempts`: what happens to a record whose handler raises. `blocks`: its partition waits for it
    ever after; else it is set aside after `max_attempts`, and put back when nothing else is left. `resets`: records
    are lost because a lost commit starts at the end of the log, and not because they are committed too early.
    `ahead`: what is handed over may be committed before it is run, so that a death loses it.
    `new_from`: partitions from this number on are new, and the first records of such a one can be lost, as the group
    learns of it late and begins at its end. None: no records are lost so.
    `takes`: where the handler commits, from the committed position and its own to whether the group takes that.
    """

    consumers: int
    commit_every: int | None
    on_error: Literal["retry", "stop", "skip", "retry_topic"]
    max_attempts: int
    blocks: bool = False
    resets: bool = False
    new_from: int | None = None
    ahead: bool = False
    takes: Callable[[int, int], bool] = any_position

    @property
    def drops_failed(self) -> bool:
        """What failed is lost: the consumer goes on without it."""
        return self.on_error == "skip"

    @property
    def passes_failed(self) -> bool:
        """Whether others may go before a record whose attempt failed that were behind it in its own order."""
        return self.on_error == "retry_topic"
