"""A test whose state cannot show what goes wrong is unknown, and no test that can is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import strategies as st

from chaoskit import (
    Celery,
    Duplicate,
    Event,
    InOrder,
    Invariant,
    Kafka,
    PostgresQueue,
    Redeliver,
    Rehash,
    SqsStandard,
    Verdict,
    check,
)
from chaoskit.brokers import Settings
from chaoskit.invariants import final_state, no_error
from chaoskit.strategies import events
from handlers import name
from handlers.buggy import BUGGY
from handlers.correct import CORRECT
from handlers.small import counts, sums

PAYMENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob", "carol"]))
SCHEDULES = 200
SIBLINGS = "of the events that share their key with others, leaving one out never changed the state"

Test = Callable[[Any], Any]


def calls(deliver: Any) -> Mock:
    """What a service behind the handler was called with."""
    bank = Mock()
    deliver(lambda message: bank.book(message.key, message.value))
    return bank


def swallow(deliver: Any) -> dict[str, int]:
    """A handler that fails at every message, and says nothing."""
    balances: dict[str, int] = {}

    def handle(message: Any) -> None:
        with suppress(KeyError):
            balances[message.key] += message.value

    deliver(handle)
    return balances


SHOWS_KEYS_ONLY: dict[str, Test] = {
    "the set of keys": lambda deliver: set(counts(deliver)),
    "sorted keys": lambda deliver: sorted(counts(deliver)),
    "how many keys": lambda deliver: len(counts(deliver)),
    "whether there is any": lambda deliver: bool(counts(deliver)),
    "whether each was paid": lambda deliver: {key: min(value, 1) for key, value in counts(deliver).items()},
    "rows without their values": lambda deliver: [{"account": key} for key in sorted(counts(deliver))],
    "types": lambda deliver: {key: type(value).__name__ for key, value in counts(deliver).items()},
    "keys of a mock's calls": lambda deliver: {call.args[0] for call in calls(deliver).book.mock_calls},
    "whether a mock was called": lambda deliver: calls(deliver).book.called,
}

SHOWS_NOTHING: dict[str, Test] = {
    "True": lambda deliver: all(value > 0 for value in counts(deliver).values()),
    "{}": swallow,
    "{'ready': True}": lambda deliver: (counts(deliver), {"ready": True})[1],
}
"""By what they return after every run."""


def searched(test: Test, broker: Settings, stream: Any = PAYMENTS, **more: Any) -> Verdict:
    return check(test, stream, broker, **{"schedules": SCHEDULES, "seed": 1, **more})


@pytest.mark.parametrize("broker", [SqsStandard(), Kafka()], ids=["SqsStandard", "Kafka"])
@pytest.mark.parametrize("test", SHOWS_KEYS_ONLY.values(), ids=SHOWS_KEYS_ONLY)
def test_a_state_that_shows_only_which_keys_there_are_is_unknown(test: Test, broker: Settings) -> None:
    """The handler books twice, and no schedule can show it: that is said, and what to return instead."""
    verdict = searched(test, broker)
    assert verdict.status == "unknown"
    assert [reason[: len(SIBLINGS)] for reason in verdict.reasons] == [SIBLINGS]
    assert "balances or rows" in verdict.reasons[0]


@pytest.mark.parametrize("state", SHOWS_NOTHING)
def test_a_state_that_is_always_the_same_is_said_to_be(state: str) -> None:
    """With what it is: mostly no event comes to where the handler does anything."""
    verdict = searched(SHOWS_NOTHING[state], SqsStandard())
    assert verdict.status == "unknown"
    assert verdict.reasons[0].startswith(f"the state was {state} after every run, whatever was delivered: does the")
    assert len(verdict.reasons) == 1


def test_the_whole_state_of_the_same_handlers_shows_what_they_do() -> None:
    """The near misses of the claim above: the same handlers, and one that is right."""
    assert searched(counts, Kafka()).status == "violated"
    booked = searched(lambda deliver: [call.args for call in calls(deliver).book.mock_calls], Kafka())
    assert booked.status == "violated"
    assert searched(sums, Kafka()).status == "held"


@pytest.mark.parametrize("handler", [*BUGGY, *CORRECT], ids=name)
def test_no_handler_of_the_zoo_is_unknown(handler: ModuleType) -> None:
    """Right ones and wrong ones: leaving out an event that shares its key changes the state of each, under any seed."""
    for seed in range(3):
        verdict = check(handler.test, handler.EVENTS, Kafka(), schedules=50, seed=seed)
        assert verdict.status in (("held",) if handler in CORRECT else ("held", "violated")), verdict.reasons


def test_a_literal_stream_is_asked_as_it_is() -> None:
    """Two events of one key are all there are: which keys there are shows nothing, what they are worth does."""
    stream = [Event("alice", 1), Event("alice", 2), Event("bob", 3)]
    verdict = searched(lambda deliver: set(sums(deliver)), Kafka(), stream)
    assert (verdict.status, verdict.reasons[0][: len(SIBLINGS)]) == ("unknown", SIBLINGS)
    assert searched(sums, Kafka(), stream).status == "held"


@pytest.mark.parametrize("invariant", [no_error(), final_state()], ids=lambda invariant: invariant.name)
def test_no_event_is_left_out_where_no_state_is_compared(invariant: Invariant) -> None:
    """A run with all events but one is made only to see whether the state shows anything."""
    runs: list[list[Any]] = []

    def test(deliver: Any) -> int:
        runs.append([])
        deliver(lambda message: runs[-1].append(message.value))
        return len(runs[-1])

    stream = [Event("a", number) for number in (1, 2, 3)]
    check(test, stream, Kafka(), invariants=[invariant], faults={Duplicate}, schedules=5, seed=1)
    assert any(len(run) == 2 for run in runs) == (invariant.name == "final_state")


def test_a_handler_that_needs_its_events_shows_nothing_by_failing() -> None:
    """Without the deposit the withdrawal fails: that says nothing of a state that only has the accounts."""

    def accounts(deliver: Any) -> list[str]:
        balances: dict[str, int] = {}
        seen: set[str] = set()

        def handle(message: Any) -> None:
            if message.id not in seen and balances.get(message.key, 0) + message.value < 0:
                raise ValueError("overdraft")
            if message.id not in seen:
                seen.add(message.id)
                balances[message.key] = balances.get(message.key, 0) + message.value

        deliver(handle)
        return sorted(balances)

    stream = [Event("alice", 5), Event("alice", -5), Event("alice", 7), Event("alice", -7)]
    assert searched(accounts, Kafka(), stream, faults={Duplicate}).status == "unknown"


# What the shape of the streams leaves out is said, and is no failure.

JOBS = st.lists(st.integers(1, 9), min_size=1, max_size=6).map(
    lambda values: [Event(f"job-{number}", value) for number, value in enumerate(values)]
)
NO_SIBLINGS = "no stream had two events under one key: what depends on the order of a key could not go wrong"
NO_TWO_VALUES = "no stream had two values under one key: an overwrite in the wrong order could not be seen"


@pytest.mark.parametrize("broker", [SqsStandard(), PostgresQueue(), Celery(), Kafka()], ids=lambda b: type(b).__name__)
@pytest.mark.parametrize(
    ("stream", "named"),
    [
        (JOBS, NO_SIBLINGS),
        (events(st.integers(1, 9), keys=st.uuids().map(str)), NO_SIBLINGS),
        (events(st.just(1), keys=st.sampled_from(["a", "b"])), NO_TWO_VALUES),
    ],
    ids=["one message a job", "uuids", "one payload"],
)
def test_streams_of_one_shape_hold_and_the_line_names_what_they_left_out(
    stream: Any, named: str, broker: Settings
) -> None:
    """One message a key, or one payload, is what some queues carry. All schedules are run on such streams."""
    verdict = searched(sums, broker, stream, schedules=300)
    assert (verdict.status, verdict.reasons) == ("held", ())
    assert named in verdict.notes
    assert verdict.tally.schedules == 300
    assert "Overtake" in verdict.tally.effective
    idle = {"Rehash", "BatchSwap"} & {kind.__name__ for kind in broker.kinds()}
    assert named == NO_TWO_VALUES or idle <= set(verdict.tally.not_tried)


def test_streams_of_all_shapes_have_nothing_to_name() -> None:
    """The near miss."""
    assert not {NO_SIBLINGS, NO_TWO_VALUES} & set(searched(sums, SqsStandard()).notes)


@pytest.mark.parametrize("schedules", [2, 5, 10, 50])
@pytest.mark.parametrize("most", [2, 12])
def test_few_schedules_meet_two_values_under_one_key(schedules: int, most: int) -> None:
    """However small the number is, and whatever comes first."""
    stream = events(st.integers(1, 9), keys=st.sampled_from(["a", "b", "c"]), max_size=most)
    for seed in range(10):
        verdict = searched(sums, SqsStandard(), stream, schedules=schedules, seed=seed)
        assert (verdict.status, verdict.reasons) == ("held", ())
        assert NO_TWO_VALUES not in verdict.notes
        assert NO_SIBLINGS not in verdict.notes


def test_an_overwrite_is_found_with_few_schedules() -> None:
    """What two values under one key are for: blind overwrites are met with fifty schedules, whatever the seed."""

    def overwrite(deliver: Any) -> dict[str, int]:
        state: dict[str, int] = {}
        deliver(lambda message: state.update({message.key: message.value}))
        return state

    stream = events(st.integers(1, 3), keys=st.sampled_from("abc"), max_size=4)
    found = [searched(overwrite, SqsStandard(), stream, schedules=50, seed=seed).status for seed in range(10)]
    assert found == ["violated"] * 10


def test_a_kind_that_changes_nothing_is_unknown_only_where_it_is_all() -> None:
    """More partitions change no order where each key has one event: alone this shows nothing, beside others it is
    named."""
    stream = events(st.integers(1, 9), keys=st.uuids().map(str), max_size=5)
    alone = searched(sums, Kafka(), stream, faults={Rehash})
    assert alone.status == "unknown"
    assert "Rehash never changed the order or the number of times" in alone.reasons[0]
    beside = searched(sums, Kafka(), stream, faults={Rehash, Duplicate})
    assert (beside.status, beside.tally.not_tried) == ("held", ("Rehash",))
    assert searched(sums, InOrder(), stream).status == "unknown"


@pytest.mark.parametrize(("length", "whole"), [(2, True), (40, False)])
def test_all_single_faults_are_claimed_only_where_all_were_run(length: int, whole: bool) -> None:
    """Of a long stream there are more of them than schedules."""
    stream = [Event("a", number) for number in range(length)]
    verdict = check(sums, stream, Kafka(), faults={Redeliver}, schedules=20, seed=1)
    assert (verdict.status, verdict.tally.all_singles) == ("held", whole)
