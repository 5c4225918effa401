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
from chaoskit.values.schedule import (
    BEGIN,
    DELIVER,
    DIE,
    FAIL,
    GO_ON,
    LOSE,
    PARK,
    PUT_BACK,
    REFUSE,
    RESTART,
    SKIP,
    TAKE_OVER,
    Raw,
    what_of,
)
from chaoskit.values.timing import STEP, Timing

_RUNS = frozenset({DELIVER, FAIL, DIE, GO_ON})
_SHOWS = frozenset({DELIVER, FAIL, DIE, BEGIN})
_LEAVES = frozenset({PARK, SKIP, LOSE, REFUSE})


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
        step, walk = steps[number], self._walk
        raised = number > 0 and number - 1 in refused
        if self._play is None:
            if number:
                walk.hear(StepMade(steps[number - 1], None, raised))
        else:
            try:
                # Before its first step a generator accepts nothing but None.
                made = self._play.send(raised or None)
            except StopIteration:
                made = ()
            for event in self._told[self._heard :]:
                walk.hear(event)
            self._heard = len(self._told)
            # A saved file may be of another version, whose steps are good all the same: from here on they speak alone.
            if made != step and tuple(made) != tuple(step):
                self._play = None
        self._begun.append(walk.begins(step))


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
        if time > self.now:
            self.now = time

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
        if do in _SHOWS:
            record = step[3], step[4]
            self._wait_until(self.sent(step) + STEP)
            if self._due:
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
        kind = type(event)
        if isinstance(event, StepMade):
            self._made(event.step, event.refused, event.late)
        elif kind is HandedOver or kind is TakenForDead:
            self._out[event.record] = max(self.now, self.sent(event.step) + STEP)
        elif kind is LeftOpen:
            self._open.add(event.record)
        elif kind is CameBack or kind is HandedBack:
            record = event.record
            self._open.add(record)
            if record not in self._failed:
                self._wait_until(self._out.get(record, self.now) + self._timing.lease)
        elif kind is SetBack and self._is_quiet:
            self.now += self._timing.by_hand

    def _made(self, step: Raw, refused: bool, late: bool) -> None:
        do, record = what_of(step), (step[3], step[4])
        # An execution that has stopped is one when it goes on.
        runs, failed = do in _RUNS or (do == BEGIN and refused), refused or do == FAIL
        if do in _LEAVES or (runs and not failed):
            self._done.add(step[2])
            self._open.discard(record)
        if runs:
            if not late:
                self._out[record] = self.now
            self.now += self._timing.attempt if failed else STEP
            if failed or self._failed:
                self._tried(record, failed)
        elif do == PARK:
            self._aside[step[2]] = self.now

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
