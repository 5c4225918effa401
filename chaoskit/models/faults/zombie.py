"""`Zombie`: a consumer is taken for dead while it works, and runs what it holds beside its successor."""

from __future__ import annotations

from itertools import islice

from chaoskit.models.events import Delayed, TakenForDead
from chaoskit.models.log.state import GroupState
from chaoskit.models.log.waiting import ZombieOwner
from chaoskit.models.queue.returns import runs_late, takes_along
from chaoskit.models.queue.room import first_of, room, unsettled
from chaoskit.models.queue.state import LeasedQueue
from chaoskit.models.queue.waiting import SecondRelay, ZombieRun
from chaoskit.models.spaces import Arguments, LogSpace, QueueSpace
from chaoskit.models.turns import NOTHING, Caused, Turn, attempt_of, consumer_of, handed_to, record_of
from chaoskit.values.faults import Fault, Overlap, Zombie
from chaoskit.values.schedule import TAKE_OVER, Raw


def on_queue(state: LeasedQueue, turn: Turn, fault: Zombie) -> Caused:
    """The lease of all that the consumer holds ends; it runs it nevertheless, while others are handed it. Of a relay a
    second one is started beside the first, after `holds` and `after` more."""
    policy = state.policy
    if attempt_of(turn) >= policy.most_deliveries or state.has_last_chances(turn):
        state.todo.append(turn)
        return NOTHING
    if policy.renewed:
        state.waiting.add(SecondRelay(turn, fault), fault.holds + fault.after + 1)
        state.todo.append(turn)
        return NOTHING
    # What it has not given back yet, what it keeps and what it has not run yet take up room in its prefetch.
    taken = 0
    if policy.brings == "consumer":
        taken = state.consumers.refused_or_unrun_of(consumer_of(turn), record_of(turn))
    most = min(room(state, turn), policy.window - taken - state.held_open(turn))
    held = [turn, *fetched_with(state, turn, max(0, min(fault.holds, most - 1)))]
    return lost_on_queue(state, turn, fault, held, held, fault.after + 1)


def lost_on_queue(
    state: LeasedQueue, turn: Turn, fault: Zombie | Overlap, held: list[Turn], late: list[Turn], after: int
) -> Caused:
    """The lease ends of all that the consumer of this message has `held`: what it runs `late` nevertheless comes after
    so many deliveries."""
    policy, consumers = state.policy, state.consumers
    old, lane = consumer_of(turn), state.lane(turn)
    state.batches.open.pop(state.batch_lane(turn), None)
    for each in held:
        state.hand_over(each)
    state.tell(TakenForDead, held)
    # Its channel is closed, and that gives back what it still had.
    along = takes_along(state, old) if policy.brings == "consumer" or policy.consumers == 1 else []
    state.come_back(sorted([*along, *state.open_of(old), *held]))
    if policy.consumers == 1:
        state.drop_kept(old)
    state.tell(Delayed, held, fault)
    state.latest = max([state.latest, *(each[0] for each in held)])
    consumers.held_by.update((record_of(each), -1) for each in held)
    state.waiting.add(ZombieRun(old, late, fault), after)
    consumers.moved = True
    new = consumers.successor(old, lane)
    return [((TAKE_OVER, new, *turn[3][2:5], attempt_of(turn) + 1, *turn[3][6:]), fault)]


def fetched_with(state: LeasedQueue, turn: Turn, most: int) -> list[Turn]:
    """The next messages of the lane, or of the queue where nothing keeps an order, handed to the same consumer."""
    policy, lane, found = state.policy, state.lane(turn), list[Turn]()
    first = min([turn[2], *map(first_of, unsettled(state, turn[1]))]) if state.own else turn[2]
    for other in reversed(state.todo):
        if len(found) == most:
            break
        if other[1] != turn[1] or (policy.lock != "message" and state.lane(other) != lane):
            continue
        if (
            record_of(other) in state.consumers.held_by
            or other[2] - first >= policy.span
            or state.held(other)
            or runs_late(state, handed_to(consumer_of(turn), other)) is not None
            or attempt_of(other) >= policy.most_deliveries
        ):
            break  # a fetch has no holes
        found.append(other)
    state.take(found)
    return [handed_to(consumer_of(turn), other) for other in found]


def on_log(group: GroupState, turn: Turn, fault: Zombie) -> Caused:
    """All partitions of the owner go to a new one, which reads from the commit; the old one runs what it holds."""
    old, lane = consumer_of(turn), turn[1]
    behind = islice((other for other in reversed(group.todo) if other[1] == lane), fault.holds)
    held = [turn, *(handed_to(old, other) for other in behind)]
    return lost_on_log(group, turn, fault, held, fault.after + 1)


def lost_on_log(group: GroupState, turn: Turn, fault: Zombie | Overlap, held: list[Turn], after: int) -> Caused:
    """The partitions of the owner of this record go to a new one; what the old one holds it runs after so many
    deliveries."""
    old, lane = consumer_of(turn), turn[1]
    # It is not done: its new owner reads it, too.
    group.todo.append(turn)
    # Its step is left out, because no process ends: the old owner runs on.
    group.restart(old)
    new = group.new_owner(lane)
    if group.told is not None:
        group.told.append(TakenForDead(turn[3]))
    owner = ZombieOwner(fault, held)
    group.zombies.append(owner)
    group.is_gone(held)
    group.alarms.set(len(group.history) + after, owner)
    return [((TAKE_OVER, new, *turn[3][2:5]), fault)]


def runs_on(group: GroupState, zombie: ZombieOwner) -> tuple[Raw, Fault | None]:
    """The old owner runs the next of what it has fetched. Its commit is refused: nothing follows from it."""
    turn = zombie.turns.pop(0)
    group.history.append(turn)
    if zombie.turns:
        group.alarms.set(len(group.history) + 1, zombie)
    else:
        group.zombies.remove(zombie)
    return turn[3], zombie.fault


def stops(group: GroupState, consumer: int) -> None:
    """The handler of a zombie raised: at its next poll it learns that it has lost its partitions."""
    group.zombies[:] = [each for each in group.zombies if not each.turns or consumer_of(each.turns[0]) != consumer]


MOST_HELD = 10
"""Of a queue, in a search: the messages that a consumer has fetched, with the one that it is at."""


def log_arguments(space: LogSpace, position: int) -> Arguments:
    behind = space.in_lane(position) - space.stored.rank[position]
    return range(min(behind, space.longest_replay)), range(space.size)


def queue_arguments(space: QueueSpace, position: int) -> Arguments:
    there = space.size if space.policy.lock == "message" else space.in_lane(position)
    most = min(there, space.policy.window, space.longest, MOST_HELD)
    return range(max(1, most)), range(space.size)
