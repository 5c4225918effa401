"""What the producer has sent by the time of a delivery."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import Any

import pytest

import chaoskit
from chaoskit import DeadLetter, Event, Fault, Kafka, Lose, Overtake, Redeliver, Scenario, UsageError

STREAM = [Event("a", {"n": 1}), Event("a", {"n": 2}), Event("a", {"n": 3})]
ONE = Kafka(partitions=1)

Asked = list[tuple[Any, list[Any]]]


def asking(asked: list[Asked]) -> Any:
    """A test that asks at each delivery, and writes down a list for each run."""

    def test(deliver: Any) -> int:
        run: Asked = []

        def handle(message: Any) -> None:
            run.append((message.id, [event.id for event in deliver.sent()]))

        deliver(handle)
        asked.append(run)
        return 0

    return test


def asked_under(*faults: Fault, broker: Any = ONE, **options: Any) -> list[Asked]:
    asked: list[Asked] = []
    chaoskit.run(asking(asked), Scenario(STREAM, broker, faults), **options)
    return asked


def test_in_order_it_is_all_up_to_the_present_one() -> None:
    """The source had not sent the next one then."""
    assert asked_under()[0] == [("e1", ["e1"]), ("e2", ["e1", "e2"]), ("e3", ["e1", "e2", "e3"])]


def test_it_never_forgets_what_was_shown_before() -> None:
    """A message that comes again comes at a later time."""
    assert [("e1", ["e1"]), ("e2", ["e1", "e2"]), ("e1", ["e1", "e2"])] in [
        run[:3] for run in asked_under(Redeliver("e1", 1))
    ]


def test_it_has_what_was_set_aside_unseen() -> None:
    """A dead letter had been sent, though the handler has not seen it yet."""
    whole = ["e1", "e2", "e3"]
    assert [("e2", ["e1", "e2"]), ("e3", whole), ("e1", whole)] in asked_under(DeadLetter("e1", 1))


def test_it_has_what_lies_before_the_furthest() -> None:
    """The source sent e1 before e2, whichever is delivered first."""
    stream = [Event("a", 1), Event("b", 2)]
    asked: list[Asked] = []
    chaoskit.run(asking(asked), Scenario(stream, Kafka(partitions=6), [Overtake("e1", 0)]))
    assert [("e2", ["e1", "e2"]), ("e1", ["e1", "e2"])] in asked


def test_what_the_settings_lose_is_left_out_as_it_is_of_the_comparison() -> None:
    """Else the run would know of what the in-order run has never heard of. Where a loss is a failure it was sent."""
    lossy = Kafka(partitions=1, commit_ahead=True)
    left_out = asked_under(Lose("e2"), broker=lossy)
    assert [("e1", ["e1"]), ("e3", ["e1", "e3"])] in left_out
    counted = asked_under(Lose("e2"), broker=lossy, loss="violation")
    assert [("e1", ["e1"]), ("e3", ["e1", "e2", "e3"])] in counted


def test_the_events_are_copies() -> None:
    """A stub that hands them on harms nobody."""
    seen: list[Any] = []

    def test(deliver: Any) -> int:
        def handle(message: Any) -> None:
            seen.extend(event.value["n"] for event in deliver.sent())
            for event in deliver.sent():
                event.value["n"] = 99

        deliver(handle)
        return 0

    chaoskit.run(test, Scenario(STREAM, ONE, [Redeliver("e1", 0)]))
    assert 99 not in seen


def before(deliver: Any, handle: Any) -> None:
    deliver.sent()
    deliver(handle)


def behind(deliver: Any, handle: Any) -> None:
    deliver(handle)
    deliver.sent()


@pytest.mark.parametrize("body", [before, behind])
def test_outside_of_a_delivery_it_is_an_error(body: Any) -> None:
    """Nobody knows what time it is then. Also where the test swallows it."""

    def test(deliver: Any) -> int:
        with suppress(UsageError):
            body(deliver, lambda message: None)
        return 0

    with pytest.raises(UsageError, match=r"deliver.sent\(\) was called outside of a delivery"):
        chaoskit.run(test, Scenario(STREAM, ONE, []))


def test_a_flush_in_the_clean_stop_may_ask() -> None:
    """The handlers of a run are still there."""
    rows: dict[Any, int] = {}

    def test(deliver: Any) -> dict[Any, int]:
        rows.clear()

        @contextmanager
        def process() -> Any:
            yield lambda message: None
            rows["sent"] = len(deliver.sent())

        deliver(spawn=process)
        return rows

    assert chaoskit.run(test, Scenario(STREAM, ONE, [Redeliver("e1", 0)])).expected == {"sent": 3}


def test_it_is_right_behind_a_refusal_and_in_async_tests() -> None:
    """Where the run leaves the short way."""
    asked: Asked = []

    async def test(deliver: Any) -> int:
        refused = []
        asked.clear()

        async def handle(message: Any) -> None:
            asked.append((message.id, [event.id for event in deliver.sent()]))
            if message.id == "e2" and not refused:
                refused.append(1)
                raise ValueError("later")

        await deliver(handle)
        return 0

    with pytest.raises(UsageError, match="the handler raised ValueError on event 'e2'"):
        chaoskit.run(test, Scenario(STREAM, ONE, []))
    assert asked == [("e1", ["e1"]), ("e2", ["e1", "e2"])]
