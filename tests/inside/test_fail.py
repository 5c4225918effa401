"""A call that fails inside the handler: what is found, what never is, what can fail, and what is said of it."""

from __future__ import annotations

import asyncio
import contextlib
import cProfile
import functools
import json
import sqlite3
import sys
import traceback
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Crash, Event, Fail, Kafka, Message, Overlap, Scenario, SqsFifo, Unavailable, UsageError
from chaoskit.invariants import no_error
from chaoskit.repro.read import read
from chaoskit.strategies import events
from chaoskit.values.errors import ReproError
from handlers.inside.halves import (
    Tables,
    answers_all_the_same,
    commits,
    finally_marks,
    over_tables,
    swallows_the_commit,
)
from inside.subjects import Store, in_file, over, prepared

PAYMENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]), max_size=6)
ONE = [Event("alice", 10, id="e1"), Event("alice", 5, id="e2")]
ALONE: dict[str, Any] = {"schedules": 200, "without": {Overlap}}
"""What reads before it writes is wrong under two executions at once, which is not what is asked here."""


def test_a_commit_that_fails_on_real_sqlite_is_rolled_back(tmp_path: Path) -> None:
    prepared(path := tmp_path / "ledger.db")
    for seed in range(3):
        found = chaoskit.check(
            in_file(path, swallows_the_commit), PAYMENTS, Kafka(), seed=seed, schedules=200, without={Overlap}
        )
        assert found.scenario is not None, seed
        assert [type(fault) for fault in found.scenario.faults] == [Fail]
        assert len(found.scenario.events) == 1
    assert "db.commit()" in found.report()
    right = chaoskit.check(in_file(path, commits), PAYMENTS, Kafka(), seed=1, **ALONE)
    assert right.status == "held", right.report()


# What can fail.


def lines_that_fail(handle: Callable[[Message], Any], **options: Any) -> list[str]:
    """The lines of a handler in which a call can fail, in their order. Each is let fail once, and only once."""
    found: list[str] = []

    def noted(message: Message) -> None:
        try:
            handle(message)
        except Exception as error:
            (*_, frame) = (each for each in traceback.extract_tb(error.__traceback__) if each.filename == __file__)
            found.append(f"{type(error).__name__}: {frame.line}")
            raise

    def test(deliver: Any) -> dict[Any, Any]:
        deliver(functools.wraps(handle)(noted), state=dict)
        return {}

    for point in range(1, 20):
        before = len(found)
        chaoskit.run(test, Scenario(ONE, Kafka(partitions=1), [Fail("e1", point=point)]), **options)
        if len(found) == before:
            break
        assert len(found) == before + 1
    return found


def test_only_what_talks_to_something_can_fail() -> None:
    """Never a container's method, a pure function, a statement that stores, or the handler's own functions."""
    tables, held = Tables(), dict[str, int]()
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE t (a)")

    def own(value: int) -> int:
        return max(value, 0)

    def handle(message: Message) -> None:
        held.pop("x", None)
        held[message.key] = own(len(json.dumps(message.value)))
        with db:
            cursor = db.cursor()
            cursor.execute("INSERT INTO t VALUES (?)", (message.value,))
            sorted(cursor.execute("SELECT a FROM t").fetchall())
        tables.put(("orders", message.id, message.value))
        with chaoskit.atomic:
            tables.rows["orders"]["x"] = 1
            tables.put(("orders", message.id, message.value))
        urllib.request.Request("http://localhost/")
        db.commit()

    assert lines_that_fail(handle, fails_with=OSError) == [
        'OSError: cursor.execute("INSERT INTO t VALUES (?)", (message.value,))',
        'OSError: sorted(cursor.execute("SELECT a FROM t").fetchall())',
        "OSError: with db:",
        'OSError: tables.put(("orders", message.id, message.value))',
        "OSError: with chaoskit.atomic:",
        "OSError: db.commit()",
    ]
    assert len(lines_that_fail(handle, points="named")) == 0
    db.close()


def test_a_package_of_the_users_own_may_have_the_name_of_a_library() -> None:
    """What it calls can fail, and its own functions cannot."""
    names: dict[str, Any] = {"__name__": "databases.wallet", "sqlite3": sqlite3, "closing": contextlib.closing}
    source = """
def execute(db, message):
    db.execute("INSERT INTO t VALUES (?)", (message.value,))

def handle(message):
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE TABLE t (a)")
        execute(db, message)
"""
    exec(compile(source, __file__, "exec"), names)
    assert len(lines_that_fail(names["handle"])) == 3


def test_the_error_of_the_users_choice_is_raised_and_what_makes_none_is_refused() -> None:
    def handle(message: Message) -> None:
        Tables().get("orders", message.id)

    made = lines_that_fail(handle, fails_with=lambda: sqlite3.OperationalError("database is locked"))
    assert made == ['OperationalError: Tables().get("orders", message.id)']
    for wrong, output in ((str, "an exception is needed"), (UnicodeDecodeError, "without arguments")):
        with pytest.raises(UsageError, match=output):
            lines_that_fail(handle, fails_with=wrong)
        with pytest.raises(UsageError, match=output):
            chaoskit.chaos(PAYMENTS, fails_with=wrong)


def test_a_named_point_can_fail() -> None:
    def test(deliver: Any) -> dict[str, int]:
        store = Store()

        def handle(message: Message) -> None:
            deliver.point("before")
            store.add_once([message])
            with contextlib.suppress(Unavailable):
                deliver.point("behind")
            raise_if(store.balances["alice"] > 15)

        deliver(handle)
        return store.balances

    def raise_if(wrong: bool) -> None:
        assert not wrong

    for point in (1, 2, 3):
        scenario = Scenario(ONE, Kafka(partitions=1), [Fail("e1", point=point)])
        assert chaoskit.run(test, scenario, points="named").status == "held"


# How it is played.


@pytest.mark.parametrize("with_spawn", [True, False])
def test_in_an_async_test_an_awaited_call_fails_where_it_is_awaited(with_spawn: bool) -> None:
    raised: list[str] = []

    async def test(deliver: Any) -> dict[Any, Any]:
        rows: dict[Any, Any] = {}

        @chaoskit.atomic
        async def put(key: object, value: object) -> None:
            await asyncio.sleep(0)
            rows[key] = value

        async def background() -> None:  # none of the handler's
            while True:
                await put("beat", 1)
                await asyncio.sleep(0)

        async def handle(message: Message) -> None:
            try:
                await put(message.id, message.value)
                await put(message.key, message.value)
            except Unavailable as error:
                raised.append(traceback.extract_tb(error.__traceback__)[0].line or "")
                raise

        task = asyncio.create_task(background())
        await (deliver(spawn=lambda: handle) if with_spawn else deliver(handle))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return {key: value for key, value in rows.items() if key != "beat"}

    faults = [Fail("e1", point=2), *([Crash("e2", 1)] if with_spawn else [])]
    verdict = chaoskit.run(test, Scenario(ONE, Kafka(partitions=1), faults))
    assert verdict.status == "held", verdict.report()
    assert set(raised) == {"await put(message.key, message.value)"}


def test_who_traces_and_profiles_the_thread_goes_on() -> None:
    def traced(frame: Any, event: str, arg: Any) -> Any:
        return None

    def profiled(frame: Any, event: str, arg: Any) -> None:
        return None

    before = sys.gettrace()
    sys.settrace(traced)
    sys.setprofile(profiled)
    try:
        chaoskit.run(over(lambda store: lambda message: store.add_once([message])), FIRST)
        left = sys.gettrace(), sys.getprofile()
    finally:
        sys.settrace(before)
        sys.setprofile(None)
    assert left == (traced, profiled)


def test_a_profile_of_cprofile_goes_on() -> None:
    """It is no function, and cannot be put back as one."""

    def counted_behind() -> None:
        return None

    with cProfile.Profile() as profile:
        chaoskit.run(over(lambda store: lambda message: store.add_once([message])), FIRST)
        counted_behind()
    profile.create_stats()
    assert "counted_behind" in {name for _, _, name in profile.stats}  # type: ignore[attr-defined]


FIRST = Scenario(ONE, Kafka(partitions=1), [Fail("e1", point=1)])


def test_it_is_off_without_spawn_and_without_fails_with_and_that_is_said() -> None:
    def test(deliver: Any) -> dict[Any, Any]:
        tables = Tables()
        deliver(functools.partial(put, tables))
        return tables.rows

    def put(tables: Tables, message: Message) -> None:
        with contextlib.suppress(Exception):
            tables.put(("orders", message.id, message.value))

    off = chaoskit.check(test, PAYMENTS, Kafka(), faults={Fail}, seed=1, schedules=200)
    assert off.status == "held"
    assert any("no call failed inside the handler (Fail)" in note for note in off.notes), off.notes
    on = chaoskit.check(test, PAYMENTS, Kafka(), fails_with=TimeoutError, seed=1, schedules=200)
    assert on.status == "violated"
    assert "TimeoutError" in on.report()
    assert chaoskit.check(test, PAYMENTS, Kafka(), fails_with=TimeoutError, without={Fail}, seed=1).status == "held"


def test_what_is_dropped_may_be_gone_whole_and_not_half() -> None:
    """A broker that drops what its handler refuses: today's rule for a failed attempt."""

    def set_both(store: Store) -> Callable[[Message], None]:
        def handle(message: Message) -> None:
            store.set_row("bank", message)
            store.set_row("customer", message)

        return handle

    broker = Kafka(partitions=1, on_error="skip")
    whole = chaoskit.run(over(set_both), Scenario(ONE, broker, [Fail("e1", point=1)]))
    half = chaoskit.run(over(set_both), Scenario(ONE, broker, [Fail("e1", point=2)]))
    assert (whole.status, half.status) == ("held", "violated")
    counts = chaoskit.run(over(set_both), Scenario(ONE, broker, [Fail("e1", point=1)]), loss="violation")
    assert counts.status == "violated"


def test_the_error_that_a_fault_made_is_none_of_the_handlers() -> None:
    test = over(lambda store: lambda message: store.add_once([message]))
    assert chaoskit.run(test, FIRST, invariants=[no_error()]).status != "violated"


def test_the_same_seed_finds_the_same() -> None:
    test = over_tables(finally_marks)
    one, two = (chaoskit.check(test, PAYMENTS, SqsFifo(), seed=5, schedules=200) for _ in range(2))
    assert (one.scenario, one.schedule, one.tally) == (two.scenario, two.schedule, two.tally)


# What is said of it.


def test_the_report_names_the_call_and_what_the_handler_made_of_it() -> None:
    verdict = chaoskit.run(over_tables(answers_all_the_same), FIRST)
    (failed,) = [step for step in verdict.schedule or () if step.failed is not None]
    assert (failed.action, failed.point, failed.raised) == ("deliver", 1, False)
    text = " ".join(verdict.report().split())
    assert "the handler returned as if nothing had happened: e1 counts as handled" in text
    assert f"({failed.failed.place if failed.failed else ''}) raised Unavailable: chaoskit let this call fail" in text
    assert "belongs in no `finally` and no `except`" in text
    shown = verdict.report().split("Where a call failed")[1].splitlines()
    assert shown[2].strip() == 'tables.put(("orders", message.id, message.value))'
    assert set(shown[3].strip()) == {"^"}
    raised = " ".join(chaoskit.run(over_tables(finally_marks), SECOND).report().split())
    assert "and the handler let the error out: e1 was shown again" in raised


SECOND = Scenario(ONE, Kafka(partitions=1), [Fail("e1", point=2)])


def test_it_is_saved_and_read_as_a_delivery_with_a_point(tmp_path: Path) -> None:
    verdict = chaoskit.run(over_tables(finally_marks), SECOND)
    path = verdict.save(tmp_path / "failed.json")
    document = json.loads(Path(path).read_text())
    first, again = document["schedule"][:2]
    assert (first["action"], first["point"], again["action"]) == ("deliver", 2, "deliver")
    assert "point" not in again
    assert first["failed"]["error"].startswith("Unavailable")
    repro = read(Path(path))
    assert verdict.schedule is not None
    assert repro.schedule == verdict.schedule.steps
    assert repro.faults == SECOND.faults
    document["schedule"][1]["action"] = "fail"
    document["schedule"][1]["point"] = 1
    Path(path).write_text(json.dumps(document))
    with pytest.raises(ReproError, match="a process dies, an execution stops or a call fails"):
        read(Path(path))
