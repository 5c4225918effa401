"""Two executions at once where a handler is more than a function of one message that it settles by returning."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Overlap, SqsStandard, UsageError
from chaoskit.strategies import events

PAYMENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]), max_size=6)


# What is not tried is said.


def settling(deliver: Any) -> dict[object, int]:
    rows: dict[object, int] = {}

    def handle(message: Any) -> None:
        rows[message.id] = message.value
        message.ack()

    deliver(spawn=lambda: handle, settle="handler")
    return rows


def in_batches(deliver: Any) -> dict[object, int]:
    rows: dict[object, int] = {}

    def handle(batch: Any) -> None:
        for message in batch:
            rows[message.id] = message.value

    deliver(spawn=lambda: handle, batch=True)
    return rows


def in_a_loop(deliver: Any) -> dict[object, int]:
    rows: dict[object, int] = {}

    def process() -> None:
        with deliver.consumer() as consumer:
            for message in consumer:
                rows[message.id] = message.value

    deliver(spawn=process)
    return rows


@pytest.mark.parametrize("test", [settling, in_batches, in_a_loop])
def test_a_pass_says_that_no_execution_was_stopped(test: Any) -> None:
    verdict = chaoskit.check(test, PAYMENTS, SqsStandard(), seed=1, schedules=60)
    assert verdict.status == "held", verdict.report()
    assert "Overlap" not in verdict.tally.by_kind
    assert any(note.startswith("no two executions were at work at once (Overlap): ") for note in verdict.notes)
    with pytest.raises(UsageError, match="not yet in one that settles by itself"):
        chaoskit.check(test, PAYMENTS, SqsStandard(), faults={Overlap}, schedules=20)
