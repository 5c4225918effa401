"""What comes in one call, and what comes back of one that failed: the models, step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import chaoskit
from chaoskit import (
    Crash,
    Duplicate,
    Event,
    Gather,
    Kafka,
    Kinesis,
    LambdaSqs,
    Redeliver,
    Scenario,
    SqsStandard,
)
from chaoskit.values.schedule import Schedule

FOUR = [Event("a", n) for n in (1, 2, 3, 4)]
INVOKED = {"consumer": "lambda", "shards": 1}
KINESIS = Kinesis(**INVOKED)  # type: ignore[arg-type]

Fails = Callable[[list[Any]], Any]


def raises(batch: list[Any]) -> None:
    raise RuntimeError("no")


def reports_the_second(batch: list[Any]) -> list[Any]:
    return [batch[1]]


def fails_the_second(batch: list[Any]) -> None:
    batch[1].fail("no")


def calls(broker: Any, *faults: Any, first: Fails | None = None, spawn: bool = False) -> str:
    """The calls of a run whose first call with more than one message is handled by `first`; attempts from the second on
    are marked, and restarts are a flash."""
    told: list[list[str]] = []

    def test(deliver: Any) -> int:
        run: list[str] = []
        told.append(run)
        done: list[bool] = []

        def handle(batch: list[Any]) -> Any:
            run.append(" ".join(f"{m.value}" + "r" * ((m.attempt or 1) > 1) for m in batch))
            if len(batch) > 1 and first is not None and not done:
                done.append(True)
                return first(batch)
            return None

        def process() -> Any:
            run.append("⚡")
            return handle

        if spawn:
            deliver(spawn=process, batch=True)
        else:
            deliver(handle, batch=True)
        return 0

    chaoskit.run(test, Scenario(FOUR, broker, faults))
    return " | ".join(told[-1])


@pytest.mark.parametrize(("broker", "expected"), [(Kafka(), "1 2 3 | 2 | 3 | 4"), (SqsStandard(), "1 2 3 | 4 | 2r")])
def test_a_message_that_fails_by_itself_is_as_one_that_is_reported(broker: Any, expected: str) -> None:
    three = Gather("e1", 1)
    assert calls(broker, three, first=fails_the_second) == calls(broker, three, first=reports_the_second) == expected


@pytest.mark.parametrize(
    ("broker", "fault", "expected"),
    [
        # The commit stands before the call, wherever in it the fault is.
        (Kafka(), Redeliver("e2", 0), "⚡ | 1 2 3 | ⚡ | 1 | 2 | 3 | 4"),
        (Kafka(), Redeliver("e1", 3), "⚡ | 1 2 3 | 4 | ⚡ | 1 | 2 | 3 | 4"),
        (Kafka(commit_every=2), Redeliver("e1", 3), "⚡ | 1 2 | ⚡ | 1 | 2 | 3 | 4"),
        (Kafka(), Crash("e2", 99), "⚡ | 1 2 3 | ⚡ | 1 | 2 | 3 | 4"),
        # A message is deleted by itself, and an invocation settled as a whole.
        (SqsStandard(), Redeliver("e2", 0), "⚡ | 1 2 3 | ⚡ | 2r | 4"),
        (LambdaSqs(), Redeliver("e2", 0), "⚡ | 1 2 3 | 1r | 2r | 3r | 4"),
        (KINESIS, Redeliver("e2", 0), "⚡ | 1 2 3 | ⚡ | 1 2 3 | 4"),
        (SqsStandard(), Crash("e2", 99), "⚡ | 1 2 3 | ⚡ | 1r | 2r | 3r | 4"),
        # In place, and so by itself.
        (Kafka(), Duplicate("e2"), "⚡ | 1 | 2 | 2 | 3 | 4"),
    ],
)
def test_what_befalls_a_message_befalls_its_call(broker: Any, fault: Any, expected: str) -> None:
    """The commit is for each batch, and no batch reaches over anything that is no delivery to its consumer."""
    assert calls(broker, Gather("e1", 1), fault, spawn=True) == expected


def test_a_batch_ends_at_the_brokers_own_setting_and_at_that_of_deliver() -> None:
    schedule = Scenario(FOUR, Kafka(max_poll_records=3), [Gather("e1", 9)]).schedule()
    assert sizes(schedule) == [3]
    runs: list[list[int]] = []

    def test(deliver: Any) -> int:
        runs.append([])
        deliver(lambda batch: runs[-1].append(len(batch)), batch=2)
        return 0

    chaoskit.run(test, Scenario(FOUR, Kafka(), [Gather("e1", 9), Gather("e3")]))
    assert runs[-1] == [2, 2]
    assert runs[0] == [1, 1, 1, 1]  # in order each message is a batch of its own


def test_a_batch_is_of_one_consumer_and_mixes_partitions_only_where_the_broker_does() -> None:
    keys = [Event(key, 0) for key in "abcabc"]
    whole = [Gather("e1", 4)]
    assert sizes(Scenario(keys, Kafka(), whole).schedule()) == [6]
    for broker in (Kafka(partitions=2, consumers=2), Kinesis(consumer="lambda")):
        steps = Scenario(keys, broker, whole).schedule().steps
        for place, step in enumerate(steps):
            members = steps[place + 1 : place + 1 + (step.size or 0)]
            assert len({(each.consumer, each.partition) for each in members}) < 2


def sizes(schedule: Schedule) -> list[int]:
    return [step.size for step in schedule if step.size is not None]
