"""A saved failure of several streams, told without its test: in the words of each stream's own broker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st
from values.test_several import drops_early_payments, orders, payments

from chaoskit import Duplicate, Kafka, SqsFifo, Verdict, Webhook, check
from chaoskit.brokers.together import Together
from chaoskit.repro.read import read
from chaoskit.strategies import events
from reports.cases import show

numbered = events(st.integers(1, 9), keys=st.sampled_from([1, 2]), max_size=4)


def adds(deliver: Any) -> dict[str, int]:
    """Right in any order, and wrong about copies."""
    paid: dict[str, int] = {}

    def handle(message: Any) -> None:
        paid[message.topic] = paid.get(message.topic, 0) + message.value

    deliver({numbered: handle, payments: handle})
    return paid


class OurWebhook(Webhook):
    """As users extend one."""


def report_of(text: str) -> str:
    """All but how it was found and how it is played again."""
    return text.partition("\nReplay")[0].partition("\nFound")[0].strip()


def failed(test: Any, streams: Any, **options: Any) -> Verdict:
    verdict = check(test, streams, schedules=100, seed=1, **options)
    assert verdict.status == "violated", verdict.report()
    return attrs.evolve(verdict, test="tests/test_shop.py::test_payments")


@pytest.mark.parametrize(
    ("test", "streams"),
    [
        (drops_early_payments, {orders: Kafka(), payments: SqsFifo()}),
        (adds, {numbered: Kafka(key_serializer=lambda key: b"%d" % key), payments: OurWebhook()}),
    ],
    ids=["ours", "a function and a class of the user's own"],
)
def test_it_is_told_as_when_it_was_found(test: Any, streams: Any, tmp_path: Path) -> None:
    """Lanes, sentences, what they do to each other and what rules it out."""
    verdict = failed(test, streams)
    path = verdict.save(tmp_path)
    shown = show(path)
    assert shown.exit_code == 0, shown.output
    assert report_of(shown.output) == report_of(verdict.report()).removeprefix(verdict.report().split("\n")[0]).strip()
    broker = read(path).broker
    assert isinstance(broker, Together)
    assert [type(each).__name__ for each in broker.brokers] == [type(each).__name__ for each in streams.values()]


def test_what_rules_it_out_is_said_of_the_stream_that_has_the_fault() -> None:
    """And the headline names the systems, and not the mixture."""
    both = {numbered: Kafka(key_serializer=lambda key: b"%d" % key), payments: Webhook()}
    verdict = failed(adds, both, faults={Duplicate})
    assert verdict.scenario is not None
    (fault,) = verdict.scenario.faults
    topic = next(event.topic for event in verdict.scenario.events if event.id == fault.at)
    remedy = verdict.report().split("What rules it out")[1]
    assert ("no Kafka setting" in remedy) == (topic == "numbered")
    assert "which Kafka and Webhook together can do" in verdict.report()


@pytest.mark.parametrize(
    "change",
    [
        {"topics": 7},
        {"topics": {"$tuple": ["a"]}},
        {"brokers": {"$repr": "(Kafka(), SqsFifo())"}},
        {"brokers": {"$tuple": [{"$object": "os:system", "fields": {}}] * 2}},
        {"brokers": {"$tuple": [{"$object": "chaoskit.brokers.kafka:Kafka", "fields": {"partitions": 10**12}}] * 2}},
        {"topics": {"$tuple": [f"t{n}" for n in range(90)]}, "brokers": {"$tuple": [{"kind": "Webhook"}] * 90}},
    ],
    ids=["no topics", "one topic", "as text", "another class", "more than a file may ask for", "too many"],
)
def test_a_file_that_says_something_else_is_told_in_the_words_of_any_broker(change: Any, tmp_path: Path) -> None:
    """It may be a stranger's, or of another version; nothing of it is looked up or made."""
    path = failed(drops_early_payments, {orders: Kafka(), payments: SqsFifo()}).save(tmp_path)
    data = json.loads(path.read_text(encoding="utf-8"))
    data["broker"] |= change
    path.write_text(json.dumps(data), encoding="utf-8")
    assert not isinstance(read(path).broker, Together)
    shown = show(path)
    assert shown.exit_code == 0, shown.output
    assert "What happened" in shown.output


def test_a_saved_failure_says_what_fails_alike(tmp_path: Path) -> None:
    """As the report did; and nothing of what a file says that is no kind of fault."""
    verdict = failed(adds, {numbered: Kafka(key_serializer=lambda key: b"%d" % key), payments: Webhook()})
    assert verdict.also
    path = verdict.save(tmp_path)
    line = f"It fails alike under: {', '.join(verdict.also)}."
    assert line in " ".join(verdict.report().split())
    assert line in " ".join(show(path).output.split())
    data = json.loads(path.read_text(encoding="utf-8"))
    for also, shown in (([7, {}, "<b>", "Zombie"], "under: Zombie."), ("Zombie", None), (None, None)):
        data["told"]["also"] = also
        path.write_text(json.dumps(data), encoding="utf-8")
        output = show(path).output
        assert (shown in output) if shown else ("fails alike" not in output)
