"""A relay publishes, and then marks what it has published: a crash in between publishes again, as new messages.

Its consumer is who publishes. What it publishes again comes from the first that is not marked on, and marks never go
back.
"""

from __future__ import annotations

from functools import partial

from chaoskit.models.queue.accepting import accept, append, now
from chaoskit.models.queue.state import LeasedQueue
from chaoskit.models.queue.waiting import PendingRedelivery, SecondRelay
from chaoskit.models.turns import NOTHING, Caused, consumer_of, position_of, sent_anew
from chaoskit.values.faults import DeadLetter, Zombie
from chaoskit.values.schedule import RESTART, TAKE_OVER, Raw


def publish_again(state: LeasedQueue, waiting: PendingRedelivery | SecondRelay) -> Caused:
    """A relay crashed, or a second one runs: from the first that is not marked on, in the order of the source, and
    a second one only what it held. Void while what was published again before has not come yet."""
    others = [each for each in state.waiting.of(PendingRedelivery, SecondRelay) if each is not waiting]
    state.waiting.drop(state.waiting.of(PendingRedelivery, SecondRelay))
    published = _published(state)
    first = min(
        (published.index(position_of(each.turn)) for each in (waiting, *others) if position_of(each.turn) in published),
        default=-1,
    )
    if first < 0 or _awaits_copies(state):
        return NOTHING
    place = partial(state.policy.published_at, state.logs)
    again = sorted(published[first:], key=place)
    if place(again[0]) < state.marked:
        return NOTHING
    state.marked = place(again[0])
    fault, turn = waiting.fault, waiting.turn
    if not isinstance(fault, Zombie):
        caused: Caused = [((RESTART, consumer_of(turn), -1, -1, -1), fault)]
    else:
        if not others:  # then the second one is stopped
            again = again[: max(again.index(position_of(turn)), fault.holds) + 1]
        caused = [((TAKE_OVER, state.consumers.fresh, *turn[3][2:]), fault)]
        state.consumers.fresh += 1
    return caused + [(_publish(state, position), fault) for position in again]


def _published(state: LeasedQueue) -> list[int]:
    """The events that were published, in the order of the last time: several partitions may be read in another."""
    if len(state.logs.partitions) > 1:
        return list(range(now(state) + 1))
    published = [position_of(turn) for turn in state.history]
    # From the last one, because each insertion moves what lies behind it.
    for before, turn, fault in reversed(state.gone):
        if isinstance(fault, DeadLetter):  # it was published, and its consumer set it aside
            published.insert(before, position_of(turn))
    return list(dict.fromkeys(reversed(published)))[::-1]


def _awaits_copies(state: LeasedQueue) -> bool:
    published = set(_published(state))
    waiting = [*state.todo, *(turn for held in state.held_lanes.values() for turn in held.turns)]
    single = len(state.logs.partitions) == 1
    # With several partitions an event counts as published before it is read: only half a time shows a copy.
    return any(position_of(turn) in published and (single or turn[0] % 1) for turn in waiting)


def _publish(state: LeasedQueue, position: int) -> Raw:
    """Right behind what was published, before rows that have become visible since."""
    if len(state.logs.partitions) > 1:
        return append(state, position, sent_anew(now(state)))
    published = set(_published(state))
    copies = [turn[2] for turn in state.todo if position_of(turn) in published or turn[0] % 1]
    gone = [turn[2] for _, turn, _ in state.gone]
    number = 1 + max([*copies, *gone, *(turn[2] for turn in state.history)])
    return accept(state, position, 0, number, state.logs.appended[0][number - 1], sent_anew(now(state)))
