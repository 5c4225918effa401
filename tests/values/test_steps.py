"""Going through a schedule step by step: `for delivery in deliver.steps(handler)`, and `async for`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Crash, DeadLetter, Event, Kafka, Redeliver, Scenario, UsageError
from chaoskit.decorator import bound
from chaoskit.invariants import always
from chaoskit.repro.read import read
from chaoskit.repro.replay import play
from chaoskit.strategies import events

STREAM = [Event("a", 1), Event("a", 2), Event("a", 3)]
ONE = Kafka(partitions=1)
RESTART = Scenario(STREAM, ONE, [Redeliver("e3", 0)])
"""Handled 1, 2, 3; the consumer restarts; 3 comes again: five steps, four deliveries."""

PAYMENTS = events(st.integers(1, 9), keys=st.sampled_from(["a", "b"]))


def test_each_delivery_says_what_it_was() -> None:
    """Its message, its number, and whether the handler took it."""
    runs: list[list[Any]] = []

    def test(deliver: Any) -> int:
        seen: list[Any] = []
        refused: list[Any] = []

        def handle(message: Any) -> None:
            if message.id == "e2" and not refused and "e1" not in [each[0] for each in seen]:
                refused.append(1)
                raise LookupError("no e1")

        for delivery in deliver.steps(handle):
            seen.append((delivery.id, delivery.message.value, delivery.number, delivery.raised, repr(delivery.error)))
        runs.append(seen)
        return 0

    chaoskit.run(test, Scenario(STREAM[:2], ONE, [DeadLetter("e1", 0)]))
    assert runs[0] == [("e1", 1, 1, False, "None"), ("e2", 2, 2, False, "None")]
    assert ("e2", 2, 1, True, "LookupError('no e1')") in runs[-1]


def goes_back(deliver: Any) -> dict[Any, int]:
    """A balance that is overwritten by something older, as nobody sees at the end."""
    rows: dict[Any, int] = {}
    highest: dict[Any, int] = {}

    def handle(message: Any) -> None:
        rows[message.key] = message.seq

    for delivery in deliver.steps(handle):
        key = delivery.message.key
        assert rows[key] >= highest.get(key, 0), f"{key} went back to {rows[key]}"
        highest[key] = rows[key]
    return rows


async def goes_back_async(deliver: Any) -> dict[Any, int]:
    rows: dict[Any, int] = {}
    highest: dict[Any, int] = {}

    async def handle(message: Any) -> None:
        await asyncio.sleep(0)
        rows[message.key] = message.seq

    async for delivery in deliver.steps(handle):
        key = delivery.message.key
        assert rows[key] >= highest.get(key, 0), f"{key} went back to {rows[key]}"
        highest[key] = rows[key]
    return rows


@pytest.mark.parametrize("test", [goes_back, goes_back_async])
def test_an_assert_that_fails_is_a_violation_with_its_step(test: Any) -> None:
    """Found, shrunk to the least, and played again. What comes behind the step was not played."""
    verdict = chaoskit.check(test, PAYMENTS, ONE, faults={Redeliver}, seed=1)
    assert verdict.status == "violated"
    assert verdict.scenario is not None
    assert (len(verdict.scenario.events), len(verdict.scenario.faults)) == (2, 1)
    first, second = verdict.scenario.stream.ids
    message = verdict.violations[0].message
    assert message.startswith(f"the test raised AssertionError after step 4, the delivery of {first}: a went back to 1")
    assert verdict.schedule is not None
    assert [step.event for step in verdict.schedule] == [first, second, None, first]
    assert message in verdict.report()
    assert chaoskit.run(test, verdict.scenario).status == "violated"


def test_a_file_of_it_is_played_again(tmp_path: Any) -> None:
    """It ends with the step that fails, and a repaired test is given what comes behind it, too."""
    stream = [Event("a", 1), Event("a", 2), Event("a", 3), Event("a", 4)]
    verdict = chaoskit.run(goes_back, Scenario(stream, ONE, [Redeliver("e2", 1)]))
    assert verdict.schedule is not None
    assert "after step 5, the delivery of e2" in verdict.violations[0].message
    assert len(verdict.schedule) == 5  # of seven
    path = attrs.evolve(verdict, test="test_it.py::test_it").save(tmp_path)
    for test, became in ((goes_back, "STILL FAILS"), (right, "FIXED"), (goes_back_async, "STILL FAILS")):
        with bound(test) as given:
            answer = play(read(path), given.subject(broker=ONE))
        assert (answer.became, answer.reason) == (became, "")


def right(deliver: Any) -> dict[Any, int]:
    rows: dict[Any, int] = {}

    def handle(message: Any) -> None:
        rows[message.key] = max(rows.get(message.key, 0), message.seq)

    before: dict[Any, int] = {}
    for _ in deliver.steps(handle):
        assert all(rows[key] >= was for key, was in before.items())
        before = dict(rows)
    return rows


def test_a_right_handler_is_never_flagged() -> None:
    """Nor is its final state forgotten."""
    assert chaoskit.check(right, PAYMENTS, Kafka(), seed=1, schedules=2_000).status == "held"


def test_in_order_a_failing_assert_is_the_users_error() -> None:
    """It is raised as it is, and what was open is closed."""
    left: list[str] = []

    @contextmanager
    def process() -> Iterator[Any]:
        try:
            yield lambda message: None
        except BaseException as error:
            left.append(type(error).__name__)
            raise

    def test(deliver: Any) -> int:
        for delivery in deliver.steps(spawn=process):
            assert delivery.number < 2, "never more than one"
        return 0

    with pytest.raises(AssertionError, match="never more than one"):
        chaoskit.run(test, RESTART)
    assert left == ["Died"]


def test_an_async_loop_that_fails_closes_what_is_open() -> None:
    """In the loop of the test, where alone it can be closed."""
    opened: list[int] = []

    @asynccontextmanager
    async def process() -> AsyncIterator[Any]:
        opened.append(1)
        try:
            yield lambda message: None
        finally:
            await asyncio.sleep(0)
            opened.pop()

    async def test(deliver: Any) -> int:
        seen: list[Any] = []
        async for delivery in deliver.steps(spawn=process):
            seen.append(delivery.id)
            assert seen.count("e3") < 2, "e3 came twice"
        return 0

    verdict = chaoskit.run(test, RESTART)
    assert "after step 5, the delivery of e3: e3 came twice" in verdict.violations[0].message
    assert not opened


def test_it_takes_spawn_and_state_as_deliver_does() -> None:
    """A death comes behind the pause, and not before it."""
    runs: list[str] = []

    def test(deliver: Any) -> int:
        log: list[str] = []
        rows: list[int] = []

        @contextmanager
        def process() -> Iterator[Any]:
            log.append("begun")
            try:
                yield lambda message: rows.append(message.value)
            except chaoskit.Died:
                log.append("died")
                raise
            log.append("stopped")

        for delivery in deliver.steps(spawn=process, state=lambda: list(rows)):
            log.append(str(delivery.id))
        runs.append(" ".join(log))
        return 0

    verdict = chaoskit.run(test, RESTART, invariants=[always(lambda rows: len(rows) < 4, "few")])
    assert "begun e1 e2 e3 died begun e3 stopped" in runs
    assert [v.message for v in verdict.violations] == [
        "few does not hold after delivery 4 (e3): the state is [1, 2, 3, 3]"
    ]


def leaves(deliver: Any) -> int:
    for _ in deliver.steps(lambda message: None):
        break
    return 0


def never_begins(deliver: Any) -> int:
    deliver.steps(lambda message: None)
    return 0


def twice(deliver: Any) -> int:
    for _ in deliver.steps(lambda message: None):
        deliver(lambda message: None)
    return 0


async def not_async(deliver: Any) -> int:
    for _ in deliver.steps(lambda message: None):
        pass
    return 0


def neither(deliver: Any) -> int:
    for _ in deliver.steps():
        pass
    return 0


@pytest.mark.parametrize(
    ("test", "says"),
    [
        (leaves, r"before it had gone through all of deliver.steps\(…\): write `for delivery in .*, without break"),
        (never_begins, r"before it had gone through all of deliver.steps"),
        (twice, r"deliver was called a second time in one run"),
        (not_async, r"in an async test write `async for delivery in deliver.steps\(handler\)`"),
        (neither, r"give deliver either a handler"),
    ],
)
def test_each_misuse_says_what_to_do(test: Any, says: str) -> None:
    """In the user's terms."""
    with pytest.raises(UsageError, match=says):
        chaoskit.run(test, RESTART)


@pytest.mark.parametrize(("died_at", "step"), [("e1", 1), ("e2", 2)])
def test_an_assert_behind_a_death_names_the_message_that_the_process_died_at(died_at: str, step: int) -> None:
    """And not the one before it, which was delivered last."""

    def test(deliver: Any) -> int:
        begun: list[Any] = []
        ended: list[Any] = []

        def process() -> Any:
            def handle(message: Any) -> None:
                begun.append(message.id)
                ended.append(message.id)

            return handle

        for _ in deliver.steps(spawn=process):
            assert begun == ended, "half done"
        return 0

    verdict = chaoskit.run(test, Scenario(STREAM[:2], ONE, [Crash(died_at, 1)]))
    (violation,) = verdict.violations
    assert f"after step {step}, the delivery of {died_at}: half done" in violation.message
