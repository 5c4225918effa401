"""`Overlap`: an execution stops in the middle while others run, as its message was lent to another consumer, or beside
its competitors; then it goes on."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from chaoskit.models.events import StepMade
from chaoskit.models.faults import fail, zombie
from chaoskit.models.log.state import GroupState
from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.models.queue.returns import coming_with, end_lease
from chaoskit.models.queue.state import LeasedQueue
from chaoskit.models.queue.waiting import HeldLane
from chaoskit.models.spaces import Arguments, LogSpace, QueueSpace
from chaoskit.models.turns import NOTHING, Caused, Turn, attempt_of, consumer_of, record_of, step_as
from chaoskit.values.faults import Overlap
from chaoskit.values.scenario import Answer
from chaoskit.values.schedule import GO_ON, Raw, beginning

Begins = Generator[Raw, Answer, Caused]
"""The step in which it begins, and then what follows."""


def on_log(group: GroupState, turn: Turn, fault: Overlap) -> Begins:
    """The group takes the owner for dead, and all its partitions go to a new one, as for a `Zombie`. In a log nobody
    competes for the records of a partition."""
    if fault.others:
        group.todo.append(turn)
        return NOTHING
    if (yield from _begins(group, turn, fault)):
        group.history.append(turn)
        return fail.on_log(group, turn, None)
    return zombie.lost_on_log(group, turn, fault, [_late(turn)], fault.by + 1)


def on_queue(state: LeasedQueue, turn: Turn) -> Generator[Raw, Answer, Caused | None]:
    """Its lease ends while it is stopped; or the consumer is only slow, and the others go on. None where the handler
    raised before it came so far."""
    faults: list[Any] = state.anchored[turn[3][2]]
    fault: Overlap = faults[0]
    if not fault.others and (pending := coming_with(state, turn, taken_over=True)) is not None:
        state.todo.append(turn)
        return end_lease(state, pending)
    del faults[0]
    if not (_competes(state, turn) if fault.others else _is_lent_again(state.policy, turn)):
        state.todo.append(turn)
        return NOTHING
    if (yield from _begins(state, turn, fault)):
        return None
    if not fault.others:
        return zombie.lost_on_queue(state, turn, fault, [turn], [_late(turn)], fault.by + 1)
    held = HeldLane(state.lane(turn), [_late(turn)], fault, consumer_of(turn))
    state.hand_over(turn)
    state.latest = max(state.latest, turn[0])
    state.consumers.moved = True
    state.held_lanes[held.lane] = held
    state.waiting.add(held, fault.by + 1)
    return NOTHING


def _begins(run: GroupState | LeasedQueue, turn: Turn, fault: Overlap) -> Generator[Raw, Answer, bool]:
    """Whether the handler raised before it came so far."""
    step: Raw = step_as(beginning(fault.point), turn)
    refused = bool((yield step))
    if run.told is not None:
        run.told.append(StepMade(step, fault, refused))
    return refused


def _late(turn: Turn) -> Turn:
    return (*turn[:3], step_as(GO_ON, turn))


def _is_lent_again(policy: LeasePolicy, turn: Turn) -> bool:
    """Whether another consumer is handed this message while the first still runs it."""
    return lends_again(policy) and attempt_of(turn) < policy.most_deliveries


def lends_again(policy: LeasePolicy) -> bool:
    # What a relay publishes twice its consumer handles one after the other.
    return policy.lends_twice and not policy.renewed and policy.most_deliveries > 1


def lets_compete(policy: LeasePolicy) -> bool:
    """Whether two consumers can be at two messages of one key."""
    return policy.lock == "message" and policy.consumers > 1 and not policy.renewed


def _competes(state: LeasedQueue, turn: Turn) -> bool:
    """Whether its consumer has nothing else, that could end meanwhile, and another one is free."""
    consumer, consumers, record = consumer_of(turn), state.consumers, record_of(turn)
    if not lets_compete(state.policy) or state.room(turn) < 2:
        return False
    if any(waiting.consumer == consumer for waiting in state.waiting.all):
        return False
    if any(holder == consumer for held, holder in consumers.held_by.items() if held != record):
        return False
    return len(consumers.busy() | {consumer}) < state.policy.consumers


def log_arguments(space: LogSpace, position: int) -> Arguments:
    return range(1), range(space.size), range(1)


def queue_arguments(space: QueueSpace, position: int) -> Arguments:
    others = range(not lends_again(space.policy), 1 + lets_compete(space.policy))
    return (range(1), range(space.size), others) if others else None
