"""`DeadLetter`: a message is set aside, and somebody puts it back later."""

from __future__ import annotations

from chaoskit.models.log.state import GroupState
from chaoskit.models.log.waiting import ParkedRecord
from chaoskit.models.queue.state import LeasedQueue
from chaoskit.models.queue.waiting import SetAside
from chaoskit.models.spaces import Arguments, LogSpace, QueueSpace
from chaoskit.models.turns import Caused, Turn, retries_of, step_as
from chaoskit.values.faults import DeadLetter, Fault
from chaoskit.values.schedule import PARK, Raw


def on_queue(state: LeasedQueue, turn: Turn, fault: DeadLetter) -> Caused:
    state.gone.append((len(state.history), turn, fault))
    # It was handed out: what is put back is accepted behind it, too.
    state.latest = max(state.latest, turn[0])
    state.waiting.add(SetAside(turn[3], fault), fault.after + 1)
    return [(step_as(PARK, turn), fault)]


def on_log(group: GroupState, turn: Turn, fault: DeadLetter) -> Caused:
    deliveries = len(group.history)
    group.park(ParkedRecord(turn[3], fault, deliveries + fault.after + 1))
    # Until its offset is committed, a restart reads it at its old place again.
    group.parks = [*group.parks, (deliveries, turn)]
    group.is_gone([turn])
    return [(step_as(PARK, turn), fault)]


def comes_back(group: GroupState, parked: ParkedRecord) -> tuple[Raw, Fault | None]:
    group.parked.remove(parked)
    # A retry topic counts in a header; whoever puts a dead letter back by hand does not.
    retries = retries_of(parked.step) + 1 if group.reading.on_error == "retry_topic" else 0
    return group.put_back(parked.step, retries, parked.fault)


def log_arguments(space: LogSpace, position: int) -> Arguments:
    return (range(space.size),)


def queue_arguments(space: QueueSpace, position: int) -> Arguments:
    return (range(space.size),)
