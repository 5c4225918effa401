"""What happens in a run, in its order. The causes of its steps and its trace are read from this, and nothing else.

A search makes thousands of runs and listens to none: only where a run has a list to record it in (`told`) are there
events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import attrs

from chaoskit.models.producer import Logs
from chaoskit.models.turns import Record
from chaoskit.values.answers import answers_of
from chaoskit.values.faults import Fault, Overlap, Zombie
from chaoskit.values.scenario import Answer, Steps
from chaoskit.values.schedule import Do, Raw, what_of
from chaoskit.values.settling import Settles


@attrs.frozen
class Happened:
    """Something that happened to the message of this raw step: to the one that its place and its consumer name."""

    step: Raw

    @property
    def consumer(self) -> int:
        return self.step[1]

    @property
    def position(self) -> int:
        """Of its event in the stream."""
        return self.step[2]

    @property
    def record(self) -> Record:
        return self.step[3], self.step[4]

    @property
    def attempt(self) -> int:
        """Of a queue: how often it was handed out by then."""
        return self.step[5]


@attrs.frozen
class StepMade(Happened):
    """The step itself, the fault that made it, if one did, and whether the handler refused what was delivered."""

    fault: Fault | None
    refused: bool

    @property
    def do(self) -> int:
        return what_of(self.step)

    @property
    def runs(self) -> bool:
        """The message was run, whole or up to a death, or an attempt to run it failed. One that has stopped is run when
        it goes on."""
        return self.do in (Do.DELIVER, Do.FAIL, Do.DIE, Do.GO_ON) or (self.do == Do.BEGIN and self.refused)

    @property
    def failed(self) -> bool:
        return self.refused or self.do == Do.FAIL  # of a delivery in which a call failed the handler's answer counts

    @property
    def late(self) -> bool:
        """Run by somebody who has lost the message, and does not know."""
        if self.do == Do.GO_ON:
            return isinstance(self.fault, Overlap) and not self.fault.others
        return self.do == Do.DELIVER and isinstance(self.fault, Zombie)


@attrs.frozen
class Delayed(Happened):
    """Because of this fault it is handed out later, or once more."""

    fault: Fault


@attrs.frozen
class Committed(Happened):
    """A consumer group committed all that this consumer has read, up to this record."""


@attrs.frozen
class CommittedByHand(Happened):
    """The handler committed its partition, up to this record and with it."""


@attrs.frozen
class SettledLater(Happened):
    """The handler settled it in a later delivery."""


@attrs.frozen
class HandedOver(Happened):
    """A consumer has it and does not run it yet; `behind` the first of its batch, where it came in one."""

    behind: Record | None = None


@attrs.frozen
class LeftOpen(Happened):
    """It was run, or its attempt failed, and it is not settled."""


@attrs.frozen
class CameBack(Happened):
    """Its lease ended: it is to be handed out once more."""


@attrs.frozen
class HandedBack(Happened):
    """Its consumer gave it back; `behind` the last that waits, where it goes to the back of its queue."""

    behind: Record | None = None


@attrs.frozen
class SetBack(Happened):
    """From it on all is read again, though it was settled: the position of the group was set to it."""


@attrs.frozen
class TakenForDead(Happened):
    """Its consumer has lost it, and does not know."""


class ModelRun(Protocol):
    """A run of stage 2."""

    logs: Logs
    told: list[Happened] | None

    def run(self) -> Steps: ...


def what_happened(
    run: ModelRun, steps: Sequence[Raw], raised: Sequence[int], settled: Mapping[int, Settles] | None = None
) -> list[Happened]:
    """What this run tells while it makes these steps. `raised` are the numbers of the deliveries that were refused,
    `settled` what each settled where the handler does that itself."""
    run.told = told = list[Happened]()
    play = run.run()
    # Before its first step a generator accepts nothing but None.
    answer: Answer = None
    for expected, next_answer in zip(steps, answers_of(steps, raised, settled), strict=True):
        assert play.send(answer) == tuple(expected), "the model made another step"
        answer = next_answer
    # What follows from the last step is recorded only when the run goes on.
    with suppress(StopIteration):
        play.send(answer)
    return told
