"""Two executions at once: what is found, what never is, and what is said of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import (
    Crash,
    Event,
    Fail,
    ImpossibleFault,
    InOrder,
    Kafka,
    Message,
    Outbox,
    Overlap,
    Overtake,
    RabbitMQ,
    Scenario,
    SqsFifo,
    UsageError,
    Zombie,
)
from chaoskit.invariants import effects_exactly_once
from chaoskit.repro.read import read
from chaoskit.repro.replay import play
from chaoskit.search.oracle import Subject
from chaoskit.search.question import default_invariants
from chaoskit.strategies import events
from handlers.inside.leaving import mailing, through_an_outbox
from handlers.inside.rows import Rows, check_then_insert, compared_version, lost_update, on, unique_key
from inside.subjects import Store, Test, in_file, over, prepared

Handle = Callable[[Message], None]

PAYMENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]), max_size=6)
SEEDS = range(4)
TWO = [Event("a", 1), Event("a", 2)]


def found(test: Test, broker: Any, seed: int, **asked: Any) -> tuple[Any, ...]:
    """How many events, and the faults, of what this seed finds."""
    verdict = chaoskit.check(test, PAYMENTS, broker, seed=seed, schedules=1_000, **asked)
    assert verdict.status == "violated", (seed, verdict.report())
    assert verdict.scenario is not None
    assert verdict.damage is None or verdict.damage.kind != "applied in the wrong order"
    return len(verdict.scenario.events), *map(type, verdict.scenario.faults)


def test_a_lost_update_takes_two_messages_and_consumers_that_compete() -> None:
    for seed in SEEDS:
        verdict = chaoskit.check(on(lost_update), PAYMENTS, RabbitMQ(consumers=2), seed=seed)
        assert verdict.status == "violated", seed
        assert verdict.scenario is not None
        (fault,) = verdict.scenario.faults
        assert (len(verdict.scenario.events), fault.others, fault.point, fault.by) == (2, 1, 1, 0)  # type: ignore[union-attr]
        assert verdict.damage is not None
        assert verdict.damage.kind == "two executions of one key at once"


@pytest.mark.parametrize("broker", [Kafka(partitions=1), SqsFifo()], ids=lambda broker: type(broker).__name__)
def test_where_nobody_competes_no_update_is_lost(broker: Any) -> None:
    verdict = chaoskit.check(on(lost_update), PAYMENTS, broker, faults={Overlap}, seed=1, schedules=200)
    assert verdict.status == "held", verdict.report()


def test_beside_a_retry_topic_an_update_is_lost_and_one_that_compares_is_not() -> None:
    """No key moves here: the listener of the topic and that of the retry topic are at one key at once."""
    broker = Kafka(partitions=1, growth=False, on_error="retry_topic")
    kinds = {Fail, Overlap}
    verdict = chaoskit.check(on(lost_update), PAYMENTS, broker, faults=kinds, seed=1)
    assert verdict.status == "violated", verdict.report()
    assert verdict.damage is not None
    assert verdict.damage.kind == "two executions of one key at once"
    told = " ".join(verdict.report().split())
    assert "(a topic and its retry topic have a listener each)" in told
    assert "as a retry topic has a listener of its own" in told
    assert chaoskit.check(on(compared_version), PAYMENTS, broker, faults=kinds, seed=1, schedules=100).status == "held"


@pytest.mark.parametrize("how", ["mail before save", "save before mail"])
def test_a_row_and_a_mail_are_found_with_one_event(how: str) -> None:
    asked = {"invariants": [effects_exactly_once()], "faults": {Overlap}}
    for seed in SEEDS:
        assert found(mailing(how), SqsFifo(), seed, **asked) == (1, Overlap)
    twin = chaoskit.check(through_an_outbox, PAYMENTS, SqsFifo(), seed=1, schedules=200, **asked)
    assert twin.status == "held", twin.report()


# A real lock.


def in_sqlite(path: Path, *, locks: bool) -> Test:
    """Read, modify, write, once for each id: in a transaction whose lock is taken before the reading, or without."""

    def make(db: sqlite3.Connection) -> Handle:
        db.isolation_level = None

        def handle(message: Message) -> None:
            if locks:
                db.execute("BEGIN IMMEDIATE")
            rows = db.execute("SELECT amount FROM balances WHERE owner = ?", (message.key,)).fetchall()
            amount = rows[0][0] if rows else 0
            if db.execute("INSERT OR IGNORE INTO seen VALUES (?)", (message.id,)).rowcount:
                db.execute("REPLACE INTO balances VALUES (?, ?)", (message.key, amount + message.value))
            if locks:
                db.execute("COMMIT")

        return handle

    return in_file(path, make)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    prepared(path)
    return path


@pytest.mark.parametrize("point", range(5))
def test_one_that_waits_for_a_real_lock_gives_the_baton_back(ledger: Path, point: int) -> None:
    scenario = Scenario(TWO, RabbitMQ(consumers=2), [Overlap("e1", point, 0, 1)])
    started = time.monotonic()
    verdict = chaoskit.run(in_sqlite(ledger, locks=True), scenario)
    took = time.monotonic() - started
    assert verdict.status == "held", verdict.report()
    assert verdict.schedule is not None
    assert [(step.action, step.raised) for step in verdict.schedule] == [
        ("begin", False), ("deliver", False), ("go on", False)
    ]  # fmt: skip
    assert took < 4, "SQLite's own patience"


def test_without_the_lock_the_update_is_lost(ledger: Path) -> None:
    scenario = Scenario(TWO, RabbitMQ(consumers=2), [Overlap("e1", 2, 0, 1)])
    verdict = chaoskit.run(in_sqlite(ledger, locks=False), scenario)
    assert (verdict.status, verdict.observed) == ("violated", {"a": 1})


def test_two_that_wait_for_one_lock_are_not_left_to_the_driver(ledger: Path) -> None:
    """One has begun and waits for nothing yet; a second one holds the lock, and a third one waits for it."""
    scenario = Scenario(TWO, RabbitMQ(consumers=2), [Overlap("e1", 0, 0, 1), Overlap("e2", 3, 0, 0)])
    started = time.monotonic()
    for _ in range(3):
        verdict = chaoskit.run(in_sqlite(ledger, locks=True), scenario)
        assert verdict.status == "held", verdict.report()
        assert verdict.outcome is not None
        assert not verdict.outcome.raised
    assert time.monotonic() - started < 4


def test_one_that_has_let_another_end_goes_on_when_that_waits_for_it_in_turn() -> None:
    """The second has the other lock by the time that it gets the one of the first: the first waits for it then."""

    def test(deliver: Any) -> list[Any]:
        one, other, rows = threading.Lock(), threading.Lock(), []

        def handle(message: Message) -> None:
            if message.id == "e1":
                with one:
                    deliver.point("has the one")
                with other:
                    rows.append(message.id)
            else:
                with other:
                    with one:
                        pass
                    deliver.point("has had both")
                    time.sleep(0.005)
                    rows.append(message.id)

        deliver(spawn=lambda: handle)
        return rows

    scenario = Scenario([*TWO, Event("a", 3)], RabbitMQ(consumers=2), [Overlap("e1", 0, 0, 1)])
    verdict = chaoskit.run(test, scenario, points="named")
    assert verdict.outcome is not None
    assert not verdict.outcome.raised
    assert verdict.observed == ["e2", "e1", "e3"]


def test_a_lock_that_an_idle_process_holds_is_told_as_that() -> None:
    locks: list[threading.Lock] = []

    def test(deliver: Any) -> dict[str, int]:
        rows, lock, refused = Rows(), threading.Lock(), [False]
        locks.append(lock)

        def handle(message: Message) -> None:
            in_order = threading.current_thread() is threading.main_thread()
            if message.id == "e1" and not in_order and not refused[0]:
                refused[0] = True
                lock.acquire()  # and nothing gives it back
                raise ConnectionError("no rollback")
            if message.id == "e2":
                with lock:
                    pass
            rows.add_once([message])

        deliver(spawn=lambda: handle)
        return rows.balances

    before = threading.active_count()
    verdict = chaoskit.run(test, Scenario(TWO, RabbitMQ(consumers=2), [Overlap("e2", 0, 0, 0)]), limit=0.5)
    assert [violation.invariant for violation in verdict.violations] == ["hang"], verdict.report()
    assert "a process that is idle may still hold a lock" in verdict.violations[0].message
    for lock in [each for each in locks if each.locked()]:
        lock.release()
    while threading.active_count() > before:  # who waited ends as soon as it does not
        time.sleep(0.005)


# One run.


@pytest.mark.parametrize("point", range(4))
def test_a_stopped_execution_sees_what_the_others_have_done(point: int) -> None:
    verdict = chaoskit.run(on(lost_update), Scenario(TWO, RabbitMQ(consumers=2), [Overlap("e1", point, 0, 1)]))
    assert verdict.status == ("violated" if point == 1 else "held")
    assert verdict.schedule is not None
    assert verdict.schedule.delivered == ("e2", "e1")


def test_two_at_one_event_are_two_switches() -> None:
    faults = [Overlap("e1", 0, 0, 0), Overlap("e1", 1, 1, 0)]
    verdict = chaoskit.run(on(check_then_insert), Scenario(TWO, Kafka(partitions=1), faults))
    assert verdict.schedule is not None
    assert [step.action for step in verdict.schedule].count("go on") == 2
    assert verdict.observed == {"a": 4}


def test_a_point_that_is_not_reached_runs_whole_before_the_others() -> None:
    for fault in (Overlap("e1", 99, 0, 0), Overlap("e1", 99, 0, 1)):
        verdict = chaoskit.run(on(lost_update), Scenario(TWO, RabbitMQ(consumers=2), [fault]))
        assert verdict.status == "held", verdict.report()
        assert verdict.schedule is not None
        assert verdict.schedule.steps[0].stopped is None


def test_a_handler_that_raises_when_it_goes_on_is_shown_the_message_again() -> None:
    def test(deliver: Any) -> dict[str, int]:
        rows = Rows()

        def handle(message: Message) -> None:
            balance, version = rows.read(message.key)
            if not rows.write(message, balance + message.value, version):
                raise ConnectionError("somebody was there first")

        deliver(spawn=lambda: handle)
        return rows.balances

    verdict = chaoskit.run(test, Scenario(TWO, RabbitMQ(consumers=2), [Overlap("e1", 1, 0, 1)]))
    assert verdict.status == "held", verdict.report()
    assert verdict.schedule is not None
    assert [(step.action, step.raised) for step in verdict.schedule][-2:] == [("go on", True), ("deliver", False)]


@pytest.mark.parametrize(("point", "expected"), [(0, "held"), (1, "violated"), (9, "held")])
def test_an_async_handler_stops_with_its_loop(point: int, expected: str) -> None:
    async def test(deliver: Any) -> dict[str, int]:
        rows = Rows()

        def make() -> Any:
            async def handle(message: Message) -> None:
                balance, _ = rows.read(message.key)
                await asyncio.sleep(0)
                rows.write(message, balance + message.value)

            return handle

        await deliver(spawn=make)
        return rows.balances

    verdict = chaoskit.run(test, Scenario(TWO, RabbitMQ(consumers=2), [Overlap("e1", point, 0, 1)]))
    assert verdict.status == expected, verdict.report()


def test_a_file_is_replayed_by_the_number_of_the_point(tmp_path: Path) -> None:
    verdict = chaoskit.run(on(lost_update), Scenario(TWO, RabbitMQ(consumers=2), [Overlap("e1", 1, 0, 1)]))
    path = Path(verdict.save(tmp_path))
    data = json.loads(path.read_text())
    assert [(step["action"], step.get("point")) for step in data["schedule"]] == [
        ("begin", 1), ("deliver", None), ("go on", None)
    ]  # fmt: skip
    data["schedule"][0]["stopped"]["place"] = "elsewhere.py:1"
    path.write_text(json.dumps(data))
    repro = read(path)
    for make, expected in ((lost_update, "STILL FAILS"), (compared_version, "FIXED")):
        subject = Subject(on(make), RabbitMQ(consumers=2), default_invariants(None))
        assert play(repro, subject).became == expected


def test_what_happened_is_told_in_two_columns() -> None:
    verdict = chaoskit.run(on(lost_update), Scenario(TWO, RabbitMQ(consumers=2), [Overlap("e1", 1, 0, 1)]))
    text = verdict.report()
    assert "Two executions at once" in text
    lines = [line.rstrip() for line in text.splitlines()]
    at = next(n for n, line in enumerate(lines) if line.endswith("| meanwhile"))
    assert [" ".join(line.split()) for line in lines[at : at + 5]] == [
        "e1, this execution | meanwhile",
        "rows.read(message.key) |",
        "| e2: rows.read(message.key)",
        "| e2: rows.write(message, balance + message.value)",
        "rows.write(message, balance + message.value) |",
    ]
    told = " ".join(text.split())
    assert "before `rows.write(message, balance + message.value)` (rows.py:" in told
    assert "SELECT … FOR UPDATE" in told


# What is shown instead.


def test_what_needs_no_stop_is_told_as_what_it_is() -> None:
    def remembers(rows: Rows) -> Handle:
        seen: set[object] = set()

        def handle(message: Message) -> None:
            if message.id not in seen:
                seen.add(message.id)
                rows.add(message)

        return handle

    verdict = chaoskit.check(on(remembers), PAYMENTS, Kafka(), faults={Overlap, Zombie}, seed=1, schedules=200)
    assert verdict.scenario is not None
    assert [type(fault) for fault in verdict.scenario.faults] == [Zombie]

    def overwrites(rows: Rows) -> Handle:
        return lambda message: rows.write(message, message.value) and None

    broker = RabbitMQ(consumers=2)
    verdict = chaoskit.check(on(overwrites), PAYMENTS, broker, faults={Overlap, Overtake}, seed=1, schedules=200)
    assert verdict.scenario is not None
    assert [type(fault) for fault in verdict.scenario.faults] == [Overtake]


def test_what_a_death_shows_too_is_shown_as_a_death() -> None:
    def work_before_mark(store: Store) -> Handle:
        def handle(message: Message) -> None:
            if not store.knows(message):
                store.add(message)
                store.mark(message)

        return handle

    verdict = chaoskit.check(over(work_before_mark), PAYMENTS, Kafka(), faults={Overlap, Crash}, seed=1, schedules=200)
    assert verdict.scenario is not None
    assert [type(fault) for fault in verdict.scenario.faults] == [Crash]


# Nothing is left, and the same is the same.


def test_nothing_leaks_and_one_seed_has_one_result(ledger: Path) -> None:
    test = in_sqlite(ledger, locks=True)
    listing = Path("/proc/self/fd")
    counts, results = [], []
    for _ in range(3):
        verdict = chaoskit.check(test, TWO, RabbitMQ(consumers=2), faults={Overlap}, seed=1, schedules=8)
        results.append((verdict.status, verdict.tally.schedules))
        counts.append((threading.active_count(), len(os.listdir(listing)) if listing.exists() else 0))
    assert len(set(counts)) == 1
    assert len(set(results)) == 1


def test_a_run_that_ends_early_leaves_nothing_stopped() -> None:
    left: list[str] = []

    def test(deliver: Any) -> dict[str, int]:
        rows = Rows()

        @contextlib.contextmanager
        def process() -> Iterator[Handle]:
            def handle(message: Message) -> None:
                if message.id == "e2" and rows.read("a")[0]:
                    raise SystemExit(1)
                rows.add_once([message])

            try:
                yield handle
            except chaoskit.Died:
                left.append("died")
                raise

        deliver(spawn=process)
        return rows.balances

    before = threading.active_count()
    scenario = Scenario(TWO, RabbitMQ(consumers=2), [Overlap("e1", 0, 1, 0)])
    with contextlib.suppress(UsageError):
        chaoskit.run(test, scenario)
    assert threading.active_count() == before


# Misuse.


def test_without_spawn_it_cannot_be_asked_for() -> None:
    rows = Rows()
    with pytest.raises(UsageError, match="Overlap has to know what belongs to the process: give deliver"):
        chaoskit.check(lambda deliver: deliver(rows.add) or {}, PAYMENTS, Kafka(), faults={Overlap}, schedules=20)


def test_without_spawn_it_is_not_tried_and_that_is_said() -> None:
    def test(deliver: Any) -> dict[object, int]:
        rows: dict[object, int] = {}
        deliver(lambda message: rows.update({message.id: message.value}))
        return rows

    verdict = chaoskit.check(test, PAYMENTS, Kafka(), seed=1, schedules=100)
    assert "Overlap" not in verdict.tally.by_kind
    assert any("Overlap" in note and "spawn" in note for note in verdict.notes)


@pytest.mark.parametrize("broker", [InOrder(), Outbox()], ids=lambda broker: type(broker).__name__)
def test_where_executions_do_not_overlap_it_is_refused(broker: Any) -> None:
    with pytest.raises(ImpossibleFault, match="Overlap"):
        chaoskit.check(on(unique_key), PAYMENTS, broker, faults={Overlap})


def test_others_is_one_or_none() -> None:
    with pytest.raises((UsageError, ValueError)):
        Overlap("e1", others=2)


def test_a_pass_says_how_many_points_were_tried() -> None:
    verdict = chaoskit.check(on(unique_key), PAYMENTS, Kafka(), seed=1, schedules=200)
    assert "of two executions at once one stopped before 2 of its 2 effects (Overlap)" in verdict.notes


def test_sqlite_that_is_shared_by_threads_is_refused_before_the_search() -> None:
    def test(deliver: Any) -> list[Any]:
        with contextlib.closing(sqlite3.connect(":memory:")) as db:
            db.execute("CREATE TABLE seen (id TEXT PRIMARY KEY)")
            handle = lambda message: db.execute("INSERT OR IGNORE INTO seen VALUES (?)", (message.id,)) and None  # noqa: E731
            deliver(spawn=lambda: handle)
            return sorted(db.execute("SELECT id FROM seen"))

    with pytest.raises(UsageError, match="is made in `spawn`"):
        chaoskit.check(test, PAYMENTS, Kafka(), faults={Overlap}, seed=1, schedules=50)
