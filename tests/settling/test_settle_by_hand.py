"""`deliver(handler, settle="handler")`: nothing is settled by returning."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Event, Message, NotSettled, Redeliver, UsageError, Verdict
from chaoskit.brokers import (
    Celery,
    JetStream,
    Kafka,
    LambdaSqs,
    PubSub,
    RabbitMQ,
    RabbitMQStream,
    ServiceBus,
    Settings,
    SqsFifo,
    SqsStandard,
    Webhook,
)
from chaoskit.invariants import final_state
from chaoskit.repro.read import read
from chaoskit.search.oracle import Subject
from chaoskit.strategies import events

ROWS = events(st.integers(1, 9), keys=st.sampled_from("ab"), max_size=6)

ONE = {
    "log": Kafka(partitions=2),
    "leases of a channel": RabbitMQ(consumers=1),
    "lease": SqsStandard(consumers=1),
    "group": SqsFifo(consumers=1),
    "session": ServiceBus(sessions=True, receivers=1),
}
"""One of each family."""


def verb_of(broker: Settings) -> str:
    return "commit" if isinstance(broker, (Kafka, RabbitMQStream)) else "ack"


def settle(messages: list[Message]) -> None:
    for message in messages:
        message.commit() if message.message_id is None and message.attempt is None else message.ack()


Flush = Callable[[dict[Any, Any], list[Message]], None]


def flushes(table: dict[Any, Any], rows: list[Message]) -> None:
    table.update((row.id, row.value) for row in rows)


def flushes_then_settles(table: dict[Any, Any], rows: list[Message]) -> None:
    flushes(table, rows)
    settle(rows)


def settles_then_flushes(table: dict[Any, Any], rows: list[Message]) -> None:
    settle(rows)
    flushes(table, rows)


def body(flush: Flush, *, early: bool = False) -> Callable[[Any], dict[Any, Any]]:
    """A handler that buffers, and flushes each third row; `early`: it settles each row as soon as it has it."""

    def test(deliver: Any) -> dict[Any, Any]:
        table: dict[Any, Any] = {}

        @contextlib.contextmanager
        def process() -> Iterator[Callable[[Message], None]]:
            buffer: list[Message] = []

            def out() -> None:
                rows, buffer[:] = buffer[:], []
                flush(table, rows)

            def handle(message: Message) -> None:
                buffer.append(message)
                if early:
                    settle([message])
                if len(buffer) == 3:
                    out()

            yield handle
            out()

        deliver(spawn=process, settle="handler")
        return table

    return test


def sink(flush: Flush, broker: Settings, *, early: bool = False, **asked: Any) -> Verdict:
    asked = {"schedules": 150, "seed": 1, **asked}
    return chaoskit.check(body(flush, early=early), ROWS, broker=broker, across_keys="any", **asked)


@pytest.mark.parametrize("broker", ONE.values(), ids=ONE)
def test_who_settles_after_the_flush_is_right(broker: Settings) -> None:
    verdict = sink(flushes_then_settles, broker)
    assert verdict.status == "held", verdict.report()


@pytest.mark.parametrize("broker", ONE.values(), ids=ONE)
def test_who_settles_what_is_still_in_its_buffer_loses_it(broker: Settings) -> None:
    verdict = sink(flushes, broker, early=True)
    assert verdict.status == "violated"
    assert verdict.scenario is not None
    assert len(verdict.scenario.faults) == 1


def test_who_commits_right_before_the_flush_dies_between_them() -> None:
    verdict = sink(settles_then_flushes, Kafka(partitions=1), schedules=400)
    assert verdict.status == "violated"
    assert verdict.scenario is not None
    assert "Crash" in [type(fault).__name__ for fault in verdict.scenario.faults]


def wallet(step: Callable[[Message, dict[Any, Any]], None], broker: Settings, **asked: Any) -> Verdict:
    """A handler that keeps the last value of each row and settles by itself, in one process."""

    def test(deliver: Any) -> dict[Any, Any]:
        table: dict[Any, Any] = {}
        deliver(lambda message: step(message, table), settle="handler")
        return table

    return chaoskit.check(test, ROWS, broker=broker, **{"schedules": 100, "seed": 1, **asked})


def keeps(message: Message, table: dict[Any, Any]) -> None:
    table[message.id] = message.value


@pytest.mark.parametrize("broker", ONE.values(), ids=ONE)
def test_an_acknowledgement_can_be_lost_behind_the_effect(broker: Settings) -> None:
    def adds(message: Message, table: dict[Any, Any]) -> None:
        table[message.key] = table.get(message.key, 0) + message.value
        settle([message])

    def sets(message: Message, table: dict[Any, Any]) -> None:
        keeps(message, table)
        settle([message])

    assert wallet(adds, broker).status == "violated"
    assert wallet(sets, broker).status == "held"


def test_who_forgets_to_settle_what_he_knows_already_is_told() -> None:
    def handle(message: Message, table: dict[Any, Any]) -> None:
        if message.id in table:
            return  # and no ack
        keeps(message, table)
        message.ack()

    verdict = wallet(handle, RabbitMQ(consumers=1))
    assert verdict.status == "violated"
    assert [violation.invariant for violation in verdict.violations] == ["settled"]
    assert "was handled and never acknowledged: it comes again for ever" in verdict.violations[0].message


@pytest.mark.parametrize(("broker", "word"), [(SqsStandard(), "acknowledged"), (Kafka(), "committed")])
def test_who_settles_nothing_at_all_is_told(broker: Settings, word: str) -> None:
    verdict = wallet(keeps, broker)
    assert verdict.status == "unknown"
    assert verdict.reasons[0].startswith(f"never {word}: ")


def test_a_full_prefetch_is_told_and_hangs_nothing() -> None:
    with pytest.raises(UsageError, match="holds 2 unacknowledged of prefetch 2: nothing more is delivered, and e3"):
        wallet(keeps, RabbitMQ(consumers=1, prefetch=2))


def test_raising_refuses_what_is_not_settled_yet() -> None:
    seen: list[str] = []

    def test(deliver: Any) -> int:
        tries = 0

        def handle(message: Message) -> None:
            nonlocal tries
            tries += 1
            seen.append(f"{message.id} {message.attempt}")
            if message.id == "e1" and message.attempt == 2:
                message.ack()
            if message.id == "e1" and message.attempt in (2, 3):
                raise OSError("after all")
            if message.attempt == 1 and tries > 1:
                message.nack()
                return
            message.ack()

        deliver(handle, settle="handler")
        return 1

    rows = [Event("a", 1, "e1")]
    broker = RabbitMQ(consumers=1)
    verdict = chaoskit.run(test, chaoskit.Scenario(rows, broker, [Redeliver("e1", 0)]))
    assert verdict.status == "held", verdict.report()
    assert seen[-2:] == ["e1 1", "e1 2"]  # acknowledged, and so gone though it raised


@pytest.mark.parametrize("verb", ["nack", "reject"])
def test_what_is_given_back_comes_again(verb: str) -> None:
    """An order before its customer is given back, or set aside, and taken later."""

    def handle(message: Message, table: dict[Any, Any]) -> None:
        needed = table.get(message.key, 0) + 1
        if message.seq > needed:
            getattr(message, verb)()
            return
        table[message.key] = max(table.get(message.key, 0), message.seq)
        message.ack()

    assert wallet(handle, RabbitMQ(dead_letter_exchange=True)).status == "held"


def test_what_is_rejected_without_a_dead_letter_exchange_is_missed() -> None:
    def handle(message: Message, table: dict[Any, Any]) -> None:
        if message.seq > table.get(message.key, 0) + 1:
            message.nack(requeue=False)
            return
        table[message.key] = max(table.get(message.key, 0), message.seq)
        message.ack()

    assert wallet(handle, RabbitMQ(queue_type="classic")).status == "violated"


def test_a_message_may_be_rejected_in_order_and_not_given_back() -> None:
    def rejects(message: Message, table: dict[Any, Any]) -> None:
        message.reject() if message.value > 5 else (keeps(message, table), message.ack())

    assert wallet(rejects, RabbitMQ(dead_letter_exchange=True)).status == "held"
    with pytest.raises(UsageError, match=r"called message\.nack\(\) on event 'e1'"):
        wallet(lambda message, _: message.nack(), RabbitMQ())  # type: ignore[arg-type, return-value]


def test_a_second_settlement_is_an_error_where_the_client_raises() -> None:
    def twice(message: Message, table: dict[Any, Any]) -> None:
        keeps(message, table)
        settle([message, message])

    assert wallet(twice, SqsStandard()).status == "held"
    assert wallet(twice, Kafka()).status == "held"
    with pytest.raises(UsageError, match="NotSettled"):
        wallet(twice, RabbitMQ())

    def careful(message: Message, table: dict[Any, Any]) -> None:
        keeps(message, table)
        settle([message])
        with contextlib.suppress(NotSettled):
            message.reject()

    assert wallet(careful, RabbitMQ()).status == "held"


@pytest.mark.parametrize("awaits", [True, False])
def test_a_verb_can_be_awaited_and_need_not_be(awaits: bool) -> None:
    @chaoskit.chaos(ROWS, broker=JetStream(), schedules=60)
    async def test(deliver: Any) -> dict[Any, Any]:
        table: dict[Any, Any] = {}

        async def handle(message: Message) -> None:
            keeps(message, table)
            if awaits:
                await message.extend()
                await message.ack()
            else:
                message.ack()

        await deliver(handle, settle="handler")
        return table

    test()


@pytest.mark.parametrize(
    ("broker", "verb", "shown"),
    [
        (Kafka(), "ack", r"use commit\(\)"),
        (Kafka(), "extend", "it has no lease"),
        (SqsStandard(), "commit", r"use ack\(\) or nack\(\)"),
        (SqsFifo(), "reject", r"use nack\(\)"),
    ],
)
def test_a_verb_that_the_broker_has_not_names_its_own(broker: Settings, verb: str, shown: str) -> None:
    with pytest.raises(UsageError, match=rf"message\.{verb}\(\): this broker has no such verb; .*{shown}"):
        wallet(lambda message, _: getattr(message, verb)(), broker)


@pytest.mark.parametrize(
    ("broker", "shown"),
    [
        (LambdaSqs(), "Lambda settles by what the function returns"),
        (Webhook(), "the answer to its request"),
        (Celery(), "acks_late"),
        (RabbitMQ(auto_ack=True), "auto_ack=True"),
        (Kafka(auto_commit=True), "auto_commit"),
        (Kafka(commit_every=3), "commit_every"),
    ],
)
def test_where_something_else_settles_that_is_said(broker: Settings, shown: str) -> None:
    with pytest.raises(UsageError, match=shown):
        wallet(keeps, broker)


def test_a_message_that_returning_settles_says_so() -> None:
    def test(deliver: Any, **how: Any) -> int:
        deliver(lambda message: message.ack(), **how)
        return 1

    rows = [Event("a", 1)]
    with pytest.raises(UsageError, match="a message is settled when its handler returns"):
        chaoskit.check(test, rows, broker=Kafka())
    with pytest.raises(UsageError, match=r"settle='handeler'.*did you mean 'handler'"):
        chaoskit.check(lambda deliver: test(deliver, settle="handeler"), rows, broker=Kafka())
    with pytest.raises(UsageError, match="a copy of a message cannot be settled"):
        chaoskit.check(
            lambda deliver: deliver(lambda m: copy.deepcopy(m).commit(), settle="handler") or 1, rows, broker=Kafka()
        )


def test_an_ordering_key_of_pubsub_hands_over_one_message_at_a_time() -> None:
    with pytest.raises(UsageError, match="holds 1 unacknowledged of the 1 of an ordering key"):
        sink(flushes_then_settles, PubSub(ordering=True))
    assert sink(flushes_then_settles, PubSub()).status == "held"


@pytest.mark.parametrize("broker", [ONE["log"], ONE["group"]], ids=["log", "group"])
def test_a_saved_failure_is_played_again_step_by_step(broker: Settings, tmp_path: Path) -> None:
    verdict = sink(flushes, broker, early=True)
    path = verdict.save(tmp_path)
    assert verdict.schedule is not None
    assert any(step.settled for step in verdict.schedule.steps)
    repro = read(path)
    case = Subject(body(flushes, early=True), broker, (final_state(),)).on(repro.stream())
    steps, refusals = repro.raw_steps()
    settled = repro.settled()
    assert settled is not None
    again = case.follow(repro.faults, steps, refusals, settled)
    assert list(again.steps) == steps
    assert again.settled == settled
    assert case.violations(again)
    repaired = Subject(body(flushes_then_settles), broker, (final_state(),)).on(repro.stream())
    other = repaired.follow(repro.faults, steps, refusals, settled)  # the model goes on, as another handler settles
    assert not repaired.violations(other)
