"""The time at each step of a run. It is read from what happens there, and only when somebody asks.

The producer sends one event a second, whatever happens to the consumers: a wait makes that later events come late.
What the timers of a broker ask for is waited for, wherever it is. What people do, who put a dead letter back or set a
position back, takes its days where all else is handled; else it was done within the second of the last event.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from chaoskit.models.events import (
    CameBack,
    HandedBack,
    HandedOver,
    Happened,
    LeftOpen,
    ModelRun,
    SetBack,
    StepMade,
    TakenForDead,
)
from chaoskit.models.turns import Record
from chaoskit.values.schedule import PARK, PUT_BACK, RESTART, TAKE_OVER, Do, Raw, what_of
from chaoskit.values.timing import STEP, Timing

_RUNS = (Do.DELIVER, Do.FAIL, Do.DIE)
_LEAVES = (Do.PARK, Do.SKIP, Do.LOSE, Do.REFUSE)


class Times:
    """When each step begins, in seconds since 1970. `run` is the model's run of these steps, which tells what happens
    between them; None for an order that no model makes. `last` is the position of the last event of the stream, and
    `attempts` are those after which a message is given up."""

    def __init__(self, run: ModelRun | None, timing: Timing, epoch: float, last: int, attempts: int) -> None:
        self._walk = _Walk(timing, epoch, last, attempts)
        self._begun: list[float] = []
        self._told: list[Happened] = []
        self._heard = 0
        self._play = None
        if run is not None:
            run.told = self._told
            self._play = run.run()

    def at(self, number: int, steps: Sequence[Raw], refused: Container[int]) -> float:
        """When the step of this number, from 0, begins; the beginning of all for -1. `refused` has the numbers of the
        earlier steps that were refused."""
        while len(self._begun) <= number:
            self._go_on(len(self._begun), steps, refused)
        return self._begun[number] if number >= 0 else self._walk.now

    def put_back(self, step: Raw, number: int, steps: Sequence[Raw], refused: Container[int]) -> float:
        """When the message was sent anew that is delivered in this step of this number."""
        self.at(number, steps, refused)
        return self._walk.sent(step)

    def _go_on(self, number: int, steps: Sequence[Raw], refused: Container[int]) -> None:
        before = StepMade(steps[number - 1], None, number - 1 in refused) if number else None
        if self._play is None:
            if before is not None:
                self._walk.hear(before)
        else:
            try:
                made = self._play.send(None if before is None else before.refused or None)
            except StopIteration:
                made = ()
            for event in self._told[self._heard :]:
                self._walk.hear(event)
            self._heard = len(self._told)
            # A saved file may be of another version, whose steps are good all the same: from here on they speak alone.
            if tuple(made) != tuple(steps[number]):
                self._play = None
        self._begun.append(self._walk.begins(steps[number]))


class _Walk:
    """The time so far, and what waits for one that is to come."""

    def __init__(self, timing: Timing, epoch: float, last: int, attempts: int) -> None:
        self._timing, self._epoch, self._last, self._attempts = timing, epoch, last, attempts
        self.now = epoch
        self._done: set[int] = set()
        """The events that were handled, or have left."""
        self._open: set[Record] = set()
        """What is about to come: it is not settled, came back, or was put back."""
        self._out: dict[Record, float] = {}
        """When a message was handed out."""
        self._failed: dict[Record, int] = {}
        """How often its attempts failed, one after the other."""
        self._due: dict[Record, float] = {}
        """When what was refused may be tried again."""
        self._aside: dict[int, float] = {}
        """When a message of this event was set aside."""
        self._sent: dict[Record, float] = {}
        """When it was put back."""

    def _wait_until(self, time: float) -> None:
        self.now = max(self.now, time)

    def sent(self, step: Raw) -> float:
        """The time that the message of this step has in it at the latest."""
        if len(step) < 7:
            return self._epoch + step[2]
        if (put_back := self._sent.get((step[3], step[4]))) is not None:
            return put_back
        sent, window = self._epoch + step[6] + 0.5, self._timing.window
        # What its producer sent again while the broker would have dropped it was sent later.
        if step[8] < 0 and window and step[6] == self._last:
            return max(sent, self._epoch + step[2] + window + 1)
        return sent

    def begins(self, step: Raw) -> float:
        """The time at which this step begins."""
        do = what_of(step)
        if do in _RUNS:
            record = step[3], step[4]
            self._wait_until(self.sent(step) + STEP)
            self._wait_until(self._due.pop(record, self.now))
            if len(step) > 6 and step[8] < 0 and self._timing.window:
                self._wait_until(self._epoch + step[2] + self._timing.window + 1)
        elif do == RESTART:
            self.now += self._timing.restart
        elif do == TAKE_OVER:
            self.now += self._timing.silence
        elif do == PUT_BACK:
            self._comes_back(step)
        return self.now

    def _comes_back(self, step: Raw) -> None:
        position, after, retries = step[2], step[6], step[7]
        self._wait_until(self._epoch + after + 0.5)
        aside = self._aside.get(position, self.now)
        if retries:
            self._wait_until(aside + (self._timing.retry(retries) or 0.0))
        elif self._is_quiet and step[8] >= 0:  # not what a relay publishes again
            self._wait_until(aside + self._timing.by_hand)
        # Else the log would be out of the order of its timestamps: the next event was sent within this second.
        self._open.add((step[3], step[4]))
        if after == self._last:
            self._sent[step[3], step[4]] = self.now

    @property
    def _is_quiet(self) -> bool:
        """All is handled that was sent, or was set aside, and nothing is about to come back by itself."""
        return len(self._done) > self._last and not self._open

    def hear(self, event: Happened) -> None:
        """This has happened at the present time, or makes it later."""
        record = event.record
        match event:
            case StepMade():
                self._made(event)
            case HandedOver() | TakenForDead():
                self._out[record] = max(self.now, self.sent(event.step) + STEP)
            case LeftOpen():
                self._open.add(record)
            case CameBack() | HandedBack():
                self._open.add(record)
                if record not in self._failed:
                    self._wait_until(self._out.get(record, self.now) + self._timing.lease)
            case SetBack() if self._is_quiet:
                self.now += self._timing.by_hand

    def _made(self, made: StepMade) -> None:
        record = made.record
        if made.do in _LEAVES or (made.runs and not made.failed):
            self._done.add(made.position)
            self._open.discard(record)
        if made.runs:
            if not made.late:
                self._out[record] = self.now
            self.now += self._timing.attempt if made.failed else STEP
            self._tried(record, made.failed)
        elif made.do == PARK:
            self._aside[made.position] = self.now

    def _tried(self, record: Record, failed: bool) -> None:
        if not failed:
            self._failed.pop(record, None)
            return
        times = self._failed[record] = self._failed.get(record, 0) + 1
        wait = self._timing.retry(times)
        if times % self._attempts == 0:
            wait = self._timing.last_try
        if wait is None:
            self._due[record] = self._out.get(record, self.now) + self._timing.lease
        else:
            self._due[record] = self.now + wait
