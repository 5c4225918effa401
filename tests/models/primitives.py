"""What can go wrong, read off a sequence of hand-overs alone: one detector for each primitive of docs/brokers.md.

None of them knows which faults were asked for. A unit is what a broker keeps in order: a partition or queue, or
a key (message group, session, ordering key). A message is known by its place, which is new for each copy that was
sent, put back or published again; an event is what the producer meant, and stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import combinations, pairwise
from typing import Any, Literal, NamedTuple, TypeAlias

import attrs

from chaoskit.values.schedule import Do, Raw

Place: TypeAlias = tuple[int, int]
"""Partition or queue, and the number in it."""

Unit: TypeAlias = Any
By: TypeAlias = Literal["lane", "key"]
"""What a broker keeps in order."""


class Handed(NamedTuple):
    """One hand-over to a handler. `event` counts in the order of the producer. `stale`: the one who runs it was
    taken for dead, and the message is handed to another one. `returned`: the broker counts it as a redelivery."""

    consumer: int
    event: int
    key: Any
    message: Place
    stale: bool = False
    returned: bool = False


@attrs.frozen(eq=False)
class Delivery:
    """Everything that was handed over, in order. `left` are messages that went unseen (parked or lost), `back` those
    that were appended anew. `taken` are events at which an owner was taken for dead, with the hand-overs before."""

    handed: tuple[Handed, ...]
    left: frozenset[Place] = frozenset()
    back: frozenset[Place] = frozenset()
    parked: tuple[tuple[int, int], ...] = ()
    taken: tuple[tuple[int, int], ...] = ()

    @cached_property
    def fresh(self) -> list[Handed]:
        """Without what zombies ran."""
        return [h for h in self.handed if not h.stale]


_HAD = (Do.DELIVER, Do.PARK, Do.LOSE)
"""Steps in which a consumer has the message."""

Found: TypeAlias = bool
Detector: TypeAlias = Callable[[Delivery, By], Found]


def read(steps: Iterable[Raw], keys: Sequence[Any], consumers: int = 1) -> Delivery:
    """Raw steps as a delivery. An attempt that failed was handed out like any other."""
    steps = [(Do.DELIVER, *step[1:]) if step[0] == Do.FAIL else step for step in steps]
    counted = any(len(step) > 5 and step[5] > 0 for step in steps)
    stale: set[int] = set()
    if any(step[0] == Do.TAKE_OVER for step in steps):
        stale = _stale_by_count(steps) if counted else _stale_by_owner(steps, consumers)
    handed: list[Handed] = []
    left, back, parked, taken = set(), set(), [], []
    for at, (do, consumer, event, lane, number, *_) in enumerate(steps):
        if do == Do.DELIVER:
            returned = counted and steps[at][5] > 1
            handed.append(Handed(consumer, event, keys[event], (lane, number), at in stale, returned))
        elif do in (Do.PARK, Do.LOSE):
            left.add((lane, number))
            parked.append((event, len(handed)))
        elif do == Do.PUT_BACK:
            back.add((lane, number))
        elif do == Do.TAKE_OVER:
            taken.append((event, len(handed)))
    return Delivery(tuple(handed), frozenset(left), frozenset(back), tuple(parked), tuple(taken))


def _stale_by_owner(steps: Sequence[Raw], consumers: int) -> set[int]:
    """On a log: the steps of a consumer that no longer owns the partition."""
    stale: set[int] = set()
    owner: dict[int, int] = {}

    def resolved(lane: int) -> int:
        consumer = lane % consumers
        while consumer in owner:
            consumer = owner[consumer]
        return consumer

    for at, (do, consumer, _, lane, *_) in enumerate(steps):
        if do == Do.TAKE_OVER:
            owner[resolved(lane)] = consumer
        elif do == Do.DELIVER and owner and consumer != resolved(lane):
            stale.add(at)
    return stale


def _stale_by_count(steps: Sequence[Raw]) -> set[int]:
    """On a queue each hand-over of a message has a number: a run is stale where a higher one was run before it, or is
    another consumer's although the one who runs it had been taken for dead."""
    stale: set[int] = set()
    highest: dict[Place, int] = {}
    runs = {(step[3], step[4], step[5]): step[1] for step in steps if step[0] in _HAD}
    dead: set[int] = set()
    for at, (do, consumer, _, lane, number, *count_of) in enumerate(steps):
        count = count_of[0] if count_of else 0
        if do == Do.TAKE_OVER:
            dead.add(runs.get((lane, number, count - 1), -1))
        elif do == Do.DELIVER:
            if count < highest.get((lane, number), 0) or (
                consumer in dead and runs.get((lane, number, count + 1), consumer) != consumer
            ):
                stale.add(at)
            elif count > max(1, highest.get((lane, number), 0)):
                dead.discard(consumer)
            highest[lane, number] = max(count, highest.get((lane, number), 0))
    return stale


@lru_cache(maxsize=2)
def as_events(delivery: Delivery) -> Delivery:
    """The same where a copy counts as the message that it repeats: what a relay publishes again."""
    handed = tuple(h._replace(message=(h.message[0], h.event)) for h in delivery.handed)
    return attrs.evolve(delivery, handed=handed, back=frozenset())


def _by_unit(handed: Sequence[Handed], by: By) -> list[list[Handed]]:
    units: dict[Unit, list[Handed]] = {}
    for h in handed:
        key = h.event if h.key is None else h.key
        units.setdefault(h.message[0] if by == "lane" else (h.message[0], key), []).append(h)
    return list(units.values())


class Replay(NamedTuple):
    """Messages of one unit that came again, one after another in order. `seen`: what was delivered of the unit by
    then, in order; `newer`: what was delivered since the first of them had been, and came after it."""

    again: list[Place]
    seen: list[Place]
    newer: set[Place]
    start: int

    @property
    def known(self) -> list[Place]:
        """Without those that had left unseen."""
        return [m for m in self.again if m in self.seen]


def _replays(line: Sequence[Handed], left: frozenset[Place]) -> Iterator[Replay]:
    """A message that had left unseen and is shown in a replay belongs to it."""
    seen: dict[Place, int] = {}
    current: Replay | None = None
    for at, h in enumerate(line):
        place = h.message
        again = place in seen or (place in left and bool(seen) and place < max(seen))
        if not again:
            if current is not None:
                yield current
            current = None
        elif current is None or place < current.again[-1]:
            if current is not None:
                yield current
            since = seen.get(place, at)
            newer = {m for m, last in seen.items() if last > since and m > place}
            current = Replay([place], sorted(seen), newer, at)
        elif place > current.again[-1]:
            current.again.append(place)
        seen[place] = at
    if current is not None:
        yield current


@lru_cache(maxsize=4)
def replays(delivery: Delivery, by: By) -> list[Replay]:
    """All replays of all units."""
    return [
        replay
        for line in _by_unit(delivery.fresh, by)
        if len({h.message for h in line}) < len(line)
        for replay in _replays(line, delivery.left)
    ]


# One detector for each primitive.


def adjacent(delivery: Delivery, by: By) -> Found:
    """F1: `x xr` next to each other in a unit."""
    return any(a.message == b.message for line in _by_unit(delivery.fresh, by) for a, b in pairwise(line))


def suffix(delivery: Delivery, by: By) -> Found:
    """F2: at least two messages of a unit come again in order, contiguous up to the latest delivered."""
    return any(len(r.known) > 1 and r.seen[-len(r.known) :] == r.known for r in replays(delivery, by))


def window(delivery: Delivery, by: By) -> Found:
    """F2h where what is in flight is settled from the front: a suffix that starts inside, the settled left out."""
    return any(
        len(r.again) > 1 and r.again[0] > r.seen[0] and r.seen[-len(r.again) :] == r.again
        for r in replays(delivery, by)
    )


def holes(delivery: Delivery, by: By) -> Found:
    """F2h: at least two messages come again in order, and one that was delivered between them does not."""
    return any(
        len(r.again) > 1 and bool({m for m in r.seen if r.again[0] < m < r.again[-1]} - set(r.again))
        for r in replays(delivery, by)
    )


def late(delivery: Delivery, by: By) -> Found:
    """F3: one message returns alone behind newer ones of its unit, which had come since."""
    return any(len(r.again) == 1 and bool(r.newer) for r in replays(delivery, by))


def cascade(delivery: Delivery, by: By, held: int = 1) -> Found:
    """F4: a message and all later ones of its key return, more than can be unsettled at once (`held`), while what was
    delivered of other keys of its lane since then never does."""
    fresh = delivery.fresh
    if len({h.message for h in fresh}) == len(fresh):
        return False
    for line in _by_unit(fresh, "key"):
        for r in _replays(line, delivery.left):
            if len(r.again) > held and r.seen[-len(r.again) :] == r.again:
                back = next(i for i, h in enumerate(fresh) if h is line[r.start])
                before = [i for i, h in enumerate(fresh[:back]) if h.message == r.again[0]]
                between = {
                    h.message
                    for h in fresh[before[-1] + 1 : back]
                    if h.key != line[0].key and h.message[0] == r.again[0][0] and h.message > r.again[0]
                }
                if between - {h.message for h in fresh[back:]}:
                    return True
    return False


def overtake(delivery: Delivery, by: By) -> Found:
    """F5: two first deliveries of a unit are swapped against the order in which the broker has them."""
    firsts: dict[Place, Handed] = {}
    for h in delivery.fresh:
        firsts.setdefault(h.message, h)
    once = [h for h in firsts.values() if h.message not in delivery.left and not h.returned]
    return any(a.message > b.message for line in _by_unit(once, by) for a, b in pairwise(line))


def zombie(delivery: Delivery, by: By) -> Found:
    """F6: one that was taken for dead runs a message although another one was handed it."""
    return any(h.stale for h in delivery.handed)


def two_relays(delivery: Delivery, by: By) -> Found:
    """F6 of what publishes: a relay is taken for dead at an event, and that comes as two messages."""
    return any(
        any(h.event == event for h in delivery.handed[at:])
        and len({h.message for h in delivery.handed if h.event == event}) > 1
        for event, at in delivery.taken
    )


def copies(delivery: Delivery, by: By) -> Found:
    """An event is handed over as two messages."""
    return len({(h.event, h.message) for h in delivery.handed}) > len({h.event for h in delivery.handed})


def resend(delivery: Delivery, by: By) -> Found:
    """F8: an event is handed over as two messages, none of them put back."""
    return copies(
        attrs.evolve(delivery, handed=tuple(h for h in delivery.handed if h.message not in delivery.back)), by
    )


def swap(delivery: Delivery, by: By) -> Found:
    """F9: the broker has two events of a unit in another order than their producer meant."""
    unseen = {event for event, _ in delivery.parked}
    lanes: dict[int, set[int]] = {}
    for h in delivery.handed:
        lanes.setdefault(h.event, set()).add(h.message[0])
    for line in _by_unit([h for h in delivery.handed if h.message not in delivery.back], by):
        places: dict[int, Place] = {}
        for h in line:
            if h.event not in unseen and len(lanes[h.event]) == 1:
                places[h.event] = min(places.get(h.event, h.message), h.message)
        if any(a > b for a, b in pairwise(sorted(places, key=places.__getitem__))):
            return True
    return False


def put_back(delivery: Delivery, by: By) -> Found:
    """F10 and F11: a message leaves unseen, newer ones go on, and its event comes as a new message behind them."""
    for event, at in delivery.parked:
        later = delivery.handed[at:]
        for i, h in enumerate(later):
            if h.event == event and h.message in delivery.back and any(o.event > event for o in later[:i]):
                return True
    return False


def rehash(delivery: Delivery, by: By) -> Found:
    """F12: a key is in two partitions or queues, and one that its producer meant later comes first."""
    first: dict[int, Handed] = {}
    for h in delivery.fresh:
        if h.message not in delivery.back:
            first.setdefault(h.event, h)
    if len({h.message[0] for h in first.values()}) < 2:
        return False
    return any(
        a.key is not None and a.key == b.key and a.event > b.event and a.message[0] != b.message[0]
        for a, b in combinations(first.values(), 2)
    )


def gap(delivery: Delivery, by: By) -> Found:
    """F13: an event is never delivered, and a later one is."""
    delivered = {h.event for h in delivery.handed}
    return bool(delivered) and len(delivered) <= max(delivered)
