"""A call with several messages that stops in the middle, while its consumer loses all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from chaoskit.models.log.state import GroupState
from chaoskit.models.queue.waiting import ZombieRun
from chaoskit.values.faults import Fault, Overlap
from chaoskit.values.scenario import Steps
from chaoskit.values.schedule import Raw


@attrs.define(eq=False)
class StoppedCall:
    """The call that `fault` stops. `play` is at `step`, where under these `faults` its messages were taken over; `late`
    is what its consumer still runs in it, and `begun` are the steps in which the call began, until it goes on."""

    fault: Overlap
    members: Sequence[Raw]
    late: list[Raw]
    faults: list[Fault]
    play: Steps
    step: Raw
    begun: list[Raw] = attrs.field(factory=list)


def runs_late(run: Any) -> list[Raw]:
    """What the consumer that was taken for dead last still runs."""
    zombies = run.zombies if isinstance(run, GroupState) else run.waiting.of(ZombieRun)
    return [turn[3] for zombie in zombies[-1:] for turn in zombie.turns]
