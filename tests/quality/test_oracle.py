"""Which order a failure breaks, and what it is compared with."""

from __future__ import annotations

from typing import Any

import pytest

import chaoskit
from chaoskit import Celery, Duplicate, Event, Kafka, Lose, Overtake, Scenario, UsageError
from chaoskit.invariants import final_state
from chaoskit.search.labels import explained_by_order, likely_orders
from chaoskit.search.oracle import Case, Subject
from chaoskit.values.errors import NotDeterministic
from chaoskit.values.verdict import Verdict

BROKER = Kafka(partitions=6)


def keys_of_lanes(count: int) -> list[str]:
    """So many keys, each in a partition of its own."""
    found: dict[int | None, str] = {}
    for key in "abcdefghijklmnopqrstuvwxyz":
        step = Scenario([Event(key, 1)], BROKER).schedule().steps[0]
        found.setdefault(step.partition, key)
    return list(found.values())[:count]


def stream_of(lanes: int, each: int) -> list[Event]:
    return [Event(key, number) for number in range(each) for key in keys_of_lanes(lanes)]


def ab() -> list[Event]:
    return [Event(key, 1) for key in keys_of_lanes(2)]


def overwrites(deliver: Any) -> Any:
    state: dict[Any, Any] = {}
    deliver(lambda message: state.update({message.key: message.value}))
    return state


def counts(deliver: Any) -> Any:
    state: dict[Any, int] = {}
    deliver(lambda message: state.update({message.key: state.get(message.key, 0) + 1}))
    return state


def last_of_all(deliver: Any) -> Any:
    state: dict[str, Any] = {}
    deliver(lambda message: state.update(last=message.id))
    return state


def refuses_after_b(deliver: Any) -> Any:
    """Takes nothing of the first key once one of the second has come, and shows the second only."""
    a, b = keys_of_lanes(2)
    seen: list[Any] = []

    def handle(message: Any) -> None:
        if message.key == a and any(key == b for key, _ in seen):
            raise ValueError("too late")
        seen.append((message.key, message.value))

    deliver(handle)
    return [value for key, value in seen if key == b]


def over(test: Any, lanes: int, each: int, *faults: Any) -> Verdict:
    verdict = chaoskit.run(test, Scenario(stream_of(lanes, each), BROKER, faults))
    assert verdict.status == "violated"
    return verdict


@pytest.mark.parametrize(
    ("lanes", "each", "label"), [(1, 4, "within"), (2, 4, "within"), (2, 6, "within"), (3, 3, "not decided")]
)
def test_what_a_copy_breaks_is_within(lanes: int, each: int, label: str) -> None:
    """No order of the lanes gives it: up to a thousand are all tried, and of 1,680 nothing can be said."""
    verdict = over(counts, lanes, each, Duplicate(f"e{lanes * each}"))
    assert verdict.label == label


def test_what_depends_on_the_order_of_partitions_is_across_keys() -> None:
    """Some order without any fault gives it, too."""
    assert over(last_of_all, 2, 2, Overtake("e3", 1)).label == "across keys"


def test_a_refusal_that_an_order_gives_too_is_across_keys_and_another_one_is_not() -> None:
    """Where one refuses and the other does not the results are not the same."""
    case = Case(Subject(refuses_after_b, BROKER, (final_state(),)), BROKER.model(chaoskit.Stream.of(ab())))
    run = case.run([Overtake("e1", 0)])
    assert run.outcome.refused
    assert not explained_by_order(case, run, [[0, 1]])
    assert explained_by_order(case, run, [[1, 0]])


@pytest.mark.parametrize("lost", [(), ("e1",), ("e2",)])
def test_what_is_lost_and_needed_by_nothing_is_all_that_is_left_out(lost: tuple[str, ...]) -> None:
    """Whether the broker skips what is refused is asked only where something that came is refused without it."""
    case = Case(Subject(overwrites, Celery(), (final_state(),)), Celery().model(chaoskit.Stream.of(ab())))
    run = case.run([Lose(event) for event in lost])
    assert run.outcome.lost == lost
    assert case.left_out(run) == (lost, None)


def test_the_likely_orders_are_by_first_and_by_last_delivery() -> None:
    """Each lane in its own order, whatever came twice in it."""
    case = Case(Subject(overwrites, BROKER, (final_state(),)), BROKER.model(chaoskit.Stream.of(stream_of(2, 2))))
    steps = case.steps(())
    a1, b1, a2, b2 = steps
    again = case.run((), [a1, b1, a2, b2, a1])
    assert likely_orders(case, again) == [[0, 1, 2, 3], [1, 0, 3, 2]]
    assert likely_orders(case, case.run((), steps)) == [[0, 1, 2, 3]]


def test_a_state_that_later_runs_change_is_the_one_of_its_run() -> None:
    """One dictionary for all runs, emptied at the beginning of each."""
    shared: dict[str, int] = {}

    def test(deliver: Any) -> Any:
        shared.clear()
        deliver(lambda message: shared.update({message.key: shared.get(message.key, 0) + message.value}))
        return shared

    verdict = chaoskit.check(test, [Event("a", 1), Event("a", 2)], BROKER, faults={Duplicate}, schedules=20, seed=1)
    assert (verdict.status, len(verdict.scenario.events)) == ("violated", 1)  # type: ignore[union-attr]
    assert verdict.expected != verdict.observed
    (difference,) = verdict.violations[0].differences
    assert (difference.expected, difference.observed) == (verdict.expected["a"], verdict.observed["a"])


def test_an_error_of_ours_in_an_invariant_is_told_as_it_is() -> None:
    """And not as an invariant that raised, which would be unknown."""
    with pytest.raises(UsageError, match="needs a mapping"):
        chaoskit.run(rows, Scenario(ab(), BROKER, [Duplicate("e1")]), invariants=[final_state(by_key=True)])


def rows(deliver: Any) -> Any:
    found: list[Any] = []
    deliver(lambda message: found.append(message.id))
    return found


def test_a_schedule_that_goes_another_way_is_told_with_its_step() -> None:
    """Counted from 1: the handler refuses the second message in one run and takes it in the next."""
    runs: list[int] = []

    def test(deliver: Any) -> Any:
        runs.append(1)
        state: dict[Any, int] = {}

        def handle(message: Any) -> None:
            if message.id == "e2" and state.get("e1") == 2 and len(runs) % 2:
                state["e1"] = 3
                raise ValueError("now and then")
            state[message.id] = state.get(message.id, 0) + 1

        deliver(handle)
        return state

    with pytest.raises(NotDeterministic, match=r"the same schedule went another way at step 4$"):
        chaoskit.run(test, Scenario([Event("a", 1), Event("a", 2)], BROKER, [Duplicate("e1")]))
