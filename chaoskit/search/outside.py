"""What outside a handler comes to the same as a fault inside it, where anything does."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from chaoskit.values.faults import Crash, Fail, Fault, FaultKind, Overlap, Overtake, Redeliver, Zombie

MOST_POINTS = 12
"""Points of a death that are tried in the place of a call that fails."""
NEAR = 8
"""Points of a death that are tried in the place of an execution that stops: from where it does."""


def outside_of(fault: Fault, kinds: Collection[FaultKind]) -> Iterator[Fault]:
    """What is tried in its place, the mildest first: a process that dies when the message is done, or an attempt that
    fails before anything. A death inside is tried for a call that fails: where it does the same, what the handler does
    with an error has no part in it; and for an execution that stops: no two have to be at work at once there."""
    return (other for other in _outside_of(fault) if type(other) in kinds)


def _outside_of(fault: Fault) -> Iterator[Fault]:
    match fault:
        case Crash():
            yield Redeliver(fault.at, fault.after)
        case Fail() if fault.point:
            yield Fail(fault.at, fault.after)
            yield Redeliver(fault.at)
            yield from (Crash(fault.at, point) for point in range(MOST_POINTS))
        case Overlap():
            if fault.others:
                yield Overtake(fault.at, fault.by)
            else:
                yield Zombie(fault.at, 0, fault.by)
                yield Redeliver(fault.at, fault.by)
            yield from (Crash(fault.at, point) for point in range(fault.point, fault.point + NEAR))
