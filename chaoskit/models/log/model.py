"""The log model: a stream in a partitioned log. It makes deliveries by running them, never by editing lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from chaoskit.models.faults import BY_PRODUCER, LOG_ARGUMENTS, firing_order
from chaoskit.models.handover import Handover
from chaoskit.models.in_batches import InBatches
from chaoskit.models.log.policy import Reading
from chaoskit.models.log.run import GroupRun
from chaoskit.models.log.state import AtHead
from chaoskit.models.log.trace import spell_log
from chaoskit.models.producer import Headers, Hold, Producer, Stamp, is_stamped_anew, sent_at
from chaoskit.models.spaces import Arguments, LogSpace
from chaoskit.models.stored import Growth, Stored
from chaoskit.models.times import Times
from chaoskit.values.epoch import EPOCH
from chaoskit.values.event import Message, Stream
from chaoskit.values.faults import (
    Fail,
    Fault,
    FaultKind,
    Overtake,
    Rehash,
)
from chaoskit.values.scenario import Restamped
from chaoskit.values.schedule import Raw
from chaoskit.values.settling import COMMITS, Settles, Verbs
from chaoskit.values.timing import USUAL, Timing

BY_POSITION = Handover(failed="from the lowest")
"""An offset says that all before it is done."""


@attrs.frozen
class LogSettings:
    """What the log model has to know of a broker. The broker's own file gives these their names.

    `growth` gives the partition counts to which the topic may grow so that a key moves, the least first.
    `longest_replay` bounds what a search draws, not what the model can do. `numbered`: messages carry the place in the
    log as their `sequence`, too. `stamp`: who writes timestamps. `put_back`: the headers of what was set aside.
    `handover`: how messages come in one call.
    `verbs`: what a handler can settle with.
    `timing`: how long things take.
    """

    topic: str
    producer: Producer
    reading: Reading
    longest_replay: int
    growth: Growth
    numbered: bool = False
    stamp: Stamp = "broker"
    put_back: Headers | None = None
    handover: Handover = BY_POSITION
    verbs: Verbs = COMMITS
    timing: Timing = USUAL


class LogModel(InBatches):
    """One stream in one topic, read by one consumer group."""

    def __init__(self, stream: Stream, settings: LogSettings) -> None:
        self.stream = stream
        self._settings = settings
        self._stored = Stored(stream, settings.producer, settings.growth)
        self.handover = settings.handover
        # All of a key is in one partition, which one consumer reads, until the topic grows; or else in the retry topic.
        apart = settings.reading.passes_failed
        moves = settings.reading.consumers > 1
        self.occasions_beside = (*((Fail,) if apart else ()), *((Rehash,) if moves else ()))
        self._space = LogSpace(self._stored, settings.reading, settings.longest_replay, self.handover.most)

    @property
    def skips_refused(self) -> bool:
        return self._settings.reading.drops_failed

    @property
    def verbs(self) -> Verbs:
        return self._settings.verbs

    # What a search may choose from.

    def lanes(self) -> list[list[int]]:
        return self._stored.lanes()

    def arguments(self, kind: FaultKind, position: int) -> Arguments:
        return LOG_ARGUMENTS[kind](self._space, position)

    def mail(
        self,
        copiers: Sequence[Callable[[Any], Any] | None],
        epoch: float = EPOCH,
        restamped: Restamped | None = None,
    ) -> Callable[[Raw], Message]:
        topic, numbered = self._settings.topic, self._settings.numbered
        stamp, put_back = self._settings.stamp, self._settings.put_back
        retries_copy, last = self._settings.producer.retries_copy, len(self.stream) - 1
        # Taken apart once, because `message` is called for each delivery.
        letters = [
            (event.key, event.value, copied, event.id, event.seq)
            for event, copied in zip(self.stream.events, copiers, strict=True)
        ]

        def message(step: Raw) -> Message:
            position, partition, offset = step[2:5]
            key, value, copied, id_, seq = letters[position]
            if copied is not None:
                value = copied(value)
            sequence = offset if numbered else None
            if len(step) < 6:  # only copies are longer, as a log counts no attempts
                return Message(
                    key, value, id_, seq, {}, epoch + position, topic, partition, offset, None, None, None, sequence
                )
            sent = sent_at(step, stamp, retries_copy, epoch)
            headers = put_back(topic, step, epoch) if put_back is not None and step[8] >= 0 else {}
            made = Message(key, value, id_, seq, headers, sent, topic, partition, offset, sequence=sequence)
            if restamped is not None and is_stamped_anew(step, stamp, retries_copy, last):
                restamped(made, step)
            return made

        return message

    def times(self, faults: Sequence[Fault] | None, epoch: float) -> Times:
        run, settings = self.heard(faults), self._settings
        return Times(run, settings.timing, epoch, len(self.stream) - 1, settings.reading.max_attempts)

    # The run.

    def trace(
        self,
        faults: Sequence[Fault],
        steps: Sequence[Raw],
        raised: Sequence[int],
        settled: Mapping[int, Settles] | None = None,
    ) -> str:
        if self.takes_batches(faults):
            return spell_log(*self.below_batches(faults, steps, raised, settled))
        return spell_log(self._run(faults), steps, raised, settled)

    def begin(self, faults: Sequence[Fault]) -> GroupRun:
        return self._run(faults)

    def room(self, run: GroupRun, step: Raw) -> int:
        return run.until_commit(step[1])

    def _run(self, faults: Sequence[Fault]) -> GroupRun:
        anchored: AtHead = {}
        holds: dict[int, list[Hold]] = {}
        logs = self._stored.calm
        sent_otherwise = False
        positions = self._stored.position
        for fault in faults:
            position = positions[fault.at]
            if isinstance(fault, Overtake):
                holds.setdefault(position, []).append(Hold(fault, fault.by + 1))
            elif type(fault) in BY_PRODUCER:
                sent_otherwise = True
            elif position in anchored:
                anchored[position].append(fault)
            else:
                anchored[position] = [fault]
        if len(anchored) < len(faults):
            for several in anchored.values():
                if len(several) > 1:
                    several.sort(key=firing_order)
        # Mildest first, as one begins each time that the record becomes head.
        for stalls in holds.values():
            if len(stalls) > 1:
                stalls.sort(key=lambda hold: hold.release)
        if sent_otherwise:
            logs = self._stored.written(faults)
            for position, stalls in logs.holds.items():
                holds[position] = stalls + holds.get(position, [])
        events, home = self.stream.events, self._settings.producer.home
        return GroupRun(events, home, self._settings.reading, logs, anchored, holds)
