"""What happened, in Kafka's words: one sentence for each deviation, and the setting that rules it out."""

from __future__ import annotations

from collections.abc import Sequence

from chaoskit.event import Event, EventId
from chaoskit.faults import BatchSwap, DeadLetter, Duplicate, Fault, FaultKind, Overtake, Redeliver, Rehash
from chaoskit.schedule import Schedule, Step

RULED_OUT_BY: dict[FaultKind, str] = {
    Duplicate: (
        "no Kafka setting: at-least-once delivery may show a record twice. Make the handler idempotent: remember "
        "event ids in the same transaction as the effect"
    ),
    Redeliver: (
        "no Kafka setting: whatever was not committed when a consumer stops comes again. Committing after every record "
        "(commit_every=1) makes the replay one record long; the handler has to be idempotent"
    ),
    DeadLetter: (
        'on_error="stop" lets the partition wait instead of going on without the record. Otherwise nobody may put '
        "dead letters back into the topic, or the handler has to drop or hold back what is out of order (compare `seq`)"
    ),
    Rehash: (
        "a partition count that never changes. To grow, drain the topic first, or move to a new topic; otherwise the "
        "handler has to notice stale events (compare `seq`)"
    ),
    BatchSwap: "enable.idempotence=true (idempotent_producer=True), or max.in.flight.requests.per.connection=1",
    Overtake: (
        "one key for events that depend on each other, so that they share a partition; Kafka orders nothing between "
        "partitions"
    ),
}


def sentences(schedule: Schedule, events: Sequence[Event], partitions: int) -> list[tuple[Fault | None, str]]:
    """One sentence for each fault that shows in the schedule, in order of appearance; and for refusals."""
    found: list[tuple[Fault | None, str]] = []
    told: set[Fault] = set()
    for number, step in enumerate(schedule.steps):
        fault = step.fault
        if fault is not None and fault not in told:
            told.add(fault)
            found.append((fault, _sentence(fault, number, schedule.steps, events, partitions)))
        if step.raised:
            found.append((None, _refusal(number, schedule.steps)))
    return found


def _sentence(fault: Fault, number: int, steps: Sequence[Step], events: Sequence[Event], partitions: int) -> str:
    step = steps[number]
    if isinstance(fault, Duplicate):
        return f"the consumer sought back after a failed commit and was handed {_record(step)} again"
    if isinstance(fault, Redeliver):
        return _restart(number, steps)
    if isinstance(fault, DeadLetter):
        return _dead_letter(fault, number, steps)
    key = next(event.key for event in events if event.id == fault.at)
    if isinstance(fault, Rehash):
        return _growth(fault, key, steps, partitions)
    earlier = [s.event for s in steps[:number] if s.action == "deliver" and _younger(s, step, events)]
    if isinstance(fault, BatchSwap):
        lost = " with everything in flight" if fault.lost else ""
        return (
            f"the producer's batch with {fault.at} failed{lost}, and its retry landed behind {_names(earlier)} in "
            f"partition {step.partition}: offset {step.offset}"
        )
    return f"partition {step.partition} was read late: {_names(earlier)} of other partitions went before {step.event}"


def _restart(number: int, steps: Sequence[Step]) -> str:
    consumer = steps[number].consumer
    seen = {(s.partition, s.offset) for s in steps[:number] if s.action in ("deliver", "park")}
    again: list[Step] = []
    for step in steps[number + 1 :]:
        if step.action == "restart" and step.consumer == consumer:
            break
        if step.action == "deliver" and step.consumer == consumer:
            if (step.partition, step.offset) not in seen:
                break
            again.append(step)
    if not again:
        return f"consumer {consumer} restarted"
    first = again[0]

    return (
        f"consumer {consumer} restarted before offset {first.offset} of partition {first.partition} was committed: "
        f"{_names([s.event for s in again])} came again"
    )


def _dead_letter(fault: DeadLetter, number: int, steps: Sequence[Step]) -> str:
    parked = steps[number]
    back = next(
        (s for s in steps[number + 1 :] if s.action == "put back" and s.event == fault.at), None
    )  # fmt: skip
    start = (
        f"{_record(parked)} used up its attempts before it had any effect and went to the dead-letter topic; "
        "its successors were committed"
    )
    if back is None:
        return start
    return f"{start}; later it was put back as a new record, partition {back.partition} offset {back.offset}"


def _growth(fault: Rehash, key: object, steps: Sequence[Step], partitions: int) -> str:
    homes = list(dict.fromkeys(s.partition for s in steps if s.action == "deliver" and s.event == fault.at))
    place = next(i for i, s in enumerate(steps) if s.action == "deliver" and s.event == fault.at)
    late = [s for s in steps[place + 1 :] if s.action == "deliver" and s.fault == fault]
    backlog = ""
    if late:
        backlog = f", and was read before the backlog of partition {late[0].partition} ({late[0].event} first)"
    lag = (
        f"; producers with old metadata sent the next {fault.lag} events of {key!r} to the old partition"
        if fault.lag
        else ""
    )
    return (
        f"the topic grew from {partitions} to {fault.to} partitions: {fault.at} of key {key!r} went to partition "
        f"{homes[0]}{backlog}{lag}"
    )


def _refusal(number: int, steps: Sequence[Step]) -> str:
    step = steps[number]
    fate = next(
        (s.action for s in steps[number + 1 :] if (s.partition, s.offset) == (step.partition, step.offset)),
        None,
    )
    then = {
        "deliver": "it was shown again",
        "park": "its attempts were used up, and it went to the dead-letter topic",
        "skip": "the consumer went on without it",
        "refuse": "its attempts were used up for good",
    }.get(fate or "", "nothing followed")
    return f"the handler raised on {_record(step)}: {then}"


def _younger(other: Step, step: Step, events: Sequence[Event]) -> bool:
    order: dict[EventId | None, int] = {event.id: i for i, event in enumerate(events)}
    return order[other.event] > order[step.event]


def _record(step: Step) -> str:
    return f"{step.event} (partition {step.partition}, offset {step.offset})"


def _names(ids: Sequence[EventId | None], most: int = 5) -> str:
    names = [str(id_) for id_ in dict.fromkeys(ids)]
    if len(names) > most:
        names = [*names[:most], f"{len(names) - most} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names) or "nothing"
