"""Known mistakes inside a handler, over real databases: each is found, and its right twin holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import redis
from hypothesis import strategies as st

import chaoskit
from chaoskit import Crash, Event, Fail, Kafka, Overlap, RabbitMQ
from chaoskit.strategies import events
from databases import pairs, valkey_pairs
from databases.servers import Postgres
from fuzz.servers import Valkey, valkey

PAYMENTS = events(st.integers(1, 9), keys=st.sampled_from("ab"), max_size=3)
FEW = [Event("a", 1), Event("a", 2)]
LOG, QUEUE = Kafka(partitions=1), RabbitMQ(consumers=2)


@attrs.frozen
class Pair:
    wrong: Callable[[Any], pairs.Handle]
    right: Callable[[Any], pairs.Handle]
    kind: type
    events: int = 1

    @property
    def broker(self) -> Any:
        """Two messages of one key at once are a queue's with consumers that compete."""
        return LOG if self.events == 1 else QUEUE


SQL = {
    "inbox row outside the transaction": Pair(pairs.inbox_row_outside, pairs.inbox_row_inside, Crash),
    "outbox row outside the transaction": Pair(pairs.outbox_row_outside, pairs.outbox_row_inside, Crash),
    "swallowed commit": Pair(pairs.swallows_the_commit, pairs.inbox_row_inside, Fail),
    "check, then insert": Pair(pairs.checks_then_inserts, pairs.unique_key, Overlap),
    "lost update": Pair(pairs.reads_before_it_locks, pairs.locks_the_row, Overlap, events=2),
}
POSTGRES = SQL | {
    "advisory lock of nothing": Pair(pairs.advisory_lock_of_nothing, pairs.compares_a_version, Overlap, events=2)
}
VALKEY = {
    "outbox row outside the transaction": Pair(valkey_pairs.outbox_row_outside, valkey_pairs.outbox_row_inside, Crash),
    "check, then insert": Pair(valkey_pairs.checks_then_pushes, valkey_pairs.set_nx, Overlap),
    "lost update": Pair(valkey_pairs.reads_before_it_writes, valkey_pairs.watches_what_it_reads, Overlap, events=2),
    "lock with a TTL": Pair(valkey_pairs.lock_without_a_fence, valkey_pairs.lock_with_a_fence, Overlap),
}


def over_sql(own: pairs.Db, make: Callable[[Any], pairs.Handle]) -> Any:
    def test(deliver: Any) -> dict[str, list[Any]]:
        pairs.reset(own)

        @contextmanager
        def process() -> Iterator[pairs.Handle]:
            with own.database.opened() as db:
                yield make(db)

        deliver(spawn=process)
        return pairs.rows(own)

    return test


def over_valkey(server: Valkey, make: Callable[[Any], pairs.Handle]) -> Any:
    def test(deliver: Any) -> dict[str, Any]:
        @contextmanager
        def process() -> Iterator[pairs.Handle]:
            with redis.Redis.from_url(server.url, decode_responses=True) as client:
                yield make(client)

        with redis.Redis.from_url(server.url, decode_responses=True) as client:
            client.flushdb()
            deliver(spawn=process)
            return valkey_pairs.rows(client)

    return test


def assert_found_and_held(pair: Pair, over: Callable[[Any], Any]) -> None:
    found = chaoskit.check(over(pair.wrong), PAYMENTS, pair.broker, faults={pair.kind}, seed=1, schedules=60)
    assert found.scenario is not None, found.reasons
    assert [type(fault) for fault in found.scenario.faults] == [pair.kind]
    assert len(found.scenario.events) == pair.events
    for kind in (Crash, Overlap, Fail):
        right = chaoskit.check(over(pair.right), FEW, pair.broker, faults={kind}, seed=1, schedules=5)
        assert right.status == "held", right.report()
        assert right.tally.by_kind[kind.__name__] > 1


@pytest.mark.parametrize("name", SQL)
def test_on_sqlite(name: str, tmp_path: Path) -> None:
    with pairs.sqlite(tmp_path / "pairs.db") as own:
        assert_found_and_held(SQL[name], lambda make: over_sql(own, make))


@pytest.mark.parametrize("name", POSTGRES)
def test_on_postgresql(name: str, server: Postgres) -> None:
    with pairs.postgresql(server) as own:
        assert_found_and_held(POSTGRES[name], lambda make: over_sql(own, make))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with valkey(tmp_path_factory.mktemp("valkey")) as running:
        yield running


@pytest.mark.parametrize("name", VALKEY)
def test_on_valkey(name: str, keys: Valkey) -> None:
    """A transaction of two commands has its own test beside this one."""
    assert_found_and_held(VALKEY[name], lambda make: over_valkey(keys, make))
