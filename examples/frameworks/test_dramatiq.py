"""A Dramatiq actor, which is run at least once: its message's id stays, and recognises what was done."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Celery, chaos
from chaoskit.adapters import dramatiq as adapter
from chaoskit.strategies import events

dramatiq = pytest.importorskip("dramatiq")
stub = pytest.importorskip("dramatiq.brokers.stub")

PAYMENTS = events(st.integers(1, 9), keys=st.sampled_from(["ann", "bob"]))


def actor(paid: dict[str, int], once: bool) -> Any:
    broker = stub.StubBroker()
    broker.add_middleware(dramatiq.middleware.CurrentMessage())
    seen: set[str] = set()

    @dramatiq.actor(broker=broker, max_retries=5)
    def charge(customer: str, amount: int) -> None:
        message = dramatiq.middleware.CurrentMessage.get_current_message()
        if not once or message.message_id not in seen:
            paid[customer] = paid.get(customer, 0) + amount
        seen.add(message.message_id)

    return charge


@pytest.mark.parametrize("once", [pytest.param(False, id="written"), pytest.param(True, id="repaired")])
@chaos(PAYMENTS, broker=Celery(acks_late=True, reject_on_worker_lost=True))
def test_each_payment_is_charged_once(deliver: Any, once: bool) -> dict[str, int]:
    paid: dict[str, int] = {}
    deliver(adapter.actor(actor(paid, once), lambda message: (message.key, message.value)))
    return paid
