"""How a consumer group reads: who owns what, when it commits, and what becomes of a record whose handler raises."""

from __future__ import annotations

from typing import Literal

import attrs


@attrs.frozen
class Reading:
    """How the group reads: partition p belongs to consumer p % `consumers`.

    `commit_every`: after each k-th record of a process; None: after every record, unless a redelivery is pending.
    `on_error`, `max_attempts`: what happens to a record whose handler raises. `blocks`: its partition waits for it
    ever after; else it is set aside after `max_attempts`, and put back when nothing else is left. `resets`: records
    are lost because a lost commit starts at the end of the log, and not because they are committed too early.
    `new_from`: partitions from this number on are new, and the first records of such a one can be lost, as the group
    learns of it late and begins at its end. None: no records are lost so.
    `only_forward`: where the handler commits, a position that is behind the committed one is not taken.
    """

    consumers: int
    commit_every: int | None
    on_error: Literal["retry", "stop", "skip", "retry_topic"]
    max_attempts: int
    blocks: bool = False
    resets: bool = False
    new_from: int | None = None
    only_forward: bool = False

    @property
    def drops_failed(self) -> bool:
        """What failed is lost: the consumer goes on without it."""
        return self.on_error == "skip"

    @property
    def passes_failed(self) -> bool:
        """Whether others may go before a record whose attempt failed that were behind it in its own order."""
        return self.on_error == "retry_topic"
