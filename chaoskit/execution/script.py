"""What one run plays, and what came of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol
from unittest import SkipTest

import attrs
from hypothesis.errors import UnsatisfiedAssumption

from chaoskit.execution.points import Points
from chaoskit.execution.stepping import Death, Failure, Passed
from chaoskit.values.errors import StreamError, UsageError
from chaoskit.values.event import Event, EventId, Message, Stream
from chaoskit.values.faults import INSIDE, Fail, Fault, Lose
from chaoskit.values.outcome import Outcome
from chaoskit.values.scenario import Answer, Model, Restamped, Steps
from chaoskit.values.schedule import DELIVER, GO_ON, Raw, what_of
from chaoskit.values.settling import Settles

Handler = Callable[[Message], Any]

Move = Callable[[Message], Iterator[Message]]
"""What stands between a queue and a handler: for each message that comes, those that the handler is given now. What
stands behind a `yield` is run when the handler has taken that message, and is not where it raised."""

Change = Callable[[], Coroutine[Any, Any, None]]
"""A process begins or ends."""

Calls = Generator[tuple[Handler, Message] | Change | None, Exception | None, None]
"""The calls of a run and what happens to processes between them: send the exception that a handler raised, or None.
None stands behind each delivery of a run that is gone through step by step."""

FailsWith = Callable[[], Exception]
"""What makes the exception with which a call inside the handler fails."""

PASS_THROUGH = (UnsatisfiedAssumption, SkipTest)
"""Exceptions that are addressed to the test runner. pytest.skip, fail and xfail are no Exceptions anyway."""


_INSIDE = frozenset(INSIDE)
LOSING = frozenset({Lose, Fail})
"""What may lose a message."""


# One for each run, as is a Run: without slots a frozen one is made in two thirds of the time.
@attrs.frozen(eq=False, slots=False)
class Script:
    """What a run plays: the steps for a handler that refuses nothing, and the model to ask when it does.

    `refusals` are the numbers of the steps that were refused when the steps were recorded. `faults` is None for
    the in-order run, in which a refusal is the user's error.
    """

    mailbox: Mailbox
    steps: Sequence[Raw]
    faults: tuple[Fault, ...] | None = None
    refusals: frozenset[int] = frozenset()
    retries: bool | None = None
    """For orders that no model makes: whether what was refused is shown again at the end, for as long as that brings
    anything on; None: ask the model."""
    poison: tuple[type[Exception], ...] = ()
    """In the in-order run, with what the handler may refuse a message: to the end, and at once."""
    points: Points = None
    """What is stepped into where a process dies inside the handler."""
    counted: dict[int, list[Passed]] | None = None
    """In the in-order run in which points are counted: those of each event, by its position."""
    calls: dict[int, list[Passed]] | None = None
    """In the in-order run in which calls are counted that can fail: those of each event, by its position."""
    fails_with: FailsWith | None = None
    leaves_out: bool = True
    """What is lost is left out of the comparison, and so counts as never sent."""
    settled: Mapping[int, Settles] | None = None
    """What was settled at which step when the steps were recorded, where the handler does that itself."""

    @property
    def is_inside(self) -> bool:
        """Whether something happens inside the handler, so that each process has a thread of its own."""
        return self.counted is not None or (bool(self.faults) and not _INSIDE.isdisjoint(map(type, self.faults or ())))

    @property
    def fails_inside(self) -> bool:
        """Whether calls inside the handler are counted, or one of them fails."""
        if self.calls is not None or not self.faults:
            return self.calls is not None
        # By kind first: this is asked of every run of a search.
        return Fail in map(type, self.faults) and any(type(fault) is Fail and fault.point for fault in self.faults)

    @property
    def loses(self) -> bool:
        """Whether a fault may lose a message."""
        return bool(self.faults) and not LOSING.isdisjoint(map(type, self.faults or ()))

    def after(self, number: int, answers: Sequence[Answer], steps: Sequence[Raw] | None = None) -> Steps:
        """The model's own run, advanced past the first `number` steps, of which the last is still to be answered.
        `steps`: those that were made meanwhile, where they are others."""
        assert self.faults is not None
        recorded = self.steps if steps is None else steps
        play = self.mailbox.model.play(self.faults)
        answer: Answer = None
        for i in range(number):
            made = play.send(answer)
            # A saved file may be of another version, whose steps are still good as long as nothing is asked of the
            # model.
            if tuple(made) != tuple(recorded[i]):
                raise UsageError(
                    f"step {i + 1} of the schedule is not what this version of the broker's model makes, and the "
                    "handler now refuses other messages than it did: the run cannot go on"
                )
            answer = answers[i]
        return play


def next_step(play: Steps, answer: Answer) -> list[Raw]:
    """The step that a model makes next; none at its end."""
    try:
        return [play.send(answer)]
    except StopIteration:
        return []


class RunObserver(Protocol):
    """Sees each run before it begins and after it has ended."""

    def begins(self, script: Script) -> None: ...

    def ends(self) -> None: ...


@attrs.frozen(eq=False, slots=False)
class Run:
    """What happened: the outcome, the steps that were really taken and the numbers of those that were refused."""

    outcome: Outcome
    steps: Sequence[Raw]
    refusals: tuple[int, ...]
    memory_kept: bool
    """One handler served every process: what it remembers survived the restarts."""
    has_state: bool
    """`deliver(…, state=…)` was given."""
    remembers: bool = False
    """The handler is one that may have a memory of its own."""
    deaths: Mapping[int, Death] = MappingProxyType({})
    """Where processes died inside the handler, by the number of the step."""
    settled: Mapping[int, Settles] | None = None
    """What was settled at which step, where the handler does that itself."""
    has_settled: bool = True
    """Something was settled by it."""
    failures: Mapping[int, Failure] = MappingProxyType({})
    """Where calls failed inside the handler, by the number of the step."""
    is_loop: bool = False
    """The consumers are runs of the user's own loop."""
    is_swept: bool = True
    """No thread of a dead process is left."""
    most_together: int | None = None
    """The handler takes batches, of so many messages at most."""


class Mailbox:
    """Makes the messages of one stream, each decoded anew. Values that cannot change are shared."""

    def __init__(self, model: Model, epoch: float) -> None:
        self.model = model
        self.epoch = epoch
        self._copiers = [_copier_of(event) for event in model.stream.events]
        self.message = model.mail(self._copiers, epoch, self._restamp)
        self.restamped: Restamped | None = None
        """What the present run makes of a copy whose timestamp only it knows."""

    def _restamp(self, message: Message, step: Raw) -> None:
        if self.restamped is not None:
            self.restamped(message, step)

    def event(self, position: int) -> Event:
        """The event with a value of its own."""
        event, copy_of = self.model.stream.events[position], self._copiers[position]
        return event if copy_of is None else attrs.evolve(event, value=copy_of(event.value))


_ATOMS = frozenset({int, str, bytes, float, bool, type(None), complex})


def _copier_of(event: Event) -> Callable[[Any], Any] | None:
    try:
        return copier(event.value)
    except (TypeError, RecursionError, copy.Error) as error:
        raise StreamError(f"the value of event {event.id!r} cannot be copied for a delivery: {error}") from error


def copier(value: Any) -> Callable[[Any], Any] | None:
    """How to copy this value for a delivery; None where it is built of immutable types only and can be shared."""
    kind = type(value)
    # By the exact type: a subclass of int may have attributes that change.
    if kind in _ATOMS:
        return None
    if kind is tuple or kind is frozenset:
        return None if all(copier(item) is None for item in value) else copy.deepcopy
    # Flat dicts and lists are what most messages are, and their own copy takes a fraction of deepcopy's time.
    if kind is dict and all(copier(item) is None for item in value.values()):
        return dict.copy
    if kind is list and all(copier(item) is None for item in value):
        return list.copy
    # What deepcopy gives back as it is, it takes for unchangeable, such as a date or an enum.
    return None if copy.deepcopy(value) is value else copy.deepcopy


class Delivered(Sequence[EventId]):
    """The ids of the events of all steps of one kind, made when somebody looks."""

    __slots__ = ("_do", "_ids", "steps", "stream")

    def __init__(self, stream: Stream, steps: Sequence[Raw], do: int = DELIVER) -> None:
        self.stream, self.steps, self._do = stream, steps, do
        self._ids: tuple[EventId, ...] | None = None

    def of(self, do: int) -> Delivered:
        """The same of another kind."""
        return Delivered(self.stream, self.steps, do)

    def _made(self) -> tuple[EventId, ...]:
        if self._ids is None:
            events = self.stream.events
            dos = (DELIVER, GO_ON) if self._do == DELIVER else (self._do,)
            self._ids = tuple(events[step[2]].id for step in self.steps if what_of(step) in dos)
        return self._ids

    def __len__(self) -> int:
        return len(self._made())

    def __iter__(self) -> Iterator[EventId]:
        return iter(self._made())

    def __getitem__(self, place: Any) -> Any:
        return self._made()[place]

    def __repr__(self) -> str:
        return repr(self._made())
