"""Celery tasks as its pages write them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from chaoskit import Celery, Event, Fail, Message, Overtake, UsageError, check
from chaoskit.adapters import celery as adapter
from chaoskit.adapters.refusing import NotHandled
from chaoskit.execution.retried import Final, how_final
from chaoskit.search.oracle import Subject
from chaoskit.search.question import default_invariants

celery = pytest.importorskip("celery", reason="celery is missing")

PAYMENTS = [Event("ann", {"amount": 5}), Event("ann", {"amount": 3})]
ACCOUNTS = [Event("ann", {"kind": "opened"}), Event("ann", {"kind": "paid", "amount": 5})]
LATE = Celery(acks_late=True, reject_on_worker_lost=True)


def message(headers: dict[str, Any] | None = None, **fields: Any) -> Message:
    fields = {"topic": "celery", "message_id": "e1", "redelivered": False, **fields}
    return Message("ann", {"amount": 5}, "e1", 1, headers or {"retries": 0}, 1.0, **fields)


def app() -> Any:
    """No broker is there, and none is asked."""
    return celery.Celery("shop", broker="redis://nowhere:1/0", backend="redis://nowhere:1/0", set_as_current=False)


def test_a_bound_task_has_the_request_of_a_worker() -> None:
    """Its id, retries and delivery_info; arguments come out of JSON."""
    seen: list[Any] = []

    @app().task(bind=True)
    def charge(self: Any, customer: str, parts: list[int]) -> None:
        request = self.request
        seen.append((customer, parts, request.id, request.retries, request.delivery_info, request.called_directly))

    handle = adapter.task(charge, lambda message: (message.key, (1, 2)))
    handle(message({"retries": 2}, redelivered=True))
    info = {"exchange": "", "routing_key": "celery", "priority": 0, "redelivered": True}
    assert seen == [("ann", [1, 2], "e1", 2, info, False)]
    with pytest.raises(UsageError, match=r"shop|charge.* cannot be called with"):
        adapter.task(charge)(message())
    with pytest.raises(UsageError, match="not JSON serializable"):
        adapter.task(charge, lambda message: {"customer": "ann", "parts": object()})(message())


def test_a_retry_is_raised_and_published_by_nobody() -> None:
    """With the error behind it, if it has one; a rejected task comes again only where it asks for it."""

    @app().task(bind=True, max_retries=1)
    def charge(self: Any, how: str) -> None:
        if how == "retry":
            raise self.retry(exc=ConnectionError("bank"), countdown=60)
        if how == "bare":
            raise self.retry()
        if how == "ignore":
            raise celery.exceptions.Ignore
        raise celery.exceptions.Reject("busy", requeue=how == "requeue")

    def run(how: str, retries: int = 0) -> None:
        adapter.task(charge, lambda message: how)(message({"retries": retries}))

    for retries in (0, 1):  # the second one is beyond max_retries, and final
        with pytest.raises(ConnectionError, match="bank"):
            run("retry", retries)
    for how in ("bare", "requeue"):
        with pytest.raises(NotHandled):
            run(how)
    run("reject")
    run("ignore")


def test_a_failure_that_asks_for_no_retry_is_final() -> None:
    """It is raised, so that the report has it, and says so."""

    @app().task
    def charge(payment: Any) -> None:
        raise LookupError("customer")

    for retries in (0, 1):
        with pytest.raises(LookupError) as raised:
            adapter.task(charge)(message({"retries": retries}))
        assert how_final(raised.value) == Final("celery", used_up=retries > 0, rejected=False)


def paying(**options: Any) -> Callable[[Any], dict[str, int]]:
    """The task of many shops; `once` remembers the ids of its tasks."""
    once = options.pop("once", False)

    def test(deliver: Any) -> dict[str, int]:
        paid: dict[str, int] = {}
        seen: set[str] = set()

        @app().task(bind=True, acks_late=True, **options)
        def charge(self: Any, customer: str, amount: int) -> None:
            if not once or self.request.id not in seen:
                paid[customer] = paid.get(customer, 0) + amount
            seen.add(self.request.id)

        deliver(adapter.task(charge, lambda message: {"customer": message.key, **message.value}))
        return paid

    return test


def test_a_task_with_acks_late_charges_twice() -> None:
    """Reported again and again; the id of the task, which stays, recognises it."""
    found = check(paying(), PAYMENTS, LATE, schedules=40, seed=1)
    assert found.status == "violated"
    held = check(paying(once=True), PAYMENTS, LATE, schedules=40, seed=1)
    assert held.status == "held", held.report()


def opening(**options: Any) -> Callable[[Any], dict[str, int]]:
    """A payment may run before the account is there: then the task fails."""

    def test(deliver: Any) -> dict[str, int]:
        accounts: dict[str, int] = {}

        @app().task(**options)
        def book(customer: str, kind: str, amount: int = 0) -> None:
            if kind == "opened":
                accounts.setdefault(customer, 0)
            else:
                accounts[customer] = max(accounts[customer], amount)

        deliver(adapter.task(book, lambda message: {"customer": message.key, **message.value}))
        return accounts

    return test


def test_a_task_that_fails_is_lost_unless_it_retries() -> None:
    """Celery acknowledges a task that fails: `autoretry_for` is what brings it back."""
    found = check(opening(), ACCOUNTS, Celery(), faults={Overtake}, schedules=40, seed=1)
    assert found.status == "violated"
    assert found.observed == {"ann": 0}
    retried = opening(autoretry_for=(KeyError,), retry_backoff=True)
    held = check(retried, ACCOUNTS, Celery(), faults={Overtake}, schedules=40, seed=1)
    assert held.status == "held", held.report()


BOOKED = [Event("ann", 5), Event("bob", 3)]


def booking(errors: dict[str, Any]) -> Callable[[Any], list[Any]]:
    """A task that books once, in one statement: any attempt of it may be repeated."""

    def test(deliver: Any) -> list[Any]:
        db = sqlite3.connect(":memory:", isolation_level=None)
        db.execute("create table booked (id primary key, amount)")

        @app().task(bind=True, acks_late=True, **errors)
        def book(self: Any, deposit: str, amount: int) -> None:
            db.execute("insert or ignore into booked values (?, ?)", (deposit, amount))

        handle = adapter.task(book, lambda message: (message.id, message.value))
        deliver(spawn=lambda: handle)
        return db.execute("select sum(amount) from booked").fetchall()

    return test


def test_a_call_that_fails_finally_is_gone() -> None:
    """Told as it is, with one attempt; no move makes it come again, and the report says what would."""
    errors = {"autoretry_for": (ConnectionError,)}
    found = check(
        booking(errors), BOOKED, LATE, faults={Fail}, fails_with=sqlite3.OperationalError, schedules=20, seed=1,
    )  # fmt: skip
    assert found.status == "violated"
    assert found.schedule is not None
    assert [step.action for step in found.schedule] == ["deliver", "skip"]
    report = " ".join(found.report().split())
    assert "OperationalError is not in autoretry_for" in report
    assert "acknowledged as failed" in report
    assert "Name what it raises in autoretry_for" in report
    assert "back into the queue" not in report
    assert {each.move: each.status for each in found.repairs} == dict.fromkeys(
        ("retry", "transaction", "unique key"), "unknown"
    )


class Needs(ConnectionError):
    """It cannot be made without an argument."""

    def __init__(self, host: str) -> None:
        super().__init__(host)


@pytest.mark.parametrize(
    "errors",
    [{"autoretry_for": (Needs, ConnectionError)}, {"autoretry_for": (Exception,), "dont_autoretry_for": (KeyError,)}],
)
def test_a_call_fails_with_what_the_task_retries(errors: dict[str, Any]) -> None:
    held = check(booking(errors), BOOKED, LATE, faults={Fail}, schedules=20, seed=1)
    assert held.status == "held", held.report()


def test_a_failure_that_no_task_retries_names_fails_with() -> None:
    found = check(booking({}), BOOKED, LATE, faults={Fail}, schedules=20, seed=1)
    assert found.status == "violated"
    assert "is said by fails_with=" in " ".join(found.report().split())


def test_a_final_failure_that_was_saved_is_fixed_by_a_retry() -> None:
    """The steps that were saved drop the message; where the task asks for a retry, the model goes on in another way."""
    failing = {"fails_with": sqlite3.OperationalError, "faults": {Fail}, "schedules": 20, "seed": 1}
    found = check(booking({}), BOOKED, LATE, **failing)
    assert found.scenario is not None
    errors: dict[str, Any] = {}
    subject = Subject(lambda deliver: booking(errors)(deliver), LATE, default_invariants(None))
    case = attrs.evolve(subject, fails_with=sqlite3.OperationalError).on(found.scenario.stream)
    lost = case.run(found.scenario.faults)
    assert case.violations(lost)
    assert case.violations(case.follow(found.scenario.faults, lost.steps, frozenset(lost.refusals)))
    errors["autoretry_for"] = (sqlite3.OperationalError,)
    mended = case.follow(found.scenario.faults, lost.steps, frozenset(lost.refusals))
    assert not case.violations(mended)
    assert len(mended.steps) > len(lost.steps)
