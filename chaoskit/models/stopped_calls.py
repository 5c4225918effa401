"""A call with several messages that stops in the middle: its consumer loses all of them, or is only slow while others
go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from chaoskit.models.log.state import GroupState
from chaoskit.models.pacing import Gathered, Paced, sent
from chaoskit.models.queue.waiting import HeldLane, ZombieRun
from chaoskit.models.slow_call import SlowCall
from chaoskit.values.faults import Fault, Overlap, Zombie
from chaoskit.values.scenario import Steps
from chaoskit.values.schedule import BEGIN, DELIVER, DIE, TAKE_OVER, Raw, what_of


@attrs.define(eq=False)
class StoppedCall:
    """The call that `fault` stops. `play` is at `step`, which under these `faults` comes next while it is stopped;
    `late` is what its consumer still runs in it, and `begun` are the steps in which it began, until it goes on."""

    fault: Overlap
    members: Sequence[Raw]
    late: list[Raw]
    faults: list[Fault]
    play: Steps
    step: Raw
    begun: list[Raw] = attrs.field(factory=list)
    refused: list[bool] = attrs.field(factory=list)
    """What came of the messages that are left of it, when it has gone on."""

    def ends(self, failed: list[bool]) -> list[Raw]:
        """It has gone on, and these of its messages have failed. Who has lost them gives none back."""
        self.refused = failed if self.fault.others else [any(failed)]
        return [step for step, each in zip(self.members, self.refused, strict=False) if each and self.fault.others]


def runs_late(run: Any) -> list[Raw]:
    """What the consumer that was taken for dead last still runs."""
    zombies = run.zombies if isinstance(run, GroupState) else run.waiting.of(ZombieRun)
    return [turn[3] for zombie in zombies[-1:] for turn in zombie.turns]


def runs_slowly(run: Any, fault: Fault) -> list[Raw]:
    """What the consumer holds that this made slow."""
    return [held.turns[0][3] for held in run.waiting.of(HeldLane) if held.fault is fault]


def stopped_below(model: Gathered, members: list[Raw], fault: Overlap) -> Zombie | SlowCall:
    """What stands for it in the run below: as a `Zombie` does that has begun, its consumer runs what it has lost."""
    first, holds = model.ids[members[0][2]], _holds(model, members)
    return SlowCall(first, fault.by, holds) if fault.others else Zombie(first, holds, fault.by)


def _holds(model: Gathered, members: list[Raw]) -> int:
    """On a log its owner loses the partition, whatever it has of it."""
    return len(members) - 1 if model.counts else 0


def stopped_call(
    model: Gathered,
    so_far: tuple[dict[int, int], Sequence[bool]],
    members: list[Raw],
    fault: Overlap,
    faults: list[Fault],
) -> StoppedCall | None:
    """The call of these messages, in a run under `faults`, the last of which takes them over, or makes their consumer
    slow; None where it would not have them all, or where no other goes on. `so_far` are the windows and the answers of
    the run."""
    holds = _holds(model, members)
    windows, answers = so_far
    run = Paced(model, faults, windows)
    play = run.run()
    step = sent(play, None)
    for answer in answers:
        step = sent(play, answer)
    slow = isinstance(faults[-1], SlowCall)
    late = runs_slowly(run.inner, faults[-1]) if slow else runs_late(run.inner)
    if step is None or late != members[: holds + 1] or not (_is_beside(step, members[0]) if slow else _loses(step)):
        return None
    return StoppedCall(fault, members, late, faults, play, step)


def _loses(step: Raw) -> bool:
    return what_of(step) == TAKE_OVER


def _is_beside(step: Raw, first: Raw) -> bool:
    """Whether this is of another consumer."""
    return what_of(step) in (DELIVER, BEGIN, DIE) and step[1] != first[1]
