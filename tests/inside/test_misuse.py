"""What a handler may do to a search that looks inside of it, and what becomes of that."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Crash, Kafka, Message
from chaoskit.strategies import events
from inside.subjects import Store

PAYMENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]), max_size=4)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_of_the_handlers_own_does_not_die_in_its_place() -> None:
    def test(deliver: Any) -> dict[str, int]:
        store = Store()

        def handle(message: Message) -> None:
            child = os.fork()
            if not child:
                str.upper("an effect of the child's")
                os._exit(0)
            os.waitpid(child, 0)
            store.add_once([message])

        deliver(spawn=lambda: handle)
        return store.balances

    verdict = chaoskit.check(test, PAYMENTS, Kafka(partitions=1), faults={Crash}, schedules=40, seed=1, limit=5)
    assert verdict.status == "held", verdict.report()
