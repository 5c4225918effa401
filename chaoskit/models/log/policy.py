"""How a consumer group reads: who owns what, when it commits, and what becomes of a record whose handler raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import attrs


def any_position(committed: int, offset: int) -> bool:
    return True


@attrs.frozen
class Reading:
    """How the group reads: partition p belongs to consumer p % `consumers`."""

    consumers: int
    commit_every: int | None
    """After each k-th record of a process; None: after every record, unless a redelivery is pending."""
    on_error: Literal["retry", "stop", "skip", "retry_topic"]
    """What happens to a record whose handler raises."""
    max_attempts: int
    blocks: bool = False
    """Its partition waits for it ever after; else it is set aside after `max_attempts`, and put back when nothing else
    is left."""
    resets: bool = False
    """Records are lost because a lost commit starts at the end of the log, and not because they are committed too
    early."""
    new_from: int | None = None
    """Partitions from this number on are new, and the first records of such a one can be lost, as the group learns of
    it late and begins at its end. None: no records are lost so."""
    ahead: bool = False
    """What is handed over may be committed before it is run, so that a death loses it."""
    takes: Callable[[int, int], bool] = any_position
    """Where the handler commits: whether the group takes that, from the committed position and the handler's."""

    @property
    def drops_failed(self) -> bool:
        """What failed is lost: the consumer goes on without it."""
        return self.on_error == "skip"

    @property
    def passes_failed(self) -> bool:
        """Whether others may go before a record whose attempt failed that were behind it in its own order."""
        return self.on_error == "retry_topic"
