"""`spawn` as a function, a context manager and an async context manager: when a process begins, and how it ends."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Died, Event, Kafka, Redeliver, Scenario, Stream, UsageError, Zombie
from chaoskit.search.oracle import Subject
from chaoskit.search.question import default_invariants
from chaoskit.strategies import events

STREAM = [Event("a", 1), Event("a", 2), Event("a", 3)]
ONE = Kafka(partitions=1)
RESTART = Scenario(STREAM, ONE, [Redeliver("e3", 0)])
"""Handled 1, 2, 3; the consumer restarts; 3 comes again."""

Test = Callable[[Any], Any]
Making = Callable[[list[str]], Test]
"""A test that writes down what happens to its processes."""


def report_of(error: BaseException | None) -> str:
    return "stopped" if error is None else type(error).__name__


def by_generator(log: list[str]) -> Test:
    @contextmanager
    def process() -> Iterator[Any]:
        log.append("begun")
        try:
            yield lambda message: log.append(message.id)
        except Exception as error:
            log.append(f"taken for an error: {error}")
            raise
        except BaseException as error:
            log.append(report_of(error))
            raise
        log.append(report_of(None))

    def test(deliver: Any) -> int:
        log.clear()
        deliver(spawn=process)
        assert log[-1:] != ["a"]
        return 0

    return test


class Process:
    """A context manager that is none of contextlib's, and both a sync and an async one."""

    def __init__(self, log: list[str], way: str) -> None:
        self.log, self.way = log, way

    def __enter__(self) -> Any:
        assert self.way == "sync"
        self.log.append("begun")
        return lambda message: self.log.append(message.id)

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> bool:
        self.log.append(report_of(error))
        return True  # swallows it

    async def __aenter__(self) -> Any:
        assert self.way == "async"
        await asyncio.sleep(0)
        self.log.append("begun")

        async def handle(message: Any) -> None:
            await asyncio.sleep(0)
            self.log.append(message.id)

        return handle

    async def __aexit__(self, kind: Any, error: BaseException | None, traceback: Any) -> bool:
        await asyncio.sleep(0)
        self.log.append(report_of(error))
        return True


def by_class(log: list[str]) -> Test:
    def test(deliver: Any) -> int:
        log.clear()
        deliver(spawn=lambda: Process(log, "sync"))
        return 0

    return test


def by_async_class(log: list[str]) -> Test:
    async def test(deliver: Any) -> int:
        log.clear()
        await deliver(spawn=lambda: Process(log, "async"))
        return 0

    return test


def by_async_generator(log: list[str]) -> Test:
    @asynccontextmanager
    async def process() -> AsyncIterator[Any]:
        await asyncio.sleep(0)
        log.append("begun")
        error = None
        try:
            yield lambda message: log.append(message.id)
        except BaseException as raised:
            error = raised
            raise
        finally:
            await asyncio.sleep(0)
            log.append(report_of(error))

    async def test(deliver: Any) -> int:
        log.clear()
        await deliver(spawn=process)
        return 0

    return test


def sync_in_an_async_test(log: list[str]) -> Test:
    @contextmanager
    def process() -> Iterator[Any]:
        log.append("begun")
        try:
            yield lambda message: log.append(message.id)
        except Died as error:
            log.append(report_of(error))
            raise
        log.append(report_of(None))

    async def test(deliver: Any) -> int:
        log.clear()
        await deliver(spawn=process)
        return 0

    return test


EVERY: list[Making] = [by_generator, by_class, by_async_generator, by_async_class, sync_in_an_async_test]


@pytest.mark.parametrize("make", EVERY)
def test_a_process_is_entered_when_it_starts_and_left_when_it_ends(make: Making) -> None:
    """With Died where it dies, and normally at the end of the run, before the test goes on."""
    log: list[str] = []
    assert chaoskit.run(make(log), RESTART).status == "held"
    assert log == ["begun", "e1", "e2", "e3", "Died", "begun", "e3", "stopped"]


@pytest.mark.parametrize("make", EVERY)
def test_in_order_one_process_is_left_once(make: Making) -> None:
    """As it is in the run that every other one is compared with. Without events none starts."""
    log: list[str] = []
    test = make(log)
    chaoskit.run(test, Scenario(STREAM, ONE, []))
    assert log == ["begun", "e1", "e2", "e3", "stopped"]
    chaoskit.run(test, Scenario([], ONE, []))
    assert log == []


def test_a_process_that_died_starts_again_at_once() -> None:
    """Also where no message is left for it: it may find work that the dead one left behind."""
    runs: list[str] = []
    test = by_generator(log := list[str]())

    def noting(deliver: Any) -> int:
        test(deliver)
        runs.append(" ".join(log))
        return 0

    chaoskit.run(noting, Scenario(STREAM, Kafka(partitions=1, commit_ahead=True), [chaoskit.Lose("e3")]))
    assert "begun e1 e2 Died begun stopped" in runs


def test_each_consumer_has_a_process_of_its_own() -> None:
    """All of them are left at the end, the last one first, as nested context managers are."""
    log: list[str] = []

    @contextmanager
    def process() -> Iterator[Any]:
        number = len([line for line in log if line.startswith("begun")])
        log.append(f"begun {number}")
        yield lambda message: log.append(f"{message.id} by {number}")
        log.append(f"stopped {number}")

    def test(deliver: Any) -> int:
        log.clear()
        deliver(spawn=process)
        return 0

    stream = [Event("a", 1), Event("b", 2), Event("c", 3), Event("a", 4)]
    chaoskit.run(test, Scenario(stream, Kafka(partitions=3, consumers=3), [chaoskit.Overtake("e1", 0)]))
    begun = [line.split()[1] for line in log if line.startswith("begun")]
    assert len(begun) > 1
    assert [line for line in log if line.startswith("stopped")] == [f"stopped {number}" for number in reversed(begun)]


def test_the_owner_that_is_taken_for_dead_does_not_die() -> None:
    """A Zombie goes on with what it holds; where its process does restart, it is left with Died."""
    log: list[str] = []
    verdict = chaoskit.run(by_generator(log), Scenario(STREAM, ONE, [Zombie("e2", 1)]))
    assert verdict.schedule is not None
    restarts = [step.action for step in verdict.schedule].count("restart")
    assert log.count("Died") == restarts
    assert log.count("begun") == restarts + log.count("stopped")


class Odd(BaseException):
    pass


@pytest.mark.parametrize("error", [ValueError("no connection"), SystemExit(3), Odd(), Died()])
@pytest.mark.parametrize("is_async", [False, True])
def test_what_is_raised_while_dying_is_nobodys_concern(error: BaseException, is_async: bool) -> None:
    """A real death runs no code of the handler's at all."""

    @contextmanager
    def process() -> Iterator[Any]:
        try:
            yield lambda message: None
        except Died:
            raise error from None

    @asynccontextmanager
    async def process_async() -> AsyncIterator[Any]:
        with process() as handle:
            yield handle

    def test(deliver: Any) -> int:
        deliver(spawn=process)
        return 0

    async def test_async(deliver: Any) -> int:
        await deliver(spawn=process_async)
        return 0

    assert chaoskit.run(test_async if is_async else test, RESTART).status == "held"


def fails_in_the_clean_stop(deliver: Any) -> int:
    """Where a message came twice."""
    seen: list[Any] = []

    @contextmanager
    def process() -> Iterator[Any]:
        yield lambda message: seen.append(message.id)
        if len(seen) > len(set(seen)):
            raise RuntimeError("the buffer is broken")

    deliver(spawn=process)
    return 0


def test_what_is_raised_in_the_clean_stop_fails_the_test() -> None:
    """As anything that the test raises after the deliveries."""
    verdict = chaoskit.run(fails_in_the_clean_stop, RESTART)
    assert verdict.status == "violated"
    assert verdict.violations[0].message == "the test raised RuntimeError after the deliveries: the buffer is broken"


def test_in_order_it_is_the_users_error() -> None:
    """It is raised as it is."""

    @contextmanager
    def process() -> Iterator[Any]:
        yield lambda message: None
        raise RuntimeError("never right")

    with pytest.raises(RuntimeError, match="never right"):
        chaoskit.check(lambda deliver: deliver(spawn=process) or 0, STREAM, ONE, seed=1)


def test_a_process_that_ends_in_its_clean_stop_is_said_to() -> None:
    """SystemExit does not end pytest."""
    deaths: list[int] = []

    @contextmanager
    def process() -> Iterator[Any]:
        try:
            yield lambda message: None
        except Died:
            deaths.append(1)
            raise
        if deaths:
            sys.exit(4)

    def test(deliver: Any) -> int:
        deaths.clear()
        deliver(spawn=process)
        return 0

    verdict = chaoskit.run(test, RESTART)
    assert [v.message for v in verdict.violations] == ["the handler ended its process (SystemExit: 4): the clean stop"]


# Nothing is left open.


class Opened:
    """Counts what is open."""

    def __init__(self) -> None:
        self.now = 0
        self.ever = 0

    @contextmanager
    def process(self, handle: Callable[[Any], Any]) -> Iterator[Any]:
        self.now += 1
        self.ever += 1
        try:
            yield handle
        finally:
            self.now -= 1

    @asynccontextmanager
    async def process_async(self, handle: Callable[[Any], Any]) -> AsyncIterator[Any]:
        with self.process(handle) as handler:
            try:
                yield handler
            finally:
                await asyncio.sleep(0)


def hangs(message: Any) -> None:
    if message.id == "e3":
        while True:
            time.sleep(0.01)


def ends_its_process(message: Any) -> None:
    if message.id == "e3":
        sys.exit(1)


def is_skipped(message: Any) -> None:
    if message.id == "e3":
        pytest.skip("not here")


def refuses(message: Any) -> None:
    if message.id == "e3":
        raise ValueError("never")


def is_a_generator(message: Any) -> Iterator[Any] | None:
    return generator() if message.id == "e3" else None


@pytest.mark.parametrize("handle", [hangs, ends_its_process, is_skipped, refuses, is_a_generator])
@pytest.mark.parametrize("is_async", [False, True])
def test_a_run_that_ends_early_leaves_nothing_open(handle: Callable[[Any], Any], is_async: bool) -> None:
    """Whatever ends it."""
    opened = Opened()

    def test(deliver: Any) -> int:
        deliver(spawn=lambda: opened.process(handle))
        return 0

    async def test_async(deliver: Any) -> int:
        await deliver(spawn=lambda: opened.process_async(handle))
        return 0

    with suppress(BaseException):  # each ends it in another way
        chaoskit.run(test_async if is_async else test, RESTART, limit=0.3)
    assert opened.ever
    assert opened.now == 0


@pytest.mark.parametrize("by_steps", [False, True])
def test_a_handler_that_waits_for_ever_leaves_nothing_open(by_steps: bool) -> None:
    """Its loop is left behind, and what it has open is closed before."""
    opened = Opened()

    async def waits(message: Any) -> None:
        if message.id == "e3":
            await asyncio.Event().wait()

    async def test(deliver: Any) -> int:
        if by_steps:
            async for _ in deliver.steps(spawn=lambda: opened.process_async(waits)):
                pass
        else:
            await deliver(spawn=lambda: opened.process_async(waits))
        return 0

    with pytest.raises(UsageError, match=r"did not return within 0.3 s: step 3, the delivery of e3"):
        chaoskit.run(test, RESTART, limit=0.3)
    assert (opened.ever, opened.now) == (1, 0)


def test_what_spawn_raises_fails_the_test_and_leaves_the_others() -> None:
    """The second process cannot start."""
    opened = Opened()

    @contextmanager
    def process() -> Iterator[Any]:
        if opened.ever == 1:
            raise ConnectionError("refused")
        with opened.process(lambda message: None) as handle:
            yield handle

    def test(deliver: Any) -> int:
        opened.ever = 0
        deliver(spawn=process)
        return 0

    verdict = chaoskit.run(test, RESTART)
    assert "ConnectionError" in verdict.violations[0].message
    assert opened.now == 0


# What it must not give.


def generator() -> Iterator[Any]:
    yield lambda message: None


async def async_generator() -> AsyncIterator[Any]:
    yield lambda message: None


async def coroutine() -> Any:
    return lambda message: None


@contextmanager
def yields_nothing() -> Iterator[Any]:
    yield


class Enters:
    def __enter__(self) -> Any:
        return "a connection"

    def __exit__(self, *details: object) -> None:
        pass


MISUSES: list[tuple[Any, str]] = [
    (lambda: None, r"spawn gave None, not a handler"),
    (generator, r"spawn gave a generator, not a handler: put `@contextlib.contextmanager` above its function"),
    (async_generator, r"spawn gave a generator, .* `@contextlib.asynccontextmanager`"),
    (coroutine, r"spawn gave a coroutine, not a handler. .* `@contextlib.asynccontextmanager` above `async def`"),
    (yields_nothing, r"the context manager of spawn gave None, not a handler"),
    (Enters, r"the context manager of spawn gave 'a connection', not a handler"),
    (yields_nothing(), r"deliver\(spawn=process\), and not deliver\(spawn=process\(\)\)"),
    (Enters(), r"deliver\(spawn=process\), and not deliver\(spawn=process\(\)\)"),
    (lambda message: None, r"spawn takes a function without arguments that returns a handler, or a context manager"),
]


@pytest.mark.parametrize(("spawn", "says"), MISUSES)
@pytest.mark.parametrize("is_async", [False, True])
def test_what_is_no_process_is_an_error_that_says_what_to_do(spawn: Any, says: str, is_async: bool) -> None:
    """In the words of who wrote it."""

    def test(deliver: Any) -> int:
        deliver(spawn=spawn)
        return 0

    async def test_async(deliver: Any) -> int:
        await deliver(spawn=spawn)
        return 0

    with pytest.raises(UsageError, match=says):
        chaoskit.run(test_async if is_async else test, RESTART)


def test_a_context_manager_in_the_place_of_a_handler_is_an_error_that_names_spawn() -> None:
    """Both can be called, and a call does nothing."""

    @contextmanager
    def process(message: Any = None) -> Iterator[Any]:
        yield lambda message: None

    for given, says in (
        (process(), r"give its function, deliver\(spawn=process\)"),
        (process, "nothing in it has run"),
    ):
        with pytest.raises(UsageError, match=says):
            chaoskit.run(lambda deliver, given=given: deliver(given), RESTART)


def test_an_async_process_needs_an_async_test() -> None:
    """It is never entered in another."""
    process = asynccontextmanager(async_generator)
    with pytest.raises(UsageError, match="spawn gave an async context manager: make the test `async def`"):
        chaoskit.run(lambda deliver: deliver(spawn=process), RESTART)


def test_where_no_process_ends_one_serves_all() -> None:
    """`one_process`, by which the damage is told that a restart has done."""
    log: list[str] = []
    subject = Subject(by_generator(log), ONE, default_invariants(None), one_process=True)
    subject.on(Stream.of(STREAM)).run((Redeliver("e3", 0),))
    assert log == ["begun", "e1", "e2", "e3", "e3", "stopped"]


def test_the_damage_of_a_lost_memory_is_told_of_a_context_manager_too() -> None:
    """Ids that are remembered in the process only."""

    def test(deliver: Any) -> dict[Any, int]:
        balances: dict[Any, int] = {}

        @contextmanager
        def process() -> Iterator[Any]:
            seen: set[Any] = set()

            def handle(message: Any) -> None:
                if message.id not in seen:
                    seen.add(message.id)
                    balances[message.key] = balances.get(message.key, 0) + message.value

            yield handle

        deliver(spawn=process)
        return balances

    payments = events(st.integers(1, 9), keys=st.sampled_from(["a", "b"]))
    verdict = chaoskit.check(test, payments, ONE, seed=1)
    assert verdict.damage is not None
    assert verdict.damage.kind == "depends on the process's memory"
