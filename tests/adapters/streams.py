"""What the tests of adapters have in common: a stream of payments, and a table that outlives every process."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Event, Scenario, Stream, Verdict
from chaoskit.strategies import events

payments = events(st.fixed_dictionaries({"amount": st.integers(1, 100)}), keys=st.sampled_from(["alice", "bob"]))


def ids(message: chaoskit.Message) -> dict[str, str]:
    """The header by which a consumer knows an event again."""
    return {"event-id": str(message.id)}


class Table:
    """Stands for a database: each method is one statement, or one transaction."""

    def __init__(self) -> None:
        self.rows: dict[Any, Any] = {}
        self.ids: set[Any] = set()

    @chaoskit.atomic
    def add(self, key: Any, amount: int) -> None:
        self.rows[key] = self.rows.get(key, 0) + amount

    @chaoskit.atomic
    def add_once(self, id_: Any, key: Any, amount: int) -> None:
        if id_ not in self.ids:
            self.ids.add(id_)
            self.add(key, amount)


five = [Event(key, {"amount": amount}) for amount, key in enumerate(("alice", "bob", "alice", "alice", "bob"), start=1)]
"""Some of them, where what is asked is no matter of values."""


def check(test: Any, broker: Any, stream: Any = payments, **options: Any) -> Verdict:
    return chaoskit.check(test, stream, broker=broker, **{"schedules": 120, "seed": 1, **options})


def run(test: Any, broker: Any) -> None:
    """Of one message, whatever comes of it."""
    chaoskit.run(test, Scenario(Stream.of([Event("alice", {"amount": 5}, "e1")]), broker, ()))


def client(module: str, package: str) -> Any:
    """The client library. Where it is missing the tests are skipped, and say so."""
    return pytest.importorskip(module, reason=f"the client library is not installed: pip install {package}")


def kinds(verdict: Verdict) -> set[str]:
    """Of the faults that are left of a failure."""
    assert verdict.status == "violated", verdict
    assert verdict.scenario is not None
    return {type(fault).__name__ for fault in verdict.scenario.faults}
