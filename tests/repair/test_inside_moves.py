"""What repairs a death inside the handler: the moves are run, and what cannot be run is named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Crash, Kafka, RabbitMQ, SqsFifo, check
from chaoskit.invariants import effects_exactly_once, final_state
from chaoskit.strategies import events
from inside.subjects import Store, mark_before_work, over, work_before_mark

PAYMENTS = events(st.integers(1, 9), keys=st.sampled_from("ab"))


def statuses(verdict: Any) -> dict[str, str]:
    return {repair.move: repair.status for repair in verdict.repairs}


@pytest.mark.parametrize("make", [work_before_mark, mark_before_work])
@pytest.mark.parametrize("broker", [Kafka(), RabbitMQ(), SqsFifo()], ids=lambda broker: type(broker).__name__)
def test_two_halves_are_repaired_by_one_transaction(make: Any, broker: Any) -> None:
    """It holds under all kinds and as many schedules as were asked for, and is what the report says first."""
    verdict = check(over(make), PAYMENTS, broker=broker, schedules=200)
    assert [type(fault) for fault in verdict.scenario.faults] == [Crash]
    repairs = verdict.repairs
    assert statuses(verdict) == {"transaction": "held", "unique key": "held"}
    assert [repair.schedules for repair in repairs] == [200, 200]
    assert "Crash" in repairs[0].kinds
    assert "Make the effect and the mark one transaction: repairs this delivery" in verdict.report()


def only_adds(store: Store) -> Any:
    """It knows no ids: even an execution that is done whole is done twice."""

    def handle(message: Any) -> None:
        store.add(message)
        store.knows(message)

    return handle


def test_what_is_whole_and_comes_twice_takes_a_unique_key() -> None:
    """A transaction alone does not repair what a death behind all of its effects repeats."""
    verdict = check(over(only_adds), PAYMENTS, broker=Kafka(), faults={Crash}, schedules=200)
    assert statuses(verdict) == {"transaction": "violated", "unique key": "held"}
    assert verdict.repairs[0].breaks == ("Crash",)


def mailing(deliver: Any) -> Any:
    store = Store()

    def handle(message: Any) -> None:
        if not store.knows(message):
            deliver.effect("mail", key=message.id)
            store.add_once([message])

    deliver(spawn=lambda: handle)
    return store.balances


def test_what_no_rollback_takes_back_is_not_run_and_an_outbox_is_named() -> None:
    """A run in which the mail were taken back with the rest would say what is not so."""
    verdict = check(mailing, PAYMENTS, broker=Kafka(), invariants=[final_state(), effects_exactly_once()])
    assert [type(fault) for fault in verdict.scenario.faults] == [Crash]
    assert statuses(verdict) == {"outbox": "unknown", "transaction": "unknown", "unique key": "unknown"}
    text = verdict.report()
    assert "Let what leaves go through an outbox: not known" in text
    assert "no rollback takes back what left (mail)" in text


def test_a_search_with_one_move_says_nothing_of_the_next() -> None:
    """Each has all of its schedules: none is taken for known because another move has met it."""
    verdict = check(blind, PAYMENTS, broker=Kafka(partitions=1, idempotent_producer=False), schedules=300)
    held = [repair for repair in verdict.repairs if repair.status == "held"]
    assert len(held) > 1
    assert {repair.schedules for repair in held} == {300}


def blind(deliver: Any) -> Any:
    profiles: dict[Any, Any] = {}
    deliver(lambda message: profiles.update({message.key: message.value}))
    return profiles


def test_from_python_it_is_one_call() -> None:
    """chaoskit.repairs finds the failure and what repairs it."""
    found = chaoskit.repairs(over(work_before_mark), PAYMENTS, broker=Kafka(), schedules=100)
    assert [repair.move for repair in found] == ["transaction", "unique key"]
