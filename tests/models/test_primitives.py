"""Every cell of the table of docs/brokers.md: what a broker can do is found, and what it cannot never appears."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import attrs
import pytest

import chaoskit
from cases import cases
from chaoskit import Event, ImpossibleFault, Scenario, Stream
from chaoskit.brokers import Kafka, Kinesis, RabbitMQ, ServiceBus, SqsFifo
from chaoskit.search.plans import Plan, Plans
from chaoskit.values.faults import BatchSwap, FaultKind, Overtake, Zombie
from models import primitives as p
from models.primitive_table import KIND, LATE_SETTLE, TABLE, Cell, Column
from models.primitives import By, Delivery, Detector, Handed

STREAMS = ("aaaaaabaaaaaaab", "aaaaaaaa", "abababab", "aabcabca", "caacaaca", "ddaeadea")
"""The keys of the events of each stream. In all brokers some of these keys share a partition, and some do not. The
first one has more of a key than one receive can hold; it gets a twentieth of the schedules, the others the rest."""

DISTINCT = cases(2_000)
FOUND_WITHIN = 3_000
SALT = 20
PATIENCE = 10_000
"""Plans in a row without a new schedule, before the next stream is taken."""

PRIMITIVES = {
    "F1": p.adjacent,
    "F2": p.suffix,
    "F2h": p.holes,
    "window": p.window,
    "F3": p.late,
    "F4": p.cascade,
    "F5": p.overtake,
    "F6": p.zombie,
    "two relays": p.two_relays,
    "F8": p.resend,
    "copies": p.copies,
    "F9": p.swap,
    "F11": p.put_back,
    "F12": p.rehash,
    "F13": p.gap,
}

ROWS = ("F1", "F2", "F2h", "F3", "F4", "F5", "F6", "F8", "F9", "F11", "F12", "F13")


# The detectors, on sequences written by hand.


def written(text: str) -> Delivery:
    """`a1` is event 1, of key a; `B:a1` consumer B's; `~a1` the run of a zombie; `a1'` a copy at the end of the log;
    `+a1` the same, put back; `(a1)` parked; `2/a1` in partition 2."""
    handed: list[Handed] = []
    left, back, parked = set(), set(), []
    for word in text.split():
        match = re.fullmatch(r"(\()?(?:([AB]):)?(~)?(\+)?(?:(\d)/)?([a-z])(\d+)('?)\)?", word)
        assert match, word
        park, consumer, stale, again, lane, key, number, copy = match.groups()
        event = int(number)
        place = int(lane or 0), event + (100 if again or copy else 0)
        if park:
            left.add(place)
            parked.append((event, len(handed)))
            continue
        back |= {place} if again else set()
        handed.append(Handed(ord(consumer or "A") - ord("A"), event, key, place, bool(stale)))
    return Delivery(tuple(handed), frozenset(left), frozenset(back), tuple(parked))


@pytest.mark.parametrize(
    ("primitive", "by", "seen", "near_miss"),
    [
        ("F1", "lane", "a1 a1 a2", "a1 a2 a1"),
        ("F1", "key", "a1 b2 a1", "a1 a2 b3 a1"),
        ("F1", "lane", "a1 a1 a2", "a1 a1' a2"),
        ("F1", "lane", "A:a1 B:a1", "B:a1 A:~a1"),
        ("F2", "lane", "a1 a2 a3 a2 a3 a4", "a1 a2 a3 a1 a2 a4"),
        ("F2", "lane", "a1 b2 a3 b2 a3", "a1 b2 a3 a3 b2"),
        ("F2", "lane", "a1 a2 a1 a2", "a1 a2 a2"),
        ("F2", "lane", "(a1) a2 a3 a1 a2 a3", "(a1) a2 a3 a1 a3"),
        ("F2h", "lane", "a1 a2 a3 a1 a3 a4", "a1 a2 a3 a2 a3 a4"),
        ("F2h", "lane", "a1 a2 a3 a1 a3 a4", "a1 a2 a3 a1 a4"),
        ("F2h", "lane", "a1 b2 a3 a1 a3", "a1 a3 b2 a1 b2"),
        ("window", "lane", "a1 a2 a3 a2 a3 a4", "a1 a2 a3 a1 a2 a3"),
        ("window", "key", "a1 b2 a3 a4 a3 a4", "a1 a2 a3 a2 a4"),
        ("F3", "lane", "a1 a2 a3 a1 a4", "a1 a2 a3 a1 a2 a3"),
        ("F3", "lane", "a1 b2 a1", "a1 a1 b2"),
        ("F3", "key", "a1 a2 a1", "a1 b2 a1"),
        ("F3", "lane", "B:a1 B:a2 A:a1", "B:a1 B:a2 A:~a1"),
        ("F4", "key", "a1 b2 a3 a1 a3", "a1 b2 a3 a1 b2 a3"),
        ("F4", "key", "a1 b2 a3 a1 a3 b4", "a1 b2 a3 a1 b4 b2 a3"),
        ("F4", "key", "a1 b2 a3 a1 a3", "a1 b2 a3 a1"),
        ("F5", "lane", "a2 a1", "a1 a2"),
        ("F5", "lane", "a2 b1", "1/a2 b1"),
        ("F5", "key", "a2 a1", "a2 b1"),
        ("F5", "lane", "a2 a1", "(a1) a2 a1"),
        ("F5", "lane", "a2 a1 a2", "a1 a2 a1"),
        ("F6", "lane", "A:a1 B:a1 A:~a1", "A:a1 B:a1"),
        ("F8", "lane", "a1 a2 a1'", "a1 a2 a1"),
        ("F8", "lane", "a1 a2 a1'", "(a1) a2 +a1"),
        ("F9", "lane", "a2 a1'", "a2 a1"),
        ("F9", "lane", "a1' a2", "a1 a2 a1'"),
        ("F11", "lane", "(a1) a2 +a1", "(a1) +a1 a2"),
        ("F11", "lane", "(a1) a2 +a1", "a2 a1"),
        ("F12", "lane", "1/a2 0/a1", "0/a1 1/a2"),
        ("F12", "lane", "1/a2 0/a1", "1/b2 0/a1"),
        ("F13", "lane", "a0 a2", "a0 a1"),
        ("F13", "lane", "a1", "a0"),
    ],
)
def test_a_detector_sees_its_primitive_and_not_the_near_miss(primitive: str, by: By, seen: str, near_miss: str) -> None:
    """Each detector says yes to a short example and no to one that differs in a single point."""
    assert found(primitive, by, written(seen))
    assert not found(primitive, by, written(near_miss))


def test_a_swap_is_read_off_the_places_and_not_off_the_order_of_hand_overs() -> None:
    """F9 is about what the broker has stored: a late hand-over of stored order is none."""
    assert not p.swap(written("a2 a1"), "lane")
    swapped = Delivery((Handed(0, 2, "a", (0, 0)), Handed(0, 1, "a", (0, 1))))
    assert p.swap(swapped, "lane")
    assert not p.overtake(swapped, "lane")


def test_a_cascade_is_longer_than_what_can_be_unsettled() -> None:
    """F4 brings back acknowledged ones: no more than `held` coming again is the end of a receive."""
    delivery = written("a1 b2 a3 a4 a1 a3 a4")
    assert p.cascade(delivery, "key", held=2)
    assert not p.cascade(delivery, "key", held=3)


def test_two_relays_publish_what_was_taken_over() -> None:
    """F6 of a relay: the event of the take-over comes as two messages; other copies are none, nor is one message."""
    twice = written("a1 a1' a2")
    assert p.two_relays(attrs.evolve(twice, taken=((1, 0),)), "lane")
    assert not p.two_relays(attrs.evolve(twice, taken=((2, 0),)), "lane")
    assert not p.two_relays(twice, "lane")
    assert not p.two_relays(attrs.evolve(written("a1 a1 a2"), taken=((1, 0),)), "lane")


def test_what_is_published_again_can_be_read_as_its_event() -> None:
    """A relay's suffix comes as copies, which are a suffix only as events."""
    delivery = written("a1 a2 a1' a2'")
    assert not p.suffix(delivery, "lane")
    assert p.suffix(p.as_events(delivery), "lane")


# What a search finds, and what never appears.


def found(primitive: str, by: By, delivery: Delivery) -> bool:
    detector: Detector = PRIMITIVES[primitive]
    return detector(delivery, by)


def sees(column: Column, name: str, cell: Cell) -> Detector:
    """The detector of one cell."""
    row = name.split()[0]
    detector: Any = PRIMITIVES[cell.seen or row]
    unit = cell.by or column.by

    def see(delivery: Delivery, by: By) -> bool:
        if row in column.republished and cell.seen in (None, "window"):
            delivery = p.as_events(delivery)
        return bool(detector(delivery, unit, column.held) if detector is p.cascade else detector(delivery, unit))

    return see


def stream_of(keys: str) -> Stream:
    """Some values repeat, so that deduplication by content has something to drop."""
    return Stream.of([Event(key, n % 6) for n, key in enumerate(keys)])


def consumers_of(broker: Any) -> int:
    return next((getattr(broker, name) for name in ("workers", "processors", "consumers") if hasattr(broker, name)), 1)


def plans(model: Any, kinds: Sequence[FaultKind], share: int) -> Iterator[Plan]:
    """Single faults first, mixtures after, as the search does it; but one zombie at most, because from hand-overs
    alone nobody can tell who owns what after several."""
    tries = Plans(model, kinds, SALT)
    yield from (tries.every_single(1 << 20) or [])[: share // 2]
    for plan in tries.mixtures():
        first = next((fault for fault in plan if type(fault) is Zombie), None)
        yield tuple(fault for fault in plan if fault is first or type(fault) is not Zombie)


def schedules(broker: Any, limit: int, kinds: Sequence[FaultKind]) -> Iterator[tuple[str, Plan, Delivery]]:
    """Distinct schedules of these kinds over all the streams together, at most `limit`."""
    seen: set[int] = set()
    left = limit
    for number, keys in enumerate(STREAMS):
        share, misses = -(-left // (len(STREAMS) - number)) if number else limit // 20, 0
        model = broker.model(stream_of(keys))
        tried: set[Plan] = set()
        for plan in plans(model, kinds, share):
            if share <= 0 or misses > PATIENCE:
                break
            if plan in tried:  # a third of them, and what they give is known without playing them
                misses += 1
                continue
            tried.add(plan)
            steps = tuple(model.play(plan))
            known = hash((keys, steps))
            if known in seen:
                misses += 1
                continue
            seen.add(known)
            share, left, misses = share - 1, left - 1, 0
            yield keys, plan, p.read(steps, keys, consumers_of(broker))


def single_faults(broker: Any) -> Iterator[tuple[str, Plan, Delivery]]:
    for keys in STREAMS:
        model = broker.model(stream_of(keys))
        for plan in Plans(model, broker.kinds(), SALT).every_single(1 << 20) or ():
            yield keys, plan, p.read(model.play(plan), keys, consumers_of(broker))


CELLS = [
    pytest.param(
        title,
        name,
        id=f"{title}-{name}-{cell.verdict}{f'-{cell.note}' if cell.note else ''}",
        marks=pytest.mark.xfail(reason=cell.unmet, strict=True) if cell.unmet else (),
    )
    for title, column in TABLE.items()
    for name, cell in column.cells.items()
]


def cells(*verdicts: str) -> list[Any]:
    return [param for param in CELLS if TABLE[param.values[0]].cells[param.values[1]].verdict in verdicts]


@pytest.mark.parametrize("title", TABLE)
def test_the_table_has_every_row(title: str) -> None:
    """Each column says something about each primitive; F10 and F11 are one row where they go together."""
    assert {name.split()[0] for name in TABLE[title].cells} - {"F10"} == set(ROWS)


@pytest.mark.parametrize(("title", "name"), cells("yes", "only", "unless"))
def test_what_a_broker_can_do_is_found(title: str, name: str) -> None:
    """Within 3,000 schedules of the faults that make it the search meets the primitive, where settings allow it."""
    column = TABLE[title]
    cell = column.cells[name]
    broker = column.broker if cell.verdict == "unless" else attrs.evolve(column.broker, **cell.settings)
    see = sees(column, name, cell)
    made_by = cell.made_by(name.split()[0])
    kinds = [kind for kind in broker.kinds() if kind in made_by]
    assert kinds
    assert any(see(delivery, column.by) for _, _, delivery in schedules(broker, FOUND_WITHIN, kinds))


def not_possible(column: Column, *, alone: bool) -> dict[str, Detector]:
    """The detector of each cell of what this broker does not do, looked for in single faults alone or in all."""
    return {
        name: sees(column, name, cell)
        for name, cell in column.cells.items()
        if cell.verdict in ("no", "only") and cell.alone == alone
    }


@cache
def never_seen_alone(title: str) -> dict[str, tuple[str, Plan]]:
    """The first single fault that offends each of the cells that only these are looked at for."""
    column = TABLE[title]
    looked = not_possible(column, alone=True)
    offenders: dict[str, tuple[str, Plan]] = {}
    for keys, plan, delivery in single_faults(column.broker):
        for name, see in looked.items():
            if name not in offenders and type(plan[0]) not in column.cells[name].without and see(delivery, column.by):
                offenders[name] = keys, plan
    return offenders


@cache
def never_seen(title: str) -> tuple[int, dict[str, tuple[str, Plan]]]:
    """How many distinct schedules were looked at, and the first offender of each cell that is not possible here."""
    column = TABLE[title]
    looked = not_possible(column, alone=False)
    offenders: dict[str, tuple[str, Plan]] = {}
    count = 0
    for keys, plan, delivery in schedules(column.broker, DISTINCT, column.broker.kinds()):
        count += 1
        for name, see in looked.items():
            without = column.cells[name].without
            if name not in offenders and see(delivery, column.by) and not {type(f) for f in plan} & set(without):
                offenders[name] = keys, plan
    return count, offenders


@pytest.mark.many
@pytest.mark.parametrize(("title", "name"), cells("no", "only"))
def test_what_a_broker_cannot_do_never_appears(title: str, name: str) -> None:
    """Not in 2,000 distinct schedules of all kinds of faults; where several events in a row could be taken for one,
    not in any schedule of a single fault."""
    column = TABLE[title]
    cell = column.cells[name]
    if cell.alone:
        assert never_seen_alone(title).get(name) is None
        return
    count, offenders = never_seen(title)
    assert count == DISTINCT
    assert offenders.get(name) is None


@pytest.mark.parametrize(("title", "name"), cells("unless"))
def test_the_settings_that_rule_it_out_do(title: str, name: str) -> None:
    """Under these settings it does not appear in 2,000 distinct schedules."""
    column = TABLE[title]
    cell = column.cells[name]
    see = sees(column, name, cell)
    ruled_out = attrs.evolve(column.broker, **cell.settings)
    tried = schedules(ruled_out, 2_000, ruled_out.kinds())
    assert not [(keys, plan) for keys, plan, delivery in tried if see(delivery, column.by)]


# How far it reaches.


@pytest.mark.parametrize(
    ("broker", "by"),
    [
        (SqsFifo(max_number_of_messages=3), "key"),
        (RabbitMQ(single_active_consumer=True, prefetch=3), "lane"),
        (ServiceBus(sessions=True, prefetch=3), "key"),
        (Kinesis(consumer="lambda", batch_size=3), "lane"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value,
)
def test_no_replay_is_longer_than_what_is_held(broker: Any, by: By) -> None:
    """A receive of three, a prefetch of three, a batch of three: no single fault brings back more, and some bring
    back three."""
    longest = {len(r.again) for _, _, delivery in single_faults(broker) for r in p.replays(delivery, by)}
    assert max(longest) == 3


def test_a_share_group_bounds_how_far_a_record_falls_behind() -> None:
    """With three record locks no more than three later records go before one that is not settled."""
    broker = Kafka(group="share", consumers=2, max_record_locks=3)
    behind = {len(r.newer) for _, _, delivery in single_faults(broker) for r in p.replays(delivery, "lane")}
    assert max(behind) in (2, 3)


def test_a_swap_reaches_as_far_as_there_are_batches_in_flight() -> None:
    """With three in flight a single failed batch lands behind two later ones at most, and some do."""
    broker = Kafka(idempotent_producer=False, max_in_flight=3)
    passed = set()
    for _, plan, delivery in single_faults(broker):
        for lane in {h.message[0] for h in delivery.handed} if type(plan[0]) is BatchSwap else ():
            order = [h.event for h in delivery.handed if h.message[0] == lane]
            passed |= {sum(later > event for later in order[:at]) for at, event in enumerate(order)}
    assert max(passed) == 2


# What is asked for by name.


def kind_of(name: str, cell: Cell) -> FaultKind | None:
    return cell.kind or (Overtake if cell.lane else None) or KIND.get(name.split()[0])


def refused(cell: Cell) -> dict[str, Any]:
    return cell.settings if cell.verdict == "unless" else cell.lane or {}


REFUSALS = [
    param
    for param in cells("no", "only", "unless")
    if kind_of(param.values[1], TABLE[param.values[0]].cells[param.values[1]]) is not None
]


def names_in(message: str) -> set[str]:
    return set(re.findall(r"(\w+)=", message))


@pytest.mark.parametrize(("title", "name"), REFUSALS)
def test_asking_for_the_impossible_names_the_setting(title: str, name: str) -> None:
    """A search for that kind of fault alone, and a scenario with it, are refused: the message names settings of this
    broker, those that make it possible among them, or says that no setting does."""
    column = TABLE[title]
    cell = column.cells[name]
    broker = attrs.evolve(column.broker, **refused(cell))
    kind = kind_of(name, cell)
    assert kind is not None
    with pytest.raises(ImpossibleFault) as searching:
        chaoskit.check(lambda deliver: None, stream_of("aa").events, broker, faults={kind}, schedules=1)
    at: Any = kind
    arguments = ("e1", 12) if name.startswith("F12") else ("e1",)
    with pytest.raises(ImpossibleFault) as writing:
        Scenario(stream_of("aa"), broker, [at(*arguments)])
    message = str(searching.value)
    assert message == str(writing.value)
    assert kind.__name__ in message
    assert type(broker).__name__ in message
    named = names_in(message)
    assert named <= {field.name for field in attrs.fields(type(broker))}
    assert named or "no setting" in message
    if cell.verdict == "only":
        assert set(cell.settings) <= named
    if cell.verdict == "unless":
        assert set(cell.settings) & named


@pytest.mark.parametrize("title", LATE_SETTLE)
def test_a_late_settle_does_what_the_table_says(title: str) -> None:
    """F7: the acknowledgement of one that no longer holds the message is refused, accepted, or may be lost."""
    assert TABLE[title].broker.rules().late_ack == LATE_SETTLE[title]
