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
from chaoskit import (
    Event,
    EventHubs,
    Gather,
    JetStream,
    Kafka,
    Message,
    Overlap,
    RabbitMQ,
    Rehash,
    Scenario,
    SqsFifo,
    SqsStandard,
    Stream,
)
from chaoskit.repro.read import read
from chaoskit.repro.replay import play
from chaoskit.search.oracle import Subject
from chaoskit.search.question import default_invariants
from chaoskit.strategies import events
from handlers.inside.rows import Rows

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
    said = [(step.action, step.event, step.settled) for step in verdict.schedule]
    verb = "commit" if isinstance(broker, Kafka) else "ack"
    assert said == [("begin", "e1", (f"{verb} 1",)), ("go on", "e1", ()), ("deliver", "e2", (f"{verb} 3",))]


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
    said = [(step.action, step.event, step.raised, step.settled) for step in verdict.schedule]
    assert said == [
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


# A handler that takes batches.


def in_batches(handles: Handles) -> Any:
    def test(deliver: Any) -> dict[str, int]:
        rows = Rows()

        def handle(batch: list[Message]) -> None:
            for message in batch:
                handles(rows, message)

        deliver(spawn=lambda: handle, batch=True)
        return rows.balances

    return test


@pytest.mark.parametrize("broker", [Kafka(partitions=1), SqsFifo(), SqsStandard()], ids=lambda b: type(b).__name__)
def test_a_call_of_a_batch_is_stopped(broker: Any) -> None:
    for seed in SEEDS:
        verdict = violated(in_batches(check_then_insert), broker, seed)
        assert (len(verdict.scenario.events), *map(type, verdict.scenario.faults)) == (1, Overlap)


def test_two_calls_with_messages_of_one_key() -> None:
    verdict = violated(in_batches(lost_update), RabbitMQ(consumers=2), 1, faults={Overlap})
    (fault,) = verdict.scenario.faults
    assert (len(verdict.scenario.events), fault.others, fault.by) == (2, 1, 0)


@pytest.mark.parametrize("broker", [Kafka(), SqsFifo(), RabbitMQ(consumers=2)], ids=lambda b: type(b).__name__)
@pytest.mark.parametrize("handles", [compared_version, unique_key])
def test_a_batch_that_is_right_holds(handles: Handles, broker: Any) -> None:
    asked = {"faults": {Overlap, Gather}, "seed": 1, "schedules": 200}
    verdict = chaoskit.check(in_batches(handles), PAYMENTS, broker, **asked)
    assert verdict.status == "held", verdict.report()


@pytest.mark.parametrize(
    ("broker", "fault", "expected"),
    [
        # All of the call is lost with its owner, or with its leases, wherever in it the fault is.
        (Kafka(partitions=1), Overlap("e2", 1), "[begin e1 e2 e3], take over e1, e1, [go on e1 e2 e3], e2, e3, e4"),
        (SqsStandard(), Overlap("e1", 1, 1), "[begin e1 e2 e3], take over e1, e1, e2, [go on e1 e2 e3], e3, e4"),
        (SqsFifo(), Overlap("e3", 1, 3), "[begin e1 e2 e3], take over e1, e1, e2, e3, e4, [go on e1 e2 e3]"),
        # A competitor of one message, whose others come in one call.
        (RabbitMQ(consumers=2), Overlap("e1", 1, 9, 1), "begin e1, [deliver e2 e3], e4, go on e1"),
    ],
)
def test_a_call_loses_all_its_messages(broker: Any, fault: Overlap, expected: str) -> None:
    scenario = Scenario(
        [Event("a", n) for n in range(4)], broker, [Gather("e2" if fault.others else "e1", 1 - fault.others), fault]
    )
    verdict = chaoskit.run(in_batches(unique_key), scenario)
    assert verdict.status == "held", verdict.report()
    assert told(verdict.schedule) == expected


def fails_once_with_several(rows: Rows) -> Any:
    failed: list[Message] = []

    def handle(batch: list[Message]) -> None:
        for message in batch:
            rows.add_once([message])
        if len(batch) > 1 and not failed:
            failed.extend(batch)
            raise ConnectionError("no rollback, and none is needed")

    return handle


@pytest.mark.parametrize("broker", [RabbitMQ(consumers=2), SqsStandard(), JetStream(consumers=2)])
def test_a_call_with_several_messages_stops_beside_its_competitors(broker: Any) -> None:
    """It is one process that holds all of them; and it gives all of them back where it fails in the end."""
    stream = [Event("a", 1), Event("b", 2), Event("a", 3), Event("b", 4)]
    scenario = Scenario(stream, broker, [Gather("e1"), Overlap("e2", 2, 0, 1)])
    verdict = chaoskit.run(in_batches(lost_update), scenario)
    assert told(verdict.schedule) == "[begin e1 e2], e3, [go on e1 e2], e4"
    assert verdict.status == "violated"
    assert "e3 was handled in the meantime" in " ".join(verdict.report().split())
    assert chaoskit.run(in_batches(compared_version), scenario).status == "held"

    def test(deliver: Any) -> dict[str, int]:
        rows = Rows()
        deliver(spawn=lambda: fails_once_with_several(rows), batch=True)
        return rows.balances

    verdict = chaoskit.run(test, Scenario(stream, broker, [Gather("e1"), Overlap("e2", 2, 0, 1)]))
    assert verdict.status == "held", verdict.report()
    assert [step.event for step in verdict.schedule if step.raised] == ["e1", "e2"]
    assert told(verdict.schedule).startswith("[begin e1 e2], e3, [go on e1 e2]")
    assert {"e1", "e2"} == set(verdict.schedule.delivered[-3:]) - {"e4"}


def test_a_file_of_a_batch_is_replayed_and_its_columns_stand_once(tmp_path: Path) -> None:
    scenario = Scenario(TWO, SqsFifo(), [Gather("e1"), Overlap("e1", 2, 1)])
    verdict = chaoskit.run(in_batches(check_then_insert), scenario)
    assert verdict.report().count("| meanwhile") == 1
    path = Path(verdict.save(tmp_path))
    for handles, expected in ((check_then_insert, "STILL FAILS"), (unique_key, "FIXED")):
        subject = Subject(in_batches(handles), SqsFifo(), default_invariants(None))
        assert play(read(path), subject).became == expected


def told(schedule: Any) -> str:
    """The steps, of which those of one call stand in brackets."""
    steps, found = list(schedule), []
    while steps:
        step = steps.pop(0)
        action = "" if step.action == "deliver" else f"{step.action} "
        if step.action != "batch":
            found.append(f"{action}{step.event}")
            continue
        call, steps = steps[: step.size], steps[step.size :]
        assert len({each.action for each in call}) == 1
        found.append(f"[{call[0].action} {' '.join(each.event for each in call)}]")
    return ", ".join(found)


# A key that moves, on a log.


def plain(handles: Handles) -> Any:
    def test(deliver: Any) -> dict[str, int]:
        rows = Rows()
        deliver(spawn=lambda: lambda message: handles(rows, message))
        return rows.balances

    return test


@pytest.mark.parametrize("broker", [Kafka(consumers=2), EventHubs(partitions_added=True, processors=2)])
def test_two_messages_of_a_key_that_moves(broker: Any) -> None:
    for seed in SEEDS:
        verdict = violated(plain(lost_update), broker, seed, faults={Overlap, Rehash})
        overlap, rehash = sorted(verdict.scenario.faults, key=lambda fault: type(fault).__name__)
        assert (len(verdict.scenario.events), overlap.others, type(rehash)) == (2, 1, Rehash)
        assert verdict.damage.kind == "two executions of one key at once"


def test_a_file_of_it_is_replayed_while_the_key_moves(tmp_path: Path) -> None:
    broker = Kafka(partitions=1, consumers=2)
    grows = Rehash("e2", broker.model(Stream.of(TWO)).arguments(Rehash, 1)[0][0])
    verdict = chaoskit.run(plain(lost_update), Scenario(TWO, broker, [grows, Overlap("e2", 2, 0, 1)]))
    assert told(verdict.schedule) == "begin e2, e1, go on e2"
    text = " ".join(verdict.report().split())
    assert "and went on later: e1 was handled in the meantime" in text
    assert "e2 of key 'a' went to partition 1, and was read before the backlog of partition 0 (e1 first)" in text
    assert "for two messages of one key at once, while it moves: a partition count that never changes" in text
    path = Path(verdict.save(tmp_path))
    for handles, expected in ((lost_update, "STILL FAILS"), (compared_version, "FIXED")):
        subject = Subject(plain(handles), broker, default_invariants(None))
        assert play(read(path), subject).became == expected


def test_where_no_key_has_moved_it_is_void() -> None:
    verdict = chaoskit.run(plain(lost_update), Scenario(TWO, Kafka(consumers=2), [Overlap("e1", 2, 0, 1)]))
    assert told(verdict.schedule) == "e1, e2"


@pytest.mark.parametrize("handles", [compared_version, unique_key])
def test_a_handler_that_is_right_holds_while_a_key_moves(handles: Handles) -> None:
    asked = {"faults": {Overlap, Rehash}, "seed": 1, "schedules": 300}
    verdict = chaoskit.check(plain(handles), PAYMENTS, Kafka(consumers=2), **asked)
    assert verdict.status == "held", verdict.report()


# A loop.


def in_a_loop(handles: Handles) -> Any:
    def test(deliver: Any) -> dict[str, int]:
        rows = Rows()

        def process() -> None:
            with deliver.consumer() as consumer:
                for message in consumer:
                    handles(rows, message)

        deliver(spawn=process)
        return rows.balances

    return test


def in_a_loop_that_settles(handles: Handles) -> Any:
    def test(deliver: Any) -> dict[str, int]:
        rows = Rows()

        def process() -> None:
            with deliver.consumer(settle="handler") as consumer:
                while (message := consumer.poll()) is not None:
                    handles(rows, message)
                    settle(message)

        deliver(spawn=process)
        return rows.balances

    return test


def in_an_async_loop(handles: Handles) -> Any:
    async def test(deliver: Any) -> dict[str, int]:
        rows = Rows()

        async def process() -> None:
            async with deliver.consumer() as consumer:
                async for message in consumer:
                    handles(rows, message)

        await deliver(spawn=process)
        return rows.balances

    return test


@pytest.mark.parametrize("loop", [in_a_loop, in_a_loop_that_settles, in_an_async_loop])
@pytest.mark.parametrize("broker", [Kafka(partitions=1), SqsFifo()], ids=lambda b: type(b).__name__)
def test_a_loop_is_stopped(broker: Any, loop: Any) -> None:
    for seed in SEEDS[:2]:
        verdict = violated(loop(check_then_insert), broker, seed)
        assert (len(verdict.scenario.events), *map(type, verdict.scenario.faults)) == (1, Overlap)
    twin = chaoskit.check(loop(unique_key), PAYMENTS, broker, faults={Overlap}, seed=1, schedules=50)
    assert twin.status == "held", twin.report()


def test_two_loops_at_messages_of_one_key() -> None:
    verdict = violated(in_a_loop(lost_update), RabbitMQ(consumers=2), 1, faults={Overlap})
    (fault,) = verdict.scenario.faults
    assert (len(verdict.scenario.events), fault.others, fault.by) == (2, 1, 0)


@pytest.mark.parametrize("broker", [Kafka(), SqsFifo(), RabbitMQ(consumers=2)], ids=lambda b: type(b).__name__)
@pytest.mark.parametrize("handles", [compared_version, unique_key])
def test_a_loop_that_is_right_holds(handles: Handles, broker: Any) -> None:
    verdict = chaoskit.check(in_a_loop(handles), PAYMENTS, broker, faults={Overlap}, seed=1, schedules=100)
    assert verdict.status == "held", verdict.report()
    assert any(note.startswith("of two executions at once one stopped before ") for note in verdict.notes)


@pytest.mark.parametrize("loop", [in_a_loop, in_an_async_loop])
def test_a_loop_that_is_left_when_it_goes_on_begins_anew(loop: Any) -> None:
    def stale(rows: Rows, message: Message) -> None:
        balance, version = rows.read(message.key)
        if not rows.write(message, balance + message.value, version):
            raise ConnectionError("somebody was there first")

    before = threading.active_count()
    verdict = chaoskit.run(loop(stale), Scenario(TWO, RabbitMQ(consumers=2), [Overlap("e1", 2, 0, 1)]))
    assert verdict.status == "held", verdict.report()
    said = [(step.action, step.event, step.raised) for step in verdict.schedule]
    assert said == [
        ("begin", "e1", False), ("deliver", "e2", False), ("go on", "e1", True), ("deliver", "e1", False)
    ]  # fmt: skip
    assert threading.active_count() == before


def test_a_file_of_a_loop_is_replayed(tmp_path: Path) -> None:
    verdict = chaoskit.run(in_a_loop(lost_update), Scenario(TWO, RabbitMQ(consumers=2), [Overlap("e1", 2, 0, 1)]))
    assert "before `rows.write(message, balance + message.value)`" in " ".join(verdict.report().split())
    path = Path(verdict.save(tmp_path))
    for handles, expected in ((lost_update, "STILL FAILS"), (compared_version, "FIXED")):
        subject = Subject(in_a_loop(handles), RabbitMQ(consumers=2), default_invariants(None))
        assert play(read(path), subject).became == expected
