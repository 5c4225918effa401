"""`deliver.now()`: what goes by the clock is tested without waiting."""

from __future__ import annotations

import asyncio
import datetime
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import (
    Crash,
    DeadLetter,
    Duplicate,
    Event,
    Fault,
    Message,
    Redeliver,
    Scenario,
    UsageError,
    Zombie,
)
from chaoskit.brokers import Celery, Kafka, RabbitMQ, SqsFifo, SqsStandard
from chaoskit.strategies import events
from chaoskit.values.timing import DAY
from handlers.inside.leases import remembers

EVENTS = events(st.integers(1, 9), keys=st.sampled_from(["a", "b"]), max_size=8)
STREAM = [Event("a", 1), Event("a", 2)]
LETTERS = SqsStandard(max_receive_count=3)
Test = Callable[[Any], Any]


def drops_what_is_old(deliver: Any) -> dict[Any, list[Any]]:
    """Older than an hour: also what was never handled."""
    rows: dict[Any, list[Any]] = {}

    def handle(message: Message) -> None:
        if deliver.now() - message.timestamp <= 3600:
            rows[message.key] = sorted({*rows.get(message.key, []), message.id})

    deliver(handle)
    return rows


BUGS: dict[str, tuple[Test, Any, list[type[Fault]]]] = {
    "forgets before the lease runs out": (remembers(20), SqsStandard(), [Duplicate]),
    "drops what a worker has held too long": (drops_what_is_old, Celery(acks_late=True), [Zombie]),
    "drops a dead letter that kept its time": (
        drops_what_is_old, RabbitMQ(dead_letter_exchange=True), [DeadLetter],
    ),
}  # fmt: skip
TWINS: dict[str, tuple[Test, Any]] = {
    "remembers longer than any lease": (remembers(DAY), SqsStandard()),
    "what is put back is new again": (drops_what_is_old, LETTERS),
    "nothing is late for long": (drops_what_is_old, SqsFifo()),
}


@pytest.mark.parametrize("name", BUGS)
def test_it_is_found_and_shrunk(name: str) -> None:
    """With one event, whatever the seed."""
    test, broker, kinds = BUGS[name]
    for seed in range(4):
        verdict = chaoskit.check(test, EVENTS, broker, seed=seed)
        assert verdict.status == "violated", seed
        assert verdict.scenario is not None
        assert len(verdict.scenario.events) == 1
        assert sorted((type(fault) for fault in verdict.scenario.faults), key=str) == kinds
        assert chaoskit.run(test, verdict.scenario).observed == verdict.observed


@pytest.mark.parametrize("name", TWINS)
def test_its_twin_holds(name: str) -> None:
    test, broker = TWINS[name]
    assert chaoskit.check(test, EVENTS, broker, seed=1, schedules=300).status == "held"


def before(deliver: Any, handle: Any) -> None:
    deliver.now()
    deliver(handle)


def behind(deliver: Any, handle: Any) -> None:
    deliver(handle)
    deliver.now()


@pytest.mark.parametrize("body", [before, behind])
def test_outside_of_a_delivery_it_is_an_error(body: Any) -> None:
    """Also where the test swallows it."""

    def test(deliver: Any) -> int:
        with suppress(UsageError):
            body(deliver, lambda message: None)
        return 0

    with pytest.raises(UsageError, match=r"deliver.now\(\) was called outside of a delivery"):
        chaoskit.run(test, Scenario(STREAM, Kafka(), []))


def asked(faults: list[Fault], **options: Any) -> list[tuple[str, float]]:
    """What a process hears at its start, in its handler and at its stop, and what the clocks say there."""
    heard: list[tuple[str, float]] = []

    def test(deliver: Any) -> int:
        heard.clear()

        def note(what: str) -> None:
            now = deliver.now()
            heard.append((what, round(now - 1.7e9, 2)))
            if options:
                clocks = time.time(), datetime.datetime.now(datetime.UTC).timestamp()
                assert clocks == pytest.approx([now, now], rel=0, abs=1e-5)

        @contextmanager
        def process() -> Any:
            note("start")
            yield lambda message: note(message.id)
            note("stop")

        deliver(spawn=process)
        return 0

    chaoskit.run(test, Scenario(STREAM, Kafka(), faults), **options)
    return heard


IN_PROCESSES = [("start", 0.01), ("e1", 0.01), ("start", 5.02), ("e1", 5.02), ("e2", 5.03), ("stop", 5.03)]


def test_a_process_may_ask_when_it_starts_and_stops() -> None:
    assert asked([Redeliver("e1")]) == IN_PROCESSES
    # In threads of their own, too.
    assert asked([Crash("e1", 99)]) == IN_PROCESSES


def test_a_test_that_goes_step_by_step_and_an_async_one_may_ask() -> None:
    async def test(deliver: Any) -> list[float]:
        times: list[float] = []

        async def handle(message: Message) -> None:
            await asyncio.sleep(0)
            times.append(deliver.now())

        async for _ in deliver.steps(handle):
            times.append(deliver.now())
        return times

    verdict = chaoskit.run(test, Scenario(STREAM, SqsStandard(), [Duplicate("e1")]))
    assert [round(time - 1.7e9) for time in verdict.observed] == [0, 0, 30, 30, 30, 30]


def test_a_copy_that_is_kept_knows_when_it_was_put_back() -> None:
    """Its timestamp is made when somebody reads it, which may be when the run is over; what it shows is a message."""
    stored: list[Message] = []
    chaoskit.run(lambda deliver: deliver(stored.append) or 0, Scenario(STREAM, LETTERS, [DeadLetter("e2")]))
    assert repr(stored[-1]).startswith("Message(")
    assert stored[-1].timestamp >= 1.7e9 + 2 * DAY


# Python's own clocks.


def test_the_clocks_of_python_follow() -> None:
    """In processes, and in threads; and go on behind the run as if nothing had been."""
    real = time.time(), time.monotonic()
    assert asked([Redeliver("e1")], freeze_time=True) == IN_PROCESSES
    assert asked([Crash("e1", 99)], freeze_time=True) == IN_PROCESSES
    assert 0 <= time.time() - real[0] < 60
    assert 0 <= time.monotonic() - real[1] < 60


CLOCKS: dict[str, Callable[[Any], float]] = {
    "time.time()": lambda deliver: time.time(),
    "time.monotonic()": lambda deliver: time.monotonic(),
    "datetime.now()": lambda deliver: datetime.datetime.now().timestamp(),
}


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_handler_that_asks_them_is_tested_alike(clock: str) -> None:
    """It knows nothing of chaoskit."""
    forgets, keeps = remembers(DAY, CLOCKS[clock]), remembers(None, CLOCKS[clock])
    found = chaoskit.check(forgets, EVENTS, LETTERS, seed=2, freeze_time=True)
    assert found.status == "violated"
    assert found.scenario is not None
    assert found.scenario.faults == chaoskit.check(remembers(DAY), EVENTS, LETTERS, seed=2).scenario.faults
    assert chaoskit.check(keeps, EVENTS, LETTERS, seed=2, schedules=50, freeze_time=True).status == "held"


def test_the_decorator_says_so_for_every_door() -> None:
    """And the loop of an async test waits by the real clock: its timeouts end."""

    @chaoskit.chaos(EVENTS, broker=SqsStandard(), freeze_time=True)
    async def test(deliver: Any) -> list[float]:
        times: list[float] = []

        async def handle(message: Message) -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.001):
                    await asyncio.sleep(60)
            times.append(round(time.time() - 1.7e9))

        await deliver(handle)
        return times

    assert chaoskit.run(test, Scenario(STREAM, SqsStandard(), [Duplicate("e1")])).observed == [0, 30, 30]


def test_a_handler_that_hangs_in_a_time_that_stands_still_is_found() -> None:
    """The limit goes by the real clock."""

    def test(deliver: Any) -> int:
        def handle(message: Message) -> None:
            until = time.monotonic() + 1
            while message.attempt == 2 and time.monotonic() < until:
                pass

        deliver(handle)
        return 0

    verdict = chaoskit.run(test, Scenario(STREAM, SqsStandard(), [Duplicate("e1")]), limit=0.2, freeze_time=True)
    assert [violation.invariant for violation in verdict.violations] == ["hang"]


def test_without_the_package_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="freeze_time='yes': True or False"):
        chaoskit.chaos(EVENTS, freeze_time="yes")  # type: ignore[arg-type]
    monkeypatch.setattr("chaoskit.execution.frozen.version", lambda package: "2.19.0")
    with pytest.raises(UsageError, match="needs time-machine 3 or newer"):
        chaoskit.chaos(EVENTS, freeze_time=True)
    monkeypatch.setitem(sys.modules, "time_machine", None)
    with pytest.raises(UsageError, match=r"pip install 'chaoskit\[time\]'"):
        chaoskit.chaos(EVENTS, freeze_time=True)
