"""`Overlap`: an execution stops in the middle while others run, as its message was lent to another consumer, or beside
its competitors; then it goes on."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from chaoskit.models.events import StepMade
from chaoskit.models.faults import fail, zombie
from chaoskit.models.log import listeners
from chaoskit.models.log import settling as log_settling
from chaoskit.models.log.state import GroupState
from chaoskit.models.log.waiting import HeldPartition, StoppedOwner
from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.models.queue.returns import coming_with, end_lease, end_wait, runs_late
from chaoskit.models.queue.room import room
from chaoskit.models.queue.settling import settle_begun
from chaoskit.models.queue.state import LeasedQueue
from chaoskit.models.queue.waiting import HeldLane
from chaoskit.models.slow_call import SlowCall
from chaoskit.models.spaces import Arguments, LogSpace, QueueSpace
from chaoskit.models.turns import NEVER, NOTHING, Caused, Turn, attempt_of, consumer_of, record_of, step_as
from chaoskit.values.faults import Overlap
from chaoskit.values.scenario import Answer
from chaoskit.values.schedule import GO_ON, Raw, beginning
from chaoskit.values.settling import Settling

Begins = Generator[Raw, Answer, Caused]
"""The step in which it begins, and then what follows."""
Begun = Generator[Raw, Answer, tuple[Caused, Answer]]
"""The same; or, where the execution is over by then, what came of it."""


def on_log(group: GroupState, turn: Turn, fault: Overlap) -> Begins:
    """The group takes the owner for dead, and all its partitions go to a new one, as for a `Zombie`. Nobody competes
    for the records of a partition: `others` are the owners of other ones, and of the same key where it has moved; or
    the listener of the retry topic, or of its topic."""
    if fault.others and listeners.are_beside(group, turn):
        turn = listeners.are_apart(group, turn)
    elif fault.others and not _is_beside(group, turn):
        group.todo.append(turn)
        return NOTHING
    answer = yield from _begins(group, turn, fault)
    if not answer and not _is_committed(turn, answer):
        if answer is not None and isinstance(answer, Settling):
            log_settling.settle(group, turn[3], answer)
        if not fault.others:
            return zombie.lost_on_log(group, turn, fault, [_late(turn)], fault.by + 1)
        _stops(group, turn, fault)
        return NOTHING
    answers = [answer]
    if not answer:
        answers.append((yield from _goes_on_at_once(group, turn)))
    if group.apart:
        listeners.are_one_again(group)
    group.history.append(turn)
    for each in answers:
        if each is not None and isinstance(each, Settling):
            log_settling.settle(group, turn[3], each)
    return fail.on_log(group, turn, None) if answers[-1] else group.processed(turn[3])


def _is_beside(group: GroupState, turn: Turn) -> bool:
    """Whether another owner has records of this key; and nothing that ends meanwhile holds a partition of this one."""
    return (
        not group.apart
        and group.shares_its_key(turn)
        and all(group.owner(lane) != consumer_of(turn) for lane in group.held)
    )


def _stops(group: GroupState, turn: Turn, fault: Overlap) -> None:
    owner = consumer_of(turn)
    lanes = [lane for lane in range(len(group.logs.partitions)) if group.owner(lane) == owner]
    lanes = lanes or [listeners.RETRIED]  # the listener of the retry topic owns none
    group.is_seen(turn[3])
    group.is_gone([turn])
    for lane in lanes:
        group.held[lane] = held = HeldPartition(lane, 0.0, (), 0)
        held.until = NEVER
    group.stopped[owner] = stopped = StoppedOwner(fault, turn, lanes)
    group.alarms.set(len(group.history) + fault.by + 1, stopped)


def ends_on_log(group: GroupState, stopped: StoppedOwner) -> Begins:
    """It goes on, and then its owner with its partitions."""
    turn, step = stopped.turn, step_as(GO_ON, stopped.turn)
    answer = yield step
    if group.told is not None:
        group.told += [StepMade(step, stopped.fault, bool(answer)), *stopped.said]
    for lane in stopped.lanes:
        group.release(group.held[lane])
    if group.apart:
        listeners.are_one_again(group)
    group.history.append(turn)
    if answer is not None and isinstance(answer, Settling):
        log_settling.settle(group, turn[3], answer)
    return fail.on_log(group, turn, None) if answer else group.processed(turn[3])


def _is_committed(turn: Turn, answer: Answer) -> bool:
    """Whether the handler had committed this record before it stopped, so that no new owner reads it."""
    if answer is None or not isinstance(answer, Settling):
        return False
    lane, offset = record_of(turn)
    return any(verb == "commit" and step[3] == lane and step[4] >= offset for verb, step in answer.settled)


def on_queue(state: LeasedQueue, turn: Turn) -> Begun:
    """Its lease ends while it is stopped; or the consumer is only slow, and the others go on. It is over where the
    handler raised before it came so far, and where it had settled the message by then, whose lease ends no more."""
    faults: list[Any] = state.anchored[turn[3][2]]
    fault: Overlap = faults[0]
    if not fault.others and (pending := coming_with(state, turn, taken_over=True)) is not None:
        state.todo.append(turn)
        return end_lease(state, pending), None
    if not fault.others and (late := runs_late(state, turn)) is not None:
        state.todo.append(turn)
        return end_wait(state, late), None
    del faults[0]
    if not (competes(state, turn) if fault.others else _is_lent_again(state, turn)):
        state.todo.append(turn)
        return NOTHING, None
    answer = yield from _begins(state, turn, fault)
    if answer:
        return NOTHING, answer
    is_done = isinstance(answer, Settling) and settle_begun(state, turn, answer)
    if is_done and not fault.others:
        return NOTHING, (yield from _goes_on_at_once(state, turn))
    if not fault.others:
        return zombie.lost_on_queue(state, turn, fault, [turn], [_late(turn)], fault.by + 1), None
    held = HeldLane(state.lane(turn), [_late(turn)], fault, consumer_of(turn))
    state.hand_over(turn)
    state.latest = max(state.latest, turn[0])
    state.consumers.moved = state.overlaps = True
    state.held_lanes[held.lane] = held
    state.waiting.add(held, fault.by + 1)
    return NOTHING, None


def _begins(run: GroupState | LeasedQueue, turn: Turn, fault: Overlap) -> Generator[Raw, Answer, Answer]:
    """What came of it so far: whether the handler raised before it came to the point, and what it settled."""
    step: Raw = step_as(beginning(fault.point), turn)
    answer = yield step
    if run.told is not None:
        run.told.append(StepMade(step, fault, bool(answer)))
    return answer


def _goes_on_at_once(run: GroupState | LeasedQueue, turn: Turn) -> Generator[Raw, Answer, Answer]:
    """It had settled its message by then, so that nobody else is shown that."""
    step: Raw = step_as(GO_ON, turn)
    answer = yield step
    if run.told is not None:
        run.told.append(StepMade(step, None, bool(answer)))
    return answer


def _late(turn: Turn) -> Turn:
    return (*turn[:3], step_as(GO_ON, turn))


def _is_lent_again(state: LeasedQueue, turn: Turn) -> bool:
    """Whether another consumer is handed this message while the first still runs it."""
    policy = state.policy
    return lends_again(policy) and attempt_of(turn) < policy.most_deliveries and not state.has_last_chances(turn)


def stopped_at(state: LeasedQueue, consumer: int) -> HeldLane | None:
    """The execution that has to end before this consumer takes a message, as nobody is free who could."""
    if consumer not in state.consumers.busy():
        return None
    stopped = [held for held in state.waiting.of(HeldLane) if isinstance(held.fault, (Overlap, SlowCall))]
    return min(stopped, key=lambda held: held.consumer != consumer, default=None)


def lends_again(policy: LeasePolicy) -> bool:
    # What a relay publishes twice its consumer handles one after the other.
    return policy.lends_twice and not policy.renewed and policy.most_deliveries > 1


def lets_compete(policy: LeasePolicy) -> bool:
    """Whether two consumers can be at two messages of one key."""
    return policy.lock == "message" and policy.consumers > 1 and not policy.renewed


def competes(state: LeasedQueue, turn: Turn) -> bool:
    """Whether its consumer has nothing else, that could end meanwhile, and another one is free."""
    consumer, consumers, record = consumer_of(turn), state.consumers, record_of(turn)
    if not lets_compete(state.policy) or room(state, turn) < 2:
        return False
    if any(waiting.consumer == consumer for waiting in state.waiting.all):
        return False
    if any(holder == consumer for held, holder in consumers.held_by.items() if held != record):
        return False
    return len(consumers.busy() | {consumer}) < state.policy.consumers


def log_arguments(space: LogSpace, position: int) -> Arguments:
    moves = space.reading.consumers > 1 and space.stored.growth(position)
    return range(1), range(space.size), range(2 if moves or space.reading.passes_failed else 1)


def queue_arguments(space: QueueSpace, position: int) -> Arguments:
    others = range(not lends_again(space.policy), 1 + lets_compete(space.policy))
    return (range(1), range(space.size), others) if others else None
