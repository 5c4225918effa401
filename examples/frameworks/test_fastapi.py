"""A FastAPI endpoint that answers at once and works in a background task.

The provider has heard 200 by then: a payment that came before its account fails behind the answer, and is lost. Who
works first and answers then is sent it again.
"""

from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Event, Webhook, chaos
from chaoskit.adapters import webhooks

fastapi = pytest.importorskip("fastapi")

PAYMENTS = st.lists(st.integers(1, 9), min_size=1, max_size=3).map(
    lambda amounts: [
        Event("ann", {"kind": "opened"}),
        *(Event("ann", {"kind": "paid", "number": n, "amount": amount}) for n, amount in enumerate(amounts)),
    ]
)


def service(accounts: dict[str, dict[int, int]], answers_first: bool) -> Any:
    app = fastapi.FastAPI()

    async def book(event: dict[str, Any]) -> None:
        if event["kind"] == "opened":
            accounts.setdefault("ann", {})
        else:
            accounts["ann"][event["number"]] = event["amount"]

    @app.post("/webhook")
    async def webhook(event: dict[str, Any], tasks: fastapi.BackgroundTasks) -> dict[str, bool]:
        if answers_first:
            tasks.add_task(book, event)
        else:
            await book(event)
        return {"received": True}

    return app


@pytest.mark.parametrize("answers_first", [pytest.param(True, id="written"), pytest.param(False, id="repaired")])
@pytest.mark.asyncio
@chaos(PAYMENTS, broker=Webhook())
async def test_every_payment_is_booked(deliver: Any, answers_first: bool) -> dict[str, dict[int, int]]:
    accounts: dict[str, dict[int, int]] = {}
    await deliver(webhooks.asgi(service(accounts, answers_first), "/webhook"))
    return accounts
