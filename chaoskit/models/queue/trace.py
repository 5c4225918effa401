"""A run of a queue as a trace that `permits` reads: every send, hand-over, acknowledgement and lease that ended."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Literal, TypeGuard

from chaoskit.models.events import (
    CameBack,
    HandedBack,
    HandedOver,
    Happened,
    LeftOpen,
    SetBack,
    SettledLater,
    StepMade,
    TakenForDead,
)
from chaoskit.models.producer import Logs
from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.models.queue.run import QueueRun
from chaoskit.models.spelling import UnitOf, consumer_name, label, labels
from chaoskit.models.turns import Record
from chaoskit.values.faults import DeadLetter
from chaoskit.values.schedule import Do

Style = Literal["settled", "crashed", "invoked", "relay"]
"""What a broker tells: each settlement; or crashes; or failed invocations; or what a relay publishes."""


def spell_queue(
    run: QueueRun,
    happened: Sequence[Happened],
    unit_of: UnitOf,
    window: int,
    lease: int,
    style: Style,
    rejected: Collection[tuple[int, ...]] = (),
) -> str:
    """The words. Events are numbered 1, 2, 3… as they were produced; `unit_of` names the unit of a queue and position.

    Where the broker has a deduplication `window` (seconds) the trace has times, too: a send each second, a copy when
    the window has passed, and a lease (seconds) that runs out when it can. `style`: what a broker tells of its
    settlements. `rejected`: the messages that the handler gave up by itself.
    """
    events = _as_it_was(happened, rejected)
    if style == "relay":
        names = labels(run.logs, unit_of)
        return " ".join([*_log(events, names), *_published(events, names)])
    sends = _Sends(run.logs, unit_of, window)
    if style == "settled":
        _Settled(sends, run.policy, lease, rejected).say_all(events)
    else:
        _say_of_log(events, sends, crashes=style == "crashed")
    return " ".join(sends.said)


def _as_it_was(happened: Iterable[Happened], rejected: Collection[tuple[int, ...]]) -> list[Happened]:
    """A run tells a step only when it is made. A restart stands before all that comes back of its consumer with it: of
    a process that died at a message, nothing that came back before that one was left open. What the handler gave up it
    gave up in its delivery, before anything else followed from that."""
    events: list[Happened] = []
    last = 0
    died: Record | None = None
    for event in happened:
        place = len(events)
        if isinstance(event, StepMade):
            if event.do == Do.RESTART:
                begin = last if died is None else _left_open(died, events, last)
                place = next((n for n in range(begin, place) if _is_back_of(event.consumer, events[n])), place)
            elif event.do == Do.SKIP and event.record in rejected:
                place = 1 + next(n for n in reversed(range(place)) if _runs(events[n], event.record))
            died = event.record if event.do == Do.DIE and not event.refused else None
            last = len(events) + 1
        events.insert(place, event)
    return events


def _left_open(died: Record, events: Sequence[Happened], last: int) -> int:
    """The place where the message was left open at which a process died."""
    places = (n for n in range(last, len(events)) if isinstance(events[n], LeftOpen) and events[n].record == died)
    return next(places, len(events))


def _is_back_of(consumer: int, event: Happened) -> bool:
    return isinstance(event, CameBack) and event.consumer == consumer


class _Sends:
    """The words so far: what was accepted, and when."""

    def __init__(self, logs: Logs, unit_of: UnitOf, window: int) -> None:
        self.said: list[str] = []
        # So that the first send is at 0.
        self.now = -1.0
        self.window = window
        self._logs, self._unit_of = logs, unit_of
        self._sent: dict[int, int] = {}
        self._labels: dict[Record, str] = {}
        self._copies: dict[int, int] = {}
        self._accepted: dict[str, float] = {}

    def unit(self, event: Happened) -> str:
        return self._unit_of(event.step[3], event.position)

    def label(self, record: Record, *, put_back: bool = False) -> str:
        """The name of this message. Everything up to it was accepted by now."""
        lane, place = record
        log = self._logs.partitions[lane]
        for number in range(self._sent.get(lane, 0), place + 1):
            position = log[number]
            copy = self._copies[position] = self._copies.get(position, -1) + 1
            name = self._labels[lane, number] = label(self._unit_of(lane, position), position, copy)
            if self.window:
                self._time_of_send(name, copy, put_back and number == place)
            self.said.append(f"|put {name}")
        self._sent[lane] = max(self._sent.get(lane, 0), place + 1)
        return self._labels[record]

    def _time_of_send(self, label: str, copy: int, put_back: bool) -> None:
        """A copy is sent again when the window has passed; a dead letter that is put back is no such copy."""
        # The copy before has one mark less.
        earlier = self._accepted.get(label[:-1], self.now) if copy else self.now
        self.wait_until(max(self.now + 1, earlier + self.window + 1 if copy and not put_back else 0))
        self._accepted[label] = self.now

    def wait_until(self, time: float) -> None:
        if time > self.now:
            self.now = time
            self.said.append(f"|t={time:g}s")


class _Settled:
    """Where each message is settled, and the broker tells it."""

    def __init__(
        self, sends: _Sends, policy: LeasePolicy, lease: int, rejected: Collection[tuple[int, ...]] = ()
    ) -> None:
        self._sends, self._lease, self._rejected = sends, lease, rejected
        self._retries = policy.refused == "renewed"
        """What fails is sent again by the task itself, and not moved by the broker."""
        self._receives = policy.lock == "group"
        self._one_owner = policy.lock == "queue" or policy.consumers == 1
        self._dead = -1
        self._taken: dict[Record, float] = {}
        self._holding: set[Record] = set()

    def say_all(self, events: Sequence[Happened]) -> None:
        unsettled = _unsettled(events, lambda event: _leaves(event) or isinstance(event, LeftOpen))
        together = _receives(events, unsettled, self._sends.unit) if self._receives else _received_with(events)
        for number, event in enumerate(events):
            for record in together.get(number, ()):
                self._sends.label(record)
            self._say(event, number in unsettled)

    def _say(self, event: Happened, unsettled: bool) -> None:
        name, sends, record = consumer_name(event.consumer), self._sends, event.record
        match event:
            case StepMade(do=Do.RESTART):
                sends.said.append(f"{name}:⚡")
            case TakenForDead():
                self._dead = event.consumer
            case StepMade(do=Do.TAKE_OVER):
                if self._one_owner:
                    sends.said.append(f"|evict {consumer_name(self._dead)}>{name}")
            case StepMade(runs=True):
                self._ran(event, name, unsettled)
            case HandedOver():
                sends.said.append(f"{name}:{sends.label(record)}{_again(event)}-")
                self._taken[record] = sends.now
                self._holding.add(record)
            case CameBack():
                self._lease_ended(event, name)
            case SettledLater():
                self._holding.discard(record)
                sends.said.append(f"{name}: |ack {sends.label(record)}")
            case SetBack():
                sends.said.append(f"|reset {sends.label(record)}")
            case HandedBack():
                label = sends.label(record)
                if event.behind is not None:
                    sends.label(event.behind)
                self._holding.discard(record)
                sends.said.append(f"{name}: |nack {label}")
            case StepMade(do=Do.PARK):
                self._park(event, name)
            case StepMade(do=Do.SKIP) if record in self._rejected:
                sends.said.append(f"{name}: |term {sends.label(record)}")
            case StepMade(do=Do.SKIP | Do.LOSE):
                sends.said.append(f"|drop {sends.label(record)}")
            case StepMade(do=Do.PUT_BACK):
                sends.label(record, put_back=True)

    def _ran(self, made: StepMade, name: str, unsettled: bool) -> None:
        label, record = self._sends.label(made.record), made.record
        again = ""
        if not made.late and record in self._holding:
            self._holding.discard(record)
        elif not made.late:
            self._taken[record], again = self._sends.now, _again(made)
        self._sends.said.append(f"{name}:{label}{again}{'!' if made.failed else ''}")
        if not unsettled and not made.late:
            self._sends.said.append(f"|ack {label}")

    def _lease_ended(self, event: CameBack, name: str) -> None:
        sends, label = self._sends, self._sends.label(event.record)
        self._holding.discard(event.record)
        if sends.window:
            sends.wait_until(self._taken.get(event.record, sends.now) + self._lease)
        sends.said.append(f"{name}: |expire {label}")

    def _park(self, made: StepMade, name: str) -> None:
        label, record = self._sends.label(made.record), made.record
        if not self._retries:
            self._sends.said.append(f"|dead {label}")
        elif isinstance(made.fault, DeadLetter):
            again = "" if record in self._holding else _again(made)
            self._sends.said.append(f"{name}:{label}{again}!")


def _again(event: Happened) -> str:
    return "r" if event.attempt > 1 else ""


def _unsettled(events: Sequence[Happened], ends: Callable[[Happened], bool]) -> set[int]:
    """The runs that failed, and those that were not settled: they end so before their message is run again."""
    last: dict[Record, int] = {}
    found: set[int] = set()
    for number, event in enumerate(events):
        if _runs(event):
            last[event.record] = number
            if event.failed:
                found.add(number)
        elif event.record in last and ends(event):
            found.add(last[event.record])
    return found


def _runs(event: Happened, record: Record | None = None) -> TypeGuard[StepMade]:
    """Somebody runs it who holds it. `record`: and it is this one."""
    return isinstance(event, StepMade) and event.runs and not event.late and record in (None, event.record)


def _leaves(event: Happened) -> bool:
    """Whoever held the message does not hold it any longer."""
    if isinstance(event, StepMade):
        return event.do in (Do.PARK, Do.SKIP)
    return isinstance(event, (CameBack, HandedBack, SettledLater))


def _received_with(events: Sequence[Happened]) -> dict[int, list[Record]]:
    """What stands behind the run of this number: it was received with it and not run, or was handed back behind it."""
    last: dict[Record, int] = {}
    found: dict[int, list[Record]] = {}
    for number, event in enumerate(events):
        if _runs(event):
            last[event.record] = number
        elif isinstance(event, (HandedOver, HandedBack)) and event.behind in last:
            found.setdefault(last[event.behind], []).append(event.record)
    return found


def _receives(
    events: Sequence[Happened], unsettled: set[int], unit: Callable[[Happened], str]
) -> dict[int, list[Record]]:
    """What one receive of a group hands out later: it was sent before the receive began, with this number."""
    begun: dict[str, tuple[int, set[Record]]] = {}
    found: dict[int, list[Record]] = {}
    for number, event in enumerate(events):
        received = _runs(event) or isinstance(event, HandedOver)
        if not received and not _leaves(event):
            continue
        start, out = begun.setdefault(unit(event), (number, set()))
        if received:
            found.setdefault(start, []).append(event.record)
        if isinstance(event, HandedOver) or number in unsettled:
            out.add(event.record)
        else:
            out.discard(event.record)
        if not out:
            del begun[unit(event)]
    return found


def _say_of_log(events: Sequence[Happened], sends: _Sends, *, crashes: bool) -> None:
    """Where single messages are not settled: a crash, or else a failed invocation, says what comes again."""
    said, dead, shown = sends.said, -1, set[Record]()
    failed = set() if crashes else _unsettled(events, lambda event: isinstance(event, (LeftOpen, HandedBack)))
    for number, event in enumerate(events):
        name = consumer_name(event.consumer)
        match event:
            case TakenForDead():
                dead = event.consumer
                if crashes:  # what it holds was accepted before it lost its queue
                    sends.label(event.record)
            case StepMade(do=Do.RESTART):
                if crashes:
                    said.append(f"{name}:⚡")
            case StepMade(do=Do.TAKE_OVER):
                said.append(f"|evict {consumer_name(dead)}>{name}")
            case StepMade(runs=True):
                again = "r" if event.record in shown else ""
                shown.add(event.record)
                raised = "!" if event.failed or number in failed else ""
                said.append(f"{name}:{sends.label(event.record)}{again}{raised}")
            case StepMade(do=Do.PARK):
                said.append(f"{name}: |dead {sends.label(event.record)}")
            case StepMade(do=Do.SKIP | Do.LOSE):
                said.append(f"|drop {sends.label(event.record)}")
            case StepMade(do=Do.PUT_BACK):
                sends.label(event.record, put_back=True)


def _log(happened: Iterable[Happened], names: dict[Record, str]) -> list[str]:
    """The content of the log, where some of it waits to the end behind what is refused: what was not read was published
    all the same, behind what was. What is lost was not."""
    steps = [event for event in happened if isinstance(event, StepMade)]
    if all(made.do != Do.WAIT for made in steps):
        return []
    read = dict.fromkeys(made.record for made in steps if made.runs or made.do == Do.PARK)
    lost = {made.record for made in steps if made.do == Do.LOSE}
    return ["log:", *(names[record] for record in {**read, **dict.fromkeys(names)} if record not in lost), ";"]


def _published(happened: Iterable[Happened], names: dict[Record, str]) -> Iterator[str]:
    """What a relay publishes, and who does. It does not learn what its consumers fail at."""
    relay, shown = 0, set[Record]()
    for made in happened:
        if not isinstance(made, StepMade):
            continue
        name = consumer_name(relay)
        match made.do:
            case Do.RESTART:
                yield f"{name}:⚡"
            case Do.TAKE_OVER:
                relay += 1
                yield f"|evict {name}>{consumer_name(relay)}"
            case Do.DELIVER:
                again = "r" if made.record in shown else ""
                shown.add(made.record)
                yield f"{name}:{names[made.record]}{again}{'!' if made.refused else ''}"
            case Do.PARK:
                yield f"{name}: |dead {names[made.record]}"
