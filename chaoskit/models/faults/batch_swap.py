"""`BatchSwap`: a batch fails and is sent again behind later ones, by `models/producer.py`."""

from __future__ import annotations

from chaoskit.models.spaces import Arguments, LogSpace, QueueSpace


def arguments(space: LogSpace | QueueSpace, position: int) -> Arguments:
    producer, behind = space.stored.producer, space.stored.batches_behind(position)
    if behind == 0:
        return None
    # Where sequences give the order, all that a lost connection returns keeps its own: nothing would be swapped.
    return range(min(behind, producer.max_in_flight - 1)), range(2 if producer.newest_first else 1)
