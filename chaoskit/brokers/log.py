"""The log model: a stream in a partitioned log. It makes deliveries by running them, never by editing lists."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs

from chaoskit.brokers.consumer import DELIVER, PARK, PUT_BACK, RESTART, Notes, Plan, Reader, Reading
from chaoskit.brokers.producer import Hold, Home, Logs, write
from chaoskit.event import Event, EventId, Message, Stream
from chaoskit.faults import BatchSwap, DeadLetter, Duplicate, Fault, FaultKind, Overtake, Redeliver, Rehash
from chaoskit.scenario import Steps
from chaoskit.schedule import ACTIONS, Raw, Schedule, Step

EPOCH = 1_700_000_000.0
"""The producer sends one event a second from here on (14 November 2023), so that timestamps are the same everywhere."""

@attrs.frozen
class LogSettings:
    """What the log model has to know of a broker. The broker's own file gives these their names.

    `growth` gives the partition counts to which the topic may grow so that a key moves, the least first.
    `longest_replay` bounds what a search draws, not what the model can do.
    """

    topic: str
    partitions: int
    home: Home
    batch_size: int
    max_in_flight: int
    newest_first: bool
    longest_replay: int
    growth: Callable[[Any], Sequence[int]]
    reading: Reading


class LogModel:
    """One stream in one topic, read by one consumer group."""

    def __init__(self, stream: Stream, settings: LogSettings) -> None:
        self.stream = stream
        self._settings = settings
        self._position: dict[EventId, int] = {id_: i for i, id_ in enumerate(stream.ids)}
        self._calm = self._write((), ())
        self._lane_of = {i: p for p, log in enumerate(self._calm.partitions) for i in log}
        self._rank = {i: n for log in self._calm.partitions for n, i in enumerate(log)}
        self._later: dict[Any, list[int]] = {}
        for position, event in enumerate(stream.events):
            self._later.setdefault(event.key, []).append(position)

    def _write(
        self, rehashes: Sequence[tuple[int, Rehash]], swaps: Sequence[tuple[int, BatchSwap]]
    ) -> Logs:
        s = self._settings
        return write(
            self.stream.events,
            s.home,
            s.partitions,
            rehashes=rehashes,
            swaps=swaps,
            batch_size=s.batch_size,
            max_in_flight=s.max_in_flight,
            newest_first=s.newest_first,
        )

    # What a search may choose from.

    def lanes(self) -> list[list[int]]:
        """The partitions as they are before any growth. Events without a key have no order: each is its own lane,
        unless there is one partition only."""
        lanes: list[list[int]] = []
        for log in self._calm.partitions:
            keyed = [i for i in log if self._settings.partitions == 1 or self._has_home(self.stream[i])]
            lanes += [keyed] if keyed else []
            lanes += [[i] for i in log if i not in set(keyed)] if len(keyed) < len(log) else []
        return lanes

    def _has_home(self, event: Event) -> bool:
        home = self._settings.home
        count = self._settings.partitions
        return home(event.key, 0, count) == home(event.key, 1, count)

    def arguments(self, kind: FaultKind, position: int) -> tuple[Sequence[int], ...] | None:
        size = len(self.stream)
        if kind is Duplicate:
            return ()
        if kind is Redeliver:
            return (range(min(size, self._settings.longest_replay)),)
        if kind is DeadLetter:
            return (range(size),)
        lane = self._calm.partitions[self._lane_of[position]]
        if kind is Overtake:
            return (range(size - len(lane)),) if len(lane) < size else None
        if kind is BatchSwap:
            return self._batch_arguments(position, len(lane))
        return self._growth_arguments(position)

    def _batch_arguments(self, position: int, lane_size: int) -> tuple[Sequence[int], ...] | None:
        s = self._settings
        behind = (lane_size - 1) // s.batch_size - self._rank[position] // s.batch_size
        if behind == 0:
            return None
        return range(min(behind, s.max_in_flight - 1)), range(2 if s.newest_first else 1)

    def _growth_arguments(self, position: int) -> tuple[Sequence[int], ...] | None:
        event = self.stream[position]
        growth = self._settings.growth(event.key) if self._has_home(event) else ()
        backlog = self._rank[position]
        if not growth or not backlog:
            return None
        own = self._later[event.key]
        return growth, range(backlog), range(len(self.stream)), range(len(own) - bisect_right(own, position) + 1)

    def message(self, position: int, value: Any, partition: int, offset: int) -> Message:
        event = self.stream.events[position]
        return Message(
            event.key, value, event.id, event.seq, {}, EPOCH + position, self._settings.topic, partition, offset
        )  # fmt: skip

    # The run.

    def play(self, faults: Iterable[Fault], notes: Notes | None = None) -> Steps:
        """Steps 4 to 11 of the semantics (see docs/kafka.md); `notes` collects (number of the step, its fault)."""
        plan, logs = self._sorted(faults)
        return Reader(self.stream.events, self._settings.home, self._settings.reading, plan, logs).run(notes)

    def _sorted(self, faults: Iterable[Fault]) -> tuple[Plan, Logs]:
        plan = Plan()
        rehashes: list[tuple[int, Rehash]] = []
        swaps: list[tuple[int, BatchSwap]] = []
        late: dict[int, list[Hold]] = {}
        for fault in faults:
            position = self._position[fault.at]
            kind = type(fault)
            if kind is Duplicate:
                plan.duplicates.setdefault(position, []).append(fault)  # type: ignore[arg-type]
            elif kind is Redeliver:
                plan.redeliveries.setdefault(position, []).append(fault)  # type: ignore[arg-type]
            elif kind is DeadLetter:
                plan.dead_letters.setdefault(position, []).append(fault)  # type: ignore[arg-type]
            elif kind is Overtake:
                late.setdefault(position, []).append(Hold(fault, fault.by + 1))  # type: ignore[union-attr]
            elif kind is Rehash:
                rehashes.append((position, fault))  # type: ignore[arg-type]
            else:
                swaps.append((position, fault))  # type: ignore[arg-type]
        for several in (plan.redeliveries, plan.dead_letters):
            for found in several.values():
                if len(found) > 1:
                    found.sort(key=attrs.astuple)
        logs = self._write(sorted(rehashes), sorted(swaps)) if rehashes or swaps else self._calm
        for position, holds in late.items():
            plan.holds[position] = sorted(holds, key=lambda hold: hold.release)
        for position, hold in logs.holds.items():
            plan.holds.setdefault(position, []).insert(0, hold)
        return plan, logs

    # The run as literal steps.

    def schedule(self, faults: Sequence[Fault], steps: Sequence[Raw], raised: Sequence[int]) -> Schedule:
        notes: Notes = []
        written = self._sorted(faults)[1].notes
        play = self.play(faults, notes)
        refused = set(raised)
        replayed: list[Raw] = []
        outcome: bool | None = None
        for number in range(len(steps)):
            replayed.append(play.send(outcome))
            outcome = number in refused or None
        next(play, None)
        assert [tuple(s) for s in replayed] == [tuple(s) for s in steps], "the model made other steps"
        ids = self.stream.ids
        causes = _causes(steps, dict(notes), dict(written))
        return Schedule(
            tuple(
                Step(
                    ACTIONS[do],
                    consumer,
                    None if position < 0 else ids[position],
                    None if partition < 0 else partition,
                    None if offset < 0 else offset,
                    cause,
                    number in refused,
                )
                for number, ((do, consumer, position, partition, offset), cause) in enumerate(
                    zip(steps, causes, strict=True)
                )
            )
        )


def _causes(steps: Sequence[Raw], notes: dict[int, Fault], written: dict[int, Fault]) -> list[Fault | None]:
    """The fault behind each step: noted by the run; or the restart that brought a record back; or the put back
    that appended it; or, at its first delivery, the producer's."""
    causes: list[Fault | None] = []
    seen: set[tuple[int, int]] = set()
    put_back: dict[tuple[int, int], Fault | None] = {}
    restart: dict[int, Fault | None] = {}
    for number, (do, consumer, position, partition, offset) in enumerate(steps):
        cause = notes.get(number)
        record = (partition, offset)
        if do == RESTART:
            restart[consumer] = cause
        elif do == PUT_BACK:
            put_back[record] = cause
        elif do == DELIVER and cause is None:
            if record in seen:
                cause = restart.get(consumer)
            else:
                cause = put_back.get(record) or written.pop(position, None)
        if do in (DELIVER, PARK):
            seen.add(record)
        causes.append(cause)
    return causes
