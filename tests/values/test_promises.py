"""The two promises, no false alarm and no false green, where they were once broken."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import DeadLetter, Event, Kafka, Overtake, Redeliver, Rehash, Scenario, Stream, check, run
from chaoskit.invariants import always, final_state, no_error
from chaoskit.repro.read import read
from chaoskit.strategies import events
from chaoskit.values.errors import ReproError, StreamError

TWO = [Event("alice", 1), Event("alice", 2)]
ONE_PARTITION = Kafka(partitions=1)


def arrivals_in_one_list(deliver: Any) -> list[Any]:
    """Clears what outlives it, and returns it: as a test does with a database that a fixture made."""
    SHARED.clear()
    deliver(lambda message: SHARED.append(message.id) if message.id not in SHARED else None)
    return SHARED


SHARED: list[Any] = []


def test_a_state_that_is_used_again_is_copied() -> None:
    """Later runs of the same test do not change what a failing run gave."""
    verdict = check(arrivals_in_one_list, TWO, ONE_PARTITION, seed=1, schedules=50)
    assert (verdict.status, verdict.label) == ("violated", "within")
    assert verdict.expected != verdict.observed
    assert verdict.violations


def refuses_gaps(deliver: Any) -> dict[str, int]:
    state: dict[str, int] = {}

    def handle(message: Any) -> None:
        applied = state.get(message.key, 0)
        if message.seq > applied + 1:
            raise ValueError("gap")
        state[message.key] = max(applied, message.seq)

    deliver(handle)
    return state


def test_a_refusal_within_a_key_is_not_explained_by_another_order_of_keys() -> None:
    """Beside final_state, no_error is asked of the order without faults, too."""
    stream = [Event("alice", 1), Event("alice", 2), Event("bob", 1)]
    asked = [final_state(), no_error()]
    verdict = check(
        refuses_gaps, stream, faults=[DeadLetter], seed=1, schedules=100, invariants=asked, across_keys="any"
    )
    assert (verdict.status, verdict.label) == ("violated", "within")


def orders_before_customers(deliver: Any) -> dict[str, int]:
    state: dict[str, int] = {}

    def handle(message: Any) -> None:
        if message.key == "customer-1":
            state["customers"] = 1
        elif "customers" not in state:
            state["early"] = 1

    deliver(handle, state=lambda: dict(state))
    return state


def test_what_depends_on_the_order_of_keys_is_across_keys_for_every_invariant() -> None:
    """An `always` that another order of the partitions breaks as well is no failure within a key."""
    stream = [Event("customer-1", 1), Event("order-7", 2)]
    asked = [final_state(), always(lambda state: "early" not in state)]
    terms: Any = {"faults": [Overtake], "seed": 1, "schedules": 50, "invariants": asked}
    assert check(orders_before_customers, stream, Kafka(), **terms).label == "across keys"
    assert check(orders_before_customers, stream, Kafka(), across_keys="any", **terms).status != "violated"


def refuses_copies(deliver: Any) -> dict[Any, int]:
    state: dict[Any, int] = {}
    seen: set[Any] = set()

    def handle(message: Any) -> None:
        if message.id in seen:
            seen.discard(message.id)
            raise ValueError("again")
        seen.add(message.id)
        state[message.id] = message.value

    deliver(handle)
    return state


def test_a_replay_that_cannot_ask_what_was_broken_says_so(tmp_path: Path) -> None:
    """A file whose failure only no_error sees is not called fixed by a replay that asks for final_state."""
    verdict = check(refuses_copies, TWO, ONE_PARTITION, seed=1, invariants=[no_error()])
    assert verdict.status == "violated"
    with pytest.raises(ReproError, match="it breaks no_error, which is not asked for here"):
        chaoskit.replay(verdict.save(tmp_path))


def test_the_same_seed_draws_the_same_whatever_is_imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hypothesis reads constants of local modules; they do not reach our streams."""
    stream = events(st.integers(), keys=st.sampled_from(["a", "b"]))

    def values() -> list[Any]:
        drawn: list[Any] = []

        def remember(deliver: Any) -> int:
            seen: list[int] = []
            deliver(lambda message: seen.append(message.value))
            drawn.append(tuple(seen))
            return len(set(seen))

        check(remember, stream, seed=1, schedules=400)
        return drawn

    before = values()
    source = tmp_path / "constants.py"
    source.write_text("\n".join(f"N{i} = {7_000_000 + i * 31}" for i in range(200)))
    module = ModuleType("constants_of_this_test")
    module.__file__ = str(source)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert values() == before


def counts(deliver: Any) -> dict[str, int]:
    state: dict[str, int] = {}

    def handle(message: Any) -> None:
        state[message.key] = state.get(message.key, 0) + 1

    deliver(handle)
    return state


def test_a_strategy_may_give_an_empty_stream() -> None:
    """It is passed over, and the others are searched."""
    stream = st.lists(st.builds(Event, key=st.sampled_from("ab"), value=st.sampled_from("dw")), max_size=3)
    assert check(counts, stream, Kafka(), seed=3, schedules=100).status == "violated"


def test_a_state_that_never_changes_is_unknown_without_final_state_too() -> None:
    """`always` over a state that no delivery moves has shown nothing."""

    def nothing(deliver: Any) -> None:
        deliver(lambda message: None, state=dict)

    stream = events(st.integers(0, 3), keys=st.sampled_from(["a", "b"]))
    verdict = check(nothing, stream, seed=1, schedules=200, invariants=[always(lambda state: True)])
    assert verdict.status == "unknown"
    assert any("the state was the same after every delivery" in reason for reason in verdict.reasons)


def test_a_skipped_copy_of_what_was_taken_is_not_lost() -> None:
    """With on_error="skip" a handler that refuses a duplicate by raising keeps its effect, and holds."""
    broker = Kafka(partitions=1, on_error="skip")
    verdict = run(refuses_copies, Scenario(TWO, broker, [Redeliver("e2")]))
    assert (verdict.status, verdict.expected) == ("held", {"e1": 1, "e2": 2})


def test_a_reference_without_a_lost_event_may_refuse() -> None:
    """What remains in order without a skipped event is run as it is, and is not called the user's error."""

    def handler(deliver: Any) -> dict[str, int]:
        state = {"n": 0, "known": 0, "high": 0}

        def handle(message: Any) -> None:
            if message.value == 1:
                state["known"] = 1
                if message.seq < state["high"]:
                    raise ValueError("stale")
            elif not state["known"]:
                raise ValueError("unknown")
            state["high"], state["n"] = max(state["high"], message.seq), state["n"] * 2 + message.value

        deliver(handle)
        return state

    stream = Stream.of([Event("a", 1, "e0"), Event("a", 3, "e1"), Event("a", 1, "e2")])
    broker = Kafka(partitions=2, idempotent_producer=False, on_error="skip", consumers=2)
    faults = (Rehash("e2", 6, 2, 1, 0), Redeliver("e1", 2))
    assert run(handler, Scenario(stream.events, broker, faults)).status in ("held", "violated")


def test_text_that_is_no_utf8_is_saved_as_a_value_and_refused_as_a_key(tmp_path: Path) -> None:
    """A lone surrogate in a value comes back from the file; in a key it could not be sent."""
    verdict = check(counts, [Event("a", "\ud800"), Event("a", "x")], ONE_PARTITION, seed=1)
    assert verdict.scenario is not None
    assert read(verdict.save(tmp_path)).stream() == verdict.scenario.stream
    with pytest.raises(StreamError, match="cannot be sent as UTF-8"):
        check(counts, [Event("\ud800", 1)], seed=1)


def test_numbers_of_any_length_are_searched() -> None:
    """A value that cannot be printed is no reason to stop."""
    assert check(counts, [Event("a", 10**5000), Event("a", 1)], ONE_PARTITION, seed=1).status == "violated"


def test_ids_that_are_left_out_do_not_meet_those_given() -> None:
    """The stream stamps an id that nobody else has."""
    assert Stream.of([Event("a", 1, id="e2"), Event("a", 2)]).ids == ("e2", "e2'")
