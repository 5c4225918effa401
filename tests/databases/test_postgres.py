"""A consumer over a real PostgreSQL: a process that dies between two commits is found, and one transaction holds."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import strategies as st

from chaoskit import Crash, Fail, Kafka, Overlap, RabbitMQ, Verdict, check
from chaoskit.strategies import events
from databases.servers import Postgres
from databases.wallets import (
    TABLES,
    Process,
    with_async_sqlalchemy,
    with_asyncpg,
    with_psycopg,
    with_sqlalchemy,
)

PAYMENTS = events(st.integers(1, 9), keys=st.sampled_from("ab"), max_size=4)
SYNC: list[Callable[..., Process]] = [with_psycopg, with_sqlalchemy]
ASYNC: list[Callable[..., Process]] = [with_asyncpg, with_async_sqlalchemy]


def balances(server: Postgres) -> dict[str, int]:
    with psycopg.connect(server.uri) as db:
        return dict(db.execute("SELECT owner, amount FROM balances").fetchall())


def reset(server: Postgres) -> None:
    with psycopg.connect(server.uri, autocommit=True) as db:
        db.execute(TABLES)


def checked(server: Postgres, process: Process, *, is_async: bool, **more: Any) -> Verdict:
    def test(deliver: Any) -> dict[str, int]:
        reset(server)
        deliver(spawn=process)
        return balances(server)

    async def awaited(deliver: Any) -> dict[str, int]:
        reset(server)
        await deliver(spawn=process)
        return balances(server)

    settings: dict[str, Any] = {"broker": Kafka(partitions=1), "schedules": 40} | more
    return check(awaited if is_async else test, PAYMENTS, **settings)


@pytest.mark.parametrize("wallet", [*SYNC, *ASYNC], ids=lambda wallet: wallet.__name__)
def test_two_commits_are_found_with_one_event_and_one_transaction_holds(
    server: Postgres, wallet: Callable[..., Process]
) -> None:
    """The server rolls back what a dead process had begun, and keeps what it had committed."""
    is_async = wallet in ASYNC
    broken = checked(server, wallet(server, together=False), is_async=is_async, faults={Crash})
    assert broken.status == "violated"
    assert (len(broken.scenario.events), len(broken.scenario.faults)) == (1, 1)
    right = checked(server, wallet(server, together=True), is_async=is_async)
    assert right.status == "held"
    assert right.tally.by_kind["Crash"]


def test_what_the_page_of_databases_shows_holds(server: Postgres) -> None:
    """Its recipe, word by word; and with a commit between the two statements it fails."""
    page = (Path(__file__).parents[2] / "docs" / "databases.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"<!-- block: psycopg -->\n```python\n(.*?)```", page, re.DOTALL)
    reset(server)
    for text, status in (
        (block, "held"),
        (block.replace("if new:", "db.execute('COMMIT')\n" + " " * 16 + "if new:"), "violated"),
    ):
        names: dict[str, Any] = {
            "DSN": server.uri, "psycopg": psycopg, "contextmanager": contextmanager, "payments": PAYMENTS,
            "Kafka": Kafka, "chaos": lambda *given, **more: lambda test: test,
        }  # fmt: skip
        exec(compile(text, "page", "exec"), names)
        verdict = check(names["test_wallet"], PAYMENTS, broker=Kafka(partitions=1), schedules=40, points=("page",))
        assert verdict.status == status
        assert status == "held" or [type(fault) for fault in verdict.scenario.faults] == [Crash]


def test_the_same_seed_gives_the_same_on_a_real_server(server: Postgres) -> None:
    """Schedules, their number and the minimum do not depend on how fast it answers."""
    found = {repr(checked(server, with_psycopg(server, together=False), is_async=False, seed=3)) for _ in range(2)}
    assert len(found) == 1


def test_faults_of_all_kinds_inside_are_the_same_in_every_repeat(server: Postgres) -> None:
    """Deaths, stops that wait for locks, and failed calls: what was tried, and what came of it."""
    right, faults = with_psycopg(server, together=True), {Crash, Overlap, Fail}
    broker = RabbitMQ(consumers=2)
    found = [checked(server, right, is_async=False, seed=5, faults=faults, broker=broker, schedules=12) for _ in "123"]
    assert len({repr(verdict) for verdict in found}) == 1
    assert found[0].status == "held"
    assert set(found[0].tally.by_kind) == {"Crash", "Overlap", "Fail"}


def test_no_connection_is_left(server: Postgres) -> None:
    """Neither by processes that died nor by those that stopped."""
    checked(server, with_psycopg(server, together=True), is_async=False, faults={Crash}, schedules=30)
    counted = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'postgres'"
    patience = time.monotonic() + 10  # the server's process ends a moment after its client has gone
    with psycopg.connect(server.uri, autocommit=True) as db:
        while db.execute(counted).fetchone() != (1,):
            assert time.monotonic() < patience
            time.sleep(0.02)
