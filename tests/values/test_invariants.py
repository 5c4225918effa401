"""Each invariant on a short history, and on its near miss."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Duplicate, Event, Invariant, Kafka, Lose, Outcome, Redeliver, Scenario, SqsStandard, check, run
from chaoskit.invariants import (
    always,
    bounded,
    conserved,
    converges,
    final_state,
    monotonic,
    never,
    no_error,
    no_lost_event,
)
from chaoskit.strategies import events
from chaoskit.values.errors import UsageError
from chaoskit.values.outcome import Raised
from handlers import name
from handlers.correct import (
    CORRECT,
    ledger_durable_ids,
    orders_retried_until_customer_known,
    profile_upsert_by_seq,
    raises_until_its_turn,
    replica_with_tombstones,
    resequencer,
)

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
    output = "always(solvent) does not hold after delivery 1 (e2): the state is {'alice': -5}"
    assert messages(always(solvent), near, bad) == [output]
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
    output = "always(at_most_eight) does not hold after delivery 3 (e2): the state is 11"
    assert [v.message for v in verdict.violations] == [output]


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


# The six of the field.


def states(*along: Any, ids: str = "", **more: Any) -> Outcome:
    """A short history: the state after each delivery, of e1, e2, … or of `ids`, and the last one at the end."""
    delivered = ids.split() or [f"e{number}" for number in range(1, len(along) + 1)]
    return Outcome(along[-1], tuple(delivered), along, **more)


def at_the_end(state: Any) -> Outcome:
    return Outcome(state, ("e1",))


def overdrawn(balance: int) -> bool:
    return balance < 0


def total(balances: dict[str, int]) -> int:
    return sum(balances.values())


def version(row: int) -> int:
    return row


def test_never_sees_what_was_wrong_for_a_moment() -> None:
    """Its four steps; without the states along the way only the end."""
    in_order = states(5, 0, 5)
    dipped = states(5, 0, -5, 0, ids="e1 e2 e2 e3")
    output = "never(overdrawn) does not hold after delivery 3 (e2): the state is -5"
    assert messages(never(overdrawn), in_order, dipped) == [output]
    assert not messages(never(overdrawn), in_order, states(5, 0, 0, 5, ids="e1 e2 e2 e3"))
    assert not messages(never(overdrawn), at_the_end(0), at_the_end(0))
    output = "never(overdrawn) does not hold at the end: the state is -5"
    assert messages(never(overdrawn), at_the_end(0), at_the_end(-5)) == [output]
    assert never(overdrawn, "solvent").name == "solvent"


def test_conserved_sees_what_is_made_or_lost_between_two_deliveries() -> None:
    """Its four steps. Along the way it is the in-order run's first state that counts, at the end its last."""
    before, half, after = {"alice": 10, "bob": 0}, {"alice": 2, "bob": 4}, {"alice": 2, "bob": 8}
    in_order = states(before, {"alice": 6, "bob": 4}, after)
    interrupted = states(before, {"alice": 6, "bob": 4}, half, after, ids="e1 e2 e3 e3")
    output = "conserved(total) does not hold after delivery 3 (e3): 6 instead of 10"
    assert messages(conserved(total), in_order, interrupted) == [output]
    assert not messages(conserved(total), in_order, in_order)
    assert not messages(conserved(total), at_the_end(before), at_the_end(after))
    output = "conserved(total) does not hold at the end: 6 instead of 10"
    assert messages(conserved(total), at_the_end(before), at_the_end(half)) == [output]
    thirds = at_the_end({"alice": 0.1 + 0.2})
    assert not messages(conserved(total), thirds, at_the_end({"alice": 0.3}))
    assert messages(conserved(total), thirds, at_the_end({"alice": 0.31}))


def test_monotonic_sees_a_value_that_goes_back() -> None:
    """Its four steps; sets go by what they contain, and what stays has not gone down."""
    output = "monotonic(version) does not hold after delivery 3 (e1): it goes from 2 to 1"
    assert messages(monotonic(version), states(1, 2), states(1, 2, 1, 2, ids="e1 e2 e1 e2")) == [output]
    assert not messages(monotonic(version), states(1, 2), states(1, 2, 2, 2, ids="e1 e2 e1 e2"))
    assert not messages(monotonic(version), states({1}, {1, 2}), states({1}, {1}, {1, 2}, ids="e1 e1 e2"))
    assert messages(monotonic(version), states({1}, {1, 2}), states({1}, {2}))


def test_bounded_sees_what_grows_beyond_its_limit() -> None:
    """Its four steps, along the way and at the end; the limit itself is allowed."""
    grown = states({"e1"}, {"e1", "e2"}, {"e1", "e2"}, {"e1", "e2", "e3"}, ids="e1 e2 e2 e3")
    output = "bounded(len, 2) does not hold after delivery 4 (e3): 3 is more than 2"
    assert messages(bounded(len, 2), grown, grown) == [output]
    assert not messages(bounded(len, 3), grown, grown)
    assert messages(bounded(len, 1), at_the_end([1, 2]), at_the_end([1, 2]))
    assert not messages(bounded(len, 2), at_the_end([1, 2]), at_the_end([1, 2]))


def test_no_lost_event_counts_what_the_broker_and_the_handler_lose() -> None:
    """What was never delivered, given up, or waits for ever; and with the ids that the state shows, its four steps."""
    in_order = Outcome(["e1", "e2", "e3"], ("e1", "e2", "e3"))
    gone = Outcome([], ("e1",), lost=("e2",), dropped=("e1",), unseen=("e3",))
    assert messages(no_lost_event(), in_order, gone) == [
        "e2 was lost: it was never delivered",
        "e1 was given up after the handler refused it",
        "e3 waits for ever behind what was refused",
    ]
    assert messages(no_lost_event(), in_order, Outcome([], ("e1", "e3"))) == ["e2 was never delivered"]
    swallowed = Outcome(["e1", "e3"], ("e1", "e2", "e3", "e1"))
    assert not messages(no_lost_event(), in_order, swallowed)
    output = "e2 was delivered, and the final state does not show it"
    assert messages(no_lost_event(list), in_order, swallowed) == [output]
    assert not messages(no_lost_event(list), in_order, Outcome(["e3", "e1", "e2"], ("e1", "e3", "e2", "e2")))
    poison = attrs_refused(in_order, "e2")
    assert not messages(no_lost_event(list), poison, attrs_refused(swallowed, "e2"))


def attrs_refused(outcome: Outcome, event: str) -> Outcome:
    refused = (Raised(event, ValueError("poison")),)
    return Outcome(outcome.state, outcome.delivered, raised=refused, refused=refused)


def test_converges_compares_whoever_has_handled_the_same_events() -> None:
    """Its four steps, and an order in which the first events are not there yet."""
    in_order = states("one", "two", "three")
    back = states("one", "two", "one", "three", ids="e1 e2 e1 e3")
    (violation,) = converges().check(in_order, back)
    assert violation.message == "after delivery 3 (e1) the state is not that of the same events in order"
    assert [(d.expected, d.observed) for d in violation.differences] == [("two", "one")]
    assert not messages(converges(), in_order, states("two", "two", "three", ids="e2 e1 e3"))
    assert not messages(converges(), in_order, states("three", "?", "three", ids="e3 e2 e1"))
    late = messages(converges(), in_order, states("three", "two", "two", ids="e3 e2 e1"))
    assert late == ["after delivery 3 (e1) the state is not that of the same events in order"]
    assert not messages(converges(), at_the_end(1), at_the_end(1))
    assert messages(converges(), at_the_end(1), at_the_end(2)) == [
        "the final state is not that of the same events in order"
    ]


def test_converges_leaves_alone_what_was_refused_and_comes_again() -> None:
    """An attempt that failed half-way is tried again before it is compared; poison is not waited for."""
    in_order = states("", "one", "two", ids="e1 e2 e3")
    raised = (Raised("e2", OSError("the disk is full")),)
    assert not messages(converges(), in_order, states("", "half", "one", "two", ids="e1 e2 e2 e3", raised=raised))
    assert messages(converges(), in_order, states("", "half", "half", "two", ids="e1 e2 e2 e3", raised=raised))
    poison = (Raised("e1", ValueError("poison")),)
    refusing = states("", "one", "two", ids="e1 e2 e3", raised=poison, refused=poison)
    wrong = states("", "one", "zero", "two", ids="e1 e2 e2 e3", raised=poison, refused=poison)
    assert not messages(converges(), refusing, refusing)
    assert messages(converges(), refusing, wrong)


def progress(of: str) -> Callable[[dict[str, Any]], int]:
    """How far a handler has come, by what it keeps under this name."""

    def measure(state: dict[str, Any]) -> int:
        stored = state[of]
        return sum(map(_far, stored.values() if isinstance(stored, dict) else stored))

    return measure


def _far(each: Any) -> int:
    return each if isinstance(each, int) else each[0] if isinstance(each, tuple) else len(each)


KEPT = {
    profile_upsert_by_seq: "profiles",
    ledger_durable_ids: "seen",
    resequencer: "following",
    replica_with_tombstones: "replica",
    orders_retried_until_customer_known: "orders",
    raises_until_its_turn: "entries",
}


def with_states(test: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The test, with all that its handler keeps as the state after each delivery."""

    def body(deliver: Any) -> Any:
        def shown(handler: Any) -> None:
            stored = inspect.getclosurevars(handler).nonlocals
            deliver(handler, state=lambda: stored)

        return test(shown)

    return body


@pytest.mark.parametrize("handler", CORRECT, ids=name)
@pytest.mark.parametrize("shown", [with_states, lambda test: test], ids=["along the way", "at the end"])
def test_no_correct_handler_is_flagged(handler: ModuleType, shown: Any) -> None:
    """Along the way and at the end, under every kind of delivery that one partition makes."""
    stored = progress(KEPT[handler])
    must = [converges(), no_lost_event()]
    if shown is with_states:
        must += [monotonic(stored), never(lambda state: stored(state) < 0), bounded(stored, 10_000)]
    else:
        must += [never(lambda state: "nobody" in state), bounded(len, 2 if handler not in BY_ID else 100)]
    broker = Kafka(partitions=1, idempotent_producer=False)
    verdict = check(shown(handler.test), handler.EVENTS, broker, invariants=must, seed=1, schedules=600)
    assert verdict.status == "held", verdict.report()


BY_ID = (orders_retried_until_customer_known,)
"""Whose state has more than one place for each key."""

TRANSFERS = events(st.integers(1, 5), keys=st.sampled_from(["alice", "bob"]), max_size=6)


def transfer(*, atomic: bool) -> Callable[[Any], Any]:
    """Moves money from its key to the other one; ids are remembered with the second half."""

    def test(deliver: Any) -> dict[str, int]:
        balances, seen = {"alice": 50, "bob": 50}, set[Any]()

        def handle(message: Any) -> None:
            if message.id in seen:
                return
            balances[message.key] -= message.value
            if not atomic and message.partition != 0:  # fails half-way, as only the first partition's database is up
                seen.add(message.id)
                return
            seen.add(message.id)
            balances["bob" if message.key == "alice" else "alice"] += message.value

        deliver(handle, state=lambda: balances)
        return balances

    return test


def test_conserved_in_a_real_search() -> None:
    """A right transfer holds; half a transfer is found, in order already where that breaks it."""
    right = check(transfer(atomic=True), TRANSFERS, Kafka(partitions=6), invariants=[conserved(total)], seed=1)
    assert right.status == "held", right.report()
    wrong = check(transfer(atomic=False), TRANSFERS, Kafka(partitions=6), invariants=[conserved(total)], seed=1)
    assert wrong.status == "violated"
    assert wrong.scenario is not None
    assert not wrong.scenario.faults
    assert "fails in order already, without any fault: conserved(total) does not hold" in wrong.report()


def adds(deliver: Any) -> int:
    balance = [0]

    def handle(message: Any) -> None:
        balance[0] += message.value

    deliver(handle, state=lambda: balance[0])
    return balance[0]


def keeps_ids(deliver: Any) -> set[Any]:
    seen: set[Any] = set()
    deliver(lambda message: seen.add(message.id))
    return seen


def test_a_set_that_grows_for_ever_fails_in_order() -> None:
    """Where the streams are longer than the limit; and a limit that is enough holds."""
    ids = events(st.integers(1, 9), keys=st.sampled_from(["alice", "bob"]), min_size=4, max_size=8)
    grown = check(keeps_ids, ids, invariants=[bounded(len, 3)], seed=1, schedules=50)
    assert grown.scenario is not None
    assert not grown.scenario.faults
    assert len(grown.scenario.events) == 4
    assert "bounded(len, 3) does not hold at the end: 4 is more than 3" in grown.report()
    assert check(keeps_ids, ids, invariants=[bounded(len, 8)], seed=1, schedules=50).status == "held"


def test_a_lost_event_is_one_also_where_states_are_compared_without_it() -> None:
    """`loss="left out"` is about the state; a broker that loses nothing holds."""
    ids = events(st.integers(1, 9), keys=st.sampled_from(["alice", "bob"]))
    loses = Kafka(auto_commit=True)
    assert Lose in loses.kinds()
    lost = check(keeps_ids, ids, loses, invariants=[final_state(), no_lost_event()], seed=1)
    assert [v.message.partition(" ")[2] for v in lost.violations] == ["was lost: it was never delivered"]
    assert check(keeps_ids, ids, SqsStandard(), invariants=[no_lost_event()], seed=1, schedules=200).status == "held"


def test_a_row_that_goes_back_for_a_while_does_not_converge() -> None:
    """A consumer that starts again hands out both: the end is right, and the way there is not."""

    def overwrites(deliver: Any) -> dict[str, int]:
        rows: dict[str, int] = {}
        deliver(lambda message: rows.update({message.key: message.value}), state=lambda: rows)
        return rows

    twice = Scenario([Event("alice", 1), Event("alice", 2)], Kafka(), [Redeliver("e1", after=1)])
    assert run(overwrites, twice).status == "held"
    verdict = run(overwrites, twice, invariants=[converges()])
    assert [v.message for v in verdict.violations] == [
        "after delivery 3 (e1) the state is not that of the same events in order"
    ]


def raises(state: Any) -> Any:
    raise ZeroDivisionError("division by zero")


def says_nothing(state: Any) -> Any:
    """It lacks its return."""


@pytest.mark.parametrize(
    "make", [never, conserved, monotonic, lambda f: bounded(f, 3), no_lost_event], ids=lambda make: make.__name__
)
def test_who_raises_or_says_nothing_is_unknown(make: Callable[[Any], Invariant]) -> None:
    """Never a pass."""
    for function, reason in ((raises, "ZeroDivisionError"), (says_nothing, "says_nothing gave None")):
        verdict = check(adds, PAYMENTS, invariants=[make(function)], seed=1, schedules=20)
        assert verdict.status == "unknown"
        assert reason in verdict.reasons[0]


def test_what_has_no_order_is_unknown() -> None:
    """NaN is neither more nor less; a text has no order with a number."""
    nan = check(adds, PAYMENTS, invariants=[monotonic(lambda state: float("nan"))], seed=1, schedules=20)
    assert "gave NaN" in nan.reasons[0]
    text = check(adds, PAYMENTS, invariants=[bounded(str, 3)], seed=1, schedules=20)
    assert "TypeError" in text.reasons[0]


def test_they_say_which_state_they_need() -> None:
    """Along the way, or the final one; and a function of it."""

    def nothing(deliver: Any) -> None:
        deliver(lambda message: None)

    with pytest.raises(UsageError, match=r"^monotonic\(version\) looks at the state after each delivery: give it"):
        check(keeps_ids, PAYMENTS, invariants=[monotonic(version)], seed=1)
    with pytest.raises(UsageError, match=r"None, and never\(overdrawn\) looks at the state. Return the final state"):
        check(nothing, PAYMENTS, invariants=[never(overdrawn)], seed=1)
    with pytest.raises(UsageError, match=r"None, and converges compares what it returns"):
        check(nothing, PAYMENTS, invariants=[converges()], seed=1)

    async def awaited(state: Any) -> bool:
        return True

    for wrong in (3, awaited):
        with pytest.raises(UsageError, match="a function of the state is needed, and not one that is awaited"):
            never(wrong)  # type: ignore[arg-type]


def test_a_state_that_never_moves_shows_nothing() -> None:
    """Neither along the way nor at the end, though no predicate is ever true."""

    def still(deliver: Any) -> str:
        deliver(lambda message: None)
        return "open"

    verdict = check(still, PAYMENTS, invariants=[never(lambda state: state == "shut")], seed=1)
    assert verdict.status == "unknown"
    assert "never changed the final state" in verdict.reasons[0]
