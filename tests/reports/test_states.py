"""The state along the way: what it is, where there is none, and that looking changes nothing."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Duplicate, Event, Kafka, Overtake, Redeliver, Scenario
from chaoskit.execution.deliver import Deliver
from chaoskit.invariants import always, final_state
from chaoskit.repro.read import read
from chaoskit.search.states import MOST_STEPS
from chaoskit.strategies import events
from chaoskit.values.errors import ReproError
from plugin.projects import BUGGY, HEAD, WALLET, Project
from reports.cases import DEAD_LETTER, TWICE, log, saved, verdict_on, wallet


def test_the_states_are_those_of_the_test_on_each_beginning() -> None:
    """One for each event in order, one for each step as observed, whatever the test returns."""
    states = verdict_on(log, TWICE).states
    assert states is not None
    one = ("alice", 1)
    assert states.in_order == ({"log": [one], "count": 1},)
    assert states.observed == ({"log": [one], "count": 1}, {"log": [one, one], "count": 2})
    assert states.first_difference == 2


def test_an_event_that_is_still_missing_is_no_difference() -> None:
    """Final states are compared where both runs have handled the same events: here after the last step only."""
    states = verdict_on(wallet, DEAD_LETTER).states
    assert states is not None
    assert states.in_order == ({"alice": 1}, {"alice": 0})
    assert states.observed == ({}, {}, {}, {"alice": 1})
    assert states.first_difference == 4


def test_the_first_difference_is_the_first_to_the_tests_own_invariants() -> None:
    """What `project` leaves out differs rightly: here the order of arrival, before anything is counted twice."""

    def arrivals(deliver: Deliver) -> list[int]:
        seen: list[int] = []
        deliver(lambda message: seen.append(message.value))
        return seen

    scenario = Scenario([Event("a", 1), Event("b", 2), Event("b", 3)], Kafka(), [Overtake("e1"), Duplicate("e3")])
    verdict = chaoskit.run(arrivals, scenario, invariants=final_state(project=sorted))
    assert verdict.states is not None
    first = verdict.states.observed.index([*verdict.states.observed[-1]])
    assert verdict.states.observed[1] == [2, 1]
    assert verdict.states.first_difference == first + 1


def test_what_always_holds_is_asked_after_each_step() -> None:
    """It breaks at the first step, although the events have not come in order by then."""

    def balance(deliver: Deliver) -> int:
        sums = [0]

        def handle(message: Any) -> None:
            sums[0] += message.value

        deliver(handle, state=lambda: sums[0])
        return sums[0]

    scenario = Scenario([Event("a", 5), Event("b", -5)], Kafka(), [Overtake("e1")])
    verdict = chaoskit.run(balance, scenario, invariants=always(lambda state: state >= 0))
    assert verdict.states is not None
    assert verdict.states.observed == (-5, 0)
    assert verdict.states.first_difference == 1


@pytest.mark.parametrize("how", ["raise", "fail", "none", "skip", "exit"])
def test_where_the_test_gives_nothing_there_is_no_state(how: str) -> None:
    """A body that raises, fails, skips or returns None after two messages: no state there, and the verdict stands."""

    def picky(deliver: Deliver) -> Any:
        seen: list[Any] = []
        deliver(lambda message: seen.append(message.value))
        if len(seen) == 2 and how == "raise":
            raise ValueError("not yet")
        if len(seen) == 2 and how == "fail":
            pytest.fail("not yet")
        if len(seen) == 2 and how == "skip":
            pytest.skip("not yet")
        if len(seen) == 2 and how == "exit":
            pytest.exit("not yet")
        return None if len(seen) == 2 else seen

    scenario = Scenario([Event("a", 1), Event("a", 2), Event("a", 3)], Kafka(), [Redeliver("e1", 1)])
    verdict = chaoskit.run(picky, scenario)
    assert verdict.status == "violated"
    assert verdict.states is not None
    assert verdict.states.in_order == ([1], None, [1, 2, 3])
    assert verdict.states.observed == ([1], None, None, [1, 2, 1], [1, 2, 1, 2], [1, 2, 1, 2, 3])
    assert verdict.states.first_difference == 6


@pytest.mark.parametrize("steps", [MOST_STEPS, MOST_STEPS + 1])
def test_a_long_delivery_has_no_states(steps: int) -> None:
    """Sixty steps have, one more has not."""
    scenario = Scenario([Event("a", number) for number in range(steps - 1)], Kafka(), [Duplicate("e1")])
    verdict = verdict_on(log, scenario)
    assert verdict.schedule is not None
    assert len(verdict.schedule) == steps
    assert (verdict.states is None) == (steps > MOST_STEPS)


def test_states_are_taken_once_after_all_shrinking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that shrinks asks for the states of its minimum only, and finds the same without them."""
    asked: Counter[str] = Counter()
    taken = chaoskit.search.verdicts.states_of

    def counted(*arguments: Any) -> Any:
        asked["states"] += 1
        return taken(*arguments)

    def search() -> Any:
        return chaoskit.check(log, events(st.integers(), st.sampled_from("ab")), Kafka(), seed=1, schedules=200)

    monkeypatch.setattr("chaoskit.search.verdicts.states_of", counted)
    with_states = search()
    assert asked["states"] == 1
    monkeypatch.setattr("chaoskit.search.verdicts.states_of", lambda *arguments: None)
    without = search()
    assert without.states is None
    assert (without.scenario, without.schedule, without.observed, without.tally) == (
        with_states.scenario, with_states.schedule, with_states.observed, with_states.tally
    )  # fmt: skip


def test_async_tests_have_states() -> None:
    """In the one loop of the test."""

    async def count(deliver: Deliver) -> int:
        seen: list[Any] = []

        async def handle(message: Any) -> None:
            seen.append(message.id)

        await deliver(handle)
        return len(seen)

    states = chaoskit.run(count, TWICE).states
    assert states is not None
    assert (states.in_order, states.observed) == ((1,), (1, 2))


def test_what_the_test_prints_while_states_are_taken_is_dropped(tmp_path: Path) -> None:
    """The failure shows the output of its minimal run, once."""
    printing = BUGGY.replace("        balances[", "        print('handling', message.id)\n        balances[")
    project = Project.at(tmp_path, handlers=printing, test_wallet=HEAD + WALLET)
    ran = project.pytest("--chaos-seed=1", "--chaos-report=out")
    assert ran.code == 1, ran.text
    data = json.loads(project.only_repro().read_text())
    assert len(data["states"]["observed"]) == 2
    assert ran.out.count("handling") == 2


def test_states_come_back_from_the_file(tmp_path: Path) -> None:
    """As they were, with the number of the first difference."""
    repro = read(saved(wallet, DEAD_LETTER, tmp_path))
    assert repro.states is not None
    assert repro.states.in_order == ({"alice": 1}, {"alice": 0})
    assert repro.states.observed == ({}, {}, {}, {"alice": 1})
    assert repro.states.first_difference == 4


def test_a_file_without_states_is_read(tmp_path: Path) -> None:
    """Those of before have none."""
    path = saved(wallet, DEAD_LETTER, tmp_path)
    data = json.loads(path.read_text())
    del data["states"]
    path.write_text(json.dumps(data))
    assert read(path).states is None


def test_a_beginning_that_does_not_end_ends_the_looking(tmp_path: Path) -> None:
    """A test that waits for ever where it has seen just one message: no states, and the failure is told."""
    source = """
@chaos([Event("a", n) for n in range(4)], broker=Kafka(), faults={Duplicate}, schedules=5)
def test_waits(deliver):
    seen = []
    deliver(lambda message: seen.append(message.value))
    if len(seen) == 1:
        while True:
            pass
    return seen
"""
    project = Project.at(tmp_path, test_waits=HEAD + source)
    ran = project.pytest("--chaos-seed=1", "--chaos-limit=1s")
    assert ran.code == 1, ran.text
    assert "What differs" in ran.out
    data = json.loads(project.only_repro().read_text())
    assert len(data["schedule"]) > 2
    assert "states" not in data


def test_states_that_would_make_the_file_huge_are_left_out(tmp_path: Path) -> None:
    """The failure is saved all the same."""
    large = Scenario([Event("alice", "x" * 100_000)], Kafka(), [Duplicate("e1")])
    path = saved(log, large, tmp_path)
    assert "states" not in json.loads(path.read_text())
    assert read(path).states is None


@pytest.mark.parametrize(
    ("states", "says"),
    [
        ([], '"states" must be an object'),
        ({}, '"in_order" must be a list of 2, one for each event'),
        ({"in_order": [1, 2], "observed": [1]}, '"observed" must be a list of 4, one for each step'),
        ({"in_order": [1, 2], "observed": [1] * 4, "first_difference": 5}, '"first_difference" is 5'),
        ({"in_order": [1, 2], "observed": [1] * 4, "first_difference": True}, '"first_difference" is True'),
    ],
    ids=json.dumps,
)
def test_broken_states_are_one_line_that_says_what_is_wrong(tmp_path: Path, states: Any, says: str) -> None:
    path = saved(wallet, DEAD_LETTER, tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"states": states}))
    with pytest.raises(ReproError) as caught:
        read(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
