"""Handlers that take batches, through the front door: what they get wrong is found, made least, named, and replayed."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import (
    Crash,
    Event,
    Gather,
    Kafka,
    Kinesis,
    LambdaSqs,
    Redeliver,
    Scenario,
    SqsFifo,
    SqsStandard,
    UsageError,
    chaos,
)
from chaoskit.decorator import bound
from chaoskit.repro.read import read
from chaoskit.repro.replay import play
from chaoskit.strategies import events

PAYMENTS = events(st.integers(1, 9), keys=st.sampled_from(["a", "b"]))
TWO = [Event("a", 1), Event("a", 2)]


def newest(rows: dict[Any, tuple[int, int]], messages: Any) -> None:
    """An upsert that compares versions."""
    for message in messages:
        if rows.get(message.key, (0, 0))[0] < message.seq:
            rows[message.key] = message.seq, message.value


def last_of_each_key(deliver: Any) -> Any:
    """Upserts the last of each key: in a batch that begins with what came late, it is not the newest."""
    rows: dict[Any, tuple[int, int]] = {}
    deliver(lambda batch: newest(rows, {m.key: m for m in batch}.values()), batch=True)
    return rows


def newest_of_each_key(deliver: Any) -> Any:
    rows: dict[Any, tuple[int, int]] = {}
    deliver(lambda batch: newest(rows, batch), batch=True)
    return rows


def first_of_each_key(deliver: Any) -> Any:
    rows: dict[Any, tuple[int, int]] = {}
    deliver(lambda batch: newest(rows, {m.key: m for m in reversed(batch)}.values()), batch=True)
    return rows


def sum_of_the_batch(deliver: Any) -> Any:
    """Stores the sum of a batch in the place of the one before."""
    sums: dict[Any, int] = {}

    def handle(batch: list[Any]) -> None:
        new: dict[Any, int] = {}
        for message in batch:
            new[message.key] = new.get(message.key, 0) + message.value
        sums.update(new)

    deliver(handle, batch=True)
    return sums


def ids_of_the_last_batch(deliver: Any) -> Any:
    """Remembers which ids the last batch had, and no others."""
    balances: dict[Any, int] = {}
    before: set[Any] = set()

    def handle(batch: list[Any]) -> None:
        for message in batch:
            if message.id not in before:
                balances[message.key] = balances.get(message.key, 0) + message.value
        before.clear()
        before.update(message.id for message in batch)

    deliver(handle, batch=True)
    return balances


def ids_that_are_kept(deliver: Any) -> Any:
    balances: dict[Any, int] = {}
    seen: set[Any] = set()

    def handle(batch: list[Any]) -> None:
        for message in batch:
            if message.id not in seen:
                seen.add(message.id)
                balances[message.key] = balances.get(message.key, 0) + message.value

    deliver(handle, batch=True)
    return balances


@pytest.mark.parametrize(
    ("test", "broker"),
    [(first_of_each_key, Kafka()), (first_of_each_key, Kinesis(consumer="lambda")), (sum_of_the_batch, SqsFifo())],
)
def test_what_depends_on_where_the_batch_ends_is_named_so(test: Any, broker: Any) -> None:
    """Two messages in one call are enough, and nothing else goes wrong."""
    verdict = chaoskit.check(test, PAYMENTS, broker=broker, schedules=300, seed=1)
    assert verdict.status == "violated"
    assert verdict.scenario is not None
    first, second = (event.id for event in verdict.scenario.events)
    assert verdict.scenario.faults == (Gather(first, 0),)
    report = verdict.report()
    assert "depends on where the batch ends" in report
    assert f"{first} and {second} came in one call" in report
    assert re.search(rf"\[(0: )?{first}\b", report)
    assert f"{second}]" in report


def test_what_takes_more_than_the_cut_names_both() -> None:
    verdict = chaoskit.check(last_of_each_key, PAYMENTS, broker=SqsStandard(), schedules=600, seed=1)
    assert verdict.scenario is not None
    assert {type(fault) for fault in verdict.scenario.faults} > {Gather}
    assert len(verdict.scenario.events) == 2
    assert "depends on where" not in verdict.report()


def test_ids_of_the_last_batch_do_not_do() -> None:
    verdict = chaoskit.check(ids_of_the_last_batch, PAYMENTS, broker=Kafka(), schedules=300, seed=1)
    assert verdict.status == "violated"


@pytest.mark.parametrize("broker", [Kafka(), LambdaSqs(), Kinesis(consumer="lambda"), SqsFifo()])
@pytest.mark.parametrize("test", [newest_of_each_key, ids_that_are_kept])
def test_what_is_right_for_every_batch_holds(test: Any, broker: Any) -> None:
    verdict = chaoskit.check(test, PAYMENTS, broker=broker, schedules=300, seed=1)
    assert verdict.status == "held", verdict.report()
    assert "Gather" in verdict.tally.effective


def partly(deliver: Any, *, report: bool = True) -> Any:
    """Books what is next of its key, and reports the others as failed; or forgets to."""
    rows: dict[Any, list[int]] = {}

    def handle(batch: list[Any]) -> Any:
        failed = []
        for message in batch:
            row = rows.setdefault(message.key, [])
            if message.seq == len(row) + 1:
                row.append(message.value)
            elif message.seq > len(row):
                failed.append(message.id)
        return failed if report else None

    deliver(handle, batch=True)
    return rows


def test_a_partial_failure_is_shown_again_and_one_that_is_not_reported_is_lost() -> None:
    broker = LambdaSqs(report_batch_item_failures=True)
    right = chaoskit.check(partly, PAYMENTS, broker=broker, schedules=300, seed=1)
    assert right.status == "held", right.report()

    def silent(deliver: Any) -> Any:
        return partly(deliver, report=False)

    assert chaoskit.check(silent, PAYMENTS, broker=broker, schedules=300, seed=1).status == "violated"
    with pytest.raises(UsageError, match="report_batch_item_failures=True"):
        chaoskit.run(
            lambda deliver: deliver(lambda batch: [batch[0]], batch=True), Scenario(TWO, LambdaSqs(), [Gather("e1")])
        )


def test_a_process_that_dies_in_the_middle_of_a_batch_has_settled_none_of_it() -> None:
    """Half of a batch is booked, and all of it comes again: an id in the same transaction as the row repairs it."""

    def ledger(deliver: Any, atomic: bool) -> Any:
        booked: list[Any] = []
        marks: set[Any] = set()

        def process() -> Any:
            def handle(batch: list[Any]) -> None:
                new = [message for message in batch if message.id not in marks]
                if atomic:
                    with chaoskit.atomic:
                        booked.extend(message.id for message in new)
                        marks.update(message.id for message in new)
                    return
                booked.extend(message.id for message in new)
                marks.update(message.id for message in new)

            return handle

        deliver(spawn=process, batch=True)
        return sorted(booked)

    dies = Scenario(TWO, Kafka(), [Gather("e1"), Crash("e2", 1)])
    verdict = chaoskit.run(lambda deliver: ledger(deliver, atomic=False), dies)
    assert (verdict.expected, verdict.observed) == (["e1", "e2"], ["e1", "e1", "e2", "e2"])
    assert chaoskit.run(lambda deliver: ledger(deliver, atomic=True), dies).status != "violated"


def test_a_saved_failure_is_replayed_and_says_where_the_batch_ended(tmp_path: Path) -> None:
    verdict = chaoskit.run(sum_of_the_batch, Scenario(TWO, Kafka(), [Gather("e1")]))
    assert verdict.schedule is not None
    assert [(step.action, step.size) for step in verdict.schedule] == [
        ("batch", 2), ("deliver", None), ("deliver", None)
    ]  # fmt: skip
    repro = read(attrs.evolve(verdict, test="test_it.py::test_it").save(tmp_path))
    assert repro.schedule == verdict.schedule.steps
    for test, became in ((sum_of_the_batch, "STILL FAILS"), (newest_of_each_key, "FIXED")):
        with bound(test) as given:
            assert play(repro, given.subject(broker=Kafka())).became == became


def test_an_async_handler_takes_batches() -> None:
    async def test(deliver: Any) -> Any:
        sums: dict[Any, int] = {}

        async def handle(batch: list[Any]) -> Any:
            await asyncio.sleep(0)
            sums["a"] = sum(message.value for message in batch)
            return []

        await deliver(handle, batch=True)
        return sums

    decorated = chaos(PAYMENTS, broker=Kafka(), schedules=100)(test)
    verdict = chaoskit.check(decorated, PAYMENTS, broker=Kafka(), schedules=100, seed=1)
    assert verdict.status == "violated"
    assert "depends on where the batch ends" in verdict.report()


def test_a_test_goes_through_the_calls() -> None:
    runs: list[Any] = []

    def test(deliver: Any) -> int:
        runs.append([])
        refused: list[int] = []

        def handle(batch: list[Any]) -> None:
            if len(batch) > 1 and not refused:
                refused.append(1)
                raise LookupError("no")

        for delivery in deliver.steps(handle, batch=True, state=lambda: 0):
            runs[-1].append(([message.id for message in delivery.messages], delivery.raised))
        return 0

    chaoskit.run(test, Scenario(TWO, Kafka(), [Gather("e1")]))
    assert runs[-1] == [(["e1", "e2"], True), (["e1"], False), (["e2"], False)]


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda deliver: deliver(print, batch=0), "batch=0"),
        (lambda deliver: deliver(print, batch="all"), "batch='all'"),
        (lambda deliver: deliver({"orders": print}, batch=True), "several streams"),
        (lambda deliver: deliver(lambda batch: [1, 2], batch=True), "no message of its batch"),
        (lambda deliver: deliver(lambda message: message.fail()), "deliver\\(handler, batch=True\\)"),
    ],
)
def test_what_is_no_batch_is_said(call: Any, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        chaoskit.run(call, Scenario(TWO, Kafka(), [Redeliver("e1")]))


def test_a_handler_of_single_messages_is_not_asked_where_a_batch_ends() -> None:
    def test(deliver: Any) -> Any:
        rows: dict[Any, int] = {}
        deliver(lambda message: rows.update({message.id: message.value}))
        return rows

    verdict = chaoskit.check(test, PAYMENTS, broker=Kafka(), schedules=50, seed=1)
    assert "Gather" not in (*verdict.tally.effective, *verdict.tally.not_tried)
    with pytest.raises(UsageError, match="batch=True"):
        chaoskit.check(test, PAYMENTS, broker=Kafka(), schedules=50, faults={Gather})
