"""`Gather`: a call of a handler that takes batches gets more than one message. It is no fault, but as much the
broker's choice: what joins the deliveries of a run is in `models/gathering.py`."""

from __future__ import annotations

from chaoskit.models.spaces import Arguments, LogSpace, QueueSpace


def log_arguments(space: LogSpace, position: int) -> Arguments:
    return _arguments(space.most_together, space.size - position)


def queue_arguments(space: QueueSpace, position: int) -> Arguments:
    return _arguments(space.most_together, space.size - position)


def _arguments(most: int, left: int) -> Arguments:
    # With copies more can come than are left in the stream, which other arguments of this kind reach.
    return None if most < 2 or left < 2 else (range(min(most, left) - 1),)
