"""The listener of a topic and that of its retry topic: one goes on while the other is in the middle of a record."""

from __future__ import annotations

from itertools import chain

from chaoskit.models.log.state import GroupState
from chaoskit.models.turns import Turn, consumer_of, handed_to, put_back, retries_of
from chaoskit.values.schedule import Raw

RETRIED = -1
"""In the place of a partition: the retry topic."""


def are_beside(group: GroupState, turn: Turn) -> bool:
    """Whether the other listener has something of the key of this record, and nobody is in the middle of a record yet,
    nor holds a partition of this one."""
    if not group.reading.passes_failed or group.stopped:
        return False
    step = turn[3]
    if retries_of(step):
        return any(not retries_of(other[3]) and _share_a_key(group, other[3], step) for other in group.todo)
    if any(group.owner(lane) == consumer_of(turn) for lane in group.held):
        return False
    retried = [other[3] for other in group.todo if retries_of(other[3])]
    return any(_share_a_key(group, other, step) for other in chain(retried, (parked.step for parked in group.parked)))


def _share_a_key(group: GroupState, one: Raw, other: Raw) -> bool:
    key = group.events[one[2]].key
    return key is not None and key == group.events[other[2]].key


def are_apart(group: GroupState, turn: Turn) -> Turn:
    """From here on they are two consumers. This record for the one that has it."""
    if group.retry_listener < 0:
        group.retry_listener = group.new_consumer()
    group.apart = True
    return handed_to(group.retry_listener, turn) if retries_of(turn[3]) else turn


def are_one_again(group: GroupState) -> None:
    """The one that had stopped has gone on."""
    group.apart = False
    # What has waited for that.
    waiting = group.aside.pop(RETRIED, None)
    if waiting:
        put_back(group.todo, waiting)


def held_at(group: GroupState, turn: Turn) -> int | None:
    """What this record waits for, while the listeners are apart: its partition, or the retry topic; None where it is
    read. At what goes wrong in the retry topic the one that has stopped goes on first."""
    if not retries_of(turn[3]):
        return turn[1] if turn[1] in group.held else None
    return RETRIED if RETRIED in group.held or group.anchored.get(turn[3][2]) else None
