"""--chaos-time: how long a test is searched, and what is said when nothing new is seen."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Duplicate, Kafka, Redeliver
from chaoskit.invariants import final_state
from chaoskit.search.investigate import investigate
from chaoskit.search.oracle import Subject
from chaoskit.search.question import SearchSettings, question
from chaoskit.strategies import events
from plugin.projects import FIXED, HEAD, LONELY, PARALLEL, WALLET, Project, environment

SMALL = """
from handlers import handler

@chaos([Event("alice", 1), Event("alice", 2)], broker=Kafka(partitions=1), faults={Duplicate, Redeliver})
def test_literal(deliver):
    balances = {}
    deliver(handler(balances))
    return balances

@chaos(events(st.integers(1, 2), keys=st.just("alice"), max_size=2), broker=Kafka(partitions=1), faults={Duplicate})
def test_drawn(deliver):
    balances = {}
    deliver(handler(balances))
    return balances
"""


def schedules(text: str) -> int:
    found = re.search(r"held: ([\d,]+) schedules", text)
    assert found is not None, text
    return int(found[1].replace(",", ""))


def searched(text: str) -> float:
    """The seconds that are told. How many more than asked for they are is the machine's affair."""
    found = re.search(r"searched for ([\d.]+) s\b", text)
    assert found is not None, text
    return float(found[1])


@pytest.mark.parametrize("mode", [(), PARALLEL], ids=["alone", "xdist"])
def test_a_longer_time_tries_more_whatever_the_decorator_says(wallet: Project, mode: tuple[str, ...]) -> None:
    """The time counts, not the thousand schedules; and it is told."""
    wallet.write("handlers.py", FIXED)
    short, long = (wallet.pytest(f"--chaos-time={time}", "--chaos-seed=1", *mode) for time in ("0.2s", "4s"))
    assert short.code == long.code == 0, short.text + long.text
    assert 4 <= searched(long.out) < 60
    assert schedules(long.out) > 2 * schedules(short.out) > 0
    assert schedules(long.out) > 1000


def test_a_number_of_schedules_ends_it_earlier(wallet: Project) -> None:
    wallet.write("handlers.py", FIXED)
    ran = wallet.pytest("--chaos-time=1h", "--chaos-schedules=120", "--chaos-seed=1")
    assert ran.code == 0, ran.text
    assert schedules(ran.out) == 120


def test_it_ends_early_where_nothing_new_is_seen(wallet: Project) -> None:
    """Of two events there are few schedules: a literal list and a small strategy are through long before an hour."""
    wallet.write("handlers.py", FIXED)
    wallet.write("test_wallet.py", HEAD + SMALL)
    ran = wallet.pytest("--chaos-time=1h", "--chaos-seed=1")
    assert ran.code == 0, ran.text
    shown = ran.said_of()
    assert len(shown) == 2
    for text in shown.values():
        assert re.search(r"stopped after [\d.]+ s of 1 h: the search sees nothing new any more", text), ran.text


def test_a_failure_ends_it_and_is_shrunk_however_little_time_was_left(wallet: Project) -> None:
    """The time never ends within a stream, nor while a failure is made minimal."""
    ran = wallet.pytest("--chaos-time=0.01s", "--chaos-seed=1")
    assert ran.code == 1, ran.text
    assert "1 fault, minimal" in ran.out, ran.text
    assert len(wallet.repros) == 1


@pytest.mark.parametrize("given", ["0", "soon", "-5s", "10 minutes"])
def test_what_is_no_time_is_a_usage_error(wallet: Project, given: str) -> None:
    ran = wallet.pytest(f"--chaos-time={given}")
    assert ran.code == 4, ran.text
    assert f"--chaos-time: {given!r} is no length of time; write it as 30s, 10m" in ran.err
    assert "Traceback" not in ran.text


def test_a_clock_that_jumps_changes_nothing(wallet: Project) -> None:
    """The time of day goes back and forth under a test, and the handler stops the clock that never jumps."""
    wallet.write("handlers.py", FIXED)
    wallet.write(
        "test_wallet.py",
        HEAD + "import time\ntime.time = iter([0, 9e9] * 10**6).__next__\ntime.monotonic = lambda: 7.0\n" + WALLET,
    )
    ran = wallet.pytest("--chaos-time=0.5s", "--chaos-seed=1")
    assert ran.code == 0, ran.text
    assert 0.5 <= searched(ran.out) < 60


PATIENCE = """
import chaoskit.pytest.session, chaoskit.pytest.progress

assert chaoskit.pytest.session.DEFAULT_TIME == 60
assert chaoskit.pytest.progress.EVERY == 30
chaoskit.pytest.session.DEFAULT_TIME = 2.5  # how it stands is asked about once a second
chaoskit.pytest.progress.EVERY = 0.3
chaoskit.pytest.progress.PATIENCE = 0.3
"""

SLOW = """
import time
from handlers import handler

@chaos(PAYMENTS, broker=Kafka(partitions=6){more})
def test_{name}(deliver):
    time.sleep(0.02)
    balances = {{}}
    deliver(handler(balances))
    return balances
"""


@pytest.mark.parametrize("mode", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_a_slow_test_ends_after_a_time_that_is_said_and_tells_a_log_how_it_stands(
    wallet: Project, mode: tuple[str, ...]
) -> None:
    """A minute, here 2.5 seconds; between streams. A number that somebody gave is run to its end."""
    wallet.write("handlers.py", FIXED)
    wallet.write("conftest.py", PATIENCE)
    given = SLOW.format(name="given", more=", schedules=90")
    wallet.write("test_wallet.py", HEAD + SLOW.format(name="default", more="") + given)
    ran = wallet.pytest("--chaos-seed=1", *mode)
    assert ran.code == 0, ran.text
    shown = ran.said_of()
    default, given = shown["test_wallet.py::test_default"], shown["test_wallet.py::test_given"]
    found = re.search(r"the time ended it: (\d+) of 1,000 schedules in [\d.]+ s\. schedules=, --chaos-", default)
    assert found is not None, ran.text
    assert schedules(default) == int(found[1]) >= 10  # those of a stream
    assert schedules(given) == 90
    assert "the time ended it" not in given
    lines = r"chaoskit: test_wallet.py::test_default: \d+ of 1,000 schedules, [\d.]+ s\n"
    assert re.search(lines, ran.err if mode else ran.out), ran.text


def test_a_terminal_shows_how_a_long_test_stands_and_forgets_it(wallet: Project) -> None:
    """The line is written over, and nothing of it is left; what the handler prints stays unseen."""
    pty = pytest.importorskip("pty", reason="a terminal that a test can read is there on POSIX only")
    wallet.write(
        "handlers.py", FIXED.replace("    def handle(message):", "    def handle(message):\n        print('!')")
    )
    wallet.write("conftest.py", PATIENCE)
    wallet.write("test_wallet.py", HEAD + SLOW.format(name="default", more=""))
    ours, theirs = pty.openpty()
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", *LONELY, "--color=no"],
        cwd=wallet.root, env=environment(), stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while part := os.read(ours, 1 << 16):
            shown += part
    os.close(ours)
    assert run.wait(timeout=60) == 0, shown
    text = shown.decode()
    assert re.search(r"\rchaoskit: test_wallet.py::test_default: \d+ of 1,000 schedules, [\d.]+ s +\r", text), text
    assert re.search(r"s +\r +\r(test_wallet\.py )?\.", text), text
    assert "!" not in text


@pytest.mark.parametrize("most", [1, 2, 3])
def test_the_default_time_only_cuts_off_between_streams(most: int) -> None:
    """What was tried until then is what is tried first where there is time enough."""

    def tried(patience: float | None) -> list[list[object]]:
        runs: list[list[object]] = []

        def test(deliver: Any) -> Any:
            state, seen = {}, []
            runs.append(seen)

            def handle(message: Any) -> None:
                seen.append((message.id, message.value))
                state[message.id] = message.value

            deliver(handle)
            return state

        subject = Subject(test, Kafka(), (final_state(),))
        events_ = events(st.integers(1, 9), keys=st.sampled_from("ab"))
        settings = SearchSettings(schedules=60 * most, seed=most, patience=patience)
        verdict = investigate(question(subject, events_, settings, faults={Duplicate, Redeliver}))
        assert verdict.tally.schedules
        return runs

    whole, cut = tried(None), tried(1e-9)
    assert len(cut) < len(whole)
    assert whole[: len(cut)] == cut
