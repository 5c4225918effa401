"""--chaos-time: how long a test is searched, and what is said when nothing new is seen."""

from __future__ import annotations

import re

import pytest

from plugin.projects import FIXED, HEAD, PARALLEL, WALLET, Project

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


@pytest.mark.parametrize("mode", [(), PARALLEL], ids=["alone", "xdist"])
def test_a_longer_time_tries_more_whatever_the_decorator_says(wallet: Project, mode: tuple[str, ...]) -> None:
    """The time counts, not the thousand schedules; and it is told."""
    wallet.write("handlers.py", FIXED)
    short, long = (wallet.pytest(f"--chaos-time={time}", "--chaos-seed=1", *mode) for time in ("0.2s", "4s"))
    assert short.code == long.code == 0, short.text + long.text
    assert "searched for 4." in long.out, long.text
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
    said = ran.said_of()
    assert len(said) == 2
    for text in said.values():
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
    """The time of day goes back and forth under a test; what is measured is another clock."""
    wallet.write("handlers.py", FIXED)
    wallet.write(
        "test_wallet.py",
        HEAD + "import time\ntime.time = iter([0, 9e9] * 10**6).__next__\n" + WALLET,
    )
    ran = wallet.pytest("--chaos-time=0.5s", "--chaos-seed=1")
    assert ran.code == 0, ran.text
    assert "searched for 0." in ran.out
