"""A FastStream subscriber of RabbitMQ, with pydantic and Depends.

Its default `ack_policy` rejects what fails, so that a payment which two consumers brought before its account is lost;
NACK_ON_ERROR brings it back.
"""

from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Event, Overtake, RabbitMQ, chaos
from chaoskit.adapters import faststream as adapter

faststream = pytest.importorskip("faststream")
rabbit = pytest.importorskip("faststream.rabbit")
pydantic = pytest.importorskip("pydantic")

PAYMENTS = st.lists(st.integers(1, 9), max_size=3).map(
    lambda amounts: [
        Event("ann", {"kind": "opened"}),
        *(Event("ann", {"kind": "paid", "number": n, "amount": amount}) for n, amount in enumerate(amounts)),
    ]
)


class Step(pydantic.BaseModel):
    kind: str
    number: int = 0
    amount: int = 0


ACCOUNTS: dict[str, dict[int, int]] = {}


def accounts() -> dict[str, dict[int, int]]:
    """The session of a database."""
    return ACCOUNTS


async def book(step: Step, session: Any = faststream.Depends(accounts)) -> None:  # noqa: B008 - as it is written
    if step.kind == "opened":
        session.setdefault("ann", {})
    else:
        session["ann"][step.number] = step.amount


BROKERS = {
    "written": rabbit.RabbitBroker(),
    "repaired": rabbit.RabbitBroker(),
}
BROKERS["written"].subscriber("payments")(book)
BROKERS["repaired"].subscriber("payments", ack_policy=faststream.AckPolicy.NACK_ON_ERROR)(book)


@pytest.mark.parametrize("name", BROKERS)
@pytest.mark.asyncio
@chaos(PAYMENTS, broker=RabbitMQ(delivery_limit=None), faults={Overtake})
async def test_every_payment_is_booked(deliver: Any, name: str) -> dict[str, dict[int, int]]:
    ACCOUNTS.clear()
    async with adapter.subscriber(BROKERS[name]) as handler:
        await deliver(handler)
    return ACCOUNTS
