"""From what happened in a run to literal steps, each with the fault that caused it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs

from chaoskit.models.events import Delayed, Happened, ModelRun, StepMade, what_happened
from chaoskit.models.producer import Logs
from chaoskit.models.turns import Record
from chaoskit.values.event import EventId
from chaoskit.values.faults import Fault
from chaoskit.values.schedule import Do, Raw, Schedule, from_raw
from chaoskit.values.settling import Settles, as_written

_AGAIN = {Do.RESTART, Do.TAKE_OVER}


def literal(
    run: ModelRun,
    ids: Sequence[EventId],
    steps: Sequence[Raw],
    raised: Sequence[int],
    settled: Mapping[int, Settles] | None = None,
) -> Schedule:
    """These steps of this run. `raised` are the numbers of the deliveries that were refused, `settled` what each
    settled where the handler does that itself."""
    sent = run.logs  # what is put back is not noted in them
    each = _with_causes(what_happened(run, steps, raised, settled), sent)
    literal_steps = [from_raw(made.step, ids, cause, made.refused) for made, cause in each]
    for number, settles in (settled or {}).items():
        literal_steps[number] = attrs.evolve(literal_steps[number], settled=as_written(settles))
    return Schedule(tuple(literal_steps))


def _with_causes(happened: Iterable[Happened], sent: Logs) -> Iterator[tuple[StepMade, Fault | None]]:
    """The fault behind each step: the one that made it; or that delayed its message; or the restart that brought a
    record back; or the put back that appended it; or, at its first delivery, the producer's; or, at the first of a
    copy, what sent it again."""
    copies = {position: list(faults) for position, faults in sent.copies.items()}
    shown: set[int] = set()
    seen: set[Record] = set()
    late: dict[Record, Fault] = {}
    put_back: dict[Record, Fault | None] = {}
    restart: dict[int, Fault | None] = {}
    for event in happened:
        record = event.record
        if isinstance(event, Delayed):
            late[record] = event.fault
        if not isinstance(event, StepMade):
            continue
        do, cause, position = event.do, event.fault, event.position
        if do in (Do.DELIVER, Do.GO_ON):
            # Taken in any case: a delay explains one delivery, also where that has a cause of its own.
            delayed = late.pop(record, None)
            cause = cause or delayed
        if do in _AGAIN:
            restart[event.consumer] = cause
        elif do == Do.PUT_BACK:
            put_back[record] = cause
        elif do in (Do.DELIVER, Do.WAIT) and cause is None:
            # First: what was seen came back, whatever its producer did.
            if record in seen:
                cause = restart.get(event.consumer)
            # What was put back is no copy of the producer's, though its event was shown before.
            elif record not in put_back and position in shown and copies.get(position):
                cause = copies[position].pop(0)
            else:
                cause = put_back.get(record) or sent.notes.get(position)
        # A restart brings back what was parked as much as what was run.
        if event.runs or do in (Do.PARK, Do.BEGIN):
            seen.add(record)
            shown.add(position)
        yield event, cause
