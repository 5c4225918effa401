"""A call with several messages that stops in the middle, while its consumer loses all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from chaoskit.models.log.state import GroupState
from chaoskit.models.pacing import Gathered, Paced, sent
from chaoskit.models.queue.waiting import ZombieRun
from chaoskit.values.faults import Fault, Overlap
from chaoskit.values.scenario import Steps
from chaoskit.values.schedule import TAKE_OVER, Raw, what_of


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


def stopped_call(
    model: Gathered,
    so_far: tuple[dict[int, int], Sequence[bool]],
    members: list[Raw],
    fault: Overlap,
    faults: list[Fault],
    holds: int,
) -> StoppedCall | None:
    """The call of these messages, in a run under `faults`, the last of which takes them over; None where its consumer
    would not lose the first of them and `holds` more. `so_far` are the windows and the answers of the run."""
    windows, answers = so_far
    run = Paced(model, faults, windows)
    play = run.run()
    step = sent(play, None)
    for answer in answers:
        step = sent(play, answer)
    late = runs_late(run.inner)
    if step is None or what_of(step) != TAKE_OVER or late != members[: holds + 1]:
        return None
    return StoppedCall(fault, members, late, faults, play, step)
