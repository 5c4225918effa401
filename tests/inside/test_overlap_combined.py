"""Two executions at once where a handler is more than a function of one message that it settles by returning."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Event, Kafka, Message, Overlap, RabbitMQ, Scenario, SqsFifo, SqsStandard, UsageError
from chaoskit.repro.read import read
from chaoskit.repro.replay import play
from chaoskit.search.oracle import Subject
from chaoskit.search.question import default_invariants
from chaoskit.strategies import events
from inside.test_overlap import Rows

Handles = Callable[[Rows, Message], None]

PAYMENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]), max_size=6)
TWO = [Event("a", 1), Event("a", 2)]
SEEDS = range(4)


def violated(test: Any, broker: Any, seed: int, **asked: Any) -> Any:
    verdict = chaoskit.check(test, PAYMENTS, broker, seed=seed, schedules=1_000, **asked)
    assert verdict.status == "violated", (seed, verdict.report())
    assert verdict.scenario is not None
    return verdict


def lost_update(rows: Rows, message: Message) -> None:
    balance, _ = rows.read(message.key)
    rows.write(message, balance + message.value)


def compared_version(rows: Rows, message: Message) -> None:
    while True:
        balance, version = rows.read(message.key)
        if rows.write(message, balance + message.value, version):
            return


def check_then_insert(rows: Rows, message: Message) -> None:
    if not rows.knows(message):
        rows.insert(message)


def unique_key(rows: Rows, message: Message) -> None:
    if not rows.knows(message):
        rows.add_once([message])


# A handler that settles by itself.


@chaoskit.atomic
def settle(message: Message) -> None:
    message.commit() if message.message_id is None and message.attempt is None else message.ack()


def settling(handles: Handles, *, first: bool = False) -> Any:
    """It settles what it has done; or `first`, before it does anything."""

    def test(deliver: Any) -> dict[str, int]:
        rows = Rows()

        def handle(message: Message) -> None:
            if first:
                settle(message)
            handles(rows, message)
            if not first:
                settle(message)

        deliver(spawn=lambda: handle, settle="handler")
        return rows.balances

    return test


@pytest.mark.parametrize("broker", [Kafka(partitions=1), SqsFifo(), SqsStandard()], ids=lambda b: type(b).__name__)
def test_one_that_settles_by_itself_is_stopped(broker: Any) -> None:
    for seed in SEEDS:
        verdict = violated(settling(check_then_insert), broker, seed)
        assert (len(verdict.scenario.events), *map(type, verdict.scenario.faults)) == (1, Overlap)


def test_two_messages_of_one_key_that_are_settled_by_hand() -> None:
    for first in (False, True):
        for seed in SEEDS:
            verdict = violated(settling(lost_update, first=first), RabbitMQ(consumers=2), seed, faults={Overlap})
            (fault,) = verdict.scenario.faults
            assert (len(verdict.scenario.events), fault.others, fault.by) == (2, 1, 0)
            assert verdict.damage.kind == "two executions of one key at once"


@pytest.mark.parametrize("broker", [Kafka(), SqsFifo(), RabbitMQ(consumers=2)], ids=lambda b: type(b).__name__)
@pytest.mark.parametrize("handles", [compared_version, unique_key])
def test_one_that_settles_by_itself_and_is_right_holds(handles: Handles, broker: Any) -> None:
    verdict = chaoskit.check(settling(handles), PAYMENTS, broker, faults={Overlap}, seed=1, schedules=200)
    assert verdict.status == "held", verdict.report()
    assert any(note.startswith("of two executions at once one stopped before ") for note in verdict.notes)


@pytest.mark.parametrize("broker", [Kafka(partitions=1), SqsFifo()], ids=lambda b: type(b).__name__)
def test_what_it_has_settled_before_it_stops_nobody_else_is_shown(broker: Any) -> None:
    verdict = chaoskit.run(settling(check_then_insert, first=True), Scenario(TWO, broker, [Overlap("e1", 2)]))
    assert verdict.status == "held", verdict.report()
    told = [(step.action, step.event, step.settled) for step in verdict.schedule]
    verb = "commit" if isinstance(broker, Kafka) else "ack"
    assert told == [("begin", "e1", (f"{verb} 1",)), ("go on", "e1", ()), ("deliver", "e2", (f"{verb} 3",))]


def test_what_it_gives_back_before_it_stops_comes_again_when_it_is_done() -> None:
    def test(deliver: Any) -> dict[str, int]:
        rows = Rows()

        def handle(message: Message) -> None:
            in_order = threading.current_thread() is threading.main_thread()
            if in_order or message.id == "e2" or message.redelivered:
                rows.add_once([message])
                message.ack()
            else:
                message.nack()
                rows.knows(message)

        deliver(spawn=lambda: handle, settle="handler")
        return rows.balances

    verdict = chaoskit.run(test, Scenario(TWO, RabbitMQ(consumers=2), [Overlap("e1", 3, 0, 1)]))
    assert verdict.status == "held", verdict.report()
    told = [(step.action, step.event, step.raised, step.settled) for step in verdict.schedule]
    assert told == [
        ("begin", "e1", False, ("nack 1",)), ("deliver", "e2", False, ("ack 2",)), ("go on", "e1", True, ()),
        ("deliver", "e1", False, ("ack 4",)),
    ]  # fmt: skip


def test_a_file_of_it_is_replayed_with_what_was_settled(tmp_path: Path) -> None:
    scenario = Scenario(TWO, RabbitMQ(consumers=2), [Overlap("e1", 2, 0, 1)])
    verdict = chaoskit.run(settling(lost_update), scenario)
    path = Path(verdict.save(tmp_path))
    data = json.loads(path.read_text())
    assert [(step["action"], step.get("point"), step.get("settled")) for step in data["schedule"]] == [
        ("begin", 2, []), ("deliver", None, ["ack 2"]), ("go on", None, ["ack 1"])
    ]  # fmt: skip
    for handles, expected in ((lost_update, "STILL FAILS"), (compared_version, "FIXED")):
        subject = Subject(settling(handles), RabbitMQ(consumers=2), default_invariants(None))
        assert play(read(path), subject).became == expected
    assert "| meanwhile" in verdict.report()


# What is not tried is said.


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


@pytest.mark.parametrize("test", [in_batches, in_a_loop])
def test_a_pass_says_that_no_execution_was_stopped(test: Any) -> None:
    verdict = chaoskit.check(test, PAYMENTS, SqsStandard(), seed=1, schedules=60)
    assert verdict.status == "held", verdict.report()
    assert "Overlap" not in verdict.tally.by_kind
    assert any(note.startswith("no two executions were at work at once (Overlap): ") for note in verdict.notes)
    with pytest.raises(UsageError, match="not yet in one that takes batches"):
        chaoskit.check(test, PAYMENTS, SqsStandard(), faults={Overlap}, schedules=20)
