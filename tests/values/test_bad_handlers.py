"""A bad handler stops nothing but itself: what hangs, exits, forks or is not done is found, or named."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import sys
import time
from pathlib import Path

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Duplicate, Event, Kafka, Redeliver
from chaoskit.invariants import final_state
from chaoskit.repro.read import read
from chaoskit.repro.replay import play
from chaoskit.search.oracle import Subject
from chaoskit.strategies import events
from chaoskit.values.errors import StaleState, UsageError
from chaoskit.values.invariant import ENDED, HANG

EVENTS = events(st.integers(1, 9), keys=st.just("a"), max_size=6)
THREE = events(st.integers(1, 9), keys=st.just("a"), min_size=3, max_size=3)


def account(again):
    """A test whose handler does this with a message that it has seen already; doing nothing is right."""

    def test(deliver):
        seen, state = set(), {}

        def handle(message):
            if message.id in seen:
                return again(message)
            seen.add(message.id)
            state[message.key] = state.get(message.key, 0) + message.value
            return None

        deliver(handle)
        return state

    return test


def async_account(again):
    """The same, async."""

    async def test(deliver):
        seen, state = set(), {}

        async def handle(message):
            if message.id in seen:
                return await again(message)
            seen.add(message.id)
            state[message.key] = state.get(message.key, 0) + message.value
            return None

        await deliver(handle)
        return state

    return test


def check(test, stream=EVENTS, **given):
    return chaoskit.check(test, stream, Kafka(partitions=1), faults={Duplicate}, schedules=30, seed=1, **given)


# What never comes back.


def retries_for_ever(message):
    while True:
        try:
            time.sleep(0.01)
            raise ValueError("already there")
        except:  # noqa: E722 - as such handlers are written
            pass


def retries_within_retries(message):
    while True:
        try:
            retries_for_ever(message)
        except BaseException:  # noqa: BLE001 - as such handlers are written
            continue


async def retries_async(message):
    while True:
        try:
            await asyncio.sleep(0.01)
            raise ValueError("already there")
        except (ValueError, BaseException):  # noqa: BLE001 - CancelledError, too
            continue


@pytest.mark.parametrize(
    "test", [account(retries_for_ever), account(retries_within_retries), async_account(retries_async)],
    ids=["bare except", "nested", "async"],
)  # fmt: skip
def test_a_handler_that_swallows_all_that_it_is_told_is_found_and_shrunk(test):
    """It is told again wherever it leaves an `except`, until none is left around it."""
    verdict = check(test, limit=0.3)
    assert [violation.invariant for violation in verdict.violations] == [HANG]
    assert "the handler did not return within 0.3 s: step 2" in verdict.violations[0].message
    assert len(verdict.scenario.events) == len(verdict.scenario.faults) == 1


def test_a_scenario_that_hangs_is_violated_and_nobody_waits_for_it():
    scenario = chaoskit.Scenario([Event("a", 1, "e1")], Kafka(), [Duplicate("e1")])
    verdict = chaoskit.run(account(retries_for_ever), scenario, limit=0.3)
    assert verdict.status == "violated"
    assert verdict.violations[0].invariant == HANG


def test_a_handler_that_is_slower_altogether_than_the_limit_of_a_run_is_never_flagged():
    verdict = check(account(lambda message: time.sleep(0.02)), limit=0.5)
    assert verdict.status == "held"


@pytest.mark.parametrize("limit", [0, -1, "30s", True])
def test_what_is_no_limit_is_a_usage_error(limit):
    with pytest.raises(UsageError, match="a number of seconds, or None for no limit"):
        check(account(print), limit=limit)


# What ends its process, or its task.


def exits(message):
    sys.exit("no such account")


async def exits_async(message):
    sys.exit("no such account")


async def is_cancelled(message):
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


@pytest.mark.parametrize(
    ("test", "shown"),
    [
        (account(exits), "the handler ended its process (SystemExit: no such account): step 2, the delivery of "),
        (async_account(exits_async), "the handler ended its process (SystemExit: no such account): step 2, "),
        (async_account(is_cancelled), "the handler ended its task (CancelledError): step 2, the delivery of "),
    ],
    ids=["exit", "async exit", "cancelled"],
)
def test_a_handler_that_ends_its_process_is_a_finding_shrunk_to_one_event_that_comes_twice(test, shown):
    verdict = check(test)
    assert verdict.status == "violated"
    assert [violation.invariant for violation in verdict.violations] == [ENDED]
    assert verdict.violations[0].message.startswith(shown)
    assert len(verdict.scenario.events) == len(verdict.scenario.faults) == 1
    report = verdict.report()
    assert "in exits" in report or "in is_cancelled" in report
    assert "execute.py" not in report


def test_one_that_does_so_in_order_already_is_an_error_that_names_the_event():
    with pytest.raises(UsageError, match=r"ended its process \(SystemExit: no such account\) on event 'e1' "):
        check(lambda deliver: deliver(exits) or {})


@pytest.mark.parametrize("again", [exits, retries_for_ever], ids=["exit", "hang"])
def test_its_file_says_fixed_once_it_is_repaired_also_with_messages_behind_it(again, tmp_path):
    """The file ends with the step that did not; what comes behind it is played when that step does end."""
    path = check(account(again), THREE, limit=0.3).save(tmp_path)
    repro = read(path)

    def subject(again):
        return Subject(account(again), repro.broker, (final_state(),))

    assert len(repro.events) == 3
    assert play(repro, subject(lambda message: None)).became == "FIXED"
    if again is exits:
        assert play(repro, subject(again)).became == "STILL FAILS"


# What forks.


def forks_and_returns(message):
    os.fork()


def forks_and_ends(message):
    child = os.fork()
    if child == 0:
        sys.exit(0)
    os.waitpid(child, 0)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_that_comes_back_from_the_handler_ends_there_and_is_told(tmp_path):
    """It would go on as if it were the process that searches: each run would be made twice."""
    log = tmp_path / "pids"

    def test(deliver):
        try:
            return account(forks_and_returns)(deliver)
        finally:
            time.sleep(0.01)  # the child comes here, too
            with log.open("a") as file:
                file.write(f"{os.getpid()}\n")

    with pytest.raises(UsageError, match="the handler forked, and the child came back from it"):
        check(test)
    pids = log.read_text().split()
    others = [pid for pid in pids if pid != str(os.getpid())]
    assert len(others) == len(set(others)), "a child made a second run"


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_that_ends_by_itself_is_no_finding():
    assert check(account(forks_and_ends)).status == "held"


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_the_child_of_a_test_that_is_over_says_nothing_of_the_next_one():
    """Even where the next test stands at the address of the one that is gone, and where the child was late."""
    with pytest.raises(UsageError, match="the handler forked, and the child came back from it"):
        check(account(forks_and_returns))
    for _ in range(50):
        assert check(account(lambda message: None)).status == "held"


# What is not done when it returns.


def generator(message):
    yield message


async def async_generator(message):
    yield message


async def coroutine(message):
    return message


class _Awaitable:
    def __await__(self):
        yield


@pytest.mark.parametrize(
    ("returned", "shown"),
    [
        (generator, "the handler returned a generator, generator, and nothing in it has run"),
        (async_generator, "the handler returned an async generator, async_generator, and nothing in it has run"),
        (coroutine, "the handler is async: make the test `async def`"),
        (lambda message: _Awaitable(), "the handler returned an _Awaitable, whose work may not be done yet"),
        (lambda message: concurrent.futures.Future(), "the handler returned a Future, whose work may not be done yet"),
    ],
    ids=["generator", "async generator", "coroutine", "awaitable", "future"],
)
def test_a_handler_that_returns_what_has_not_run_is_named_at_whichever_message_it_is(returned, shown):
    """Here at the second delivery of a message only."""
    with pytest.raises(UsageError) as raised:
        check(account(returned))
    assert shown in str(raised.value)


@pytest.mark.parametrize("returned", [generator, async_generator], ids=["generator", "async generator"])
def test_in_an_async_test_too(returned):
    async def again(message):
        return returned(message)

    with pytest.raises(UsageError, match="and nothing in it has run"):
        check(async_account(again))

    async def straight(deliver):
        await deliver(returned)
        return {}

    with pytest.raises(UsageError, match="and nothing in it has run"):
        check(straight)


def test_an_async_handler_that_leaves_tasks_running_is_told_which():
    async def save_later():
        await asyncio.sleep(60)

    async def again(message):
        asyncio.get_running_loop().create_task(save_later())

    with pytest.raises(UsageError, match="save_later: 1 task was still running when the test returned"):
        check(async_account(again))


def test_tasks_that_the_handler_or_the_test_waits_for_are_none_of_these():
    """A task may be made, and returned, and gathered: it is done when the state is read."""

    async def test(deliver):
        state, tasks = {}, []

        async def note(message):
            await asyncio.sleep(0)
            state[message.id] = message.value

        def handle(message):
            tasks.append(asyncio.ensure_future(note(message)))
            return tasks[-1] if message.seq % 2 else None

        await deliver(handle)
        await asyncio.gather(*tasks)
        return state

    verdict = chaoskit.check(test, EVENTS, Kafka(partitions=1), faults={Duplicate, Redeliver}, schedules=30, seed=1)
    assert verdict.status == "held"


def test_a_handler_that_returns_plain_values_is_none_of_these():
    for value in (True, 1, "ok", {"status": 200}, [1], object()):
        assert check(account(lambda message, value=value: value)).status == "held"


# What it prints.


def test_a_handler_may_write_bytes_to_standard_output_and_ask_for_its_number():
    """As structlog's BytesLogger does. Nothing of it is seen, and a logger that was made then can be used after it."""
    stored = []

    @chaoskit.chaos(EVENTS, broker=Kafka(partitions=1), faults={Duplicate}, schedules=20)
    def test_writes(deliver):
        def again(message):
            stored.append(sys.stdout)
            sys.stdout.buffer.write(b"again\n")
            sys.stderr.write("again \udcff\n")
            os.write(sys.stdout.fileno(), b"again\n")
            sys.stdout.flush()
            assert not sys.stdout.isatty()

        return account(again)(deliver)

    test_writes()
    assert stored[0] is not sys.stdout
    stored[0].buffer.write(b"afterwards\n")


# What is said of a failure in order.


class OperationalError(Exception):
    """As the clients of databases call it."""


@pytest.mark.parametrize("error", [ConnectionRefusedError("no"), TimeoutError("no"), OperationalError("no")])
def test_a_failure_of_what_the_handler_calls_is_told_to_be_a_fault_that_chaoskit_makes(error):
    def test(deliver):
        def handle(message):
            raise error

        deliver(handle)
        return {}

    with pytest.raises(UsageError, match="`Fail`, which chaoskit makes itself") as raised:
        check(test)
    assert "rejects rightly" not in str(raised.value)


def test_any_other_is_a_rejection_to_be_caught():
    def test(deliver):
        deliver(lambda message: {}[message.key])
        return {}

    with pytest.raises(UsageError, match="catch in the handler what it rejects rightly"):
        check(test)


@pytest.mark.parametrize(
    ("module", "shown"),
    [
        ("django", "the django_db mark begins one transaction for the whole test, so begin one for each run"),
        ("sqlalchemy", 'sessionmaker(connection, join_transaction_mode="create_savepoint")'),
        ("fastapi", "one that all requests share mixes them up"),
    ],
)
def test_a_stale_state_comes_with_the_recipe_of_the_framework_that_is_there(module, shown, monkeypatch):
    ledger = {}

    def test(deliver):
        deliver(lambda message: ledger.update({message.key: ledger.get(message.key, 0) + message.value}))
        return dict(ledger)

    for name in ("django", "sqlalchemy", "fastapi"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, module, Path)
    with pytest.raises(StaleState) as raised:
        check(test)
    assert shown in str(raised.value)
    assert str(raised.value).count("Django:") == (module == "django")
