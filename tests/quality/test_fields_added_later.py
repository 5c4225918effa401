"""A saved failure whose events are older than what the handler reads."""

from __future__ import annotations

from pathlib import Path

from chaoskit import Duplicate, Event, Kafka, check
from chaoskit.execution.deliver import Deliver
from chaoskit.repro.read import read
from chaoskit.repro.replay import play
from quality.test_minimal import subject


def adds(deliver: Deliver) -> list[int]:
    balances: list[int] = []
    deliver(lambda message: balances.append(message.value["cents"]))
    return balances


def adds_once(deliver: Deliver) -> dict[str, int]:
    payments: dict[str, int] = {}
    deliver(lambda message: payments.update({message.value["payment_id"]: message.value["cents"]}))
    return payments


def test_a_field_that_the_saved_events_lack_is_named(tmp_path: Path) -> None:
    path = check(adds, [Event("a", {"cents": 1})], Kafka(), faults={Duplicate}, seed=1).save(tmp_path)
    answer = play(read(path), subject(adds_once, Kafka()))
    assert answer.became == "CANNOT REPLAY"
    assert "lacks 'payment_id'" in answer.reason
    assert "no producer" not in answer.reason
