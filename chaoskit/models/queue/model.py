"""The queue model: a stream in a queue, or in several. It makes deliveries by running them, never by editing lists."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Any

import attrs

from chaoskit.models.events import what_happened
from chaoskit.models.faults import BY_PRODUCER, QUEUE_ARGUMENTS, firing_order
from chaoskit.models.handover import Handover
from chaoskit.models.in_batches import InBatches
from chaoskit.models.producer import Headers, Logs, Producer, Stamp, is_stamped_anew, sent_at
from chaoskit.models.queue.policy import UNBOUNDED, LeasePolicy
from chaoskit.models.queue.run import QueueRun
from chaoskit.models.queue.state import AtHandOut
from chaoskit.models.queue.trace import Style, spell_queue
from chaoskit.models.spaces import Arguments, QueueSpace
from chaoskit.models.stored import Growth, Stored
from chaoskit.models.times import Times
from chaoskit.models.turns import Turn
from chaoskit.values.epoch import EPOCH
from chaoskit.values.event import Event, Message, Stream
from chaoskit.values.faults import (
    Fault,
    FaultKind,
    Lose,
)
from chaoskit.values.scenario import Restamped
from chaoskit.values.schedule import DELIVER, Raw
from chaoskit.values.settling import ACKS, ROUNDS, Settles, Verbs
from chaoskit.values.timing import USUAL, Timing

Fields = Callable[[Event, Raw], dict[str, Any]]
"""From an event and its delivery to the fields of `Message` that this broker carries."""
Loses = Callable[[Stream, int], bool]
"""Whether the broker can lose the event at this position."""


def beyond(most: int) -> Loses:
    """A queue that keeps so many, and drops the oldest: only what has so many behind it can be lost."""
    return lambda stream, position: len(stream) - position > most


@attrs.frozen
class QueueSettings:
    """What the queue model has to know of a broker. The broker's own file gives these their names.

    `fields`: what a message carries besides key, value, id, seq and timestamp. `stamp`: who writes the timestamp.
    `put_back`: the headers of what was set aside.
    `handover`: how messages come in one call; None: as the policy says.
    `longest`: the most deliveries after which a message comes back. `loses`: which events its settings can lose; None:
    all. `window`: seconds in which the broker drops what is sent again; the producer sends one event a second, and what
    it sends again later.
    `style`: what it tells of settlements. `lease`: seconds after which a message that was not settled may come back.
    `verbs`: what a handler can settle with.
    `timing`: how long things take.
    """

    topic: str
    producer: Producer
    leasing: LeasePolicy
    fields: Fields
    stamp: Stamp = "broker"
    growth: Growth | None = None
    longest: int = UNBOUNDED
    loses: Loses | None = None
    window: int = 0
    lease: int = 30
    style: Style = "settled"
    put_back: Headers | None = None
    handover: Handover | None = None
    verbs: Verbs = ACKS
    timing: Timing = USUAL


class QueueModel(InBatches):
    """One stream in the queues of one broker, and its consumers."""

    def __init__(self, stream: Stream, settings: QueueSettings) -> None:
        self.stream = stream
        self._settings = settings
        self._stored = Stored(stream, settings.producer, settings.growth)
        self._groups = _groups(stream)
        # Made once: each plan takes a copy.
        self._calm = self._turns(self._stored.calm)
        lanes = {i: lane for lane in self._locked_lanes() for i in lane}
        self.handover = handover_of(settings)
        self.paced = settings.leasing.lock != "message" and settings.leasing.brings != "consumer"
        self._receives: dict[int, LeasePolicy] = {}
        self._space = QueueSpace(
            self._stored, settings.leasing, settings.longest, self._can_lose, lanes, self.handover.most
        )

    @property
    def skips_refused(self) -> bool:
        return self._settings.leasing.drops_failed

    @property
    def verbs(self) -> Verbs:
        leasing = self._settings.leasing
        if leasing.expires == "never":
            return self._settings.verbs
        limited = leasing.counts_leases
        shows = leasing.max_attempts if limited else 1 + ROUNDS
        return attrs.evolve(self._settings.verbs, shows=shows, gives_up=limited)

    # What a search may choose from.

    def lanes(self) -> list[list[int]]:
        """What is handed out in order and by one at a time; else the events of each key."""
        leasing = self._settings.leasing
        if leasing.lock == "queue" or (leasing.lock == "message" and leasing.in_order and leasing.consumers == 1):
            return self._stored.lanes()
        return _by_group(self._groups)

    def _locked_lanes(self) -> list[list[int]]:
        lock = self._settings.leasing.lock
        if lock == "message":
            return [[i] for i in range(len(self.stream))]
        return _by_group(self._groups) if lock == "group" else self._stored.calm.partitions

    def arguments(self, kind: FaultKind, position: int) -> Arguments:
        return QUEUE_ARGUMENTS[kind](self._space, position)

    def _can_lose(self, position: int) -> bool:
        loses = self._settings.loses
        return loses is None or loses(self.stream, position)

    def mail(
        self,
        copiers: Sequence[Callable[[Any], Any] | None],
        epoch: float = EPOCH,
        restamped: Restamped | None = None,
    ) -> Callable[[Raw], Message]:
        topic, fields, stamp = self._settings.topic, self._settings.fields, self._settings.stamp
        retries_copy, put_back = self._settings.producer.retries_copy, self._settings.put_back
        letters, last = list(zip(self.stream.events, copiers, strict=True)), len(self.stream) - 1
        # Of most deliveries nothing but the value is made anew: plan after plan makes the same ones.
        known: dict[Raw, tuple[Any, ...]] = {}

        def message(step: Raw) -> Message:
            event, copied = letters[step[2]]
            value = event.value if copied is None else copied(event.value)
            if (rest := known.get(step)) is not None:
                return Message(event.key, value, event.id, event.seq, {}, *rest)
            carried = fields(event, step)
            headers = carried.pop("headers", {})
            if len(step) < 7:  # only copies are longer
                made = Message(event.key, value, event.id, event.seq, headers, epoch + step[2], topic, **carried)
                if not headers and len(known) < MOST_KNOWN:
                    known[step] = behind_headers(made)
                return made
            sent = sent_at(step, stamp, retries_copy, epoch)
            if put_back is not None and step[8] >= 0:
                headers = put_back(topic, step, epoch)
            made = Message(event.key, value, event.id, event.seq, headers, sent, topic, **carried)
            if restamped is not None and is_stamped_anew(step, stamp, retries_copy, last):
                restamped(made, step)
            return made

        return message

    def times(self, faults: Sequence[Fault] | None, epoch: float) -> Times:
        run, settings = self.heard(faults), self._settings
        timing = attrs.evolve(settings.timing, window=settings.window)
        return Times(run, timing, epoch, len(self.stream) - 1, settings.leasing.max_attempts)

    # The run.

    def trace(
        self,
        faults: Sequence[Fault],
        steps: Sequence[Raw],
        raised: Sequence[int],
        settled: Mapping[int, Settles] | None = None,
    ) -> str:
        settings = self._settings
        if self.takes_batches(faults):
            run, steps, raised, settled = self.below_batches(faults, steps, raised, settled)
        else:
            run = self._run(faults)
        happened = what_happened(run, steps, raised, settled)
        rejected = {steps[at][3:5] for each in (settled or {}).values() for verb, at in each if verb == "reject"}
        return spell_queue(run, happened, self._unit, settings.window, settings.lease, settings.style, rejected)

    def _unit(self, queue: int, position: int) -> str:
        """What a unit of order is called in a trace: a group, a queue of several, or nothing."""
        locked, many = self._settings.leasing.lock == "group", self._settings.producer.partitions > 1
        if self._settings.style == "settled":
            unit = (f"q{queue}" if many else "") + (f"g{self._groups[position]}" if locked else "")
            return unit and f"{unit}/"
        many = many or self._settings.growth is not None
        return (f"p{queue}/" if many else "") + (f"k{chr(ord('a') + self._groups[position])}" if locked else "")

    # For a handler that takes batches.

    counts = True

    def begin(self, faults: Sequence[Fault]) -> QueueRun:
        return self._run(faults, _call_by_call(self._settings.leasing))

    def lane_of(self, step: Raw) -> Hashable:
        lock = self._settings.leasing.lock
        return None if lock == "message" else (step[3], self._groups[step[2]]) if lock == "group" else step[3]

    def received(self, run: QueueRun, most: int) -> None:
        policy = self._receives.get(most)
        if policy is None:
            policy = self._receives[most] = _receiving(_call_by_call(self._settings.leasing), most)
        run.policy = policy

    def begin_by_hand(self, faults: Sequence[Fault]) -> QueueRun:
        return self._run(faults, in_rows=True)

    def _run(self, faults: Sequence[Fault], leasing: LeasePolicy | None = None, *, in_rows: bool = False) -> QueueRun:
        """`in_rows`: of several consumers each takes some messages in a row, as one receive gives them."""
        anchored: AtHandOut = {}
        in_batches = in_rows or leasing is not None
        leasing = leasing or self._settings.leasing
        logs, turns = self._stored.calm, self._calm_in_batches if in_batches else self._calm
        sent_otherwise = False
        for fault in faults:
            position = self._stored.position[fault.at]
            if type(fault) in BY_PRODUCER:
                sent_otherwise = True
            elif not isinstance(fault, Lose) or self._can_lose(position):
                anchored.setdefault(position, []).append(fault)
        if len(anchored) < len(faults):
            for several in anchored.values():
                if len(several) > 1:
                    several.sort(key=firing_order)
        if sent_otherwise:
            logs = self._stored.written(faults)
            turns = self._turns(logs, leasing if in_batches else None)
            for position, holds in logs.holds.items():
                # A stall of growth keeps it from being handed out at all, and so comes before the others.
                anchored[position] = [*holds, *anchored.get(position, [])]
        home = self._settings.producer.home
        return QueueRun(self.stream.events, home, leasing, logs, turns[:], self._groups, anchored)

    @cached_property
    def _calm_in_batches(self) -> list[Turn]:
        return self._turns(self._stored.calm, _call_by_call(self._settings.leasing))

    def _turns(self, logs: Logs, in_batches: LeasePolicy | None = None) -> list[Turn]:
        """Every message in order of arrival, the first at the end, with the consumer that would take it."""
        leasing, groups = self._settings.leasing, self._groups
        count = leasing.consumers
        # Of what one consumer takes at a time.
        together = leasing.window if leasing.brings == "batch" else 1
        if in_batches is not None and leasing.lock == "message":
            together = min(self.handover.most, RECEIVED)
        turns: list[Turn] = []
        by_group, by_queue = leasing.taken_by == "group", leasing.taken_by == "queue"
        # As for one consumer: who takes a message goes by what is locked, not by the partition.
        for place, (time, lane, number, step) in enumerate(reversed(logs.in_order(1))):
            position = step[2]
            taker = groups[position] if by_group else lane if by_queue else place // together
            # A queue counts from 1 where a log has nothing, or the 0 of a copy.
            turns.append((time, lane, number, (DELIVER, taker % count, position, lane, number, 1, *step[6:])))
        turns.reverse()
        return turns


MOST_KNOWN = 4096
"""Deliveries of one stream of which the fields are kept."""

behind_headers = attrgetter(*[field.name for field in attrs.fields(Message)][5:])
"""The fields of a message behind its headers, which no two messages share."""

RECEIVED = 10
"""Messages that go to one of several consumers in a row, where a handler takes batches: what one receive gives."""


def handover_of(settings: QueueSettings) -> Handover:
    """How messages come in one call, as far as the policy says so."""
    leasing, given = settings.leasing, settings.handover
    found = given or Handover(failed="listed" if leasing.lock == "message" or leasing.goes_on else "from the lowest")
    # A relay's consumer has a broker of its own, of which nothing is known.
    bound = 1 if leasing.renewed else min(leasing.window, leasing.outstanding, leasing.span)
    return attrs.evolve(found, most=min(found.most, bound), anew=leasing.refused == "renewed")


@lru_cache(maxsize=256)
def _call_by_call(leasing: LeasePolicy) -> LeasePolicy:
    """The policy of a broker each of whose calls is a batch: what belongs together is what came in one call, and not
    what a broker would have received together with it."""
    brings = leasing.brings
    if brings == "batch":
        brings = "message" if leasing.lock == "message" else "lane"
    return attrs.evolve(leasing, brings=brings, split=None)


@lru_cache(maxsize=1024)
def _receiving(leasing: LeasePolicy, most: int) -> LeasePolicy:
    return attrs.evolve(leasing, window=min(most, leasing.window))


def _groups(stream: Stream) -> list[int]:
    """The number of the group of each event, by its key. An event without a key is a group of its own."""
    numbers: dict[Hashable, int] = {}
    return [
        numbers.setdefault((i,) if event.key is None else event.key, len(numbers))
        for i, event in enumerate(stream.events)
    ]


def _by_group(groups: Sequence[int]) -> list[list[int]]:
    found: dict[int, list[int]] = {}
    for position, group in enumerate(groups):
        found.setdefault(group, []).append(position)
    return list(found.values())
