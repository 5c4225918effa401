"""A lease ends: what comes back with the message, whether its consumer died, and what is due when."""

from __future__ import annotations

from itertools import takewhile

from chaoskit.models.events import Delayed, HandedOver
from chaoskit.models.queue import relay
from chaoskit.models.queue.accepting import accept_again
from chaoskit.models.queue.state import LeasedQueue
from chaoskit.models.queue.waiting import (
    GivenBack,
    HeldLane,
    Lane,
    PendingRedelivery,
    SecondRelay,
    SetAside,
    Waiting,
    ZombieRun,
    in_order,
)
from chaoskit.models.turns import (
    NOTHING,
    Caused,
    Record,
    Turn,
    consumer_of,
    handed_to,
    position_of,
    record_of,
    retries_of,
)
from chaoskit.values.faults import Redeliver
from chaoskit.values.schedule import GO_ON, RESTART


def count(state: LeasedQueue, turn: Turn) -> Caused:
    """One more delivery: what waited long enough is due."""
    waiting = state.waiting
    due = waiting.due(position_of(turn)) if waiting.count >= waiting.next_due else []
    if waiting.pending and state.policy.lock != "message":
        lane = state.lane(turn)
        for pending in waiting.pending:
            if pending.lane == lane:
                pending.room -= 1
                hold_if_full(state, pending)
    if waiting.pending and state.policy.brings == "consumer" and (full := _overfull(state, turn)) is not None:
        due = [*due, full]
    if not due:
        return NOTHING
    caused: Caused = []
    for each in in_order(due):
        # One that ends may have taken others with it.
        if each not in waiting.all:
            continue
        if isinstance(each, HeldLane) and _has_another_first(state, each):
            waiting.postpone(each, 1)
            continue
        caused += end_wait(state, each)
    return caused


def _has_another_first(state: LeasedQueue, held: HeldLane) -> bool:
    """Whether its consumer was handed something before which would be run behind it, as that has its place in the
    queue, and what comes back is served first."""
    consumer, held_by = held.consumer, state.consumers.held_by
    if consumer is None or not held.turns:
        return False
    return any(turn > held.turns[0] and held_by.get(record_of(turn)) == consumer for turn in state.todo)


def end_wait(state: LeasedQueue, waiting: Waiting) -> Caused:
    """What was waiting for deliveries happens."""
    if isinstance(waiting, PendingRedelivery):
        return end_lease(state, waiting)
    if isinstance(waiting, SecondRelay):
        return relay.publish_again(state, waiting)
    state.waiting.remove(waiting)
    if isinstance(waiting, HeldLane):
        state.release(waiting)
        for pending in state.waiting.pending:  # whose lane this had held, too
            hold_if_full(state, pending)
        return NOTHING
    if isinstance(waiting, GivenBack):
        state.come_back(waiting.turns)
        return NOTHING
    if isinstance(waiting, SetAside):
        retries = retries_of(waiting.step) + 1 if state.policy.refused == "renewed" else 0
        return [accept_again(state, waiting.step, retries, waiting.fault)]
    assert isinstance(waiting, ZombieRun)
    turn = waiting.turns.pop(0)
    if waiting.turns:
        state.waiting.add(waiting, 1)
    return [(turn[3], waiting.fault)]


def hold_if_full(state: LeasedQueue, pending: PendingRedelivery) -> None:
    """A receive or batch that is full keeps its lane until its lease ends; other lanes go on."""
    if pending.room == 0 and state.policy.lock != "message" and pending.lane not in state.held_lanes:
        state.held_lanes[pending.lane] = HeldLane(pending.lane, [])


def _overfull(state: LeasedQueue, turn: Turn) -> PendingRedelivery | None:
    """The lease that ends because nobody can take another message."""
    consumer = consumer_of(turn)
    if not state.consumers.is_full(consumer):
        return None
    # A single message may be taken by another consumer; a lane has this one.
    if state.policy.lock == "message" and not state.consumers.all_busy:
        return None
    return _lease_of(state, consumer)


def _lease_of(state: LeasedQueue, consumer: int) -> PendingRedelivery | None:
    """The first lease of this consumer that is still to end."""
    return next((pending for pending in state.waiting.pending if pending.consumer == consumer), None)


def gives_back_first(state: LeasedQueue, turn: Turn) -> Waiting | None:
    """What the consumer of this message, or another one, gives back before it is handed more than it may hold; or whose
    lease ends, where it has given nothing back that failed."""
    consumer = consumer_of(turn)
    if state.policy.brings != "consumer" or state.consumers.held_by.get(record_of(turn)) == consumer:
        return None
    given_back = state.waiting.given_back
    mine = [w for w in given_back if w.consumer == consumer]
    # What it keeps for good takes up as much of its prefetch.
    kept = sum(h.kept is not None and consumer_of(h.kept) == consumer for h in state.held_lanes.values())
    if len(mine) + kept >= state.policy.window:
        return (mine or given_back)[0]
    if not state.waiting.pending or not state.consumers.is_full(consumer):
        return None
    return mine[0] if mine else _lease_of(state, consumer)


def end_lease(state: LeasedQueue, ended: PendingRedelivery) -> Caused:
    """The message comes back, with all that the broker brings back with it; what was pending there waits anew."""
    policy = state.policy
    if policy.renewed:
        return relay.publish_again(state, ended)
    state.ended = ended.lane if policy.lock == "group" else None
    together = _ending_together(state, ended)
    most = policy.most_deliveries
    turns = [turn for turn in _returning(state, ended, together) if state.tries(turn) < most]
    for other in together:
        if other in state.waiting.pending:
            state.waiting.remove(other)
        if other is not ended and isinstance(other.fault, Redeliver):
            # It came back with another one's lease: the end of its own is still to come.
            state.anchored.setdefault(position_of(other.turn), []).insert(0, other.fault)
    state.release_if_full(ended.lane)
    if policy.brings == "consumer":
        state.drop_kept(consumer_of(ended.turn))
    if ended.fault is not None:
        state.tell(Delayed, turns, ended.fault)
    caused: Caused = []
    consumer, dead = consumer_of(ended.turn), policy.brings == "consumer"
    if ended.dies and _dies_with_it(state, ended, consumer):
        caused.append(((RESTART, consumer_of(ended.turn), -1, -1, -1), ended.fault))
        state.consumers.fails_over(ended)
        dead = True
    state.come_back(_with_what_is_open(state, turns, consumer, dead=dead) if state.open else turns)
    return caused


def _dies_with_it(state: LeasedQueue, ended: PendingRedelivery, consumer: int) -> bool:
    """Whether the consumer dies, or only its lease has run out, as it has more to do than this. What was read of a log
    has no lease."""
    if state.policy.notices and state.policy.brings == "lane":
        return True
    return consumer != state.arming and not is_busy_elsewhere(state, consumer, ended.lane, ended)


def _with_what_is_open(state: LeasedQueue, turns: list[Turn], consumer: int, *, dead: bool) -> list[Turn]:
    """These, and what their consumer has not settled, where it is `dead`."""
    found: dict[Record, Turn] = {}
    for turn in state.open_of(consumer) if dead else ():
        if state.tries(turn) < state.policy.most_deliveries:
            found[record_of(turn)] = turn
        else:
            state.used_up.append(turn)
            del state.open[record_of(turn)]
    return sorted((found | {record_of(turn): turn for turn in turns}).values()) if found else turns


def _ending_together(state: LeasedQueue, ended: PendingRedelivery) -> list[PendingRedelivery]:
    policy = state.policy
    if policy.brings == "message" and policy.lock == "message":
        return [ended]
    if policy.brings == "consumer":
        consumer = consumer_of(ended.turn)
        others = [other for other in state.waiting.pending if consumer_of(other.turn) == consumer]
    else:
        others = [other for other in state.waiting.pending if other.lane == ended.lane]
    return [ended, *(other for other in others if other is not ended)]


def _returning(state: LeasedQueue, ended: PendingRedelivery, together: list[PendingRedelivery]) -> list[Turn]:
    """What comes back: the batches; or all that the consumer, or the lane, was handed since the first of these."""
    brings = state.policy.brings
    if brings in ("message", "batch"):
        return sorted(turn for other in together for turn in other.members)
    consumer = consumer_of(ended.turn)
    found: dict[Record, Turn] = {}
    if state.own:  # else all of it was handed out since then
        members = [turn for other in together for turn in other.members]
        found = {record_of(turn): turn for turn in members if record_of(turn) not in state.given_up}
    for turn in state.history[min(other.since for other in together) :]:
        comes = consumer_of(turn) == consumer if brings == "consumer" else state.lane(turn) == ended.lane
        if comes and record_of(turn) not in state.given_up:
            found[record_of(turn)] = turn
    if brings == "lane":
        return sorted(found.values())
    found |= {record_of(turn): turn for turn in takes_along(state, consumer)}
    for held in [w for w in state.waiting.of(HeldLane) if w.consumer == consumer]:
        state.waiting.remove(held)
        del state.held_lanes[held.lane]
        found |= {record_of(turn): turn for turn in held.turns}
    return sorted(found.values()) + _buffered(state, ended, len(found))


def takes_along(state: LeasedQueue, consumer: int) -> list[Turn]:
    """What this consumer has not given back yet: it comes back with the consumer's channel."""
    mine = [each for each in state.waiting.given_back if each.consumer == consumer]
    state.waiting.drop(mine)
    return [turn for given_back in mine for turn in given_back.turns]


def _buffered(state: LeasedQueue, ended: PendingRedelivery, held: int) -> list[Turn]:
    """What came back before and was pushed to the only active consumer again: it comes back with the rest."""
    policy = state.policy
    # A quorum queue with a single active consumer.
    if policy.lock != "queue" or policy.returns != "front":
        return []
    served_first = takewhile(lambda turn: turn[0] < 0, reversed(state.todo))
    again = [turn for turn in served_first if turn[1] == ended.turn[1]]
    most = policy.most_deliveries  # with its last delivery used up it would be gone, unseen
    # No more than a prefetch is pushed.
    again = list(takewhile(lambda turn: turn[3][5] < most, again))[: max(0, policy.window - held)]
    state.take(again)
    buffered = [handed_to(consumer_of(ended.turn), turn) for turn in again]
    for turn in buffered:
        state.hand_over(turn)
    return buffered


def is_busy_elsewhere(state: LeasedQueue, consumer: int, lane: Lane, ended: PendingRedelivery) -> bool:
    """The consumer has more to do than this lease: it did not die, its lease ran out."""
    if has_more(state, consumer, lane):
        return True
    return any(
        waiting.consumer == consumer
        for waiting in state.waiting.all
        # What was set aside or given back keeps nobody at work.
        if waiting is not ended and not isinstance(waiting, (SetAside, GivenBack))
    )


def has_more(state: LeasedQueue, consumer: int, lane: Lane) -> bool:
    """Whether the consumer has messages that it has not run yet, or runs a batch of another lane."""
    return consumer in state.consumers.held_by.values() or state.batches.is_of_another(consumer, lane)


def coming_with(state: LeasedQueue, turn: Turn, *, taken_over: bool = False) -> PendingRedelivery | None:
    """What comes back together with this message, and has to come first. A consumer that is `taken_over` loses all it
    has."""
    pending = state.waiting.pending
    if not pending:
        return None
    policy, lane, consumer = state.policy, state.lane(turn), consumer_of(turn)
    any_of_consumer = policy.brings == "consumer" or (taken_over and not policy.renewed)
    any_of_lane = policy.brings in ("lane", "batch") or policy.lock == "group"
    for each in pending:
        if (any_of_consumer and each.consumer == consumer) or (any_of_lane and each.lane == lane):
            return each
    return None


def runs_late(state: LeasedQueue, turn: Turn) -> ZombieRun | None:
    """The consumer of this message, where it was taken for dead with it and has not run it yet: it does not lose it
    once more before it has."""
    consumer, record = consumer_of(turn), record_of(turn)
    late = (each for each in state.waiting.of(ZombieRun) if each.consumer == consumer)
    return next((each for each in late if record in map(record_of, each.turns)), None)


def whole_batch(state: LeasedQueue, turn: Turn, most: int) -> list[Turn]:
    """The batch of the message, with those of it that will not be run now, up to one with `most` deliveries."""
    batches, lane = state.batches, state.batch_lane(turn)
    members = batches.open.pop(lane, [])
    if not members:
        return [turn]
    room, same = batches.size(lane) - len(members), list[Turn]()
    for other in reversed(state.todo):
        if len(same) >= room:
            break
        if lane is None or state.lane(other) == lane:
            if state.tries(other) >= most or other[3][0] == GO_ON:  # that is run already
                break
            same.append(other)
    state.take(same)
    rest = [handed_to(consumer_of(turn), other) for other in same]
    state.tell(HandedOver, rest, record_of(members[0]))
    state.latest = max([state.latest, *(other[0] for other in rest)])
    return [*members, *rest]
