"""What each kind of fault does, to a log and to a queue: one file a kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chaoskit.models.faults import (
    batch_swap,
    crash,
    dead_letter,
    duplicate,
    fail,
    gather,
    lose,
    overlap,
    overtake,
    redeliver,
    rehash,
    resend,
    rewind,
    zombie,
)
from chaoskit.models.log.state import GroupState
from chaoskit.models.producer import Hold
from chaoskit.models.queue.state import LeasedQueue
from chaoskit.models.slow_call import SlowCall
from chaoskit.models.spaces import Arguments, LogSpace, QueueSpace
from chaoskit.models.turns import Caused, Turn
from chaoskit.values.faults import (
    BatchSwap,
    Crash,
    DeadLetter,
    Duplicate,
    Fail,
    Fault,
    FaultKind,
    Gather,
    Lose,
    Overlap,
    Overtake,
    Redeliver,
    Rehash,
    Resend,
    Rewind,
    Zombie,
)

_FIRING = (Overtake, SlowCall, Lose, DeadLetter, Zombie, Fail, Crash, Overlap, Duplicate, Redeliver, Rewind)
"""What goes wrong with one message, in the order in which it happens: what keeps it from being shown, then attempts
that fail, die or stop, then copies, then that it comes back, and that all before it does."""
_ORDER_OF_KINDS: dict[type, int] = {kind: place for place, kind in enumerate(_FIRING)}


BY_PRODUCER = frozenset({Rehash, BatchSwap, Resend})
"""What changes what is stored, before anybody reads it."""


def firing_order(fault: Hold | Fault) -> tuple[int, Hold | Fault]:
    """A key that sorts what is anchored at one event, and of one kind by its parameters."""
    return _ORDER_OF_KINDS[type(fault)], fault


LOG_BEFORE: dict[type, Callable[[GroupState, Turn, Any], Caused]] = {
    Lose: lose.on_log,
    DeadLetter: dead_letter.on_log,
    Zombie: zombie.on_log,
}
"""What happens instead of a delivery. `Overtake` holds its partition before, `Fail`, `Crash` and `Overlap` are
attempts, and `Duplicate` comes again in place."""
LOG_AFTER: dict[type, Callable[[GroupState, Turn, Any], Caused]] = {Redeliver: redeliver.on_log, Rewind: rewind.on_log}
"""What happens after a delivery, when what follows from it has happened."""
QUEUE_BEFORE: dict[type, Callable[[LeasedQueue, Turn, Any], Caused]] = {
    Hold: rehash.on_queue,
    Overtake: overtake.on_queue,
    SlowCall: overtake.call_on_queue,
    Lose: lose.on_queue,
    DeadLetter: dead_letter.on_queue,
    Zombie: zombie.on_queue,
}
QUEUE_AFTER: dict[type, Callable[[LeasedQueue, Turn, Any], Caused]] = {
    Redeliver: redeliver.on_queue,
    Rewind: rewind.on_queue,
}

LOG_ARGUMENTS: dict[FaultKind, Callable[[LogSpace, int], Arguments]] = {
    Rehash: rehash.arguments,
    BatchSwap: batch_swap.arguments,
    Resend: resend.arguments,
    Overtake: overtake.log_arguments,
    Lose: lose.log_arguments,
    DeadLetter: dead_letter.log_arguments,
    Zombie: zombie.log_arguments,
    Fail: fail.log_arguments,
    Duplicate: duplicate.log_arguments,
    Redeliver: redeliver.log_arguments,
    Rewind: rewind.log_arguments,
    Crash: crash.log_arguments,
    Gather: gather.log_arguments,
    Overlap: overlap.log_arguments,
}
QUEUE_ARGUMENTS: dict[FaultKind, Callable[[QueueSpace, int], Arguments]] = {
    Rehash: rehash.arguments,
    BatchSwap: batch_swap.arguments,
    Resend: resend.arguments,
    Overtake: overtake.queue_arguments,
    Lose: lose.queue_arguments,
    DeadLetter: dead_letter.queue_arguments,
    Zombie: zombie.queue_arguments,
    Fail: fail.queue_arguments,
    Duplicate: duplicate.queue_arguments,
    Redeliver: redeliver.queue_arguments,
    Rewind: rewind.queue_arguments,
    Crash: crash.queue_arguments,
    Gather: gather.queue_arguments,
    Overlap: overlap.queue_arguments,
}
