"""What outside a handler comes to the same as a fault inside it, where anything does."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from chaoskit.values.faults import Crash, Fail, Fault, FaultKind, Redeliver

MOST_POINTS = 12
"""Points of a death that are tried in the place of a call that fails."""


def outside_of(fault: Fault, kinds: Collection[FaultKind]) -> Iterator[Fault]:
    """What is tried in its place, the mildest first: a process that dies when the message is done, or an attempt that
    fails before anything. A death inside is tried for a call that fails: where it does the same, what the handler does
    with an error has no part in it."""
    if isinstance(fault, Crash) and Redeliver in kinds:
        yield Redeliver(fault.at, fault.after)
    if isinstance(fault, Fail) and fault.point:
        yield Fail(fault.at, fault.after)
        if Redeliver in kinds:
            yield Redeliver(fault.at)
        if Crash in kinds:
            yield from (Crash(fault.at, point) for point in range(MOST_POINTS))
