"""The move that is named is the cheapest that suffices, as another program says that puts the moves around handlers."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Celery, Event, Kafka, Message, Overtake, RabbitMQ, SqsFifo, UsageError, Verdict, chaos, check
from chaoskit.brokers import Settings
from chaoskit.invariants import always
from chaoskit.strategies import events
from chaoskit.values.repair import MoveName, Repair
from handlers import name
from handlers.buggy import (
    BUGGY,
    ledger_high_water_mark,
    ledger_offset_guard,
    orders_need_known_customer,
    points_counter,
    profile_blind_overwrite,
    wallet_refuses_overdraft,
)
from handlers.correct import CORRECT

SCHEDULES = {"Kafka": 400, "SqsFifo": 150, "RabbitMQ": 150, "Celery": 150}
"""Where offsets are, a mixture has to be met."""
BROKERS: dict[str, Settings] = {
    "Kafka": Kafka(partitions=1, idempotent_producer=False),
    "SqsFifo": SqsFifo(),
    "RabbitMQ": RabbitMQ(),
    "Celery": Celery(),
}
ON_KAFKA: dict[ModuleType, str | None] = dict.fromkeys(BUGGY, "ids") | {
    profile_blind_overwrite: "version",
    ledger_high_water_mark: "resequence",
    wallet_refuses_overdraft: "resequence",
    orders_need_known_customer: None,
    ledger_offset_guard: None,
}  # fmt: skip
"""The truth of one partition whose producer's retries may swap batches: the move to make, or none within a key."""

Handler = Callable[[Message], Any]
Around = Callable[[Handler], Handler]


# The moves once more, written as a user would write them.


def known_ids() -> Around:
    known = set[Any]()

    def around(handler: Handler) -> Handler:
        def handle(message: Message) -> None:
            if message.id in known:
                return
            handler(message)
            known.add(message.id)

        return handle

    return around


def newest() -> Around:
    seq = dict[Any, int]()

    def around(handler: Handler) -> Handler:
        def handle(message: Message) -> None:
            if message.seq <= seq.get(message.key, 0):
                return
            handler(message)
            seq[message.key] = message.seq

        return handle

    return around


def in_turn() -> Around:
    done, waiting = dict[Any, int](), dict[Any, dict[int, Message]]()

    def around(handler: Handler) -> Handler:
        def handle(message: Message) -> None:
            mine = waiting.setdefault(message.key, {})
            mine[message.seq] = message
            for seq in sorted(mine):
                if seq <= done.get(message.key, 0):
                    mine.pop(seq)
                elif seq == done.get(message.key, 0) + 1:
                    handler(mine[seq])
                    done[message.key] = seq
                    mine.pop(seq)

        return handle

    return around


MOVES: dict[str, Callable[[], Around]] = {"ids": known_ids, "version": newest, "resequence": in_turn}


def moved(test: Callable[..., Any], make: Callable[[], Around]) -> Callable[..., Any]:
    def body(deliver: Any) -> Any:
        around = make()

        def behind(handler: Any = None, *, spawn: Any = None, **more: Any) -> None:
            if spawn is not None:
                deliver(spawn=lambda: around(spawn()), **more)
            else:
                deliver(around(handler), **more)

        return test(behind)

    return body


@cache
def tried(handler: ModuleType, broker: str) -> tuple[Verdict, tuple[Repair, ...]]:
    verdict = check(handler.test, handler.EVENTS, BROKERS[broker], schedules=SCHEDULES[broker], seed=1)
    return verdict, verdict.repairs


def has_offsets(handler: ModuleType, broker: str) -> bool:
    return handler is not ledger_offset_guard or broker == "Kafka"


CASES = [
    pytest.param(handler, broker, id=f"{name(handler)}-{broker}")
    for handler in BUGGY
    for broker in BROKERS
    if has_offsets(handler, broker)
]


def _outside(test: Callable[..., Any], events: Any, broker: str) -> Verdict:
    """Without what happens inside the handler: a move around it is not one with its effects, as its recipe is."""
    kinds = BROKERS[broker].kinds()
    return check(test, events, BROKERS[broker], faults=kinds, schedules=SCHEDULES[broker], seed=2)


@pytest.mark.parametrize(("handler", "broker"), CASES)
def test_the_recommended_move_is_the_cheapest_that_suffices(handler: ModuleType, broker: str) -> None:
    """Another program puts the moves around the handler, cheapest first, and searches: the first that is not violated
    is the one. A handler that holds as it is has none."""
    verdict, repairs = tried(handler, broker)
    if verdict.status == "held":
        assert repairs == ()
        return
    suffices = [
        move
        for move, make in MOVES.items()
        if _outside(moved(handler.test, make), handler.EVENTS, broker).status == "held"
    ]
    named = [repair.move for repair in repairs if repair.status == "held" and repair.move != "one key"]
    assert named == suffices


@pytest.mark.parametrize("handler", [pytest.param(handler, id=name(handler)) for handler in BUGGY])
def test_each_handler_has_the_known_move_on_a_log(handler: ModuleType) -> None:
    _, repairs = tried(handler, "Kafka")
    assert next((repair.move for repair in repairs if repair.status == "held"), None) == ON_KAFKA[handler]


@pytest.mark.parametrize(("handler", "broker"), CASES)
def test_no_move_is_named_that_does_not_make_the_delivery_pass(handler: ModuleType, broker: str) -> None:
    """What holds passes the minimal scenario as well; what does not has the least delivery that still breaks it, and
    the kinds that do."""
    verdict, repairs = tried(handler, broker)
    for repair in repairs:
        assert repair.status in ("held", "violated")
        if repair.status == "held":
            assert repair.repairs_this
            assert (repair.breaks, repair.scenario) == ((), None)
            assert repair.schedules >= SCHEDULES[broker]
        else:
            assert repair.scenario is not None
            assert repair.breaks
            assert {type(fault).__name__ for fault in repair.scenario.faults} <= set(repair.breaks)
        if repair.status == "held" and repair.move in MOVES:
            assert verdict.scenario is not None
            again = chaoskit.run(moved(handler.test, MOVES[repair.move]), verdict.scenario)
            assert again.status == "held"
        elif repair.move in MOVES and repair.scenario is not None:
            again = chaoskit.run(moved(handler.test, MOVES[repair.move]), repair.scenario)
            assert again.status == "violated"


@pytest.mark.parametrize("handler", [pytest.param(handler, id=name(handler)) for handler in CORRECT])
def test_a_right_handler_has_nothing_to_repair(handler: ModuleType) -> None:
    assert chaoskit.repairs(handler.test, handler.EVENTS, BROKERS["Kafka"], schedules=100, seed=0) == ()


def test_every_kind_that_still_breaks_a_handler_is_named() -> None:
    """Dropping what is stale repairs the copies of a points counter, and nothing that comes late for the first time."""
    _, repairs = tried(points_counter, "Kafka")
    version = next(repair for repair in repairs if repair.move == "version")
    assert set(version.breaks) >= {"DeadLetter", "Rehash", "BatchSwap"}
    assert not {"Duplicate", "Redeliver", "Resend", "Zombie"} & set(version.breaks)


def test_one_key_for_all_repairs_what_only_the_order_between_keys_breaks() -> None:
    repairs = chaoskit.repairs(
        orders_need_known_customer.test, orders_need_known_customer.EVENTS, Kafka(), faults={Overtake}, seed=0
    )
    assert [(repair.move, repair.status) for repair in repairs] == [
        ("ids", "violated"),
        ("version", "violated"),
        ("resequence", "violated"),
        ("one key", "held"),
    ]


def test_where_no_move_within_a_key_helps_another_key_is_named() -> None:
    """An order knows its customer: keyed by that it is behind it, whatever happens between keys."""
    stream = events(
        st.fixed_dictionaries({"customer": st.sampled_from(["c1", "c2"]), "kind": st.sampled_from(["new", "order"])}),
        keys=st.sampled_from(["k1", "k2"]),
    )

    def orders(deliver: Any) -> dict[str, int]:
        found: dict[str, int] = {}

        def handle(message: Message) -> None:
            customer = message.value["customer"]
            if message.value["kind"] == "new":
                found.setdefault(customer, 0)
            elif customer in found:
                found[customer] += 1

        deliver(handle)
        return found

    verdict = check(orders, stream, Kafka(), faults={Overtake}, seed=0)
    assert verdict.needed_order is None
    assert [repair.move for repair in verdict.repairs if repair.status == "held"] == ["one key"]
    assert verdict.needed_order is not None
    assert verdict.needed_order.finest == ("value.customer",)
    assert "Needs order for each value.customer" in " ".join(verdict.report(width=200).split())
    alone, _ = tried(points_counter, "Kafka")
    assert alone.needed_order is None


def test_one_key_is_not_tried_where_there_is_one() -> None:
    _, repairs = tried(points_counter, "Kafka")
    assert [repair.move for repair in repairs] == ["ids", "version", "resequence"]


def test_the_keys_that_a_handler_sees_are_the_producers_whatever_the_broker_is_given() -> None:
    """Under one key for all the handler still sums for each of its own keys, with their own `seq`."""
    seen = set[tuple[str, int]]()

    def needs_the_other(deliver: Any) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}

        def handle(message: Message) -> None:
            seen.add((message.key, message.seq))
            found.setdefault("all", []).append(message.value)

        deliver(handle)
        return found

    stream = [Event("a", 1), Event("b", 2), Event("a", 3)]
    repairs = chaoskit.repairs(needs_the_other, stream, Kafka(), faults={Overtake}, seed=0)
    assert repairs[-1].move == "one key"
    assert repairs[-1].status == "held"
    assert seen == {("a", 1), ("b", 1), ("a", 2)}


async def counts(deliver: Any) -> dict[str, int]:
    points: dict[str, int] = {}

    async def handle(message: Message) -> None:
        points[message.key] = points.get(message.key, 0) + message.value

    await deliver(handle)
    return points


def test_an_async_handler_is_repaired_by_the_same_moves() -> None:
    repairs = chaoskit.repairs(counts, points_counter.EVENTS, BROKERS["Kafka"], schedules=SCHEDULES["Kafka"], seed=1)
    assert [(repair.move, repair.status) for repair in repairs] == [
        (repair.move, repair.status) for repair in tried(points_counter, "Kafka")[1]
    ]


def test_what_a_process_remembers_is_lost_behind_a_move_and_the_move_remembers() -> None:
    """Handlers that are made anew for each process: the ids of the move are durable, those of the handler are not."""

    def spawns(deliver: Any) -> dict[str, int]:
        points: dict[str, int] = {}

        def make() -> Handler:
            mine = set[Any]()

            def handle(message: Message) -> None:
                if message.id not in mine:
                    mine.add(message.id)
                    points[message.key] = points.get(message.key, 0) + 1

            return handle

        deliver(spawn=make)
        return points

    repairs = chaoskit.repairs(spawns, points_counter.EVENTS, BROKERS["Kafka"], schedules=SCHEDULES["Kafka"], seed=1)
    assert repairs[0].move == "ids"
    assert repairs[0].status == "held"


def test_what_fails_in_order_has_no_repair() -> None:
    def owes(deliver: Any) -> int:
        total = [0]

        def handle(message: Message) -> None:
            total[0] += message.value

        deliver(handle, state=lambda: total[0])
        return total[0]

    verdict = check(owes, [Event("a", -1)], Kafka(), invariants=[always(lambda n: n >= 0, "no debt")], seed=0)
    assert verdict.status == "violated"
    assert verdict.repairs == ()


def test_the_longest_way_between_two_copies_is_measured() -> None:
    """Ids are kept at least for so long. Three messages, each of which comes once more at the end, are three apart."""
    stream = [Event("a", number) for number in range(1, 4)]
    faults = {chaoskit.Redeliver}
    broker = Kafka(partitions=1, commit_every=100)
    ids = chaoskit.repairs(points_counter.test, stream, broker, faults=faults, schedules=50, seed=0)[0]
    assert ids.status == "held"
    assert ids.distance >= 3


def test_a_decorated_test_says_where_to_ask_once_its_fixtures_are_gone() -> None:
    test = chaos(points_counter.EVENTS, BROKERS["Kafka"], schedules=50)(points_counter.test)
    with pytest.raises(chaoskit.ChaosFailure) as failed:
        test()
    with pytest.raises(UsageError, match="--chaos-repair"):
        _ = failed.value.verdict.repairs
    assert chaoskit.repairs(test, points_counter.EVENTS, schedules=50, seed=0)[0].status == "held"


# Events that do not commute.


def test_two_events_that_do_not_commute_are_shown_with_both_results() -> None:
    verdict, _ = tried(wallet_refuses_overdraft, "Kafka")
    (clash,) = verdict.clashes
    assert (clash.first.value["kind"], clash.second.value["kind"]) == ("credit", "debit")
    key = clash.first.key
    assert clash.in_order == {key: clash.first.value["amount"] - clash.second.value["amount"]}
    assert clash.swapped == {key: clash.first.value["amount"]}
    assert clash.assigned == ()


def test_a_field_that_the_later_one_assigns_is_named() -> None:
    verdict, _ = tried(profile_blind_overwrite, "Kafka")
    (clash,) = verdict.clashes
    assert clash.assigned == tuple(each.path for each in clash.differences)


def test_sums_commute() -> None:
    verdict = check(points_counter.test, [Event("a", 1), Event("a", 2)], BROKERS["Kafka"], seed=0)
    assert verdict.status == "violated"
    assert verdict.clashes == ()


def test_a_value_that_one_event_checks_is_not_assigned() -> None:
    def limit(deliver: Any) -> dict[str, int]:
        state = {"sum": 0}

        def handle(message: Message) -> None:
            if state["sum"] + message.value <= 5:
                state["sum"] += message.value

        deliver(handle)
        return state

    stream = events(st.sampled_from([2, 4]), keys=st.just("a"))
    verdict = check(limit, stream, BROKERS["Kafka"], faults={chaoskit.DeadLetter}, seed=0)
    (clash,) = verdict.clashes
    assert {clash.in_order["sum"], clash.swapped["sum"]} == {2, 4}


def test_the_names_of_moves_are_those_of_the_contract() -> None:
    from typing import get_args

    _, repairs = tried(orders_need_known_customer, "Kafka")
    assert {repair.move for repair in repairs} <= set(get_args(MoveName))
