"""A log whose handler commits by itself."""

from __future__ import annotations

from itertools import chain

from chaoskit.models.events import CommittedByHand
from chaoskit.models.log.state import GroupState
from chaoskit.models.turns import put_back, record_of
from chaoskit.values.schedule import Raw
from chaoskit.values.settling import Settling


def _comes_again(group: GroupState, step: Raw, settled: Raw) -> None:
    """The loop has gone back to this record; or, where it is that in hand, its process has ended, and another one reads
    from the commit on."""
    if settled == step:
        group.exited = True
        return
    there = {record_of(turn) for turn in chain(group.todo, *group.aside.values())}
    found = next((turn for turn in reversed(group.history) if turn[3] == settled), None)
    if found is not None and record_of(found) not in there:
        put_back(group.todo, [found])


def settle(group: GroupState, step: Raw, answer: Settling, *, loses: bool = False) -> None:
    """What the handler committed in this delivery. It does not arrive from an owner that was taken for dead, and where
    a redelivery of the consumer is pending, or the record comes again now (`loses`): that is a commit that was lost.
    What is to be read again was run by a process that is dead, which commits nothing."""
    if answer.gone:
        # Of a retry topic is told what was published there, too, as both set it aside.
        group.passed_over = answer.gone == "settled"
        return
    if group.committed is None:
        # Whoever set a record aside before anything was run has committed that.
        group.committed = {turn[1]: turn[2] + 1 for _, turn in sorted(group.parks)}
        group.parks = ()
    lost = {pending.consumer for pending in group.pending}
    if loses:
        lost.add(step[1])
    for verb, settled in answer.settled:
        if verb == "nack":
            _comes_again(group, step, settled)
        _, consumer, _, lane, offset = settled[:5]
        if verb != "commit" or consumer in lost or group.owner(lane) != consumer:
            continue
        if any(turn[1] == lane and turn[2] == offset for turn in chain(group.todo, group.aside.get(lane, ()))):
            continue
        if not group.reading.takes(group.committed.get(lane, 0), offset):
            continue
        group.committed[lane] = offset + 1
        if group.told is not None:
            stopped = group.stopped.get(consumer)
            waits = stopped is not None and (stopped.said or record_of(stopped.turn) == (lane, offset))
            (stopped.said if stopped is not None and waits else group.told).append(CommittedByHand(settled))
