"""From raw steps to literal ones, each with the fault that caused it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Protocol

from chaoskit.models.producer import Logs
from chaoskit.models.turns import Record
from chaoskit.values.event import EventId
from chaoskit.values.faults import Fault
from chaoskit.values.scenario import Steps
from chaoskit.values.schedule import Do, Raw, Schedule, from_raw, what_of

_AGAIN = {Do.RESTART, Do.TAKE_OVER}


class ModelRun(Protocol):
    """A run of stage 2: `cause` is the fault behind the step just made, `late` those that delay or return records."""

    logs: Logs
    cause: Fault | None
    late: dict[Record, Fault]

    def run(self) -> Steps: ...


def once_more(run: ModelRun, steps: Sequence[Raw], raised: Sequence[int]) -> Iterator[tuple[Raw, bool]]:
    """The same run step by step to its end, and whether each step is one of the deliveries that were refused."""
    play, refused = run.run(), set(raised)
    answer: bool | None = None
    for number, expected in enumerate(steps):
        step = play.send(answer)
        assert step == tuple(expected), "the model made another step"
        answer = number in refused or None
        yield step, bool(answer)
    with suppress(StopIteration):
        play.send(answer)


def literal(run: ModelRun, ids: Sequence[EventId], steps: Sequence[Raw], raised: Sequence[int]) -> Schedule:
    """The same run once more, noting causes. `raised` are the numbers of the deliveries that were refused."""
    logs = run.logs  # as they were sent: what is put back is not noted in them
    noted: list[Fault | None] = []
    refused: list[bool] = []
    for step, raises in once_more(run, steps, raised):
        late = run.late.pop((step[3], step[4]), None) if step[0] == Do.DELIVER else None
        noted.append(run.cause or late)
        refused.append(raises)
        run.cause = None
    causes = _causes(steps, noted, logs)
    each = zip(steps, causes, refused, strict=True)
    return Schedule(tuple(from_raw(raw, ids, cause, raises) for raw, cause, raises in each))


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
    for number, (_, consumer, position, partition, offset, *_) in enumerate(steps):
        do = what_of(steps[number])
        cause = noted[number]
        record = (partition, offset)
        if do in _AGAIN:
            restart[consumer] = cause
        elif do == Do.PUT_BACK:
            put_back[record] = cause
        elif do in (Do.DELIVER, Do.WAIT) and cause is None:
            first = put_back.get(record) or written.get(position)
            if record not in seen and record not in put_back and position in shown and copies.get(position):
                first = copies[position].pop(0)
            cause = restart.get(consumer) if record in seen else first
        if do in (Do.DELIVER, Do.FAIL, Do.PARK, Do.DIE):
            seen.add(record)
            shown.add(position)
        causes.append(cause)
    return causes
