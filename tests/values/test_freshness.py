"""A store that outlives its run is an error, however well it hides that; one that is emptied for each run is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Duplicate, Event, Kafka
from chaoskit.strategies import events
from chaoskit.values.errors import StaleState

PAYMENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]))
SETTINGS: dict[str, Any] = {"faults": {Duplicate}, "schedules": 100, "seed": 1}


def highest(store: dict[Any, Any], message: Any) -> Any:
    """Taken twice it says the same."""
    store[message.key] = max(store.get(message.key, 0), message.value)
    return store[message.key]


def all_of_them(store: dict[Any, Any], message: Any) -> Any:
    """A set takes what it has already."""
    store.setdefault(message.key, set()).add(message.value)
    return sorted(store[message.key])


def by_id(store: dict[Any, Any], message: Any) -> Any:
    """An upsert by the event's id, of which other streams have others."""
    store.setdefault(message.key, {})[message.id] = 1
    return sum(store[message.key].values())


def over(store: dict[Any, Any], use: Callable[..., Any], *, emptied: bool) -> Callable[[Any], Any]:
    """A test that reads its store through its handler only."""

    def test(deliver: Any) -> Any:
        if emptied:
            store.clear()
        seen: dict[Any, Any] = {}
        deliver(lambda message: seen.update({message.key: use(store, message)}))
        return seen

    return test


@pytest.mark.parametrize("use", [highest, all_of_them, by_id])
def test_what_a_store_keeps_of_other_streams_is_noticed(use: Callable[..., Any]) -> None:
    """One stream alone, run again, gives the same, and no stream at all gives nothing."""
    between = "two in-order runs of one stream, with (another|a longer one) between, differ at state"
    with pytest.raises(StaleState, match=f"state of an earlier run is still there.*{between}"):
        chaoskit.check(over({}, use, emptied=False), PAYMENTS, Kafka(), **SETTINGS)


@pytest.mark.parametrize("use", [highest, all_of_them, by_id])
def test_a_store_that_is_emptied_for_each_run_is_held(use: Callable[..., Any]) -> None:
    """It may live as long as it likes."""
    assert chaoskit.check(over({}, use, emptied=True), PAYMENTS, Kafka(), **SETTINGS).status == "held"


@pytest.mark.parametrize("emptied", [True, False])
def test_a_store_that_refuses_what_it_has_is_told_as_one_that_is_still_there(emptied: bool) -> None:
    """Not as a handler that refuses what came in order: the first time it did not."""
    rows: set[Any] = set()

    def test(deliver: Any) -> Any:
        if emptied:
            rows.clear()
        done: dict[Any, int] = {}

        def handle(message: Any) -> None:
            if done.get(message.id):
                return
            if message.id in rows:
                raise LookupError(f"{message.id} exists already")
            rows.add(message.id)
            done[message.id] = message.value

        deliver(handle)
        return done

    stream = [Event("a", 1), Event("a", 2)]
    if emptied:
        assert chaoskit.check(test, stream, Kafka(), **SETTINGS).status == "held"
        return
    with pytest.raises(StaleState, match="took e1 in the first and raised LookupError on it in the second: e1 exists"):
        chaoskit.check(test, stream, Kafka(), **SETTINGS)


def test_the_state_of_few_streams_only_is_looked_at_again() -> None:
    """It costs two runs a stream, which a long search does not pay for all of its streams."""
    runs: list[int] = []

    def test(deliver: Any) -> Any:
        sums: dict[Any, int] = {}
        deliver(lambda message: sums.update({message.key: message.value}))
        runs.append(1)
        return sums

    verdict = chaoskit.check(test, PAYMENTS, Kafka(), **(SETTINGS | {"schedules": 2000}))
    assert verdict.status == "held"
    assert verdict.tally.streams >= 30
    assert len(runs) <= verdict.tally.schedules * 1.12


@pytest.mark.parametrize("leave", [lambda: pytest.fail("too few"), lambda: hypothesis.assume(False)])
def test_a_test_to_which_half_a_stream_is_none_is_held(leave: Callable[[], Any]) -> None:
    """It may fail, skip or assume there: the half is run to see what is left of it, and for nothing else."""

    def test(deliver: Any) -> Any:
        done: dict[Any, Any] = {}
        deliver(lambda message: done.update({message.id: message.value}))
        if 0 < len(done) < 3:
            leave()
        return done

    stream = [Event("a", number) for number in range(1, 5)]
    assert chaoskit.check(test, stream, Kafka(), **SETTINGS).status == "held"
