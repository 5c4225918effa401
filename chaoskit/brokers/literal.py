"""From raw steps to literal ones, each with the fault that caused it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from chaoskit.brokers.producer import Logs
from chaoskit.event import EventId
from chaoskit.faults import Fault
from chaoskit.scenario import Steps
from chaoskit.schedule import ACTIONS, Do, Raw, Schedule, Step

Record = tuple[int, int]
"""A partition or queue, and the place in it."""

_AGAIN = {Do.RESTART, Do.TAKE_OVER}


class Run(Protocol):
    """A run of stage 2: `cause` is the fault behind the step just made, `late` those that delay or return records."""

    cause: Fault | None
    late: dict[Record, Fault]

    def run(self) -> Steps: ...


def literal(run: Run, logs: Logs, ids: Sequence[EventId], steps: Sequence[Raw], raised: Sequence[int]) -> Schedule:
    """The same run once more, noting causes. `raised` are the numbers of the deliveries that were refused."""
    play, refused = run.run(), set(raised)
    noted: list[Fault | None] = []
    answer: bool | None = None
    for number, expected in enumerate(steps):
        step = play.send(answer)
        assert step == tuple(expected), "the model made another step"
        late = run.late.pop((step[3], step[4]), None) if step[0] == Do.DELIVER else None
        noted.append(run.cause or late)
        run.cause = None
        answer = number in refused or None
    causes = _causes(steps, noted, logs)
    return Schedule(
        tuple(
            _step(raw, ids, cause, number in refused)
            for number, (raw, cause) in enumerate(zip(steps, causes, strict=True))
        )
    )


def _step(raw: Raw, ids: Sequence[EventId], cause: Fault | None, refused: bool) -> Step:
    do, consumer, position, partition, offset, *attempt = raw
    return Step(
        ACTIONS[do],
        consumer,
        None if position < 0 else ids[position],
        None if partition < 0 else partition,
        None if offset < 0 else offset,
        cause,
        refused,
        attempt[0] if attempt and position >= 0 else None,
    )


def _causes(steps: Sequence[Raw], noted: Sequence[Fault | None], logs: Logs) -> list[Fault | None]:
    """The fault behind each step: noted by the run; or the restart that brought a record back; or the put back
    that appended it; or, at its first delivery, the producer's; or, at the first of a copy, what sent it again."""
    causes: list[Fault | None] = []
    written = logs.notes
    copies = {position: list(faults) for position, faults in logs.copies.items()}
    shown: set[int] = set()
    seen: set[Record] = set()
    put_back: dict[Record, Fault | None] = {}
    restart: dict[int, Fault | None] = {}
    for number, (do, consumer, position, partition, offset, *_) in enumerate(steps):
        cause = noted[number]
        record = (partition, offset)
        if do in _AGAIN:
            restart[consumer] = cause
        elif do == Do.PUT_BACK:
            put_back[record] = cause
        elif do == Do.DELIVER and cause is None:
            first = put_back.get(record) or written.get(position)
            if record not in seen and record not in put_back and position in shown and copies.get(position):
                first = copies[position].pop(0)
            cause = restart.get(consumer) if record in seen else first
        if do in (Do.DELIVER, Do.PARK):
            seen.add(record)
            shown.add(position)
        causes.append(cause)
    return causes
