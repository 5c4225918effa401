"""A run that does not end says where it stands."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import chaoskit
from chaoskit import Event, Kafka, Redeliver, Scenario, Stream
from chaoskit.execution.failures import HungInOrder, where_it_hung
from chaoskit.execution.limit import Hung, Limit
from chaoskit.repro.read import read
from chaoskit.repro.replay import play
from chaoskit.search.oracle import Subject
from chaoskit.search.question import default_invariants
from chaoskit.search.verdicts import hung_verdict
from chaoskit.values.schedule import RESTART

STREAM = Stream.of([Event("a", 1), Event("a", 2), Event("a", 3)])
FAULTS = (Redeliver("e3", 0),)
"""Handled 1, 2, 3; the consumer restarts; 3 comes again: five steps."""


@pytest.fixture
def limit() -> Iterator[Limit]:
    found = Limit(0.2)
    with found.armed():
        yield found


def wait_for_ever() -> None:
    while True:
        time.sleep(0.01)


def at_once(deliver: Any) -> Any:
    wait_for_ever()


def afterwards(deliver: Any) -> Any:
    deliver(lambda message: None)
    wait_for_ever()


def in_the_handler(deliver: Any) -> Any:
    deliver(lambda message: wait_for_ever() if message.id == "e2" else None)


def in_spawn(deliver: Any) -> Any:
    made: list[int] = []

    def make() -> Callable[[Any], None]:
        made.append(1)
        if len(made) > 1:
            wait_for_ever()
        return lambda message: None

    deliver(spawn=make)


@pytest.mark.parametrize(
    ("test", "shown"),
    [
        (at_once, "the test did not end within 0.2 s: before `deliver`"),
        (afterwards, "the test did not end within 0.2 s: after the deliveries"),
        (in_the_handler, "the handler did not return within 0.2 s: step 2, the delivery of e2"),
        (in_spawn, "the test did not end within 0.2 s: at step 4"),
    ],
)
def test_where_a_run_hangs_is_told(limit: Limit, test: Any, shown: str) -> None:
    """Before anything was delivered, at which step, or behind it all."""
    case = Subject(test, Kafka(), default_invariants(None), limit=limit).on(STREAM)
    with pytest.raises(Hung) as caught:
        case.run(FAULTS)
    assert where_it_hung(caught.value) == shown


def test_a_step_that_is_no_delivery_is_told_by_its_number(limit: Limit) -> None:
    """Where the consumer restarts."""
    case = Subject(at_once, Kafka(), default_invariants(None), limit=limit).on(STREAM)
    with pytest.raises(Hung) as caught:
        case.run(FAULTS)
    hung = caught.value
    assert not hung.steps
    hung.steps = case.steps(FAULTS)[:4]
    assert hung.steps[-1][0] == RESTART
    assert where_it_hung(hung) == "the test did not end within 0.2 s: at step 4"


def sums_and_hangs_at_the_second_copy(deliver: Any) -> Any:
    state, copies = {"sum": 0}, list[Any]()

    def handle(message: Any) -> None:
        if not message.value:
            copies.append(message.id)
            if len(copies) == 2:
                wait_for_ever()
        state["sum"] += message.value

    deliver(handle)
    return state


def sums(deliver: Any) -> Any:
    state = {"sum": 0}
    deliver(lambda message: state.update(sum=state["sum"] + message.value))
    return state


def test_a_repaired_handler_goes_on_where_the_recorded_one_hung(limit: Limit, tmp_path: Path) -> None:
    """The file ends with the step that did not end, and what comes behind it is delivered, too."""
    stream = Stream.of([Event("a", 0), Event("a", 2), Event("a", 3)])
    hangs = Subject(sums_and_hangs_at_the_second_copy, Kafka(), default_invariants(None), limit=limit)
    with pytest.raises(Hung) as caught:
        hangs.on(stream).run([Redeliver("e1", 0)])
    verdict = attrs.evolve(hung_verdict(hangs, caught.value), test="test_a.py::test_a")
    repro = read(verdict.save(tmp_path))
    assert [step.event for step in repro.schedule if step.action == "deliver"] == ["e1", "e1"]
    answer = play(repro, attrs.evolve(hangs, body=sums))
    assert (answer.became, answer.reason) == ("FIXED", "")


def test_in_order_it_is_an_error_that_says_where(limit: Limit) -> None:
    """With what gives it more time."""
    case = Subject(in_the_handler, Kafka(), default_invariants(None), limit=limit).on(STREAM)
    with pytest.raises(HungInOrder, match="step 2, the delivery of e2, although everything came once and in order"):
        case.in_order()


def test_nothing_is_raised_in_a_callback_of_the_garbage_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python would print it and go on. Hypothesis has such a callback, which is called wherever the collector runs."""
    unheard: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", unheard.append)

    def callback(phase: str, info: dict[str, int]) -> None:
        for _ in range(60):
            pass

    def handle(message: Any) -> None:
        while True:
            try:  # noqa: SIM105 - as such handlers do it
                gc.collect(0)
            except BaseException:  # noqa: BLE001
                pass

    gc.callbacks.append(callback)
    try:
        with pytest.raises(HungInOrder):
            chaoskit.run(lambda deliver: deliver(handle), Scenario(STREAM.events, Kafka(partitions=1), []), limit=0.2)
    finally:
        gc.callbacks.remove(callback)
    assert not unheard
