"""What repairs a call that fails inside the handler: a transaction is run, a swallowed error is named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Fail, Kafka, Overlap, RabbitMQ, check
from chaoskit.strategies import events
from handlers.inside import AT_LEAST_ONCE
from handlers.inside.halves import (
    Handle,
    Mail,
    Make,
    Tables,
    answers_all_the_same,
    done_only_from_processing,
    finally_marks,
    outbox_apart,
    over_tables,
    saves_before_the_mail,
)

PAYMENTS = events(st.integers(1, 9), keys=st.sampled_from("ab"), max_size=5)


def repaired(make: Make, broker: Any = None, **more: Any) -> Any:
    settings = {"broker": broker or Kafka(), "seed": 1, "schedules": 100, "faults": {Fail}} | more
    verdict = check(over_tables(make), PAYMENTS, **settings)
    assert [(type(fault), fault.point > 0) for fault in verdict.scenario.faults] == [(Fail, True)]
    return verdict


def statuses(verdict: Any) -> dict[str, str]:
    return {repair.move: repair.status for repair in verdict.repairs}


@pytest.mark.parametrize("broker", [Kafka(), RabbitMQ()], ids=lambda broker: type(broker).__name__)
@pytest.mark.parametrize("make", [finally_marks, done_only_from_processing, outbox_apart])
def test_what_is_done_by_half_when_a_call_fails_is_repaired_by_one_transaction(make: Make, broker: Any) -> None:
    """It is run as for a death: what failed is rolled back, and comes again."""
    verdict = repaired(make, broker)
    assert statuses(verdict) == {"transaction": "held", "unique key": "held"}
    assert [(repair.repairs_this, repair.schedules > 50) for repair in verdict.repairs] == [(True, True)] * 2
    assert "Make the effect and the mark one transaction: repairs this delivery" in verdict.report()


def test_an_error_that_is_swallowed_is_to_come_out_and_nothing_is_run_for_it() -> None:
    """No transaction brings back what its handler has settled."""
    verdict = repaired(answers_all_the_same, faults=None, without={Overlap})
    assert statuses(verdict) == {"escape": "unknown", "transaction": "unknown", "unique key": "unknown"}
    text = " ".join(verdict.report().split())
    assert "Let the error of a call out of the handler: not known, nothing around the handler can" in text
    assert "None of these repairs it" not in text


def raises_here_and_swallows_there(tables: Tables, mail: Mail) -> Handle:
    """What is marked first is left out where the first call fails, and what fails behind that is swallowed."""
    swallowing = answers_all_the_same(tables, mail)

    def handle(message: Any) -> None:
        if tables.get("done", message.id):
            return
        try:
            tables.get("status", message.id)
        finally:
            tables.put(("done", message.id, True))
        swallowing(message)

    return handle


def test_a_transaction_is_not_recommended_where_another_call_is_swallowed() -> None:
    """It repairs the call that was found, and not the one behind it."""
    verdict = repaired(raises_here_and_swallows_there)
    assert verdict.scenario.faults[0].point == 2
    assert statuses(verdict) == {"transaction": "unknown", "unique key": "unknown"}
    assert "is swallowed, and no transaction brings back what it left out" in verdict.repairs[0].reasons[0]


def test_what_leaves_takes_an_outbox() -> None:
    verdict = repaired(saves_before_the_mail, invariants=AT_LEAST_ONCE)
    assert statuses(verdict) == {"outbox": "unknown", "transaction": "unknown", "unique key": "unknown"}
    assert "Let what leaves go through an outbox: not known" in " ".join(verdict.report().split())
