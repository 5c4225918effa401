"""A process that dies inside its handler: what is found, what never is, and what is said of it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import socket
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import (
    Celery,
    Crash,
    Event,
    Fail,
    ImpossibleFault,
    InOrder,
    Kafka,
    Message,
    Overlap,
    RabbitMQ,
    Redeliver,
    Scenario,
    SqsFifo,
    UsageError,
)
from chaoskit.invariants import effects_exactly_once
from chaoskit.search.investigate import investigate
from chaoskit.search.oracle import Subject
from chaoskit.search.question import SearchSettings, default_invariants, question
from chaoskit.strategies import events
from inside.subjects import (
    Store,
    both_at_once,
    connected,
    in_sqlite,
    opening_its_own,
    over,
    prepared,
    work_before_mark,
)

PAYMENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]), max_size=6)
SEEDS = range(20)


def test_real_sqlite_rolls_back_what_a_dead_process_had_begun(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    prepared(path)
    for seed in SEEDS:
        test = in_sqlite(path, one_transaction=False)
        verdict = chaoskit.check(test, PAYMENTS, Kafka(), seed=seed, schedules=200)
        assert verdict.status == "violated", seed
        assert verdict.scenario is not None
        assert [type(fault) for fault in verdict.scenario.faults] == [Crash]
        assert len(verdict.scenario.events) == 1
    right = chaoskit.check(in_sqlite(path, one_transaction=True), PAYMENTS, Kafka(), seed=1, schedules=1000)
    assert right.status == "held", right.report()


@pytest.mark.parametrize("begins", ["BEGIN IMMEDIATE", "SELECT 1"])
def test_a_death_between_a_query_and_its_rows_keeps_no_lock(tmp_path: Path, begins: str) -> None:
    """The cursor is in a frame of the dead, and so are the locks of its connection, though that is closed."""
    path = tmp_path / "ledger.db"
    prepared(path)

    def test(deliver: Any) -> list[Any]:
        with contextlib.closing(connected(path)) as db, db:
            db.execute("DELETE FROM seen")
            db.executemany("INSERT INTO seen VALUES (?)", [("a",), ("b",)])

        @contextlib.contextmanager
        def process() -> Iterator[Callable[[Message], None]]:
            with contextlib.closing(connected(path)) as db:
                db.execute("PRAGMA busy_timeout = 100")

                def handle(message: Message) -> None:
                    db.execute(begins)
                    db.execute("SELECT id FROM seen").fetchall()
                    db.execute("INSERT OR IGNORE INTO seen VALUES (?)", (message.id,))
                    db.commit()

                yield handle

        deliver(spawn=process)
        with contextlib.closing(connected(path)) as db:
            return sorted(db.execute("SELECT id FROM seen"))

    for point in range(5):
        verdict = chaoskit.run(test, chaoskit.Scenario([chaoskit.Event("k", 1)], Kafka(), [Crash("e1", point)]))
        assert verdict.status == "held", verdict.report()
        assert verdict.outcome is not None
        assert not verdict.outcome.raised


def test_a_death_when_all_is_done_is_told_as_what_it_is() -> None:
    """What needs no death inside the handler is not blamed on one."""

    def test(deliver: Any) -> dict[str, int]:
        store = Store()

        def make() -> Callable[[Message], None]:
            return lambda message: store.add(message)

        deliver(spawn=make)
        return store.balances

    verdict = chaoskit.check(test, PAYMENTS, Kafka(partitions=1), faults={Crash, Redeliver}, seed=3, schedules=300)
    assert verdict.scenario is not None
    assert [type(fault) for fault in verdict.scenario.faults] == [Redeliver]


def test_the_same_seed_finds_the_same() -> None:
    first, second = (
        chaoskit.check(over(work_before_mark), PAYMENTS, SqsFifo(), seed=7, schedules=300) for _ in range(2)
    )
    assert first.scenario == second.scenario
    assert first.schedule == second.schedule
    assert first.tally == second.tally


def test_nothing_is_left_of_a_thousand_deaths(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    prepared(path)
    test = in_sqlite(path, one_transaction=True)
    chaoskit.check(test, PAYMENTS, Kafka(), faults={Crash}, seed=1, schedules=20)
    files, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    verdict = chaoskit.check(test, PAYMENTS, Kafka(), faults={Crash}, seed=2, schedules=1000)
    assert verdict.tally.schedules == 1000
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == (files, threads)


@pytest.mark.parametrize("one_transaction", [True, False])
def test_a_connection_of_the_handlers_own_is_closed_by_the_death(tmp_path: Path, one_transaction: bool) -> None:
    path = tmp_path / "ledger.db"
    prepared(path)
    verdict = chaoskit.check(
        opening_its_own(path, one_transaction=one_transaction), PAYMENTS, Kafka(), faults={Crash}, seed=1, schedules=150
    )
    assert verdict.status == ("held" if one_transaction else "violated"), verdict.report()


def test_a_socket_of_the_handlers_own_is_shut_down_by_the_death() -> None:
    ended: list[bytes] = []

    def test(deliver: Any) -> dict[str, int]:
        store, peers = Store(), list[socket.socket]()

        def make() -> Callable[[Message], None]:
            def handle(message: Message) -> None:
                mine, peer = socket.socketpair()
                peers.append(peer)
                store.add_once([message])
                mine.close()

            return handle

        deliver(spawn=make)
        for peer in peers:
            peer.settimeout(1)
            ended.append(peer.recv(1))
            peer.close()
        return store.balances

    assert chaoskit.run(test, Scenario(ONE, Kafka(partitions=1), [Crash("e1", 2)])).status == "held"
    assert set(ended) == {b""}


# Where a message is acknowledged before it is handled.


AT_HAND_OVER = (RabbitMQ(consumers=1, auto_ack=True), Celery(concurrency=1))


@pytest.mark.parametrize("broker", AT_HAND_OVER, ids=lambda broker: type(broker).__name__)
def test_what_was_acknowledged_first_may_be_gone_whole_but_not_half(broker: Any) -> None:
    """Nobody shows it again, so that only two changes that belong together can be half done."""
    whole = chaoskit.check(over(both_at_once), PAYMENTS, broker, faults={Crash}, seed=1, schedules=600)
    assert whole.status == "held", whole.report()
    assert any("without what was lost" in note for note in whole.notes)
    for seed in SEEDS:
        half = chaoskit.check(debit_then_credit, PAYMENTS, broker, faults={Crash}, seed=seed, schedules=300)
        assert half.status == "violated"
        assert half.scenario is not None
        assert (len(half.scenario.events), [type(fault) for fault in half.scenario.faults]) == (1, [Crash])


def debit_then_credit(deliver: Any) -> dict[str, int]:
    bank, customers = Store(), Store()

    def make() -> Callable[[Message], None]:
        def handle(message: Message) -> None:
            bank.add(message)
            customers.add(message)

        return handle

    deliver(spawn=make)
    ids = {**{f"bank {key}": value for key, value in bank.balances.items()}, **customers.balances}
    return {key: value for key, value in ids.items() if value}


def test_with_a_loss_that_counts_it_must_not_be_gone() -> None:
    verdict = chaoskit.check(
        over(both_at_once), PAYMENTS, AT_HAND_OVER[0], faults={Crash}, loss="violation", seed=1, schedules=200
    )
    assert verdict.status == "violated"


# Where it happened.


ONE = [Event("alice", 10, id="e1"), Event("alice", 5, id="e2")]


def test_the_report_names_the_place() -> None:
    verdict = chaoskit.run(over(work_before_mark), Scenario(ONE, Kafka(partitions=1), [Crash("e1", 2)]))
    assert verdict.status == "violated"
    assert verdict.schedule is not None
    died = verdict.schedule.steps[0].died
    assert died is not None
    assert (died.before, died.happened) == ("store.mark(message)", ("store.knows(message)", "store.add(message)"))
    assert died.place.startswith("subjects.py:")
    text = " ".join(verdict.report().split())
    assert (
        f"after 2 effects, the last of them `store.add(message)`, and before `store.mark(message)` ({died.place})"
        in text
    )
    assert "one transaction" in text
    assert [line.strip() for line in verdict.report().split("Where the process was killed")[1].splitlines()[1:8]] == [
        "e1: this was done,",
        "store.knows(message)",
        "store.add(message)",
        f"and then the process was killed, before this ({died.place}):",
        "store.mark(message)",
        "^^^^^^^^^^^^^^^^^^^",
        "",
    ]


def test_the_expression_is_underlined_in_its_line() -> None:
    def test(deliver: Any) -> dict[str, int]:
        store, tokens = Store(), list[int]()

        def make() -> Callable[[Message], None]:
            def handle(message: Message) -> None:
                if message.value and store.knows(message): return  # fmt: skip  # noqa: E701
                store.add(message)
                total = 1 + tokens.count(3) + len(tokens); store.mark(message)  # fmt: skip  # noqa: E702
                tokens.append(total)

            return handle

        deliver(spawn=make)
        return store.balances

    verdict = chaoskit.run(test, Scenario(ONE, Kafka(partitions=1), [Crash("e1", 3)]))
    lines = verdict.report().split("the process was killed, before this")[1].splitlines()[1:3]
    assert lines[0][lines[1].index("^") : lines[1].rindex("^") + 1] == "store.mark(message)"


def test_a_file_follows_the_number_and_the_place_is_information_only(tmp_path: Path) -> None:
    verdict = chaoskit.run(over(work_before_mark), Scenario(ONE, Kafka(partitions=1), [Crash("e1", 2)]))
    saved = Path(verdict.save(tmp_path)).read_text()
    assert '"action": "die"' in saved
    assert '"point": 2' in saved
    assert str(Path(__file__).parent) not in saved


@pytest.mark.parametrize("point", range(5))
def test_a_point_beyond_the_last_is_all_done(point: int) -> None:
    verdict = chaoskit.run(over(work_before_mark), Scenario(ONE, Kafka(partitions=1), [Crash("e1", point)]))
    assert verdict.status == ("violated" if point == 2 else "held")


def test_a_handler_that_refuses_before_the_point_has_refused() -> None:
    tried: list[str] = []

    def test(deliver: Any) -> dict[str, int]:
        store, attempts = Store(), [0]

        def make() -> Callable[[Message], None]:
            tried.append("process")

            def handle(message: Message) -> None:
                attempts[0] += 1
                if message.id == "e1" and attempts[0] == 1 and tried.count("in order") > 1:
                    raise ConnectionError("not now")
                store.add_once([message])

            return handle

        tried.append("in order")
        deliver(spawn=make)
        return store.balances

    verdict = chaoskit.run(test, Scenario(ONE, Kafka(partitions=1), [Crash("e1", 9)]))
    assert verdict.status == "held", verdict.report()
    assert verdict.schedule is not None
    assert verdict.schedule.steps[0].raised
    assert "restart" not in [step.action for step in verdict.schedule]


def test_a_point_that_the_test_names_is_one_more() -> None:
    def test(deliver: Any) -> dict[str, int]:
        store = Store()

        def make() -> Callable[[Message], None]:
            def handle(message: Message) -> None:
                if not store.knows(message):
                    store.add(message)
                    deliver.point("added")
                    store.mark(message)

            return handle

        deliver(spawn=make)
        return store.balances

    verdict = chaoskit.check(test, PAYMENTS, Kafka(), points="named", seed=1, schedules=200)
    assert verdict.scenario is not None
    (fault,) = verdict.scenario.faults
    assert isinstance(fault, Crash)
    assert fault.point == 0
    assert "before `added`" in " ".join(verdict.report().split())


def test_step_by_step_a_death_is_a_delivery_whose_end_nobody_sees() -> None:
    seen: list[tuple[object, bool]] = []

    def test(deliver: Any) -> dict[str, int]:
        store = Store()
        seen.clear()
        for delivery in deliver.steps(spawn=lambda: both_at_once(store)):
            seen.append((delivery.id, bool(store.balances)))
        return store.balances

    assert chaoskit.run(test, Scenario(ONE, Kafka(partitions=1), [Crash("e1", 0)])).status == "held"
    assert seen == [("e1", False), ("e1", True), ("e2", True)]


def test_an_effect_of_a_process_that_died_counts() -> None:
    def test(deliver: Any) -> dict[str, int]:
        store = Store()

        def make() -> Callable[[Message], None]:
            def handle(message: Message) -> None:
                if not store.knows(message):
                    deliver.effect("mail", message.value, key=message.id)
                    store.add_once([message])

            return handle

        deliver(spawn=make)
        return store.balances

    verdict = chaoskit.check(
        test, PAYMENTS, Kafka(), faults={Crash}, invariants=[effects_exactly_once()], seed=1, schedules=200
    )
    assert verdict.status == "violated"
    assert "took place twice" in verdict.violations[0].message


# What a process is.


def test_the_exit_of_spawn_is_told_of_the_death_and_the_handler_is_not() -> None:
    reported: list[str] = []

    def test(deliver: Any) -> dict[str, int]:
        store = Store()

        @contextlib.contextmanager
        def process() -> Iterator[Callable[[Message], None]]:
            def handle(message: Message) -> None:
                try:
                    store.add_once([message])
                except BaseException as error:
                    reported.append(f"handler: {type(error).__name__}")
                    raise
                finally:
                    store.balances["finally"] = store.balances.get("finally", 0)

            try:
                yield handle
            except chaoskit.Died:
                reported.append("process: Died")
                raise

        deliver(spawn=process)
        assert "handler: Died" not in reported
        return {key: value for key, value in store.balances.items() if key != "finally"}

    assert chaoskit.run(test, Scenario(ONE, Kafka(partitions=1), [Crash("e1", 0)])).status == "held"
    assert "process: Died" in reported


def test_a_process_reads_the_context_of_the_test_and_has_thread_locals_of_its_own() -> None:
    tenant = contextvars.ContextVar[str]("tenant")
    local, opened = threading.local(), list[bool]()

    def test(deliver: Any) -> dict[str, int]:
        tenant.set("one")
        opened.clear()
        store = Store()

        def make() -> Callable[[Message], None]:
            opened.append(hasattr(local, "opened"))
            local.opened = True

            def handle(message: Message) -> None:
                assert tenant.get() == "one"
                store.add_once([message])

            return handle

        deliver(spawn=make)
        return store.balances

    assert chaoskit.run(test, Scenario(ONE, Kafka(partitions=1), [Crash("e1", 0)])).status == "held"
    assert opened == [False, False]


@pytest.mark.parametrize(("point", "expected"), [(0, "held"), (2, "violated"), (9, "held")])
def test_an_async_process_has_a_loop_of_its_own(point: int, expected: str) -> None:
    async def test(deliver: Any) -> dict[str, int]:
        store = Store()

        @contextlib.asynccontextmanager
        async def process() -> AsyncIterator[Any]:
            closed = asyncio.Event()

            async def handle(message: Message) -> None:
                if store.knows(message):
                    return
                store.add(message)
                await asyncio.sleep(0)
                store.mark(message)

            try:
                yield handle
            finally:
                asyncio.get_running_loop().call_later(0.001, closed.set)
                await closed.wait()

        await deliver(spawn=process)
        return store.balances

    verdict = chaoskit.run(test, Scenario(ONE, Kafka(partitions=1), [Crash("e1", point)]))
    assert verdict.status == expected, verdict.report()


def test_what_hangs_in_its_thread_is_ended_there() -> None:
    def test(deliver: Any) -> dict[str, int]:
        store, died = Store(), [False]

        def make() -> Callable[[Message], None]:
            def handle(message: Message) -> None:
                while died[0]:
                    pass
                store.add_once([message])

            return handle

        @contextlib.contextmanager
        def process() -> Iterator[Callable[[Message], None]]:
            try:
                yield make()
            except chaoskit.Died:
                died[0] = True

        deliver(spawn=process)
        return store.balances

    before = threading.active_count()
    verdict = chaoskit.run(test, Scenario(ONE, Kafka(partitions=1), [Crash("e1", 0)]), limit=0.5)
    assert [violation.invariant for violation in verdict.violations] == ["hang"]
    # It is ended as soon as it is in Python code, which a busy machine may take its time for.
    until = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.05)
    assert threading.active_count() <= before


def test_what_swallows_its_own_end_is_waited_for_once_and_that_is_said() -> None:
    let_go = threading.Event()

    def test(deliver: Any) -> dict[str, int]:
        store = Store()

        def make() -> Callable[[Message], None]:
            def handle(message: Message) -> None:
                try:
                    store.add_once([message])
                except BaseException:  # noqa: BLE001 - this is what is tested
                    let_go.wait()

            return handle

        deliver(spawn=make)
        return store.balances

    started = time.monotonic()
    verdict = chaoskit.check(test, ONE, Kafka(partitions=1), faults={Crash}, seed=1, schedules=20)
    let_go.set()
    assert verdict.status == "held", verdict.report()
    assert any("threads of processes that died inside it are left" in note for note in verdict.notes)
    assert time.monotonic() - started < 10


# Misuse.


def test_without_spawn_it_cannot_be_asked_for() -> None:
    store = Store()
    with pytest.raises(UsageError, match="Crash has to know what dies with the process: give deliver"):
        chaoskit.check(lambda deliver: deliver(store.add) or {}, PAYMENTS, Kafka(), faults={Crash}, schedules=20)


def test_without_spawn_it_is_not_tried_and_that_is_said() -> None:
    def test(deliver: Any) -> dict[object, int]:
        rows: dict[object, int] = {}
        deliver(lambda message: rows.update({message.id: message.value}))
        return rows

    verdict = chaoskit.check(test, PAYMENTS, Kafka(), seed=1, schedules=100)
    assert "Crash" not in verdict.tally.by_kind
    assert any("Crash" in note and "spawn" in note for note in verdict.notes)


def test_it_can_be_left_out() -> None:
    without = {Crash, Fail, Overlap}
    verdict = chaoskit.check(over(work_before_mark), PAYMENTS, Kafka(), without=without, seed=1, schedules=200)
    assert verdict.status == "held"


def test_where_nothing_goes_wrong_nobody_dies() -> None:
    with pytest.raises(ImpossibleFault, match="once, in order"):
        chaoskit.check(over(work_before_mark), PAYMENTS, InOrder(), faults={Crash})


def test_a_connection_of_the_test_is_refused_before_the_search() -> None:
    def test(deliver: Any) -> list[Any]:
        with contextlib.closing(sqlite3.connect(":memory:")) as db:
            db.execute("CREATE TABLE seen (id TEXT PRIMARY KEY)")

            def make() -> Callable[[Message], None]:
                return lambda message: db.execute("INSERT OR IGNORE INTO seen VALUES (?)", (message.id,)) and None

            deliver(spawn=make)
            return sorted(db.execute("SELECT id FROM seen"))

    with pytest.raises(UsageError, match=r"thread of its own.*ProgrammingError.*is made in `spawn`"):
        chaoskit.check(test, PAYMENTS, Kafka(), seed=1, schedules=50)


def test_a_handler_without_points_is_named() -> None:
    def test(deliver: Any) -> list[Any]:
        rows: dict[object, int] = {}
        deliver(spawn=lambda: lambda message: None if message.id in rows else rows.update({message.id: message.value}))
        return sorted(rows.items(), key=str)

    with pytest.raises(UsageError, match=r'points=\("shop",\), or call deliver.point'):
        chaoskit.check(test, PAYMENTS, Kafka(), faults={Crash}, points="named", seed=1, schedules=50)
    verdict = chaoskit.check(test, PAYMENTS, Kafka(), points="named", seed=1, schedules=50)
    assert any(note.startswith("no process died inside the handler (Crash)") for note in verdict.notes)


def test_under_trio_it_is_not_tried_and_that_is_said() -> None:
    """Each process has a loop of its own, and that is asyncio's."""
    trio = pytest.importorskip("trio", reason="trio is not installed")

    def test(deliver: Any) -> dict[object, int]:
        rows: dict[object, int] = {}

        async def run() -> None:
            async def handle(message: Message) -> None:
                await trio.sleep(0)
                rows[message.id] = message.value

            await deliver(spawn=lambda: handle)

        trio.run(run)
        return rows

    broker = Kafka(partitions=1)
    subject = Subject(test, broker, default_invariants(None), is_async=True)
    settings = SearchSettings(schedules=60, seed=1)
    verdict = investigate(question(subject, PAYMENTS, settings))
    assert verdict.status == "held", verdict.report()
    assert any("asyncio" in note for note in verdict.notes)
    with pytest.raises(UsageError, match="another library's"):
        investigate(question(subject, PAYMENTS, settings, faults={Crash}))


def test_an_assert_that_fails_at_a_death_before_any_delivery_has_its_step() -> None:
    """And the message that the process died at."""

    def test(deliver: Any) -> dict[str, int]:
        store = Store()
        for delivery in deliver.steps(spawn=lambda: both_at_once(store)):
            assert store.balances or delivery.number > 1, "nothing is there"
        return store.balances

    verdict = chaoskit.run(test, Scenario(ONE, Kafka(partitions=1), [Crash("e1", point=0)]))
    assert verdict.status == "violated"
    assert "raised AssertionError after step 1, the delivery of e1: nothing is there" in verdict.violations[0].message
