"""The log model: a stream in a partitioned log. It makes deliveries by running them, never by editing lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs

from chaoskit.brokers.consumer import DELIVER, PARK, PUT_BACK, RESTART, Anchored, Reader, Reading
from chaoskit.brokers.producer import Hold, Homes, Logs, Producer
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
    producer: Producer
    reading: Reading
    longest_replay: int
    growth: Callable[[Any], Sequence[int]]


class LogModel:
    """One stream in one topic, read by one consumer group."""

    def __init__(self, stream: Stream, settings: LogSettings) -> None:
        self.stream = stream
        self._settings = settings
        self._position: dict[EventId, int] = {id_: i for i, id_ in enumerate(stream.ids)}
        self._producer = settings.producer
        self._homes = Homes(stream.events, self._producer.home)
        self._calm = self._producer.write(self._homes)
        self._lane_of = {i: p for p, log in enumerate(self._calm.partitions) for i in log}
        self._rank = {i: n for log in self._calm.partitions for n, i in enumerate(log)}

    # What a search may choose from.

    def lanes(self) -> list[list[int]]:
        """The partitions as they are before any growth. Events without a key have no order: each is its own lane,
        unless there is one partition only."""
        lanes: list[list[int]] = []
        for log in self._calm.partitions:
            keyed = [i for i in log if self._producer.partitions == 1 or self._has_home(self.stream[i])]
            lanes += [keyed] if keyed else []
            lanes += [[i] for i in log if i not in set(keyed)] if len(keyed) < len(log) else []
        return lanes

    def _has_home(self, event: Event) -> bool:
        home, count = self._producer.home, self._producer.partitions
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
        s = self._producer
        behind = (lane_size - 1) // s.batch_size - self._rank[position] // s.batch_size
        if behind == 0:
            return None
        return range(min(behind, s.max_in_flight - 1)), range(2 if s.newest_first else 1)

    def _growth_arguments(self, position: int) -> tuple[Sequence[int], ...] | None:
        """Also where the old partition has no backlog of its own: another growth may move records there."""
        event = self.stream[position]
        growth = self._settings.growth(event.key) if self._has_home(event) else ()
        if not growth or len(self.stream) == 1:
            return None
        lag = len(self._homes.followers(position))
        return growth, range(max(1, self._rank[position])), range(len(self.stream)), range(lag + 1)

    def mail(self, copiers: Sequence[Callable[[Any], Any] | None]) -> Callable[[Raw], Message]:
        topic = self._settings.topic
        letters = [
            (event.key, event.value, copied, event.id, event.seq, EPOCH + position)
            for position, (event, copied) in enumerate(zip(self.stream.events, copiers, strict=True))
        ]

        def message(step: Raw) -> Message:
            _, _, position, partition, offset = step
            key, value, copied, id_, seq, sent = letters[position]
            if copied is not None:
                value = copied(value)
            return Message(key, value, id_, seq, {}, sent, topic, partition, offset)

        return message

    # The run.

    def play(self, faults: Iterable[Fault]) -> Steps:
        """Stage 1, then stage 2. What each of them does is written down in docs/kafka.md."""
        return self._reader(faults)[0].run()

    def _reader(self, faults: Iterable[Fault]) -> tuple[Reader, Logs]:
        anchored: Anchored = {}
        holds: dict[int, list[Hold]] = {}
        rehashes: list[tuple[int, Rehash]] = []
        swaps: list[tuple[int, BatchSwap]] = []
        positions = self._position
        for fault in faults:
            position = positions[fault.at]
            if type(fault) is Overtake:
                holds.setdefault(position, []).append(Hold(fault, fault.by + 1))
            elif type(fault) is Rehash:
                rehashes.append((position, fault))
            elif type(fault) is BatchSwap:
                swaps.append((position, fault))
            else:
                assert isinstance(fault, (Duplicate, Redeliver, DeadLetter))
                if position in anchored:
                    anchored[position].append(fault)
                    anchored[position].sort(key=_firing_order)
                else:
                    anchored[position] = [fault]
        for stalls in holds.values():
            if len(stalls) > 1:
                stalls.sort(key=lambda hold: hold.release)
        logs = self._calm
        if rehashes or swaps:
            logs = self._producer.write(self._homes, sorted(rehashes), sorted(swaps))
            for position, stalls in logs.holds.items():
                holds[position] = stalls + holds.get(position, [])
        events, home = self.stream.events, self._producer.home
        return Reader(events, home, self._settings.reading, logs, anchored, holds), logs

    # The run as literal steps.

    def schedule(self, faults: Sequence[Fault], steps: Sequence[Raw], raised: Sequence[int]) -> Schedule:
        reader, logs = self._reader(faults)
        play, refused = reader.run(), set(raised)
        noted: list[Fault | None] = []
        answer: bool | None = None
        for number, expected in enumerate(steps):
            step = play.send(answer)
            assert step == tuple(expected), "the model made another step"
            late = reader.late.pop(step[3:], None) if step[0] == DELIVER else None
            noted.append(reader.cause or late)
            reader.cause = None
            answer = number in refused or None
        ids = self.stream.ids
        causes = _causes(steps, noted, dict(logs.notes))
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


_ORDER_OF_KINDS = {DeadLetter: 0, Duplicate: 1, Redeliver: 2}


def _firing_order(fault: Duplicate | Redeliver | DeadLetter) -> tuple[int, int]:
    return _ORDER_OF_KINDS[type(fault)], 0 if isinstance(fault, Duplicate) else fault.after


def _causes(steps: Sequence[Raw], noted: Sequence[Fault | None], written: dict[int, Fault]) -> list[Fault | None]:
    """The fault behind each step: noted by the run; or the restart that brought a record back; or the put back
    that appended it; or, at its first delivery, the producer's."""
    causes: list[Fault | None] = []
    seen: set[tuple[int, int]] = set()
    put_back: dict[tuple[int, int], Fault | None] = {}
    restart: dict[int, Fault | None] = {}
    for number, (do, consumer, position, partition, offset) in enumerate(steps):
        cause = noted[number]
        record = (partition, offset)
        if do == RESTART:
            restart[consumer] = cause
        elif do == PUT_BACK:
            put_back[record] = cause
        elif do == DELIVER and cause is None:
            first = put_back.get(record) or written.get(position)
            cause = restart.get(consumer) if record in seen else first
        if do in (DELIVER, PARK):
            seen.add(record)
        causes.append(cause)
    return causes
