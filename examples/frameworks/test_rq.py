"""An RQ job that is enqueued without a `Retry`: one that ran before what it needs has failed for good."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Celery, Event, Overtake, chaos
from chaoskit.adapters import rq as adapter

rq = pytest.importorskip("rq")

PAYMENTS = st.integers(1, 9).map(lambda amount: [Event("ann", {"kind": "opened"}), Event("ann", {"amount": amount})])
ACCOUNTS: dict[str, int] = {}


def book(customer: str, kind: str = "paid", amount: int = 0) -> None:
    if kind == "opened":
        ACCOUNTS.setdefault(customer, 0)
    else:
        ACCOUNTS[customer] = max(ACCOUNTS[customer], amount)


@pytest.mark.parametrize("retry", [pytest.param(None, id="written"), pytest.param(rq.Retry(max=3), id="repaired")])
@chaos(PAYMENTS, broker=Celery(), faults={Overtake})
def test_every_payment_is_booked(deliver: Any, retry: Any) -> dict[str, int]:
    ACCOUNTS.clear()
    deliver(adapter.job(book, lambda message: {"customer": message.key, **message.value}, retry=retry))
    return ACCOUNTS
