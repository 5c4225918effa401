"""What a handler may ask of the run that it is in: what the producer has sent by now, and what time it is."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

import attrs

from chaoskit.execution.late import stamp_later
from chaoskit.execution.processes import Processes
from chaoskit.execution.script import Mailbox, Script
from chaoskit.execution.source import sent_by
from chaoskit.execution.threads import ThreadedProcesses
from chaoskit.values.event import Event, Message
from chaoskit.values.scenario import Clock
from chaoskit.values.schedule import Raw


class Asked:
    """The part of `deliver` that answers. Everything is derived from the steps, and only where somebody asks."""

    _script: Script
    _steps: Sequence[Raw]
    _refusals: Sequence[int]
    _called: bool
    _done: bool
    _processes: Processes | ThreadedProcesses | None
    _clock: Clock | None = None
    _follow: Callable[[float], None] | None = None

    def _present(self) -> int:
        raise NotImplementedError

    def _misused(self, message: str) -> NoReturn:
        raise NotImplementedError

    def sent(self) -> tuple[Event, ...]:
        """The events that the producer has sent by the time of the present delivery, in the order of the stream, so
        that a stub can answer as the source would.

        These are all up to the furthest one that a step so far has shown: that it was delivered, set aside or put back.
        What the settings lose unseen is not among them where it is left out of the comparison, too. Values are copies.
        Raises UsageError where nothing is being delivered.
        """
        if not self._is_asked_in_time():
            self._misused(
                "deliver.sent() was called outside of a delivery: ask in the handler, or in what it calls, what the "
                "producer has sent by then"
            )
        return sent_by(self._script, self._steps, self._present())

    def now(self) -> float:
        """The time of the present delivery, in seconds since 1970: virtual, on the clock of `message.timestamp`.

        A delivery takes a hundredth of a second; what the broker waits for, such as a lease, takes its time. It stands
        still during a delivery, never goes back, and is never before the timestamp of the message in hand. The same
        steps have the same times. Raises UsageError where nothing is being delivered.
        """
        if not self._is_asked_in_time():
            self._misused(
                "deliver.now() was called outside of a delivery: ask in the handler, or in what it calls, what time it "
                "is then"
            )
        return self._time()

    def _is_asked_in_time(self) -> bool:
        return self._called and (not self._done or bool(self._processes and self._processes.handlers))

    def _time(self) -> float:
        return self._its_clock().at(self._present(), self._steps, self._refusals)

    def _its_clock(self) -> Clock:
        if self._clock is None:
            script = self._script
            # In an order that no model makes the steps speak for themselves.
            faults = script.faults if script.retries is None else None
            self._clock = script.mailbox.model.times(faults, script.mailbox.epoch)
        return self._clock

    def restamped(self, message: Message, step: Raw) -> None:
        """This copy is delivered now: its timestamp is made when somebody reads it."""
        stamp_later(message, partial(self._put_back, step, self._present()))

    def _put_back(self, step: Raw, number: int) -> float:
        return self._its_clock().put_back(step, number, self._steps, self._refusals)

    # Where the clocks of Python follow.

    @property
    def epoch(self) -> float:
        """When the producer begins."""
        return self._script.mailbox.epoch

    def follow(self, move: Callable[[float], None]) -> None:
        """From here on this is called with the time before each delivery, and before a process begins or ends."""
        self._follow = move
        self._script = attrs.evolve(self._script, mailbox=_following(self._script.mailbox, self._moves))

    def _moves(self) -> None:
        if self._follow is not None:
            self._follow(self._time())


def _following(mailbox: Mailbox, moves: Callable[[], None]) -> Mailbox:
    """The same mailbox, and time moves before each message that it gives."""
    found, given = copy.copy(mailbox), mailbox.message

    def message(step: Raw) -> Message:
        moves()
        return given(step)

    found.message = message
    return found
