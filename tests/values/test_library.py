"""check, run, replay and save, without pytest around them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import SkipTest

import pytest
from hypothesis import strategies as st
from hypothesis.errors import UnsatisfiedAssumption

import chaoskit
from chaoskit import (
    ChaosError,
    Duplicate,
    Event,
    ImpossibleFault,
    Kafka,
    Message,
    Redeliver,
    Scenario,
    UsageError,
    check,
    run,
)
from chaoskit.repro.read import read
from chaoskit.strategies import events
from chaoskit.values.errors import NotDeterministic, ReproError, StaleState

PAYMENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]))
LITERAL = [Event("alice", 3), Event("alice", 5), Event("bob", 7)]


def adder(balances: dict[str, int]) -> Callable[[Message], None]:
    def handle(message: Message) -> None:
        balances[message.key] = balances.get(message.key, 0) + message.value

    return handle


def buggy(deliver: Any) -> dict[str, int]:
    """Counts a second delivery again."""
    balances: dict[str, int] = {}
    deliver(adder(balances))
    return balances


def correct(deliver: Any) -> dict[str, int]:
    """Remembers the ids that it has seen."""
    balances: dict[str, int] = {}
    seen: set[Any] = set()
    add = adder(balances)

    def handle(message: Message) -> None:
        if message.id not in seen:
            seen.add(message.id)
            add(message)

    deliver(handle)
    return balances


async def buggy_async(deliver: Any) -> dict[str, int]:
    """The same bug behind an await."""
    balances: dict[str, int] = {}
    add = adder(balances)

    async def handle(message: Message) -> None:
        await asyncio.sleep(0)
        add(message)

    await deliver(handle)
    return balances


@pytest.mark.parametrize("test", [buggy, buggy_async])
@pytest.mark.parametrize("stream", [PAYMENTS, LITERAL], ids=["strategy", "literal"])
def test_check_finds_a_minimal_failure(test: Any, stream: Any) -> None:
    """One event, one fault, and both states, for plain and for async functions."""
    verdict = check(test, stream, seed=1, faults={Duplicate})
    assert verdict.status == "violated"
    assert verdict.scenario is not None
    assert verdict.schedule is not None
    (event,) = verdict.scenario.events
    assert verdict.scenario.faults == (Duplicate(event.id),)
    assert verdict.schedule.delivered == (event.id, event.id)
    assert verdict.expected == {event.key: event.value}
    assert verdict.observed == {event.key: 2 * event.value}
    assert [violation.invariant for violation in verdict.violations] == ["final_state"]


def test_check_holds_a_correct_handler_and_says_what_it_tried() -> None:
    """A held verdict counts its schedules and names the kinds that took effect."""
    verdict = check(correct, PAYMENTS, seed=1, schedules=200)
    assert (verdict.status, verdict.tally.schedules) == ("held", 200)
    assert "Duplicate" in verdict.tally.effective


@pytest.mark.parametrize("seed", [2, 3])
def test_few_different_streams_have_all_the_schedules_that_were_asked_for(seed: int) -> None:
    """Fourteen streams are all that the strategy has: more are drawn until nothing new comes."""
    verdict = check(correct, events(st.booleans(), st.just("a"), min_size=1, max_size=3), schedules=1000, seed=seed)
    assert (verdict.status, verdict.tally.schedules) == ("held", 1000)


def test_a_literal_stream_keeps_its_events() -> None:
    """What is found in a literal list has its ids and values."""
    verdict = check(buggy, LITERAL, seed=1, faults={Redeliver})
    assert verdict.scenario is not None
    assert set(verdict.scenario.events) <= {
        Event("alice", 3, "e1", 1),
        Event("alice", 5, "e2", 1),
        Event("bob", 7, "e3", 1),
        Event("alice", 5, "e2", 2),
    }


def test_the_same_seed_gives_the_same_verdict() -> None:
    """Scenario, states and tally; another seed may give another, and none is drawn and told."""
    one, two = (check(buggy, PAYMENTS, seed=5) for _ in range(2))
    assert (one.scenario, one.expected, one.tally, one.seed) == (two.scenario, two.expected, two.tally, 5)
    assert check(buggy, PAYMENTS).seed is not None


def test_check_names_what_cannot_be_asked() -> None:
    """Each in the user's terms, before anything runs."""
    with pytest.raises(ImpossibleFault, match="idempotent_producer=False"):
        check(buggy, PAYMENTS, faults={chaoskit.BatchSwap})
    with pytest.raises(UsageError, match="schedules=0"):
        check(buggy, PAYMENTS, schedules=0)
    with pytest.raises(UsageError, match="the list of events is empty"):
        check(buggy, [])
    with pytest.raises(UsageError, match="across_keys='maybe'"):
        check(buggy, PAYMENTS, across_keys="maybe")
    with pytest.raises(UsageError, match="strategy"):
        check(buggy, 17)


def test_check_raises_what_a_run_cannot_answer() -> None:
    """State of an earlier run, and a handler with two results."""
    stored: dict[str, int] = {}

    def leaking(deliver: Any) -> dict[str, int]:
        deliver(adder(stored))
        return dict(stored)

    with pytest.raises(StaleState, match=r"differ at state\['"):
        check(leaking, PAYMENTS, seed=1)
    calls: list[int] = []

    def moody(deliver: Any) -> int:
        """Wrong now and then where something comes twice."""
        seen: list[Any] = []
        deliver(lambda message: seen.append(message.id))
        calls.extend([1] * (len(set(seen)) < len(seen)))
        return int(len(set(seen)) < len(seen) and len(calls) % 7 == 0)

    with pytest.raises(NotDeterministic, match="two states"):
        check(moody, PAYMENTS, seed=1)


def test_run_plays_one_scenario() -> None:
    """Violated with the fault, held with a handler that survives it, unknown where nothing goes wrong."""
    scenario = Scenario(LITERAL, Kafka(partitions=1), [Redeliver("e1", 1)])
    broken = run(buggy, scenario)
    assert broken.schedule is not None
    assert (broken.status, broken.schedule.delivered) == ("violated", ("e1", "e2", "e1", "e2", "e3"))
    assert (broken.expected, broken.observed) == ({"alice": 8, "bob": 7}, {"alice": 16, "bob": 7})
    assert run(correct, scenario).status == "held"
    calm = run(buggy, Scenario(LITERAL, Kafka()))
    assert (calm.status, calm.reasons) == ("unknown", ("no fault changed the schedule: it is in-order delivery",))


def test_a_fault_without_its_event_is_an_error() -> None:
    """A scenario that names an event that is not there cannot be built."""
    with pytest.raises(UsageError, match="no event has the id 'e9'"):
        Scenario(LITERAL, Kafka(), [Duplicate("e9")])


def test_a_function_of_a_module_is_named_and_replayed(tmp_path: Path) -> None:
    """A function that check() was given is named as pytest would name it, and found where its module is imported."""
    path = check(buggy, PAYMENTS, seed=1).save(tmp_path)
    assert read(path).test == f"{Path(__file__).relative_to(Path.cwd()).as_posix()}::buggy"
    assert chaoskit.replay(path).status == "violated"


def test_a_function_without_a_place_is_saved_and_cannot_be_replayed(tmp_path: Path) -> None:
    """A local function has no name that could be found again: its file can be shown, and replay says why not."""

    def local(deliver: Any) -> dict[str, int]:
        return buggy(deliver)

    path = check(local, PAYMENTS, seed=1).save(tmp_path)
    assert read(path).test == ""
    with pytest.raises(ReproError, match="it names no test"):
        chaoskit.replay(path)


def test_replay_names_a_file_that_is_not_there(tmp_path: Path) -> None:
    """One line, as an error of ours."""
    with pytest.raises(ChaosError, match="no such file"):
        chaoskit.replay(tmp_path / "gone.json")


def test_the_package_is_lazy_and_names_what_it_does_not_have() -> None:
    """Every public name is there, and no other."""
    for name in chaoskit.__all__:
        assert getattr(chaoskit, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'Rabbit'"):
        _ = chaoskit.Rabbit


@pytest.mark.parametrize(
    "value", [{"amount": 1}, [1], {"lines": [{"amount": 1}]}, ({"amount": 1},), {1, 2}], ids=lambda value: str(value)
)
def test_a_handler_that_changes_its_message_harms_nobody(value: Any) -> None:
    """The second delivery has a value of its own, however that is copied."""

    def test(deliver: Any) -> Any:
        seen: set[str] = set()

        def handle(message: Message) -> None:
            seen.add(repr(message.value))
            inner = message.value[0] if isinstance(message.value, tuple) else message.value
            inner.clear()

        deliver(handle)
        return sorted(seen)

    stream = [Event("a", value)]
    assert run(test, Scenario(stream, Kafka(), [Duplicate("e1")])).status == "held"


@pytest.mark.parametrize("word", [UnsatisfiedAssumption, SkipTest])
def test_what_the_body_tells_its_runner_after_the_deliveries_is_no_failure(word: type[Exception]) -> None:
    """An assumption that does not hold, a skip: they are addressed to whoever drew the stream."""

    def test(deliver: Any) -> Any:
        count: list[int] = []
        deliver(lambda message: count.append(1))
        if len(count) > 1:
            raise word
        return {"count": 1}

    with pytest.raises(word):
        run(test, Scenario([Event("a", 1)], Kafka(), [Duplicate("e1")]))
