"""`Resend`: an event is sent twice, by `models/producer.py`."""

from __future__ import annotations

from chaoskit.models.spaces import Arguments, LogSpace, QueueSpace


def arguments(space: LogSpace | QueueSpace, position: int) -> Arguments:
    producer = space.stored.producer
    copies = min(space.stored.batches_behind(position) + 1, producer.max_in_flight)
    return (range(copies if producer.retries_copy else space.size - position),)
