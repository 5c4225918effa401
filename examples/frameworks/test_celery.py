"""A Celery task with `acks_late`, which a worker may run twice: the id of the task, which stays, recognises it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Celery, chaos
from chaoskit.adapters import celery as adapter
from chaoskit.strategies import events

celery = pytest.importorskip("celery")

PAYMENTS = events(st.integers(1, 9), keys=st.sampled_from(["ann", "bob"]))


def task(paid: dict[str, int], once: bool) -> Any:
    app = celery.Celery("shop", broker="redis://localhost")
    seen: set[str] = set()  # stands for a table with a unique key

    @app.task(bind=True, acks_late=True, autoretry_for=(ConnectionError,), retry_backoff=True)
    def charge(self: Any, customer: str, amount: int) -> None:
        if not once or self.request.id not in seen:
            paid[customer] = paid.get(customer, 0) + amount
        seen.add(self.request.id)

    return charge


@pytest.mark.parametrize("once", [pytest.param(False, id="written"), pytest.param(True, id="repaired")])
@chaos(PAYMENTS, broker=Celery(acks_late=True, reject_on_worker_lost=True))
def test_each_payment_is_charged_once(deliver: Any, once: bool) -> dict[str, int]:
    paid: dict[str, int] = {}
    deliver(adapter.task(task(paid, once), lambda message: {"customer": message.key, "amount": message.value}))
    return paid
