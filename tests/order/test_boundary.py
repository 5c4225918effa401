"""The finest key under which a handler keeps its in-order result, for handlers of which it is known."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Boundary, Event, Kafka, Message, PubSub, RabbitMQ, SqsFifo, Stream, UsageError
from chaoskit.brokers import Settings
from chaoskit.order.keys import candidates_of, keeps, key_of
from chaoskit.strategies import events
from chaoskit.values.boundary import Fields
from handlers import name
from handlers.buggy import (
    BUGGY,
    ledger_high_water_mark,
    orders_need_known_customer,
    profile_blind_overwrite,
    wallet_refuses_overdraft,
)
from handlers.correct import CORRECT

Body = Callable[[Any], Any]

NAMES = st.sampled_from(["a", "b", "c"])
TRANSFERS = st.fixed_dictionaries(
    {"from": NAMES, "to": NAMES, "amount": st.integers(1, 5), "trace": st.integers(0, 99), "at": st.floats(0, 1)}
)
MOVES = events(TRANSFERS, keys=st.sampled_from(["x", "y"]))


def account(deliver: Any) -> dict[str, int]:
    """Debits `from` where that has enough."""
    balances: dict[str, int] = {}

    def handle(message: Message) -> None:
        mine = balances.get(message.value["from"], 5)
        if mine >= message.value["amount"]:
            balances[message.value["from"]] = mine - message.value["amount"]

    deliver(handle)
    return balances


def transfer(deliver: Any) -> dict[str, int]:
    """Between two accounts, where the first has enough."""
    balances: dict[str, int] = {}

    def handle(message: Message) -> None:
        one, two, amount = (message.value[name] for name in ("from", "to", "amount"))
        if balances.get(one, 5) >= amount:
            balances[one] = balances.get(one, 5) - amount
            balances[two] = balances.get(two, 5) + amount

    deliver(handle)
    return balances


def last_of_each_pair(deliver: Any) -> dict[tuple[str, str], int]:
    last: dict[tuple[str, str], int] = {}

    def handle(message: Message) -> None:
        last[message.value["from"], message.value["to"]] = message.value["amount"]

    deliver(handle)
    return last


def ledger(deliver: Any) -> list[int]:
    """Numbers all entries."""
    entries: list[int] = []
    deliver(lambda message: entries.append(message.value["amount"]))
    return entries


def counts(deliver: Any) -> dict[str, int]:
    found: dict[str, int] = {}

    def handle(message: Message) -> None:
        found[message.value["to"]] = found.get(message.value["to"], 0) + 1

    deliver(handle)
    return found


def last_of_its_key(deliver: Any) -> dict[str, int]:
    last: dict[str, int] = {}

    def handle(message: Message) -> None:
        last[message.key] = message.value["amount"]

    deliver(handle)
    return last


ORDERS = events(
    st.fixed_dictionaries(
        {"order": st.fixed_dictionaries({"customer": NAMES}), "kind": st.sampled_from(["customer", "order"])}
    ),
    keys=st.sampled_from(["o1", "o2"]),
)


def orders_of_known_customers(deliver: Any) -> dict[str, int]:
    found: dict[str, int] = {}

    def handle(message: Message) -> None:
        customer = message.value["order"]["customer"]
        if message.value["kind"] == "customer":
            found.setdefault(customer, 0)
        elif customer in found:
            found[customer] += 1

    deliver(handle)
    return found


TRUTH: dict[str, tuple[Body, Any, Fields | None]] = {
    "wallet: account": (account, MOVES, ("value.from",)),
    "transfer: one for all": (transfer, MOVES, ()),
    "pairs": (last_of_each_pair, MOVES, ("value.from", "value.to")),
    "ledger with one sequence: one for all": (ledger, MOVES, ()),
    "counter: none": (counts, MOVES, None),
    "profile: the key as it is": (last_of_its_key, MOVES, ("key",)),
    "orders and customers: the customer": (orders_of_known_customers, ORDERS, ("value.order.customer",)),
}
HANDLERS: dict[ModuleType, Fields | None] = dict.fromkeys([*BUGGY, *CORRECT], None) | {
    profile_blind_overwrite: ("key",),
    ledger_high_water_mark: ("key",),
    wallet_refuses_overdraft: ("key",),
    orders_need_known_customer: (),
}
"""What breaks the others is no order."""

BROKERS = [Kafka(), Kafka(partitions=1), SqsFifo(), RabbitMQ(), PubSub(ordering=True)]


def found(test: Body, stream: Any, broker: Settings | None = None) -> Boundary:
    return chaoskit.boundary(test, stream, broker, schedules=600, seed=1)


@pytest.mark.parametrize("case", TRUTH)
def test_the_finest_key_that_suffices_is_found(case: str) -> None:
    test, stream, fields = TRUTH[case]
    boundary = found(test, stream)
    assert boundary.finest == fields
    assert boundary.needs_order is (fields is not None)
    assert boundary.test is not None
    assert boundary.test.endswith(f"::{test.__name__}")


@pytest.mark.parametrize("broker", BROKERS, ids=repr)
def test_the_broker_does_not_change_what_the_handler_needs(broker: Settings) -> None:
    assert found(account, MOVES, broker).finest == ("value.from",)


@pytest.mark.parametrize("handler", [pytest.param(handler, id=name(handler)) for handler in HANDLERS])
def test_what_breaks_by_copies_needs_no_order(handler: ModuleType) -> None:
    """A handler with a guard on offsets is right on the lanes of a log, each key in one of its own."""
    assert found(handler.test, handler.EVENTS).finest == HANDLERS[handler]


@pytest.mark.parametrize("case", TRUTH)
def test_each_candidate_that_breaks_has_a_minimal_counterexample(case: str) -> None:
    """Two events swapped, or three: the order is one that the candidate permits, and handling the events in it gives
    what is said. No part of them does, in any order."""
    test, stream, _ = TRUTH[case]
    for candidate in found(test, stream).candidates:
        if candidate.status != "violated":
            assert candidate.events == ()
            continue
        events = Stream(candidate.events)
        assert len(events) <= 3
        order = [events.ids.index(id_) for id_ in candidate.order]
        assert keeps(events, candidate.fields, order)
        assert handled(test, events, range(len(events))) == candidate.expected
        assert handled(test, events, order) == candidate.observed
        assert candidate.expected != candidate.observed
        for place in range(len(events)):
            part = events.without(place)
            in_order = handled(test, part, range(len(part)))
            orders = itertools.permutations(range(len(part)))
            permitted = (o for o in orders if keeps(part, candidate.fields, o))
            assert all(handled(test, part, o) == in_order for o in permitted)


def handled(test: Body, stream: Stream, order: Any) -> Any:
    """The test by itself, without chaoskit."""

    def deliver(handler: Callable[[Any], Any]) -> None:
        for place in order:
            handler(stream[place])

    return test(deliver)


def test_the_next_finer_key_is_a_refinement_where_one_breaks() -> None:
    boundary = found(account, MOVES)
    assert boundary.next_finer is not None
    assert boundary.next_finer.fields is not None
    assert {"value.from"} < set(boundary.next_finer.fields)
    assert found(counts, MOVES).next_finer is None


def test_the_same_seed_gives_the_same_answer() -> None:
    one, two = (found(transfer, MOVES) for _ in range(2))
    assert [attrs.astuple(each) for each in one.candidates] == [attrs.astuple(each) for each in two.candidates]


def test_what_has_one_key_in_every_stream_is_not_called_enough() -> None:
    """A key that never differs is one for all: nothing is said of it."""
    boundary = found(ledger, events(TRANSFERS, keys=st.just("x")))
    assert boundary.finest == ()
    key = next(each for each in boundary.candidates if each.fields == ("key",))
    assert key.status == "unknown"


def test_a_test_that_fails_in_order_has_no_boundary() -> None:
    def owes(deliver: Any) -> int:
        total = [0]

        def handle(message: Message) -> None:
            total[0] += 1

        deliver(handle, state=lambda: total[0])
        return total[0]

    from chaoskit.invariants import always

    with pytest.raises(UsageError, match="fails in order already"):
        chaoskit.boundary(owes, MOVES, invariants=[always(lambda n: n < 1, "none")], seed=0)


def test_one_event_has_no_order() -> None:
    with pytest.raises(UsageError, match="two events"):
        chaoskit.boundary(counts, events(TRANSFERS, keys=NAMES, max_size=1), seed=0)


def test_a_literal_stream_has_a_boundary_too() -> None:
    rows = [("x", "a", 5), ("y", "a", 1), ("y", "b", 1)]
    stream = [Event(key, {"from": payer, "amount": amount}) for key, payer, amount in rows]
    assert found(account, stream).finest == ("value.from",)


async def waits(deliver: Any) -> dict[str, int]:
    last: dict[str, int] = {}

    async def handle(message: Message) -> None:
        last[message.key] = message.value["amount"]

    await deliver(handle)
    return last


def test_an_async_handler_has_a_boundary_too() -> None:
    assert found(waits, MOVES).finest == ("key",)


def test_a_handler_that_refuses_until_its_turn_needs_no_order() -> None:
    """The broker shows again what was refused, until it is taken."""

    def raises(deliver: Any) -> list[int]:
        done: list[int] = []

        def handle(message: Message) -> None:
            if message.value != len(done):
                raise LookupError(message.value)
            done.append(message.value)

        deliver(handle)
        return done

    stream = st.integers(2, 5).map(lambda size: [Event(f"k{n}", n) for n in range(size)])
    assert found(raises, stream).finest is None


# What events offer as a key.


@attrs.frozen
class Payment:
    account: str
    details: dict[str, Any]


def test_fields_of_objects_and_nested_ones_are_candidates() -> None:
    stream = Stream.of([Event("k", Payment("a", {"to": "b", "tags": ["x"], "rate": 1.5}))])
    assert candidates_of([stream])[:4] == [
        ("key",),
        ("value.account",),
        ("value.details.to",),
        ("key", "value.account"),
    ]
    assert key_of(stream[0], ("value.details.to", "key")) == (("str", "b"), ("str", "k"))


def test_values_that_are_equal_but_of_another_type_are_other_keys() -> None:
    one, two = Event("k", {"n": 1}), Event("k", {"n": True})
    assert key_of(one, ("value.n",)) != key_of(two, ("value.n",))
    assert key_of(one, ("value.gone",)) == key_of(two, ("value.gone",))


def test_a_value_that_is_no_object_is_a_key_itself() -> None:
    assert candidates_of([Stream.of([Event("k", "text"), Event("k", ["list"])])]) == [
        ("key",), ("value",), ("key", "value"), (),
    ]  # fmt: skip
