"""--chaos-limit: a run that does not end is a failure, found and made small like any other."""

from __future__ import annotations

import json

import pytest

from plugin.projects import HEAD, Project

WAITS = """
import asyncio, time

def waits_for_ever_on_a_copy(balances):
    seen = set()
    def handle(message):
        while message.id in seen:
            time.sleep(0.01)
        seen.add(message.id)
        balances[message.key] = balances.get(message.key, 0) + message.value
    return handle

@chaos(PAYMENTS, broker=Kafka(partitions=6))
def test_waits(deliver):
    balances = {}
    deliver(waits_for_ever_on_a_copy(balances))
    return balances

@chaos(PAYMENTS, broker=Kafka(partitions=6))
async def test_async(deliver):
    seen, balances = set(), {}
    async def handle(message):
        if message.id in seen:
            await asyncio.sleep(1000)
        seen.add(message.id)
        balances[message.key] = balances.get(message.key, 0) + message.value
    await deliver(handle)
    return balances

@chaos(PAYMENTS, broker=Kafka(partitions=6))
def test_swallows(deliver):
    seen, balances, deaf = set(), {}, []
    def handle(message):
        while message.id in seen:
            try:
                time.sleep(1000)
            except BaseException:
                deaf.append(1)
                if len(deaf) > 1:
                    raise
        seen.add(message.id)
        balances[message.key] = balances.get(message.key, 0) + message.value
    deliver(handle)
    return balances
"""

SLOW = """
import time

@chaos(PAYMENTS, faults={Duplicate, Redeliver}, schedules=20)
def test_slow(deliver):
    seen, balances = set(), {}
    def handle(message):
        time.sleep(0.01)
        if message.id not in seen:
            seen.add(message.id)
            balances[message.key] = balances.get(message.key, 0) + message.value
    deliver(handle)
    return balances
"""


@pytest.mark.parametrize("name", ["test_waits", "test_async", "test_swallows"])
def test_a_handler_that_hangs_on_a_copy_is_shrunk_to_one_event_that_comes_twice(wallet: Project, name: str) -> None:
    """Busy, asleep in a loop of asyncio, or deaf to the first that is raised. A replay has a limit, too, and once the
    handler is repaired it says so."""
    wallet.write("test_wallet.py", HEAD + WAITS)
    ran = wallet.pytest("--chaos-limit=1s", "--chaos-seed=1", "-k", name)
    assert ran.code == 1, ran.text
    ran.assert_in_order(
        f"{name} does not survive ",
        "What differs\n  the handler did not return within 1 s: step ",
        "(1 event, 1 fault, minimal)",
        "Replay\n  chaoskit replay ",
    )
    data = json.loads(wallet.only_repro().read_text())
    assert data["violations"][0]["invariant"] == "hang"
    replayed = wallet.pytest("--chaos-replay", str(wallet.only_repro()), "--chaos-limit=1s")
    assert replayed.code == 1
    assert "STILL FAILS" in replayed.out
    wallet.write("test_wallet.py", HEAD + WAITS.replace("time.sleep(0.01)", "return")
                 .replace("await asyncio.sleep(1000)", "return").replace("time.sleep(1000)", "return"))  # fmt: skip
    assert wallet.chaoskit("replay", ".chaoskit").out.startswith("FIXED")


def test_a_handler_that_is_only_slow_is_never_flagged(wallet: Project) -> None:
    """A limit that every run keeps changes nothing, however long all of them take together."""
    wallet.write("test_wallet.py", HEAD + SLOW)
    ran = wallet.pytest("--chaos-limit=2s", "--chaos-seed=1")
    assert ran.code == 0, ran.text


STATE = """
import time

@chaos(PAYMENTS, broker=Kafka(partitions=6))
def test_state(deliver):
    seen = []
    def state():
        while len(seen) > len(set(seen)):
            time.sleep(0.01)
        return sorted(seen)
    deliver(lambda message: seen.append(message.id), state=state)
"""

STALLS = """
import os, time

@chaos(PAYMENTS, broker=Kafka(partitions=6))
def test_stalls(deliver):
    seen, balances = set(), {}
    def handle(message):
        if message.id in seen:
            if not os.path.exists("stalled"):
                open("stalled", "w").close()
                time.sleep(3)
            return
        seen.add(message.id)
        balances[message.key] = balances.get(message.key, 0) + message.value
    deliver(handle)
    return balances
"""


def test_what_hangs_behind_the_deliveries_is_found_too(wallet: Project) -> None:
    """A state that cannot be read any more."""
    wallet.write("test_wallet.py", HEAD + STATE)
    ran = wallet.pytest("--chaos-limit=1s", "--chaos-seed=1")
    assert ran.code == 1, ran.text
    assert "the test did not end within 1 s: after the deliveries" in ran.out


def test_a_machine_that_stalls_once_is_no_failure_of_the_handler(wallet: Project) -> None:
    """The same run ends when it is tried again: that is unknown, and nothing is saved."""
    wallet.write("test_wallet.py", HEAD + STALLS)
    ran = wallet.pytest("--chaos-limit=1s", "--chaos-seed=1")
    assert ran.code == 1, ran.text
    assert "tried again, it did end. Where a machine may be so slow: --chaos-limit" in ran.out
    assert "does not survive" not in ran.out
    assert wallet.repros == []
    assert wallet.pytest("--chaos-limit=1s", "--chaos-seed=1").code == 0


def test_what_hangs_in_order_already_is_the_tests_own_error(wallet: Project) -> None:
    """No fault is needed, so none is blamed; the way out is named."""
    source = SLOW.replace("time.sleep(0.01)", "time.sleep(1000)")
    wallet.write("test_wallet.py", HEAD + source)
    ran = wallet.pytest("--chaos-limit=0.3s", "--chaos-seed=1")
    assert ran.code == 1
    assert "although everything came once and in order" in ran.out
    assert "--chaos-limit, or limit= of check, gives each run more time" in ran.out
    assert wallet.repros == []


def test_where_there_can_be_no_limit_it_is_said(wallet: Project) -> None:
    """Somebody else uses the alarm: the test is searched without a limit, and a passing line says why."""
    alarm = "import signal\nsignal.signal(signal.SIGALRM, print)\n"
    wallet.write("test_wallet.py", HEAD + alarm + SLOW)
    ran = wallet.pytest("--chaos-limit=2s", "--chaos-seed=1")
    assert ran.code == 0, ran.text
    assert "runs have no limit of time: something else uses the alarm signal" in ran.out


DEFAULT = """
import chaoskit.pytest.limits

assert chaoskit.pytest.limits.LIMIT == 30
chaoskit.pytest.limits.LIMIT = 0.5
"""


def test_an_ordinary_run_has_a_limit_too_and_a_c_function_that_never_returns_ends_the_process(wallet: Project) -> None:
    """30 s, here half a second. What cannot be told is shown with the line at which it is."""
    stuck = WAITS.replace("test_waits", "test_stuck").replace("time.sleep(0.01)", "sum(range(10**15))")
    wallet.write("conftest.py", DEFAULT)
    wallet.write("test_wallet.py", HEAD + WAITS)
    wallet.write("test_stuck.py", HEAD + stuck)
    ran = wallet.pytest("--chaos-seed=1", "-k", "test_waits", "test_wallet.py")
    assert ran.code == 1, ran.text
    assert "the handler did not return within 0.5 s: step " in ran.out
    ran = wallet.pytest("--chaos-seed=1", "-k", "test_stuck", "test_stuck.py")
    assert ran.code == 1, ran.text
    assert "Timeout (0:00:01)!" in ran.err
    assert "in waits_for_ever_on_a_copy" in ran.err or "in handle" in ran.err


@pytest.mark.parametrize("method", ["signal", "thread"])
def test_a_timeout_of_pytest_timeout_ends_the_test_as_that_means_it_to(wallet: Project, method: str) -> None:
    """The test is merely slow: it is no failure of the handler, and Hypothesis does not run it again."""
    wallet.write("test_wallet.py", HEAD + SLOW.replace("schedules=20", "schedules=20000"))
    ran = wallet.pytest("--timeout=1.5", f"--timeout-method={method}")
    assert ran.code == 1, ran.text
    assert "Hypothesis" not in ran.text
    assert "WrappedBaseException" not in ran.text
    if method == "signal":
        assert "Failed: Timeout (>1.5s) from pytest-timeout." in ran.out
        assert "limit.py" not in ran.out
    else:
        assert "+ Timeout +" in ran.text
    assert wallet.repros == []


def test_a_timeout_ends_a_test_that_it_meets_before_the_first_schedule(wallet: Project) -> None:
    """There a failure of the test's own is none: it is tried on half a stream, which may mean nothing to it."""
    wallet.write("test_wallet.py", HEAD + SLOW.replace("time.sleep(0.01)", "time.sleep(0.4)"))
    ran = wallet.pytest("--timeout=1", "--timeout-method=signal")
    assert "Failed: Timeout (>1.0s) from pytest-timeout." in ran.out
    assert ran.code == 1, ran.text


def test_a_limit_holds_beside_an_outer_timeout_that_is_longer(wallet: Project) -> None:
    """Both want the same signal."""
    wallet.write("test_wallet.py", HEAD + WAITS)
    ran = wallet.pytest("--timeout=200", "--timeout-method=signal", "--chaos-limit=0.5s", "-k", "test_waits")
    assert ran.code == 1, ran.text
    assert "the handler did not return within 0.5 s: step " in ran.out
    assert "(1 event, 1 fault, minimal)" in ran.out


DEAF = """
@pytest.mark.asyncio
@chaos(PAYMENTS, broker=Kafka(partitions=6), faults={Duplicate}, schedules=20)
async def test_deaf(deliver):
    seen, balances = set(), {}
    async def handle(message):
        while True:
            try:
                await asyncio.sleep(0.01)
                assert message.id not in seen
                break
            except:
                pass
        seen.add(message.id)
        balances[message.key] = balances.get(message.key, 0) + message.value
    await deliver(handle)
    return balances
"""


def test_a_coroutine_that_swallows_everything_does_not_keep_the_loop_of_a_plugin(wallet: Project) -> None:
    """The loop would wait for it when it is closed."""
    wallet.write("test_wallet.py", HEAD + "import asyncio\n" + DEAF)
    options = ("-p", "no:anyio", "-p", "no:faker", "-o", "asyncio_default_fixture_loop_scope=function")
    ran = wallet.run("pytest", *options, "--chaos-limit=0.4s", "--chaos-seed=1", "--timeout=100")
    assert ran.code == 1, ran.text
    assert "the handler did not return within 0.4 s: step " in ran.out
    assert "(1 event, 1 fault, minimal)" in ran.out
    assert "1 failed" in ran.out


@pytest.mark.parametrize("given", ["0", "soon"])
def test_what_is_no_limit_is_a_usage_error(wallet: Project, given: str) -> None:
    ran = wallet.pytest(f"--chaos-limit={given}")
    assert ran.code == 4
    assert f"--chaos-limit: {given!r} is no length of time" in ran.err
