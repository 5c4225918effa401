"""The one value that is searched, shrunk and saved, and what it asks of a broker."""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import attrs

from chaoskit.values.epoch import EPOCH, checked_epoch
from chaoskit.values.errors import ImpossibleFault, UsageError, did_you_mean
from chaoskit.values.event import Event, Message, Stream
from chaoskit.values.faults import CUTS, INSIDE, KIND_BY_NAME, Fault, FaultKind
from chaoskit.values.schedule import Raw, Schedule, Step
from chaoskit.values.settling import Settles, Settling, Verbs

Answer = bool | Settling | None
"""Whether the handler refused the delivery; or, where it settles by itself, what it settled."""

Steps = Generator[Raw, Answer, None]

Restamped = Callable[[Message, Raw], None]
"""Called with a copy whose timestamp only the whole run knows, and its delivery."""


class Clock(Protocol):
    """The time of one run, in seconds since 1970."""

    def at(self, number: int, steps: Sequence[Raw], refused: Container[int]) -> float:
        """When the step of this number begins, from 0. `refused` are the numbers of those before it that were
        refused."""

    def put_back(self, step: Raw, number: int, steps: Sequence[Raw], refused: Container[int]) -> float:
        """When the copy was sent that is delivered in this step of this number."""


class Model(Protocol):
    """One stream in one broker: everything that can be known before a fault is chosen."""

    @property
    def stream(self) -> Stream: ...

    @property
    def skips_refused(self) -> bool:
        """A message whose handler raised is lost."""

    @property
    def handover(self) -> Any:
        """How messages come in one call of a handler that takes batches."""

    def in_batches(self, most: int | None, *, by_hand: bool = False) -> None:
        """The handler takes batches of up to so many messages: each call is one. `by_hand`: it settles by itself what
        it took, and `most` None: as many as was given before, or one."""

    @property
    def verbs(self) -> Verbs:
        """What a handler can settle messages with."""

    def play(self, faults: Iterable[Fault]) -> Steps:
        """The raw steps under these faults. Send True for a delivery that the handler refused."""

    def schedule(
        self,
        faults: Sequence[Fault],
        steps: Sequence[Raw],
        raised: Sequence[int],
        settled: Mapping[int, Settles] | None = None,
    ) -> Schedule:
        """These raw steps as literal ones, each with the fault that caused it."""

    def trace(
        self,
        faults: Sequence[Fault],
        steps: Sequence[Raw],
        raised: Sequence[int],
        settled: Mapping[int, Settles] | None = None,
    ) -> str:
        """These raw steps as a trace that the broker's `permits` reads, with all commits and settlements."""

    def arguments(self, kind: FaultKind, position: int) -> tuple[Sequence[int], ...] | None:
        """What each parameter of this kind can be at this event, mildest first; None where it cannot act."""

    def lanes(self) -> list[list[int]]:
        """The positions of the events in each lane whose order the broker fixes without any fault."""

    def mail(
        self,
        copiers: Sequence[Callable[[Any], Any] | None],
        epoch: float = EPOCH,
        restamped: Restamped | None = None,
    ) -> Callable[[Raw], Message]:
        """From a delivery to what the handler receives. `copiers` copy the values that can change; `epoch` is when the
        producer begins to send."""

    def times(self, faults: Sequence[Fault] | None, epoch: float) -> Clock:
        """The clock of a run under these faults; None: of an order that no model makes."""


class Broker(Protocol):
    """Frozen settings of one system."""

    def model(self, stream: Stream) -> Model:
        """The stream as this broker routes and stores it."""

    def why_impossible(self, kind: FaultKind) -> str | None:
        """None where the broker can make faults of this kind; else which setting would make it possible."""

    def kinds(self) -> tuple[FaultKind, ...]:
        """The kinds of fault that the broker can make under these settings."""

    def explain(self, schedule: Schedule, events: Sequence[Event]) -> list[tuple[Fault | Step | None, str]]:
        """One sentence for each deviation, in the broker's words, with its fault; or with the first step in which the
        handler refused a message."""

    def ruled_out_by(self, kind: FaultKind) -> str:
        """Which setting, or else which habit, keeps faults of this kind from happening."""

    def drops(self) -> tuple[str, ...]:
        """The names of the settings by which a message is lost whose attempt failed; none where it is tried again."""

    @property
    def loses(self) -> str:
        """The settings by which messages are lost without a refusal, as they are written; empty where none has a
        name."""

    def lane(self, step: Step, key: Any) -> str | None:
        """The name of the lane of a timeline in which this step stands; None for a step that stands in all of one
        consumer's."""

    def mark(self, step: Step) -> str:
        """What a step that is no delivery is called."""

    @property
    def promises_no_order(self) -> str:
        """A sentence that says so, where the broker keeps no order within a key; else empty."""


def _events(events: Iterable[Event]) -> tuple[Event, ...]:
    return Stream.of(events).events


def _faults(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    return tuple(faults)


@attrs.frozen
class Scenario:
    """A stream, a broker and what goes wrong. `epoch`: when the producer begins to send, in seconds since 1970. Raises
    UsageError where a fault names an event that is not there."""

    events: tuple[Event, ...] = attrs.field(converter=_events)
    broker: Broker
    faults: tuple[Fault, ...] = attrs.field(default=(), converter=_faults)
    epoch: float = attrs.field(default=EPOCH, kw_only=True)

    def __attrs_post_init__(self) -> None:
        checked_epoch(self.epoch)
        ids = {event.id for event in self.events}
        for fault in self.faults:
            if fault.at not in ids:
                raise UsageError(f"{fault!r}: no event has the id {fault.at!r}")
            check_possible(self.broker, type(fault))

    @property
    def stream(self) -> Stream:
        return Stream(self.events)

    def schedule(self) -> Schedule:
        """The steps that this scenario makes for a handler that refuses nothing."""
        model = self.broker.model(self.stream)
        return model.schedule(self.faults, list(model.play(self.faults)), ())

    def trace(self) -> str:
        """The same steps as a trace that `broker.permits` reads, with all commits and settlements. Events are numbered
        1, 2, 3… as they were produced."""
        model = self.broker.model(self.stream)
        return model.trace(self.faults, list(model.play(self.faults)), ())


def called(broker: Broker) -> str:
    """What a broker is to its user: the name of its class, or of several streams those of theirs."""
    return getattr(broker, "called", "") or type(broker).__name__


def check_possible(broker: Broker, kind: FaultKind) -> None:
    if reason := broker.why_impossible(kind):
        raise ImpossibleFault(f"{called(broker)} cannot make {kind.__name__}: {reason}")


def allowed_kinds(
    broker: Broker, asked: Iterable[FaultKind] | None, without: Iterable[FaultKind] | None = None
) -> tuple[FaultKind, ...]:
    """The kinds to search: those asked for, in a fixed order, or all that the broker can make, `without` some; with
    those that reach inside the handler and those that say where a batch ends.

    Raises UsageError for what is no kind of fault, ImpossibleFault for one that the broker cannot make.
    """
    if isinstance(broker, type) or not hasattr(broker, "why_impossible"):
        raise UsageError(f"broker={broker!r}: the settings of a broker are needed, such as Kafka(partitions=6)")
    if asked is not None and without is not None:
        raise UsageError("faults and without were both given: name the kinds to try, or those to leave out, not both")
    if without is not None:
        return _all_but(broker, without)
    if asked is None:
        return all_kinds(broker)
    kinds = list(checked_kinds(asked, "faults"))
    if not kinds:
        raise UsageError("faults is empty: nothing would go wrong. Leave it out for all that the broker can make")
    for kind in kinds:
        check_possible(broker, kind)
    return tuple(kind for kind in KIND_BY_NAME.values() if kind in kinds)


def all_kinds(broker: Broker) -> tuple[FaultKind, ...]:
    """The kinds of fault that the broker can make, with those that reach inside the handler, and where a batch ends."""
    return (*broker.kinds(), *(kind for kind in (*INSIDE, *CUTS) if broker.why_impossible(kind) is None))


def _all_but(broker: Broker, without: Any) -> tuple[FaultKind, ...]:
    name, dropped = called(broker), list(checked_kinds(without, "without"))
    for kind in dropped:
        if reason := broker.why_impossible(kind):
            raise ImpossibleFault(
                f"without contains {kind.__name__}, which {name} cannot make anyway: {reason}. Take it out of without"
            )
    left = tuple(kind for kind in all_kinds(broker) if kind not in dropped)
    if not set(left).difference(INSIDE, CUTS):
        raise UsageError(f"without leaves nothing that {name} can make: nothing would go wrong")
    return left


def checked_kinds(asked: Any, name: str) -> Iterator[FaultKind]:
    """The kinds in the argument of this name. Raises UsageError for what is no kind of fault."""
    if isinstance(asked, (str, type)) or not isinstance(asked, Iterable):
        raise UsageError(f"{name}={asked!r}: a set of fault kinds is needed, such as {name}={{Duplicate, Redeliver}}")
    for kind in asked:
        if kind in KIND_BY_NAME.values():
            yield kind
        else:
            given = getattr(kind, "__name__", None) or (kind if isinstance(kind, str) else type(kind).__name__)
            hint = "; write the class, without quotes" if kind in KIND_BY_NAME else did_you_mean(given, KIND_BY_NAME)
            raise UsageError(f"{name} contains {kind!r}, which is not a kind of fault{hint}")
