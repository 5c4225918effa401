"""`BatchSwap`: a batch fails and is sent again behind later ones, by `models/producer.py`."""

from __future__ import annotations

from chaoskit.models.spaces import Arguments, LogSpace, QueueSpace


def arguments(space: LogSpace | QueueSpace, position: int) -> Arguments:
    producer, behind = space.stored.producer, space.stored.batches_behind(position)
    if behind == 0:
        return None
    # In the order of sequences nothing in flight changes places, so that a lost connection would do the same.
    return range(min(behind, producer.max_in_flight - 1)), range(2 if producer.newest_first else 1)
