"""What does not hold although every message came once and in order: found, shrunk and saved like any other failure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Duplicate, Event, InOrder, Invariant, Kafka, Outcome, Scenario, Violation, check, run
from chaoskit.brokers import BROKERS, Settings
from chaoskit.invariants import always, final_state
from chaoskit.report.page import page
from chaoskit.repro.read import read
from chaoskit.repro.replay import play
from chaoskit.search.oracle import Subject
from chaoskit.strategies import events

PAYMENTS = events(st.integers(0, 9), keys=st.sampled_from(["alice", "bob"]))
DEFAULTS = [kind() for kind in BROKERS.values()]
MOST = 10


def totals(deliver: Any) -> dict[str, int]:
    """Sums of amounts; what was seen is skipped, so that no delivery changes them."""
    state: dict[str, int] = {}
    seen: set[str] = set()

    def handle(message: Any) -> None:
        if message.id not in seen:
            seen.add(message.id)
            state[message.key] = state.get(message.key, 0) + message.value

    deliver(handle, state=lambda: state)
    return state


def at_most_ten(state: dict[str, int]) -> bool:
    return all(total <= MOST for total in state.values())


LIMIT = always(at_most_ten)


@pytest.mark.parametrize("broker", DEFAULTS, ids=lambda broker: type(broker).__name__)
def test_what_does_not_hold_in_order_is_a_violation_on_every_broker(broker: Settings) -> None:
    """With its stream, shrunk to the two payments that it takes, no fault, and no order that would be to blame; also
    where the broker makes no fault at all."""
    verdict = check(totals, PAYMENTS, broker, invariants=[LIMIT, final_state()], seed=1, schedules=100)
    assert (verdict.status, verdict.label) == ("violated", None)
    assert verdict.scenario is not None
    assert verdict.scenario.faults == ()
    values = [event.value for event in verdict.scenario.events]
    assert (len(values), sum(values)) == (2, MOST + 1)
    assert [violation.invariant for violation in verdict.violations] == [LIMIT.name]


@pytest.mark.parametrize("broker", [Kafka(), InOrder()], ids=["Kafka", "InOrder"])
def test_what_holds_in_order_is_no_violation(broker: Settings) -> None:
    """The near miss: a limit that no stream reaches. Without a fault to try it is unknown, as ever."""
    small = events(st.integers(0, 1), keys=st.sampled_from(["alice", "bob"]), max_size=8)
    verdict = check(totals, small, broker, invariants=[LIMIT, final_state()], seed=1, schedules=100)
    assert verdict.status == ("held" if broker.kinds() else "unknown")


def test_an_invariant_of_ones_own_is_asked_in_order_too() -> None:
    """On a literal stream as well; the report says that no fault is needed, and names what to correct."""

    def even(reference: Outcome, outcome: Outcome) -> Any:
        if outcome.state.get("alice", 0) % 2:
            yield Violation("even", "the sum of alice is odd")

    stream = [Event("bob", 1), Event("alice", 4), Event("alice", 3)]
    verdict = check(totals, stream, invariants=[Invariant("even", even)])
    assert verdict.scenario is not None
    assert [event.value for event in verdict.scenario.events] == [3]
    text = verdict.report()
    assert "totals fails in order already, without any fault: the sum of alice is odd" in text
    assert "Every message came once and in order" in text
    assert "What rules it out" not in text
    assert "What rules it out" not in page(verdict)


def test_a_scenario_that_fails_in_order_is_not_blamed_on_its_fault() -> None:
    """`run` of one scenario, and `check` with a fault that does break something else."""
    events = [Event("alice", 6), Event("alice", 6)]
    verdict = run(totals, Scenario(events, Kafka(), [Duplicate("e1")]), invariants=[LIMIT], across_keys="any")
    assert (verdict.status, verdict.label) == ("violated", None)
    assert verdict.scenario is not None
    assert verdict.scenario.faults == ()


def test_a_saved_failure_in_order_is_replayed(tmp_path: Path) -> None:
    """It still fails, also with other settings of the broker; and is fixed where it holds."""
    verdict = check(totals, PAYMENTS, Kafka(partitions=2), invariants=[LIMIT], seed=1, schedules=100)
    repro = read(verdict.save(tmp_path))
    subject = Subject(totals, Kafka(partitions=2), (LIMIT,))
    assert play(repro, subject).became == "STILL FAILS"
    assert play(repro, attrs.evolve(subject, broker=Kafka(partitions=6))).became == "STILL FAILS"
    later = always(lambda state: True, LIMIT.name)
    assert play(repro, attrs.evolve(subject, invariants=(later,))).became == "FIXED"


def test_a_repro_with_a_fault_that_fails_in_order_now_has_changed(tmp_path: Path) -> None:
    """The handler got worse: that it is another failure is said."""

    def twice(deliver: Any) -> int:
        total = [0]
        deliver(lambda message: total.__setitem__(0, total[0] + message.value), state=lambda: total[0])
        return total[0]

    below = always(lambda total: total < 15, "below")
    verdict = check(twice, [Event("a", 10)], invariants=[below], faults={Duplicate}, seed=1)
    assert verdict.scenario is not None
    assert verdict.scenario.faults == (Duplicate("e1"),)
    answer = play(read(verdict.save(tmp_path)), Subject(twice, Kafka(), (always(lambda total: total < 5, "below"),)))
    assert (answer.became, answer.reason) == ("CHANGED", "it fails in order already, without any fault")
    assert answer.verdict is not None
    assert answer.verdict.scenario is not None
    assert answer.verdict.scenario.faults == ()
    assert chaoskit.check(twice, [Event("a", 10)], invariants=[below], seed=1).status == "violated"
