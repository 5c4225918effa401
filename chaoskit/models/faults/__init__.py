"""What each kind of fault does, to a log and to a queue: one file a kind."""

from __future__ import annotations

from chaoskit.models.producer import Hold
from chaoskit.values.faults import DeadLetter, Duplicate, Fail, Fault, Lose, Overtake, Redeliver, Zombie

_FIRING = (Overtake, Lose, DeadLetter, Zombie, Fail, Duplicate, Redeliver)
"""What goes wrong with one message, in the order in which it happens: what keeps it from being shown, then attempts
that fail, then copies, then that it comes back."""
_ORDER_OF_KINDS: dict[type, int] = {kind: place for place, kind in enumerate(_FIRING)}


def firing_order(fault: Hold | Fault) -> tuple[int, Hold | Fault]:
    """A key that sorts what is anchored at one event, and of one kind by its parameters."""
    return _ORDER_OF_KINDS[type(fault)], fault
