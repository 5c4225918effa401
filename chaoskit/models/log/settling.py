"""A log whose handler commits by itself."""

from __future__ import annotations

from chaoskit.models.events import CommittedByHand
from chaoskit.models.log.state import GroupState
from chaoskit.values.schedule import Raw
from chaoskit.values.settling import Settling


def settle(group: GroupState, step: Raw, answer: Settling, *, loses: bool = False) -> None:
    """What the handler committed in this delivery. It does not arrive from an owner that was taken for dead, and where
    a redelivery of the consumer is pending, or begins now (`loses`): that is a commit that was lost with it."""
    if group.committed is None:
        group.committed = {}
    lost = {pending.consumer for pending in group.pending}
    if loses:
        lost.add(step[1])
    for verb, settled in answer.settled:
        _, consumer, _, lane, offset = settled[:5]
        if verb != "commit" or consumer in lost or group.owner(lane) != consumer:
            continue
        # Whatever it is: nothing keeps a position from moving back.
        group.committed[lane] = offset + 1
        group.parks = [park for park in group.parks if park[1][1] != lane or park[1][2] > offset]
        if group.told is not None:
            group.told.append(CommittedByHand(settled))
