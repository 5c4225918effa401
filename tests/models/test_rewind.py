"""A position that is set back behind what was settled: found, shrunk, told, saved and replayed, where somebody asks."""

from __future__ import annotations

import itertools
from pathlib import Path
from random import Random

import attrs
import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import (
    Event,
    EventHubs,
    Kafka,
    Kinesis,
    Pulsar,
    RabbitMQStream,
    Redeliver,
    Rewind,
    Scenario,
    SqsFifo,
    Stream,
    UsageError,
    check,
)
from chaoskit.brokers import BROKERS, Settings
from chaoskit.strategies import events
from chaoskit.values.faults import Fail
from handlers.buggy import ledger_last_id_only
from handlers.correct import ledger_durable_ids
from models.test_every_model import check as check_model
from models.test_every_model import refusals, scenarios
from models.test_generated import assert_permitted, played
from models.test_generated import scenarios as generated

ONE_BY_ONE = Kafka(partitions=1, commit_every=1)
ALL: dict[str, Settings] = {
    "Kafka": Kafka(partitions=2, offset_resets=True),
    "Kafka, commits": Kafka(partitions=2, commit_every=2, consumers=2, offset_resets=True),
    "Kafka, dead letters back": Kafka(partitions=1, on_error="retry_topic", offset_resets=True),
    "Kafka, resends": Kafka(partitions=2, idempotent_producer=False, offset_resets=True),
    "Kinesis": Kinesis(checkpoint_resets=True),
    "Kinesis, children first": Kinesis(parent_first=False, checkpoint_resets=True),
    "EventHubs": EventHubs(checkpoint_resets=True, start_at_latest=True, dead_letters=True, partitions_added=True),
    "RabbitMQStream": RabbitMQStream(offset_resets=True),
    "Pulsar": Pulsar(cursor_resets=True),
    "Pulsar, Failover": Pulsar(subscription_type="Failover", partitions=2, cursor_resets=True),
    "Pulsar, Shared": Pulsar(subscription_type="Shared", max_redeliver_count=2, cursor_resets=True),
    "Pulsar, Key_Shared": Pulsar(subscription_type="Key_Shared", partitions=2, cursor_resets=True),
    "Pulsar, batches": Pulsar(messages_per_batch=2, cursor_resets=True),
}


def test_nobody_makes_it_unasked() -> None:
    """No search by default, and no broker that has no position."""
    assert all(Rewind not in broker().kinds() for broker in BROKERS.values())
    assert "offset_resets=True makes it possible" in str(Kafka().why_impossible(Rewind))
    assert "no setting" in str(SqsFifo().why_impossible(Rewind))
    assert Rewind in Kafka(offset_resets=True).kinds()
    with pytest.raises(UsageError, match="offset_resets has no effect"):
        Kafka(group="share", offset_resets=True)


@pytest.mark.parametrize("broker", [Kafka(partitions=1, offset_resets=True), Pulsar(cursor_resets=True)])
@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (Rewind("e2"), "e1 e2 e2 e3"),
        (Rewind("e2", 1), "e1 e2 e1 e2 e3"),
        (Rewind("e3", 1), "e1 e2 e3 e2 e3"),
        (Rewind("e3", 7), "e1 e2 e3 e1 e2 e3"),
    ],
)
def test_all_from_the_position_on_comes_again_in_order(broker: Settings, fault: Rewind, seen: str) -> None:
    """However much was settled. What reaches before the first message begins with it."""
    scenario = Scenario([Event("a", number) for number in range(3)], broker, [fault])
    assert " ".join(map(str, scenario.schedule().delivered)) == seen
    assert "|reset" in scenario.trace()
    answer = broker.permits(scenario.trace())
    assert answer, answer


def test_without_the_word_a_settled_message_does_not_come_again() -> None:
    """The judge has to be told of it, as of a restart where restarts are told."""
    assert Pulsar(cursor_resets=True).permits("1 |ack 1 2 |ack 2 |reset 1 1r 2r")
    assert not Pulsar(cursor_resets=True).permits("1 |ack 1 2 |ack 2 1r 2r")
    assert not Pulsar().permits("1 |ack 1 2 |ack 2 |reset 1 1r 2r")


PAYMENTS = events(st.integers(1, 9), keys=st.just("alice"))


def test_a_handler_that_it_breaks_is_found_shrunk_and_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last id alone is enough where each record is committed, and not where two are read again."""
    kinds = {Redeliver, Fail}
    held = check(ledger_last_id_only.test, PAYMENTS, ONE_BY_ONE, faults=kinds, seed=1, schedules=300)
    assert held.status == "held", held.report()
    broker = attrs.evolve(ONE_BY_ONE, offset_resets=True)
    verdict = check(ledger_last_id_only.test, PAYMENTS, broker, faults={*kinds, Rewind}, seed=1, schedules=300)
    assert verdict.status == "violated"
    assert verdict.scenario is not None
    last = verdict.scenario.stream.ids[-1]
    assert (len(verdict.scenario.stream), verdict.scenario.faults) == (2, (Rewind(last, 1),))
    report = verdict.report()
    assert "the committed offset was set back to offset 0 of partition 0" in report
    assert "--reset-offsets" in report
    path = verdict.save(tmp_path)
    assert chaoskit.replay(path).status == "violated"
    monkeypatch.setattr(ledger_last_id_only, "test", ledger_durable_ids.test)
    assert chaoskit.replay(path).status == "held"


@pytest.mark.parametrize("name", ALL)
def test_its_correct_twin_is_held(name: str) -> None:
    """Ids that are remembered with the effect withstand all of it."""
    verdict = check(ledger_durable_ids.test, PAYMENTS, ALL[name], seed=1, schedules=300)
    assert verdict.status == "held", verdict.report()


@pytest.mark.parametrize("name", ALL)
def test_what_is_generated_is_permitted(name: str) -> None:
    """Together with whatever else the broker makes."""
    broker, random = ALL[name], Random(f"rewind {name}")
    drawn = itertools.islice(generated(broker, random), 600)
    assert_permitted(broker, ((faults, played(broker, stream, faults)) for stream, faults in drawn))


@pytest.mark.parametrize("refusing", [False, True])
@pytest.mark.parametrize("name", ALL)
def test_a_model_runs_to_its_end(name: str, refusing: bool, tmp_path: Path) -> None:
    """It ends, delivers what is not lost, and can be told, saved and read, whatever the handler refuses."""
    broker, random = ALL[name], Random(f"rewind model {name} {refusing}")
    for number, (stream, faults) in zip(range(300), scenarios(broker, random), strict=False):
        seed = random.getrandbits(32)
        refuses = refusals(Random(seed), len(stream)) if refusing else None
        try:
            check_model(broker, stream, faults, refuses, tmp_path / "repro.json" if number % 20 == 0 else None)
        except Exception as error:
            raise AssertionError(f"{error!r}\n{broker}\n{stream.events}\n{faults}\nrefusals {seed}") from error


def test_the_search_goes_back_to_the_first_message_at_most() -> None:
    """A position before it is the first one again."""
    model = ALL["Kafka"].model(Stream.of([Event("a", number) for number in range(4)]))
    assert [model.arguments(Rewind, at) for at in range(4)] == [(range(n),) for n in range(1, 5)]
