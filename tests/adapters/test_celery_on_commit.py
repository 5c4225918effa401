"""A task that sends another one in a transaction of Django: a worker may be faster than the commit."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("django", reason="django is missing")
import one_django  # noqa: F401 - sets Django up
from django.db import connection, transaction

from adapters.test_celery import message
from chaoskit import Celery, Event, Redeliver, check
from chaoskit.adapters import celery as adapter
from chaoskit.invariants import final_state, never

celery = pytest.importorskip("celery", reason="celery is missing")
pytest.importorskip("celery.contrib.django.task", reason="celery has no delay_on_commit before 5.4")

ORDERS = [Event("ann", 5), Event("bob", 3)]
LATE = Celery(acks_late=True, reject_on_worker_lost=True)


@pytest.fixture(autouse=True)
def _tables() -> Iterator[None]:
    for table in ("orders", "invoices"):
        ask(f"CREATE TABLE {table} (id TEXT PRIMARY KEY, amount INTEGER)")
    yield
    for table in ("orders", "invoices"):
        ask(f"DROP TABLE {table}")


def ask(statement: str, *given: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, given)
        return cursor.fetchall() if statement.startswith("SELECT") else []


def shop(on_commit: bool) -> tuple[Any, Any]:
    """As https://docs.celeryq.dev/en/stable/django/first-steps-with-django.html, "Trigger tasks at the end of the
    database transaction", and the same without it."""
    app = celery.Celery(
        "shop", broker="redis://nowhere:1/0", set_as_current=False, task_cls="celery.contrib.django.task:DjangoTask"
    )

    @app.task(shared=False, name="invoice")
    def invoice(order: str) -> str:
        rows = ask("SELECT amount FROM orders WHERE id = %s", order)
        if not rows:
            return "no such order"
        ask("INSERT OR IGNORE INTO invoices VALUES (%s, %s)", order, rows[0][0])
        return "sent"

    @app.task(bind=True, shared=False, name="place", acks_late=True)
    def place(self: Any, order: str, amount: int) -> None:
        with transaction.atomic():
            ask("INSERT OR IGNORE INTO orders VALUES (%s, %s)", order, amount)
            if on_commit:
                invoice.delay_on_commit(order)
            else:
                invoice.delay(order)

    with warnings.catch_warnings():  # of tasks of other tests, which an app takes up by their names
        warnings.simplefilter("ignore")
        app.finalize()
    return app, place


def test_a_worker_that_is_faster_than_the_commit_finds_no_row() -> None:
    def test(deliver: Any, on_commit: bool) -> Any:
        ask("DELETE FROM orders"), ask("DELETE FROM invoices")
        app, place = shop(on_commit)
        answers: list[str] = []

        def at_once(name: str, args: Any, kwargs: Any) -> None:
            # A worker has a connection of its own, and sees nothing of a transaction that is open here.
            sees = not connection.in_atomic_block
            answers.append(app.tasks[name].run(*args, **kwargs) if sees else "no such order")

        handle = adapter.task(place, lambda message: (str(message.id), message.value))
        with adapter.sends(app, at_once):
            deliver(handle)
        return {"invoices": ask("SELECT * FROM invoices ORDER BY id"), "lost": "no such order" in answers}

    asked = {"schedules": 10, "seed": 1, "invariants": [final_state(), never(lambda state: state["lost"])]}
    verdict = check(lambda deliver: test(deliver, False), ORDERS, LATE, faults={Redeliver}, **asked)
    assert verdict.status == "violated"
    assert "already" in verdict.report()
    assert check(lambda deliver: test(deliver, True), ORDERS, LATE, faults={Redeliver}, **asked).status == "held"


def test_what_is_sent_on_commit_is_sent_once_and_not_where_the_transaction_fails() -> None:
    """By a bound task."""
    app, place = shop(on_commit=True)
    sent: list[Any] = []
    handle = adapter.task(place, lambda message: (str(message.id), message.value["amount"]))
    with adapter.sends(app, lambda *given: sent.append(given)):
        handle(message())
    assert sent == [("invoice", ("e1",), {})]
    sent.clear()
    with adapter.sends(app, lambda *given: sent.append(given)), contextlib.suppress(LookupError), transaction.atomic():
        place.delay_on_commit("e9", 1)
        raise LookupError
    assert not sent
