"""An arq job that raises: any exception but `Retry` is its end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Celery, Event, Overtake, chaos
from chaoskit.adapters import arq as adapter

arq = pytest.importorskip("arq")

PAYMENTS = st.integers(1, 9).map(lambda amount: [Event("ann", {"kind": "opened"}), Event("ann", {"amount": amount})])


async def book(ctx: dict[str, Any], customer: str, kind: str = "paid", amount: int = 0) -> None:
    accounts = ctx["db"]
    if kind == "opened":
        accounts.setdefault(customer, 0)
    else:
        accounts[customer] = max(accounts[customer], amount)


async def book_or_retry(ctx: dict[str, Any], **step: Any) -> None:
    try:
        await book(ctx, **step)
    except KeyError:
        raise arq.Retry(defer=10) from None


@pytest.mark.parametrize("job", [pytest.param(book, id="written"), pytest.param(book_or_retry, id="repaired")])
@pytest.mark.asyncio
@chaos(PAYMENTS, broker=Celery(acks_late=True, reject_on_worker_lost=True), faults={Overtake})
async def test_every_payment_is_booked(deliver: Any, job: Any) -> dict[str, int]:
    accounts: dict[str, int] = {}
    await deliver(adapter.job(job, lambda message: {"customer": message.key, **message.value}, ctx={"db": accounts}))
    return accounts
