"""What is tolerated over several streams costs about what it costs for each of them alone."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

import chaoskit
from chaoskit import DeadLetter, Kafka, Webhook
from chaoskit.strategies import events

KEYS = st.sampled_from("ab")
ORDERS = events(st.fixed_dictionaries({"total": st.integers(1, 100)}), keys=KEYS)
PAYMENTS = events(st.fixed_dictionaries({"amount": st.integers(1, 100)}), keys=KEYS)


def test_a_failure_that_no_move_repairs_is_not_searched_for_again_and_again() -> None:
    """A payment before its order is dropped. Each part of the two streams is one, so that leaving out events was
    enough; and of a move that does not hold no least delivery is shown."""
    runs = []

    def both(deliver: Any) -> Any:
        runs.append(1)
        rows: dict[Any, Any] = {}

        def pay(message: Any) -> None:
            if message.key in rows:
                rows[message.key] += message.value["amount"]

        deliver({ORDERS: lambda message: rows.setdefault(message.key, 0), PAYMENTS: pay})
        return rows

    found = chaoskit.tolerance(both, {ORDERS: Kafka(), PAYMENTS: Webhook()}, faults={DeadLetter}, seed=1)
    trial = found.columns[0].of(DeadLetter)
    assert (trial.answer, trial.repair) == ("breaks", None)
    assert trial.scenario is not None
    assert len(trial.scenario.events) == 3
    assert len(runs) < 3000, len(runs)
