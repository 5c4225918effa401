"""A consumer over a real Valkey: two commands are two effects, and a MULTI is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from hypothesis import strategies as st

from chaoskit import Crash, Kafka, Message, Verdict, check
from chaoskit.strategies import events
from fuzz.servers import Valkey, valkey

PAYMENTS = events(st.integers(1, 9), keys=st.sampled_from("ab"), max_size=4)
Write = Callable[[Any, Message], None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with valkey(tmp_path_factory.mktemp("valkey")) as running:
        yield running


def two_commands(client: Any, message: Message) -> None:
    client.hincrby("balances", message.key, message.value)
    client.sadd("seen", message.id)


def one_multi(client: Any, message: Message) -> None:
    with client.pipeline(transaction=True) as pipe:
        pipe.watch("seen")  # by which an execution that was there first is noticed
        if pipe.sismember("seen", message.id):
            return
        pipe.multi()
        pipe.hincrby("balances", message.key, message.value)
        pipe.sadd("seen", message.id)
        pipe.execute()


def checked(server: Valkey, write: Write, **more: Any) -> Verdict:
    @contextmanager
    def process() -> Iterator[Callable[[Message], None]]:
        with redis.Redis.from_url(server.url) as client:

            def handle(message: Message) -> None:
                if not client.sismember("seen", message.id):
                    write(client, message)

            yield handle

    def test(deliver: Any) -> dict[bytes, bytes]:
        with redis.Redis.from_url(server.url) as client:
            client.flushdb()
            deliver(spawn=process)
            return client.hgetall("balances")  # type: ignore[no-any-return]

    return check(test, PAYMENTS, broker=Kafka(partitions=1), schedules=60, **more)


def test_two_commands_are_found_with_one_event(server: Valkey) -> None:
    """A single command stays when its process dies."""
    verdict = checked(server, two_commands, faults={Crash})
    assert verdict.status == "violated"
    assert (len(verdict.scenario.events), len(verdict.scenario.faults)) == (1, 1)


def test_a_multi_leaves_nothing_or_all(server: Valkey) -> None:
    verdict = checked(server, one_multi)
    assert verdict.status == "held"
    assert verdict.tally.by_kind["Crash"]
