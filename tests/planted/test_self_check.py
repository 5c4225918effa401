"""A test that compares rightly would notice each known bug that can happen, and one that hides everything none."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st

from chaoskit import (
    Celery,
    Duplicate,
    Event,
    InOrder,
    Kafka,
    Outbox,
    Planted,
    RabbitMQ,
    SelfCheck,
    SqsFifo,
    chaos,
    run,
    self_check,
)
from chaoskit.brokers import Settings
from chaoskit.invariants import always, final_state, no_error
from chaoskit.strategies import events
from chaoskit.values.planted import HANDLER_BUGS, INSIDE_BUGS, STATE_BUGS
from handlers import name
from handlers.correct import CORRECT, ledger_durable_ids, orders_retried_until_customer_known
from handlers.small import counts, inbox, newest, sums
from inside.subjects import both_at_once, over

VALUES = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]))
KAFKA = Kafka(partitions=1, idempotent_producer=False)
NO_ORDER = (ledger_durable_ids, orders_retried_until_customer_known)
"""Handlers to which the order of a key does not matter."""


def status(check: SelfCheck) -> dict[str, str]:
    """Of what is not caught."""
    return {planted.bug: planted.status for planted in check.planted if planted.status != "caught"}


def of(check: SelfCheck, bug: str) -> Planted:
    (found,) = (planted for planted in check.planted if planted.bug == bug)
    return found


def seen_by(project: Callable[[Any], Any], test: Callable[[Any], Any] = newest) -> Callable[[Any], Any]:
    """The test, of whose state only this is returned."""
    return lambda deliver: project(test(deliver))


@pytest.mark.parametrize("handler", CORRECT, ids=name)
def test_every_right_handler_does_wrong_with_each_bug_that_matters_to_it(handler: ModuleType) -> None:
    """However it knows a copy, and whatever it does with what comes too early."""
    check = self_check(handler.test, handler.EVENTS, KAFKA, seed=1)
    assert status(check) == ({"ignores versions": "no difference"} if handler in NO_ORDER else {})
    assert tuple(planted.bug for planted in check.planted) == HANDLER_BUGS + STATE_BUGS
    assert not check.asserts_nothing


IN_ORDER = {"ignores versions": "cannot happen"}
ANY_ORDER = {"ignores versions": "no difference"}
NO_ATTEMPT_FAILS = {"applies after failing": "cannot happen"}
BROKERS: list[tuple[Settings, Any, dict[str, str]]] = [
    (SqsFifo(), sums, IN_ORDER),
    (SqsFifo(), newest, IN_ORDER),
    (RabbitMQ(), sums, ANY_ORDER),
    (RabbitMQ(), newest, {}),
    (Celery(), newest, {}),
    (Outbox(), newest, NO_ATTEMPT_FAILS),
    (Outbox(), sums, ANY_ORDER | NO_ATTEMPT_FAILS),
]
"""What is not caught, and why: a key's order is kept or does not matter, or no attempt fails."""


@pytest.mark.parametrize(
    ("broker", "test", "expected"), BROKERS, ids=[f"{type(b).__name__} {t.__name__}" for b, t, _ in BROKERS]
)
def test_what_a_broker_cannot_do_is_told_as_that(broker: Settings, test: Any, expected: dict[str, str]) -> None:
    """All else is caught, on logs and on queues."""
    check = self_check(test, VALUES, broker, seed=1)
    assert status(check) == expected
    for bug in expected:
        assert of(check, bug).why


BY_HAND = [("forgets ids", counts, sums), ("ignores versions", inbox, newest)]


@pytest.mark.parametrize(("bug", "by_hand", "right"), BY_HAND)
def test_a_handler_that_has_the_bug_fails_there_too(bug: str, by_hand: Any, right: Any) -> None:
    """The delivery with which a planted bug was met breaks the handler that was written with it, and not the right
    one."""
    planted = of(self_check(right, VALUES, KAFKA, seed=2), bug)
    assert planted.scenario is not None
    assert planted.breaks == tuple(dict.fromkeys(type(fault).__name__ for fault in planted.scenario.faults))
    assert run(by_hand, planted.scenario).status == "violated"
    assert run(right, planted.scenario).status == "held"


def test_a_state_that_hides_everything_notices_nothing() -> None:
    """How many rows there are, or nothing; frozen and constant states are noticed even then, by the search itself."""
    for project in (len, lambda state: "done"):
        check = self_check(seen_by(project), VALUES, KAFKA, seed=1)
        assert check.asserts_nothing
        assert set(check.missed) == set(HANDLER_BUGS)
        assert check.caught == STATE_BUGS if project is len else ("frozen", "constant")


def test_a_length_shows_what_is_missing_and_not_what_it_is() -> None:
    """A list of rows is longer or shorter, but which value is where does not show."""

    def rows(deliver: Any) -> list[Any]:
        rows: list[Any] = []
        last: dict[str, int] = {}

        def handle(message: Any) -> None:
            if message.seq > last.get(message.key, 0):
                last[message.key] = message.seq
                rows.append((message.key, message.value))

        deliver(handle)
        return rows

    check = self_check(seen_by(len, rows), VALUES, SqsFifo(), seed=1)
    assert status(check) == {"ignores versions": "cannot happen", "only its length": "cannot happen"}
    check = self_check(seen_by(len, sorted_rows), VALUES, KAFKA, seed=1)
    assert check.missed == ("ignores versions",)
    assert "shows nothing of the messages' values" in of(check, "ignores versions").why
    assert status(self_check(sorted_rows, VALUES, KAFKA, seed=1)) == ANY_ORDER


def sorted_rows(deliver: Any) -> list[Any]:
    rows: dict[Any, Any] = {}
    deliver(lambda message: rows.setdefault(message.id, (message.key, message.value)))
    return sorted(rows.values())


def test_invariants_that_do_not_look_notice_nothing() -> None:
    """No delivery raises, nor would it with any of the bugs; with the final state all is well again."""
    alone = self_check(newest, VALUES, KAFKA, invariants=[no_error()], seed=1)
    assert set(alone.missed) == {*HANDLER_BUGS, *STATE_BUGS}
    assert alone.asserts_nothing
    assert not self_check(newest, VALUES, KAFKA, invariants=[no_error(), final_state()], seed=1).missed


def test_a_predicate_that_a_bug_breaks_is_enough() -> None:
    """It asserts something, though it does not compare states."""

    def never_more_than_sent(deliver: Any) -> None:
        balances = {"alice": 0}
        seen: set[Any] = set()

        def handle(message: Any) -> None:
            if message.id not in seen:
                seen.add(message.id)
                balances["alice"] += message.value

        deliver(handle, state=lambda: balances)

    sent = [Event("alice", 3), Event("alice", 5)]
    at_most = always(lambda state: state["alice"] <= 8)
    check = self_check(never_more_than_sent, sent, KAFKA, invariants=[at_most], seed=1)
    assert "forgets ids" in check.caught
    assert "drops an effect" in check.missed
    assert not check.asserts_nothing


def test_a_copy_that_is_known_by_its_value_is_told_as_no_difference() -> None:
    """Nothing that stands around a handler can make it forget what is in the value."""

    def by_value(deliver: Any) -> list[Any]:
        rows: set[tuple[Any, ...]] = set()
        deliver(lambda message: rows.add((message.key, *message.value.values())))
        return sorted(rows)

    payments = st.fixed_dictionaries({"number": st.integers(1, 10**6), "amount": st.integers(1, 100)})
    check = self_check(by_value, events(payments, keys=st.sampled_from(["alice", "bob"])), KAFKA, seed=1)
    assert set(check.named("no difference")) == {"forgets ids", "ignores versions", "applies after failing"}
    assert not check.missed


def test_messages_of_one_key_each_are_dropped_as_well() -> None:
    """Where no key has two events there is nobody to be left of it."""
    ids = events(st.integers(1, 100), keys=st.uuids().map(str), max_size=4)
    assert "drops an effect" in self_check(seen_by(len), ids, KAFKA, seed=1).caught


def test_nothing_is_planted_where_it_says_nothing() -> None:
    """In a test that fails by itself, and where nothing can go wrong."""
    assert "fails without any planted bug" in self_check(counts, VALUES, KAFKA, seed=1).reason
    assert "makes no fault" in self_check(newest, VALUES, InOrder(), seed=1).reason


def test_a_decorated_test_with_narrow_kinds_is_asked_as_it_stands() -> None:
    """What it leaves out cannot happen."""

    @chaos(VALUES, broker=KAFKA, faults={Duplicate})
    def test(deliver: Any) -> Any:
        return newest(deliver)

    cannot = ("ignores versions", "applies after failing", "acknowledges first")
    assert self_check(test, VALUES, seed=1).named("cannot happen") == cannot


def test_a_test_that_fails_in_its_own_way_has_noticed() -> None:
    """Its handler calls pytest.fail: that is told, and the other bugs are asked all the same."""

    def fails(deliver: Any) -> dict[str, Any]:
        ids: set[Any] = set()

        def handle(message: Any) -> None:
            if "~" in message.id:
                pytest.fail(f"who is {message.id}?")
            ids.add(message.id)

        deliver(handle)
        return dict.fromkeys(ids, 1)

    check = self_check(fails, VALUES, KAFKA, seed=1)
    assert "forgets ids" in check.caught
    assert "an error of its own" in of(check, "forgets ids").why
    assert "drops an effect" in check.caught


@pytest.mark.parametrize(
    ("ids", "read"),
    [
        (["0190b6c1-6dd0-7000-8000-000000000001", "0190b6c1-6dd0-7000-8000-000000000002"], UUID),
        (["17", "18"], int),
        ([17, 18], abs),
        (["first", "second"], str.encode),
    ],
    ids=["uuid", "digits", "numbers", "words"],
)
def test_what_looks_new_has_an_id_of_the_same_form(ids: list[Any], read: Callable[[Any], Any]) -> None:
    """So that a handler which reads it is broken by the bug, and not by an id that nobody makes."""
    unreadable, more = [], set[Any]()

    def ledger(deliver: Any) -> dict[str, int]:
        balances: dict[str, int] = {}
        seen: set[Any] = set()

        def handle(message: Any) -> None:
            more.add(message.id)
            try:
                read(message.id)
            except (TypeError, ValueError):
                unreadable.append(message.id)
            if message.id not in seen:
                seen.add(message.id)
                balances[message.key] = balances.get(message.key, 0) + message.value

        deliver(handle)
        return balances

    stream = [Event("alice", value, id_) for value, id_ in zip([3, 5], ids, strict=True)]
    assert "forgets ids" in self_check(ledger, stream, KAFKA, seed=1).caught
    assert not unreadable
    assert len(more) > len(ids)


def test_an_invariant_that_raises_is_the_reason() -> None:
    """It would raise with every bug, which is no merit of the test."""

    def raises(state: Any) -> bool:
        raise LookupError("no such account")

    check = self_check(keeps_states, VALUES, KAFKA, invariants=[always(raises)], seed=1)
    assert check.reason == "the invariant always(raises) raised LookupError: no such account"
    assert not check.planted


def keeps_states(deliver: Any) -> dict[str, int]:
    rows: dict[str, int] = {}
    deliver(lambda message: rows.update({message.key: message.seq}), state=lambda: rows)
    return rows


def test_the_bugs_of_a_death_are_planted_where_something_says_what_dies() -> None:
    """A handler whose effect and mark are one transaction does wrong with each. What shows nothing notices none."""
    check = self_check(over(both_at_once), VALUES, KAFKA, seed=1)
    assert set(INSIDE_BUGS) <= set(check.caught)
    for bug in INSIDE_BUGS:
        assert of(check, bug).breaks == ("Crash",)

    def test(deliver: Any) -> str:
        over(both_at_once)(deliver)
        return "done"

    assert not set(INSIDE_BUGS) & set(self_check(test, VALUES, KAFKA, seed=1).caught)
