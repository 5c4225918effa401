"""The limit rings within a run only, wherever the alarm comes: what it raises is caught where the run is known."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from chaoskit import Event, Kafka, Redeliver, Stream
from chaoskit.execution.failures import HungInOrder
from chaoskit.execution.limit import _LOOKS, Hung, Limit
from chaoskit.search.oracle import Case, Subject
from chaoskit.search.question import default_invariants

STREAM = Stream.of([Event("a", 1), Event("a", 2)])
FAULTS = (Redeliver("e2", 0),)


@pytest.fixture
def limit() -> Iterator[Limit]:
    found = Limit(60)
    with found.armed():
        yield found


def ring(limit: Limit, frame: FrameType | None) -> None:
    """As the alarm does in this frame, where the present run, if there is one, has taken too long."""
    limit._seen, limit._looks = limit._runs, _LOOKS
    limit._look(signal.SIGALRM, frame)


def at_call(number: int, limit: Limit, calls: list[int]) -> Callable[..., None]:
    """Rings at the start of the function that is called as this one from now on, whosever it is."""

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            calls.append(1)
            if len(calls) == number:
                ring(limit, frame)

    return profile


def tried(run: Callable[[], Any]) -> Any:
    try:
        return run()
    finally:
        sys.setprofile(None)


def rung_at(number: int, limit: Limit, body: Any, calls: list[int]) -> Any:
    """What comes of a run in which the alarm rings once at this call; None where nothing is interrupted there."""
    case: Case = Subject(body, Kafka(), default_invariants(None), limit=limit).on(STREAM)
    case.reference()
    sys.setprofile(at_call(number, limit, calls))
    try:
        tried(lambda: case.run(FAULTS))
    except Hung as hung:
        return hung
    return None


def test_an_alarm_in_any_call_of_a_run_that_ends_is_told_with_its_stream(limit: Limit) -> None:
    """From before the first line of it to behind its last."""

    def adds(deliver: Any) -> Any:
        state: list[int] = []
        deliver(lambda message: state.append(message.value))
        return state

    number, hung, told = 0, 0, list[int]()
    while len(told) >= number:
        number, told = number + 1, []
        if (found := rung_at(number, limit, adds, told)) is not None:
            hung += 1
            assert found.stream == STREAM
    assert number > 20
    assert hung


@pytest.mark.parametrize("before", [0, 2])
def test_a_second_alarm_while_the_first_is_told_changes_nothing(limit: Limit, before: int) -> None:
    """Of a handler that hangs, and was interrupted once, or has gone on all the same some times."""
    number, calls = 0, list[int]()

    def hangs(deliver: Any) -> Any:
        def handle(message: Any) -> None:
            limit._interruptions = before
            sys.setprofile(at_call(number, limit, calls))
            ring(limit, sys._getframe())

        deliver(handle)

    while len(calls) >= number:
        number, calls[:] = number + 1, []
        case = Subject(hangs, Kafka(), default_invariants(None), limit=limit).on(STREAM)
        with pytest.raises(HungInOrder, match="step 1, the delivery of e1"):
            tried(case.in_order)
    assert number > 3
