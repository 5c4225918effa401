"""What real brokers were seen to do: their judges permit it, and their models make it.

`recorded/` has a file for each server. Its first line names it; each other line is one run: what was done, the broker
and the settings that it ran with, and what its consumers saw, as a trace. Events are numbered as they were sent.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

import chaoskit.brokers
from chaoskit.brokers import Settings
from models.made import made_by, order


@attrs.frozen
class Recording:
    """One run of a real broker."""

    run: str
    broker: Settings
    seen: str


def _read(path: Path) -> dict[str, Recording]:
    server, *runs = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert server.keys() == {"server"}
    return {f"{path.stem}, {each['run']}": _recording(**each) for each in runs}


def _recording(run: str, broker: str, settings: dict[str, Any], seen: str) -> Recording:
    return Recording(run, getattr(chaoskit.brokers, broker)(**settings), seen)


FILES = sorted((Path(__file__).parent / "recorded").glob("*.jsonl"))
RECORDINGS = {name: each for path in FILES for name, each in _read(path).items()}

MOTO = "moto returns the last message of a group first; SQS keeps the order"
EXCUSED = {
    "kafka, idempotent on the mock cluster, a record gone": "the mock cluster checks no sequence numbers",
    "kafka, idempotent on the mock cluster, written twice": "the mock cluster checks no sequence numbers",
    "moto, FIFO: 5 received, two handled, dies": MOTO,
    "moto, FIFO: dies with three, 4 and 5 arrive": MOTO,
    "moto, FIFO: a late delete": "moto takes an expired receipt handle; SQS FIFO refuses it",
}
"""What an emulator did and the broker itself does not do, and why."""

REJECTED = "no fault makes an application reject a message for good, and send it again"
GIVEN_UP = "no fault gives up a message whose attempt failed"

NOT_MADE = {
    **{
        f"rabbitmq, classic: {run}": REJECTED
        for run in (
            "acknowledged and published again",
            "dead-lettered, and published again",
            "through a retry queue with a time to live",
        )
    },
    "jetstream, term": GIVEN_UP,
    "kafka, share group: rejected": GIVEN_UP,
    "rabbitmq, quorum: x-delivery-limit 2, always requeued": "what is dead-lettered is always put back in the end",
    "sqs, FIFO: received twice, dead-lettered, sent again with the same body": (
        "what is dead-lettered is always put back in the end"
    ),
    "redis, trimmed to two while five are pending": "what is lost here was pending, and no handler saw it",
    "kafka, committed for each, auto-commit of what was polled, dies": "one crash loses one record, and not a poll",
}
"""What the models cannot make yet, and why. Whatever can be made has to be taken off this list."""


@pytest.mark.parametrize("name", [name for name in RECORDINGS if name not in EXCUSED])
def test_what_a_real_broker_did_is_permitted(name: str) -> None:
    """Under the settings that it ran with."""
    recording = RECORDINGS[name]
    assert str(recording.broker.permits(recording.seen)) == "legal", recording.seen


@pytest.mark.parametrize("name", EXCUSED)
def test_an_excuse_is_needed(name: str) -> None:
    """What an emulator did is refused, or it needs no excuse."""
    assert not RECORDINGS[name].broker.permits(RECORDINGS[name].seen)


@pytest.mark.parametrize("name", [name for name in RECORDINGS if name not in EXCUSED and name not in NOT_MADE])
def test_what_a_real_broker_did_is_made_by_its_model(name: str) -> None:
    """With three faults at most: the same attempts of the same events, in that order, and nothing else."""
    recording = RECORDINGS[name]
    assert made_by(recording.broker, recording.seen) is not None, order(recording.seen)


@pytest.mark.parametrize("name", NOT_MADE)
def test_what_is_said_not_to_be_made_is_not_made_with_one_fault(name: str) -> None:
    """The list of what the models cannot make is no longer than it must be."""
    recording = RECORDINGS[name]
    assert made_by(recording.broker, recording.seen, most=1) is None, "take it off the list"


def test_an_order_is_the_attempts_that_were_run() -> None:
    """What was only handed over is none; where only a log is shown, it is read once; a copy is its event again."""
    assert order("A:1- B:2! |nack 2 A:1 B:2r 1'") == [(2, True), (1, False), (2, False), (1, False)]
    assert order("[1 2! 3-]") == [(1, False), (2, True)]
    assert order("log: 2 1") == [(2, False), (1, False)]


def test_an_order_that_the_broker_cannot_make_is_not_found() -> None:
    """The search for faults answers None, and finds the fault where there is one."""
    fifo = chaoskit.brokers.SqsFifo()
    assert made_by(fifo, "2 1", most=2) is None
    assert made_by(fifo, "1 1r 2", most=2) is not None
    assert made_by(fifo, "1 2", most=2) == ()
