"""Each invariant on a short history, and on its near miss."""

from __future__ import annotations

from typing import Any

import pytest

from chaoskit import Duplicate, Event, Invariant, Kafka, Outcome, Scenario, check, run
from chaoskit.invariants import always, final_state, no_error
from chaoskit.values.errors import UsageError
from chaoskit.values.outcome import Raised

PAYMENTS = [Event("alice", 3), Event("alice", 5), Event("bob", 7)]


def messages(invariant: Invariant, reference: Outcome, outcome: Outcome) -> list[str]:
    return [violation.message for violation in invariant.check(reference, outcome)]


def test_final_state_sees_another_state_and_says_where() -> None:
    """A balance that is counted twice; the same balances in another order are no difference."""
    right = Outcome({"alice": 8, "bob": 7})
    (violation,) = final_state().check(right, Outcome({"alice": 13, "bob": 7}))
    assert [(d.path, d.expected, d.observed) for d in violation.differences] == [("state['alice']", 8, 13)]
    assert not messages(final_state(), right, Outcome({"bob": 7, "alice": 8}))


def test_final_state_by_key_has_a_violation_for_each_key() -> None:
    """Also for a key that only one of the states has."""
    found = messages(final_state(by_key=True), Outcome({"a": 1, "b": 2, "c": 3}), Outcome({"a": 1, "b": 9, "d": 4}))
    assert found == [f"the final state of {key!r} differs from in-order delivery" for key in "bcd"]
    assert not messages(final_state(by_key=True), Outcome({"a": 1}), Outcome({"a": 1}))


def test_final_state_by_key_needs_a_mapping() -> None:
    """A list has no keys; the error says what it got."""
    with pytest.raises(UsageError, match=r"by_key=True\) needs a mapping from key to state, got list"):
        messages(final_state(by_key=True), Outcome([1]), Outcome([1]))


def test_final_state_projects_away_what_may_differ() -> None:
    """Rows in another order agree once they are sorted; another row does not."""
    by_amount = final_state(project=sorted)
    assert not messages(by_amount, Outcome([1, 2]), Outcome([2, 1]))
    assert messages(by_amount, Outcome([1, 2]), Outcome([2, 2]))
    assert messages(final_state(), Outcome([1, 2]), Outcome([2, 1]))


def test_no_error_sees_a_raise_that_was_accepted_later() -> None:
    """One refused delivery is one violation; none is none."""
    outcome = Outcome({}, raised=(Raised("e2", LookupError("no customer")),))
    assert messages(no_error(), Outcome({}), outcome) == ["the handler raised LookupError on e2: no customer"]
    assert not messages(no_error(), Outcome({}), Outcome({}))


def test_always_sees_the_first_delivery_after_which_it_does_not_hold() -> None:
    """A balance that is below zero in between and right at the end."""

    def solvent(state: dict[str, int]) -> bool:
        return state["alice"] >= 0

    bad = Outcome(None, ("e2", "e1", "e2"), ({"alice": -5}, {"alice": -2}, {"alice": 0}))
    near = Outcome(None, ("e1", "e2"), ({"alice": 3}, {"alice": 0}))
    said = "always(solvent) does not hold after delivery 1 (e2): the state is {'alice': -5}"
    assert messages(always(solvent), near, bad) == [said]
    assert not messages(always(solvent), near, near)
    assert always(solvent).name == "always(solvent)"
    assert always(solvent, "never overdrawn").name == "never overdrawn"


def test_always_needs_the_state_after_each_delivery() -> None:
    """A test that gives no state= is told so by that name, instead of passing unseen."""

    def test(deliver: Any) -> dict[str, int]:
        deliver(lambda message: None)
        return {}

    with pytest.raises(UsageError, match="state="):
        check(test, PAYMENTS, invariants=[always(lambda state: True)], seed=1, schedules=20)


def test_always_looks_after_each_delivery_of_a_real_run() -> None:
    """The dip below zero is seen although the final state is not asked for."""

    def test(deliver: Any) -> None:
        balance = [0]

        def handle(message: Any) -> None:
            balance[0] += message.value

        deliver(handle, state=lambda: balance[0])

    def at_most_eight(state: int) -> bool:
        return state <= 8

    events = [Event("alice", 3, "e1"), Event("alice", 5, "e2")]
    verdict = run(test, Scenario(events, Kafka(), [Duplicate("e1")]), invariants=[always(at_most_eight)])
    said = "always(at_most_eight) does not hold after delivery 3 (e2): the state is 11"
    assert [v.message for v in verdict.violations] == [said]


def boom(reference: Outcome, outcome: Outcome) -> Any:
    raise ZeroDivisionError("division by zero")


def lazy_boom(reference: Outcome, outcome: Outcome) -> Any:
    yield from ()
    raise ZeroDivisionError("division by zero")


@pytest.mark.parametrize("checker", [boom, lazy_boom])
def test_an_invariant_that_raises_is_unknown_with_the_reason(checker: Any) -> None:
    """Never a pass, never a failure of the handler; from check and from run."""

    def test(deliver: Any) -> list[Any]:
        seen: list[Any] = []
        deliver(lambda message: seen.append(message.id))
        return seen

    mine = Invariant("mine", checker)
    reason = "the invariant mine raised ZeroDivisionError: division by zero"
    verdict = check(test, PAYMENTS, invariants=[mine], seed=1, schedules=20)
    assert (verdict.status, verdict.reasons) == ("unknown", (reason,))
    once = run(test, Scenario(PAYMENTS, Kafka(), [Duplicate("e1")]), invariants=[mine])
    assert (once.status, once.reasons) == ("unknown", (reason,))


def test_a_projection_that_sees_nothing_is_unknown() -> None:
    """No event changes what a constant projection sees, so that its agreement shows nothing."""

    def test(deliver: Any) -> list[int]:
        seen: list[int] = []
        deliver(lambda message: seen.append(message.value))
        return seen

    blind = final_state(project=lambda state: 1)
    verdict = check(test, [Event("a", 1), Event("a", 2)], invariants=[blind], seed=1)
    assert verdict.status == "unknown"
