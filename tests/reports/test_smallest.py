"""Minimal is said of what was made so only: out of a stream that is drawn whole no event is left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Event, Kafka, Verdict
from chaoskit.report.lines import lines
from chaoskit.report.page import page
from chaoskit.report.saved import saved_verdict
from chaoskit.repro.read import read
from chaoskit.strategies import events

PAYMENTS = events(st.integers(1, 9), keys=st.sampled_from("ab"))
ELEVEN = st.builds(lambda first: [Event("a", first + number) for number in range(11)], st.integers(1, 5))


def sums(deliver: Any) -> Any:
    rows: dict[Any, int] = {}
    deliver(lambda message: rows.update({message.key: rows.get(message.key, 0) + message.value}))
    return rows


@pytest.mark.parametrize("strategy", [PAYMENTS.map(list), ELEVEN], ids=["map", "builds"])
def test_a_whole_stream_is_not_called_minimal(strategy: Any, tmp_path: Path) -> None:
    """It is said what was not left out, and how many events would be enough; also of the file."""
    verdict = chaoskit.check(sums, strategy, Kafka(), seed=1, schedules=100)
    assert verdict.scenario is not None
    many = len(verdict.scenario.events)
    assert many > verdict.fewer == 1
    for each in (verdict, saved_verdict(read(verdict.save(tmp_path)))):
        flat = " ".join(Verdict.report(each).split())
        assert f"The delivery ({many} events, 1 fault, a whole stream)" in flat
        assert "no event was left out of it" in flat
        assert "Of the stream that was found first one event is enough to fail." in flat
        assert "a whole stream" in page(each)
        assert next(iter(lines(each)))["fewer"] == 1


def test_of_parts_it_is_minimal() -> None:
    """And of a stream of which no fewer events fail."""
    for strategy in (PAYMENTS, PAYMENTS.map(lambda stream: stream[:1])):
        verdict = chaoskit.check(sums, strategy, Kafka(), seed=1, schedules=100)
        assert "(1 event, 1 fault, minimal)" in verdict.report()
        assert not verdict.fewer
