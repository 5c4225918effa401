"""Ten thousand events in one literal stream."""

from __future__ import annotations

from chaoskit import Event, Kafka, check
from handlers.buggy import points_counter
from handlers.correct import ledger_durable_ids

STREAM = [Event(f"key-{number % 100}", number) for number in range(10_000)]


def test_a_literal_stream_of_ten_thousand_events_is_searched() -> None:
    """Every schedule delivers all of it, and a correct handler holds."""
    verdict = check(ledger_durable_ids.test, STREAM, Kafka(), schedules=12, seed=1)
    assert (verdict.status, verdict.tally.schedules) == ("held", 12)
    assert verdict.tally.deliveries >= 12 * len(STREAM)


def test_a_failure_among_ten_thousand_events_is_shrunk_to_one() -> None:
    """A counter that remembers nothing: one event and one fault are left."""
    verdict = check(points_counter.test, STREAM, Kafka(), schedules=12, seed=1)
    assert verdict.scenario is not None
    assert (len(verdict.scenario.events), len(verdict.scenario.faults)) == (1, 1)
