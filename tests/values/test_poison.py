"""Messages that can never be handled: refused in order, too, given up by the broker's rule, expected nowhere."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import strategies as st

from chaoskit import Event, Message, UsageError, chaos, check
from chaoskit.brokers import Celery, JetStream, Kafka, Kinesis, RabbitMQ, Settings, SqsFifo
from chaoskit.decorator import bound
from chaoskit.execution.failures import ReferenceRefused
from chaoskit.invariants import final_state, no_error
from chaoskit.repro.read import read
from chaoskit.repro.replay import play
from chaoskit.search.oracle import Subject
from chaoskit.strategies import events
from chaoskit.values.errors import NotDeterministic
from chaoskit.values.faults import DeadLetter, Duplicate

BAD = 7
EV = events(st.sampled_from([1, 2, BAD]), keys=st.just("a"), max_size=6)
KNOWN = [Event("a", 1), Event("a", BAD), Event("a", 2)]


def sums(deliver: Any, *, remembers: bool = True, refuses: type[Exception] = ValueError) -> dict[str, int]:
    """Adds up once what can be handled."""
    balances: dict[str, int] = {}
    seen: set[Any] = set()

    def handle(message: Message) -> None:
        if message.value == BAD:
            raise refuses(f"{message.value} is no amount")
        if not (remembers and message.id in seen):
            balances[message.key] = balances.get(message.key, 0) + message.value
        seen.add(message.id)

    deliver(handle)
    return balances


def forgets(deliver: Any) -> dict[str, int]:
    return sums(deliver, remembers=False)


GIVES_UP: dict[str, Settings] = {
    "SqsFifo": SqsFifo(max_receive_count=3),
    "Kafka": Kafka(partitions=2),
    "Kafka, skips": Kafka(on_error="skip"),
    "Kafka, retry topic": Kafka(on_error="retry_topic"),
    "RabbitMQ": RabbitMQ(),
    "RabbitMQ, dead letters": RabbitMQ(dead_letter_exchange=True),
    "Celery": Celery(),
    "Celery, acks late": Celery(acks_late=True, retries=False),
    "JetStream": JetStream(max_deliver=3),
}


@pytest.mark.parametrize("name", GIVES_UP)
def test_what_can_never_be_handled_is_expected_nowhere(name: str) -> None:
    verdict = check(sums, EV, GIVES_UP[name], schedules=100, seed=1, poison=(ValueError,))
    assert verdict.status == "held", verdict.report()


@pytest.mark.parametrize("name", GIVES_UP)
def test_everything_else_is_checked_as_usual(name: str) -> None:
    """The same handler without its memory fails, in one event, as it does without any poison."""
    broker = GIVES_UP[name]
    verdict = check(forgets, EV, broker, schedules=200, seed=1, poison=[ValueError])
    assert verdict.status == "violated"
    assert verdict.scenario is not None
    assert (len(verdict.scenario.events), len(verdict.scenario.faults)) == (1, 1)
    assert verdict.scenario.events[0].value == 1


def test_a_poisoned_event_that_took_effect_nevertheless_is_a_violation() -> None:
    """It refuses the first time only: what is refused in order and accepted later is not what poison says."""

    def gives_in(deliver: Any) -> list[int]:
        taken: list[int] = []
        tried: set[Any] = set()

        def handle(message: Message) -> None:
            if message.value == BAD and message.id not in tried:
                tried.add(message.id)
                raise ValueError("not yet")
            if message.id not in taken:
                taken.append(message.id)  # type: ignore[arg-type]

        deliver(handle)
        return sorted(taken)

    with pytest.raises(NotDeterministic, match="two runs of one order differ"):
        check(gives_in, KNOWN, SqsFifo(max_receive_count=3), schedules=50, seed=1, poison=(ValueError,))


def test_without_poison_the_error_names_it() -> None:
    with pytest.raises(ReferenceRefused, match=r"can never be handled, say so: poison=\(ValueError,\)"):
        check(sums, KNOWN, SqsFifo(max_receive_count=3), schedules=50, seed=1)


def test_another_exception_is_an_error_as_before() -> None:
    with pytest.raises(ReferenceRefused, match="raised ValueError"):
        check(sums, KNOWN, SqsFifo(max_receive_count=3), schedules=50, seed=1, poison=(KeyError,))


def test_a_subclass_is_poison_too() -> None:
    def raises_a_subclass(deliver: Any) -> Any:
        return sums(deliver, refuses=UnicodeError)

    broker = SqsFifo(max_receive_count=3)
    assert check(raises_a_subclass, EV, broker, schedules=50, seed=1, poison=(ValueError,)).status == "held"


@pytest.mark.parametrize("broker", [SqsFifo(), Kafka(on_error="stop"), Kinesis()])
def test_a_broker_that_never_gives_up_waits_for_ever_and_that_is_said(broker: Settings) -> None:
    with pytest.raises(UsageError, match=r"e2 can never be handled, .* waits for it for ever .*: e3, behind it"):
        check(sums, KNOWN, broker, schedules=50, seed=1, poison=(ValueError,))


def test_poison_is_no_error_of_the_handler() -> None:
    asked = [final_state(), no_error()]
    verdict = check(sums, EV, SqsFifo(max_receive_count=3), invariants=asked, schedules=50, seed=1, poison=[ValueError])
    assert verdict.status == "held", verdict.report()


def test_a_dead_letter_that_is_put_back_is_refused_again() -> None:
    """Faults at the poison itself change nothing."""
    for faults in ({DeadLetter}, {Duplicate}):
        verdict = check(
            sums, KNOWN, SqsFifo(max_receive_count=3), faults=faults, schedules=50, seed=1, poison=[ValueError]
        )
        assert verdict.status == "held"


def test_a_saved_failure_replays_with_the_poison_of_its_test(tmp_path: Any) -> None:
    """Nothing of it stands in the file: the test names the exceptions."""
    broker = SqsFifo(max_receive_count=3)
    test = chaos(EV, broker=broker, poison=(ValueError,), invariants=[no_error(), final_state()])
    stream = [Event("a", BAD), Event("a", 1)]
    verdict = check(test(forgets), stream, faults={Duplicate}, schedules=50, seed=1)
    path = attrs.evolve(verdict, test="tests/test_sums.py::test_sums").save(tmp_path)
    text = path.read_text(encoding="utf-8")
    assert "poison" not in text
    assert "ValueError" not in text
    for body, became in ((forgets, "STILL FAILS"), (sums, "FIXED")):
        with bound(test(body)) as present:
            assert play(read(path), present.subject()).became == became


def test_a_file_with_poison_needs_a_test_that_names_it(tmp_path: Any) -> None:
    """The poison is what makes this handler forget, so that it stays in the minimal stream."""

    def forgets_at_poison(deliver: Any) -> dict[str, int]:
        balances: dict[str, int] = {}
        seen: set[Any] = set()

        def handle(message: Message) -> None:
            if message.value == BAD:
                seen.clear()
                raise ValueError("no amount")
            if message.id not in seen:
                seen.add(message.id)
                balances[message.key] = balances.get(message.key, 0) + message.value

        deliver(handle)
        return balances

    broker = SqsFifo(max_receive_count=3)
    verdict = check(forgets_at_poison, EV, broker, schedules=200, seed=1, poison=(ValueError,))
    assert verdict.scenario is not None
    assert sorted(event.value for event in verdict.scenario.events) == [1, BAD]
    repro = read(attrs.evolve(verdict, test="tests/test_sums.py::test_sums").save(tmp_path))
    subject = Subject(forgets_at_poison, broker, (final_state(),))
    answer = play(repro, subject)
    assert answer.became == "CANNOT REPLAY"
    assert "poison=(ValueError,)" in answer.reason
    assert play(repro, attrs.evolve(subject, poison=(ValueError,))).became == "STILL FAILS"


@pytest.mark.parametrize("wrong", ["ValueError", [ValueError("x")], 7, (int,), [BaseException]])
def test_what_is_no_class_of_exceptions_is_an_error(wrong: Any) -> None:
    with pytest.raises(UsageError, match=r"poison contains .*: the classes of exceptions are needed"):
        chaos(EV, poison=wrong)
    with pytest.raises(UsageError, match="poison contains"):
        check(sums, KNOWN, poison=wrong)


def test_an_async_handler_says_it_in_the_same_way() -> None:
    async def asynchronous(deliver: Any) -> dict[str, int]:
        balances: dict[str, int] = {}
        seen: set[Any] = set()

        async def handle(message: Message) -> None:
            if message.value == BAD:
                raise ValueError("no amount")
            if message.id not in seen:
                seen.add(message.id)
                balances[message.key] = balances.get(message.key, 0) + message.value

        await deliver(handle)
        return balances

    broker = SqsFifo(max_receive_count=3)
    assert check(asynchronous, EV, broker, schedules=50, seed=1, poison=(ValueError,)).status == "held"
    with pytest.raises(ReferenceRefused, match="poison="):
        check(asynchronous, KNOWN, broker, schedules=50, seed=1)
