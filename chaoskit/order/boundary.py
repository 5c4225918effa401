"""The finest key that keeps a handler right: each candidate's messages are handled in every order that keeps the order
within each of its keys, and in no other.

No broker is played here. What order per key permits is what every broker with such keys permits, and the faults that
break order per key are a question of their own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice

import attrs

from chaoskit.order.keys import candidates_of, keeps, lanes_of
from chaoskit.order.lanes import in_own_lanes
from chaoskit.search.draw import draw_streams, simpler_values
from chaoskit.search.minimal import shrinker_for
from chaoskit.search.oracle import Case, Subject
from chaoskit.search.orders import count_orders, orders_of
from chaoskit.search.question import Question, derive
from chaoskit.search.recombined import Recombined
from chaoskit.search.states import tried
from chaoskit.values.boundary import Boundary, Candidate, Fields
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Stream
from chaoskit.values.state import snapshot

STREAMS = 40
DRAWN = 10
"""Streams that Hypothesis draws; the others are put together of their keys and values."""
ALL = 120
"""Orders up to which all are run: of five messages by themselves there are so many."""
SOME = 60
"""Orders that are tried of a part of a stream that has more."""

Order = tuple[int, ...]


@attrs.frozen(eq=False)
class _Broken:
    """A stream and an order of it that gives another result."""

    stream: Stream
    order: Order


def boundary_of(question: Question) -> Boundary:
    """Raises UsageError where the handler fails in order already: then nothing says what order it needs."""
    streams = _streams(question)
    fields: list[Fields | None] = [None, *candidates_of(streams)]
    # Fine is what parts the events into many keys, whatever it is called.
    keys = {each: _mean_keys(streams, each) for each in fields}
    # Of two that part them alike, the one with no key at all, and then the one that is shorter to write.
    finest_first = sorted(fields, key=lambda each: (-keys[each], each is not None, fields.index(each)))
    broken: dict[Fields | None, _Broken] = {}
    orders: dict[Fields | None, int] = {}
    for each in finest_first:
        found = _known(broken, each)
        # Where events may come in any order, no key can make it worse: nothing is searched any more.
        if found is None and not (each is not None and None in orders and None not in broken):
            found, orders[each] = _searched(question, streams, each)
        if found is not None:
            broken[each] = _shrunk(question, each, found)
    holding = [each for each in finest_first if each not in broken and (each is None or each == () or keys[each] > 1)]
    # There is always one: one key for all permits no other order, and so is never broken.
    finest = holding[0]
    candidates = tuple(
        _candidate(question, each, keys[each], orders.get(each, 0), broken.get(each)) for each in finest_first
    )
    boundary = Boundary(finest, finest is not None, candidates, len(streams))
    return _with_simple_values(question, boundary)


def _streams(question: Question) -> list[Stream]:
    """What is handled in all the orders; the stream itself where it is literal."""
    if isinstance(question.events, Stream):
        return [question.events]
    recombined = Recombined.made_of(question.events)
    found: list[Stream] = []

    def take(stream: Stream, salt: int) -> bool:
        made = [(stream, salt)] if recombined is None else recombined.of(stream, salt)
        found.extend(each for each, _ in made if len(each) > 1)
        return len(found) >= STREAMS

    # A draw is expensive, and after ten of them Hypothesis changes one only a little, again and again.
    drawn = STREAMS if recombined is None else DRAWN
    # One more, as the first is the simplest, in which little can go wrong.
    draw_streams(question.events, take, streams=drawn + 1, seed=derive(question.seed, "boundary"), digest=None)
    if not found:
        raise UsageError("no stream of two events or more was drawn: no order can be wrong")
    return found


def _mean_keys(streams: Sequence[Stream], fields: Fields | None) -> float:
    return sum(len(lanes_of(stream, fields)) for stream in streams) / len(streams)


def _known(broken: dict[Fields | None, _Broken], fields: Fields | None) -> _Broken | None:
    """What broke a finer candidate and keeps the order within these keys, too."""
    return next((each for each in broken.values() if keeps(each.stream, fields, each.order)), None)


def _searched(question: Question, streams: Sequence[Stream], fields: Fields | None) -> tuple[_Broken | None, int]:
    """The first order that gives another result, and how many were run."""
    # Rounded up: each stream has one order at least.
    share, done = -(-question.settings.schedules // len(streams)), 0
    for number, stream in enumerate(streams):
        case = _case(question.subject, stream, fields)
        if case.fails_in_order():
            raise UsageError(
                "the test fails in order already, so that nothing says what order it needs: "
                f"{case.fails_in_order()[0].message}"
            )
        chance = random.Random(derive(question.seed, f"orders {number}"))
        for order in islice(_orders(lanes_of(stream, fields), chance), share):
            done += 1
            if _differs(case, order):
                return _Broken(stream, order), done
    return None, done


def _case(subject: Subject, stream: Stream, fields: Fields | None) -> Case:
    """Each key in a lane of its own: two in one would hide what two lanes show."""
    return attrs.evolve(subject, model_of=partial(in_own_lanes, fields)).on(stream)


def _orders(lanes: Sequence[Sequence[int]], chance: random.Random) -> Iterator[Order]:
    """Orders that keep each lane's own, each once and none as it was produced: all where there are few; else those that
    hold one key back, or bring it first, and then any."""
    size = sum(map(len, lanes))
    seen = {tuple(range(size))}
    few = count_orders(lanes) <= ALL
    made = map(tuple, orders_of(lanes)) if few else _some_orders(lanes, chance)
    misses = 0
    for order in made:
        if order in seen:
            misses += 1
            # Chance meets the same orders again where hardly any are left.
            if misses > ALL and not few:
                return
            continue
        seen.add(order)
        yield order


def _some_orders(lanes: Sequence[Sequence[int]], chance: random.Random) -> Iterator[Order]:
    places = range(len(lanes))
    for place in places:
        others = sorted(position for other in places if other != place for position in lanes[other])
        yield (*lanes[place], *others)
        yield (*others, *lanes[place])
    while True:
        left = [list(lane) for lane in lanes]
        order: list[int] = []
        while any(left):
            # By what is left of each: so all the orders are equally likely.
            lane = chance.choices(left, [len(lane) for lane in left])[0]
            order.append(lane.pop(0))
        yield tuple(order)


def _differs(case: Case, order: Order) -> bool:
    """Whether something that must hold does not after this order. What a test raises there is an answer, too, but for
    what is addressed to somebody else."""
    run = tried(lambda: case.in_order(order, strict=False))
    return run is None or bool(case.subject.judge(case.reference(), run.outcome))


def _shrunk(question: Question, fields: Fields | None, found: _Broken) -> _Broken:
    """The least part of the stream that some order breaks, and the order that is nearest to the produced one."""
    fails = _fails(question.subject, fields)
    shrinker = shrinker_for(
        question.subject, question.events, question.kinds, lambda stream, _: fails(stream) is not None,
        in_order=True, seed=derive(question.seed, "boundary values"),
    )  # fmt: skip
    stream, _ = shrinker.shrink(found.stream, ())
    order = fails(stream)
    return found if order is None else _Broken(stream, order)


def _fails(subject: Subject, fields: Fields | None) -> Callable[[Stream], Order | None]:
    def fails(stream: Stream) -> Order | None:
        case = _case(subject, stream, fields)
        if len(stream) < 2 or case.fails_in_order():
            return None
        # The same chance each time: shrinking asks again, and has to get the same answer.
        orders = islice(_orders(lanes_of(stream, fields), random.Random(0)), SOME if len(stream) > 5 else None)
        nearest_first = sorted(orders, key=_inversions)
        return next((order for order in nearest_first if _differs(case, order)), None)

    return fails


def _inversions(order: Order) -> int:
    return sum(a > b for place, a in enumerate(order) for b in order[place + 1 :])


def _candidate(
    question: Question, fields: Fields | None, keys: float, orders: int, broken: _Broken | None
) -> Candidate:
    if broken is None:
        # A field that is the same in all events parts nothing, so that it was not put to the test.
        held = fields is None or fields == () or keys > 1
        return Candidate(fields, "held" if held else "unknown", keys, orders)
    case = _case(question.subject, broken.stream, fields)
    observed = case.in_order(broken.order, strict=False).outcome
    ids = broken.stream.ids
    return Candidate(
        fields, "violated", keys, orders, broken.stream.events, tuple(ids[place] for place in broken.order),
        case.reference().state, snapshot(observed.state),
    )  # fmt: skip


def _with_simple_values(question: Question, boundary: Boundary) -> Boundary:
    """The counterexample that is shown has the simplest values with which it still is one."""
    shown = boundary.next_finer
    if shown is None or isinstance(question.events, Stream):
        return boundary
    stream, fails = Stream(shown.events), _fails(question.subject, shown.fields)
    seed = derive(question.seed, "boundary values")
    simple = simpler_values(question.events, stream, list(range(len(stream))), lambda s: fails(s) is not None, seed)
    order = None if simple is None else fails(simple)
    if simple is None or order is None:
        return boundary
    simpler = _candidate(question, shown.fields, shown.keys, shown.orders, _Broken(simple, order))
    return attrs.evolve(boundary, candidates=tuple(simpler if c is shown else c for c in boundary.candidates))
