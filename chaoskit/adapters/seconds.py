"""Times that are given in whole seconds: what happens at once has one time, and its order is not to be seen from it."""

from __future__ import annotations

from chaoskit.values.event import Message

SHARED = 3
"""So many neighbouring events of a stream, which come one a second, are given the same second."""


def second_of(message: Message) -> int:
    """When this was sent, in whole seconds since the epoch, and never later than `message.timestamp`. The first two
    events of a stream share one, and then each three, as a rule."""
    # Streams begin with an hour or with EPOCH, and behind neither does a new second begin: two events tie already.
    return (int(message.timestamp) + 1) // SHARED * SHARED - 1
