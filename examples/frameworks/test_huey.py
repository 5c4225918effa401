"""A Huey task without `retries`: one that ran before what it needs has failed for good. With them it comes again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Celery, Event, Overtake, chaos
from chaoskit.adapters import huey as adapter

huey = pytest.importorskip("huey")

PAYMENTS = st.integers(1, 9).map(lambda amount: [Event("ann", {"kind": "opened"}), Event("ann", {"amount": amount})])


def task(accounts: dict[str, int], retries: int) -> Any:
    app = huey.MemoryHuey("shop")

    @app.task(retries=retries, retry_delay=10)
    def book(customer: str, kind: str = "paid", amount: int = 0) -> None:
        if kind == "opened":
            accounts.setdefault(customer, 0)
        else:
            accounts[customer] = max(accounts[customer], amount)

    return book


@pytest.mark.parametrize("retries", [pytest.param(0, id="written"), pytest.param(3, id="repaired")])
@chaos(PAYMENTS, broker=Celery(), faults={Overtake})
def test_every_payment_is_booked(deliver: Any, retries: int) -> dict[str, int]:
    accounts: dict[str, int] = {}
    deliver(adapter.task(task(accounts, retries), lambda message: {"customer": message.key, **message.value}))
    return accounts
