"""What a pass has proved: every schedule of short streams, and what the mixtures of an ordinary search promise."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import (
    Celery,
    Event,
    Kafka,
    Message,
    PubSub,
    RabbitMQ,
    RedisStreams,
    SqsFifo,
    SqsStandard,
    UsageError,
    check,
)
from chaoskit.brokers import Settings
from chaoskit.report.summary import held_lines
from chaoskit.search.bounds import bounds_of, found_by_one
from chaoskit.search.plans import Plans
from chaoskit.strategies import events
from handlers.buggy import (
    ledger_forgets_on_older_seq,
    orders_need_known_customer,
    points_counter,
    profile_blind_overwrite,
)
from handlers.correct import profile_upsert_by_seq

AAB = [Event("a", 1), Event("a", 2), Event("b", 3)]

COUNTS: dict[str, tuple[Settings, int, int]] = {
    "Kafka": (Kafka(partitions=1), 67, 234),
    "Kafka, six partitions": (Kafka(), 58, 189),
    "SqsFifo": (SqsFifo(), 51, 161),
    "SqsStandard": (SqsStandard(), 64, 217),
    "RabbitMQ": (RabbitMQ(), 66, 224),
    "PubSub": (PubSub(ordering=True), 53, 178),
    "RedisStreams": (RedisStreams(), 60, 200),
    "Celery": (Celery(), 38, 93),
}
"""How many distinct schedules the beginnings of the stream have with one fault, and with up to two."""


def counted(stream: list[Event], broker: Settings, most: int) -> int:
    """By another program: every sequence of faults, each named in every order, and sets of what they come to."""
    total = 0
    for size in range(1, len(stream) + 1):
        model = broker.model(chaoskit.Stream.of(stream[:size]))
        singles = [
            kind(id_, *arguments)
            for position, id_ in enumerate(model.stream.ids)
            for kind in broker.kinds()
            if (ranges := model.arguments(kind, position)) is not None
            for arguments in itertools.product(*ranges)
        ]
        calm = tuple(model.play(()))
        found = {
            tuple(model.play(faults))
            for count in range(1, most + 1)
            for faults in itertools.product(singles, repeat=count)
        }
        total += len(found - {calm})
    return total


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("faults", [1, 2])
def test_every_schedule_is_counted_once_as_another_program_counts_them(name: str, faults: int) -> None:
    broker, *known = COUNTS[name]
    stream = AAB if faults == 1 else AAB[:2]
    verdict = check(profile_upsert_by_seq.test, stream, broker, seed=0, exhaustive=faults)
    assert verdict.exhausted is not None
    assert verdict.exhausted.schedules == known[faults - 1]
    assert counted(stream, broker, faults) == known[faults - 1]


def test_a_pass_says_what_it_has_proved() -> None:
    verdict = check(profile_upsert_by_seq.test, AAB, Kafka(partitions=1), seed=0, exhaustive=2)
    assert verdict.status == "held"
    one = verdict.exhausted
    assert one is not None
    assert one.independent_keys
    assert one.runs < one.schedules
    assert one.compared > 0
    assert held_lines(verdict)[0].startswith(
        f"held: all {one.schedules:,} distinct schedules of up to 4 events and 2 faults pass, of which {one.runs:,} "
    )


def test_a_failure_is_found_and_is_as_small_as_any() -> None:
    verdict = check(
        ledger_forgets_on_older_seq.test, ledger_forgets_on_older_seq.EVENTS,
        Kafka(partitions=1, idempotent_producer=False), seed=0, exhaustive=2, exhaustive_events=2,
    )  # fmt: skip
    assert verdict.status == "violated"
    assert verdict.scenario is not None
    assert (len(verdict.scenario.events), len(verdict.scenario.faults)) == (2, 2)


def test_what_needs_two_faults_passes_with_one_and_is_not_called_more() -> None:
    handler, broker = ledger_forgets_on_older_seq, Kafka(partitions=1, idempotent_producer=False)
    verdict = check(handler.test, handler.EVENTS, broker, seed=0, exhaustive=1, exhaustive_events=3)
    assert verdict.status == "held"
    assert "1 fault pass" in held_lines(verdict)[0]


def counts_what_came_before_another_key(deliver: Any) -> dict[str, int]:
    """Right in every order within a key, and with copies; the keys depend on each other."""
    first: dict[str, int] = {}
    versions: dict[str, int] = {}

    def handle(message: Message) -> None:
        if message.seq > versions.get(message.key, 0):
            versions[message.key] = message.seq
            first.setdefault("first of all" if not first else message.key, message.value)

    deliver(handle)
    return first


def test_keys_that_depend_on_each_other_are_reordered_too() -> None:
    """Two schedules that differ between keys alone give two results: each is run, and none is taken for another."""
    stream = [Event("a", 1), Event("b", 2), Event("a", 3)]
    verdict = check(counts_what_came_before_another_key, stream, SqsFifo(), seed=0, across_keys="any", exhaustive=1)
    found = check(counts_what_came_before_another_key, stream, SqsFifo(), seed=0, exhaustive=1)
    assert found.status == "violated"
    assert found.label == "across keys"
    assert verdict.exhausted is not None
    assert not verdict.exhausted.independent_keys
    assert verdict.exhausted.runs == verdict.exhausted.schedules


@pytest.mark.parametrize("handler", [points_counter, profile_blind_overwrite, orders_need_known_customer])
def test_what_one_fault_breaks_is_found(handler: Any) -> None:
    broker = Kafka(partitions=1, idempotent_producer=False)
    verdict = check(handler.test, handler.EVENTS, broker, seed=0, exhaustive=1, exhaustive_events=2)
    assert verdict.status == "violated"


def test_all_patterns_of_keys_are_tried() -> None:
    stream = events(st.integers(0, 9), keys=st.sampled_from(["a", "b", "c"]))
    verdict = check(profile_upsert_by_seq.test, stream, Kafka(), seed=0, exhaustive=1, exhaustive_events=3)
    assert verdict.exhausted is not None
    assert verdict.exhausted.streams == 1 + 2 + 5


def test_another_strategy_gives_the_short_streams_that_it_draws() -> None:
    stream = st.lists(st.integers(0, 3), min_size=1, max_size=3).map(lambda values: [Event("a", v) for v in values])
    verdict = check(profile_upsert_by_seq.test, stream, Kafka(), seed=0, exhaustive=1, exhaustive_events=2)
    assert verdict.exhausted is not None
    assert verdict.exhausted.streams > 10
    with pytest.raises(UsageError, match="up to 2 events"):
        check(
            profile_upsert_by_seq.test, st.just([Event("a", n) for n in range(5)]), Kafka(), seed=0, exhaustive=1,
            exhaustive_events=2,
        )  # fmt: skip


def test_what_would_take_hours_is_refused_before_it_begins() -> None:
    with pytest.raises(UsageError, match=r"would take [0-9,]+ runs"):
        check(profile_upsert_by_seq.test, profile_upsert_by_seq.EVENTS, Kafka(), seed=0, exhaustive=9)
    with pytest.raises(UsageError, match="exhaustive"):
        check(profile_upsert_by_seq.test, AAB, Kafka(), seed=0, exhaustive=0)


# What an ordinary search promises.


def test_the_bound_is_below_what_a_simulation_gives() -> None:
    """Of many mixtures for one stream those with two given faults, or three, are no fewer than is promised."""
    broker = Kafka(partitions=1)
    model = broker.model(chaoskit.Stream.of([Event("a", n) for n in range(4)]))
    plans = Plans(model, broker.kinds(), 7)
    chosen = [(kind, id_) for kind, id_ in zip(broker.kinds(), model.stream.ids, strict=False)]
    drawn = [{(type(fault), fault.at) for fault in plan} for plan in itertools.islice(plans.mixtures(), 20_000)]
    for depth in (1, 2, 3):
        found = sum(plan.issuperset(chosen[:depth]) for plan in drawn) / len(drawn)
        bound = found_by_one(depth, 4, plans.most_kinds)
        assert 0 < bound < found
        assert bound > found / 30


def test_more_schedules_promise_more_and_more_faults_less() -> None:
    few, many = (list(bounds_of(Counter({(10, 7): runs}))) for runs in (100, 1000))
    assert [bound.faults for bound in few] == [2, 3]
    assert all(less.probability < more.probability for less, more in zip(few, many, strict=True))
    assert few[0].probability > few[1].probability
    assert list(bounds_of({})) == []


def test_a_bound_never_promises_what_cannot_be() -> None:
    chance = random.Random(0)
    for _ in range(200):
        depth, size, kinds = chance.randint(1, 3), chance.randint(1, 40), chance.randint(1, 12)
        assert 0 <= found_by_one(depth, size, kinds) <= 1
    assert found_by_one(3, 1, 2) == 0


def test_a_pass_says_how_often_each_kind_was_there_and_what_is_promised() -> None:
    handler = profile_upsert_by_seq
    verdict = check(handler.test, handler.EVENTS, Kafka(), seed=0)
    tally = verdict.tally
    assert set(tally.by_kind) == {kind.__name__ for kind in Kafka().kinds()}
    assert all(100 < number < 1000 for number in tally.by_kind.values())
    two, three = tally.bounds
    assert 0.5 < two.probability < 1
    assert three.probability < two.probability
    reported = f"any two given faults with {two.probability:.0%}, any three given faults with {three.probability:.0%}"
    assert reported in held_lines(verdict)[1]


def test_the_longest_stream_with_every_single_fault_is_told() -> None:
    verdict = check(profile_upsert_by_seq.test, AAB, Kafka(), seed=0)
    assert verdict.tally.all_singles
    assert verdict.tally.singles_up_to == 3
    handler = profile_upsert_by_seq
    assert check(handler.test, handler.EVENTS, Kafka(), seed=0).tally.singles_up_to < 3
