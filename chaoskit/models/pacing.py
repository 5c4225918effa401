"""A run that receives as much of a lane at once as a call of the handler has."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import count
from typing import Any, Protocol

from chaoskit.models.events import Happened, ModelRun
from chaoskit.models.handover import Handover
from chaoskit.models.producer import Logs
from chaoskit.values.event import EventId
from chaoskit.values.faults import Fault
from chaoskit.values.scenario import Answer, Steps
from chaoskit.values.schedule import Raw


class Gathered(Protocol):
    """A model, as far as its batches go."""

    @property
    def handover(self) -> Handover: ...

    @property
    def most_together(self) -> int:
        """Messages that one call may have, by the broker's settings and those of `deliver`."""

    @property
    def counts(self) -> bool:
        """Whether the sixth of a step is how often the message was handed out."""

    @property
    def ids(self) -> Sequence[EventId]: ...

    def begin(self, faults: Sequence[Fault]) -> Any:
        """A run under these faults, of a broker whose every call is a batch of its own."""

    def lane_of(self, step: Raw) -> Hashable:
        """What is handled in order with this message; None where nothing is."""

    def room(self, run: Any, step: Raw) -> int:
        """How many messages may be handled from this one on before the consumer commits."""

    @property
    def paced(self) -> bool:
        """Whether a run has to learn how much of a lane is received together."""

    def received(self, run: Any, most: int) -> None:
        """What is received together from here on is at most so many of its lane."""


class Paced:
    """A run in which a receive is as long as the call is: `windows` says how many of its lane a call still has at the
    step of each number; a call of its own has one. `ahead`: from this number on that is not known yet."""

    def __init__(self, model: Gathered, faults: Sequence[Fault], windows: dict[int, int], ahead: int = 1 << 60) -> None:
        self.inner: ModelRun = model.begin(faults)
        self._model, self._windows, self._ahead = model, windows, ahead

    @property
    def logs(self) -> Logs:
        return self.inner.logs

    @property
    def told(self) -> list[Happened] | None:
        return self.inner.told

    @told.setter
    def told(self, told: list[Happened] | None) -> None:
        self.inner.told = told

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def run(self) -> Steps:
        return self._run() if self._model.paced else self.inner.run()

    def _run(self) -> Steps:
        play, answer, most = self.inner.run(), None, self._model.most_together
        for number in count():
            step = sent(play, answer)
            if step is None:
                return
            self._model.received(self.inner, most if number >= self._ahead else self._windows.get(number, 1))
            answer = yield step


def sent(play: Steps, answer: Answer) -> Raw | None:
    """The next step of a run, which learns this of the last one; None at its end."""
    try:
        return play.send(answer)
    except StopIteration:
        return None
