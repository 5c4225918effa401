"""Several streams, each with its broker, whose handlers share one state."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Kafka, Scenario, SqsFifo, SqsStandard, UsageError, Webhook, chaos, check, run
from chaoskit.brokers.together import Together
from chaoskit.models.together import TogetherModel
from chaoskit.repro.read import read
from chaoskit.search.plans import Plans
from chaoskit.strategies import events, lifecycle
from chaoskit.values.event import Event, Stream
from chaoskit.values.faults import Overtake
from chaoskit.values.schedule import DELIVER

orders = lifecycle(st.fixed_dictionaries({"total": st.integers(1, 9)}), [st.just({"gone": True})], lives=2)
payments = events(st.integers(1, 9), keys=st.sampled_from(["key-1", "key-2"]), max_size=6)


def drops_early_payments(deliver: Any) -> dict[str, int]:
    """Right about copies and about the order of each stream; but a payment that comes before its order is dropped."""
    paid: dict[str, int] = {}
    seen: set[Any] = set()

    def on_order(message: Any) -> None:
        assert message.topic == "orders"
        paid.setdefault(message.key, 0)

    def on_payment(message: Any) -> None:
        assert message.topic == "payments"
        if message.id not in seen and message.key in paid:
            seen.add(message.id)
            paid[message.key] += message.value

    deliver({orders: on_order, payments: on_payment})
    return paid


def keeps_early_payments(deliver: Any) -> dict[str, Any]:
    """The same, repaired."""
    paid: dict[str, int] = {}
    ordered: set[str] = set()
    seen: set[Any] = set()

    def on_payment(message: Any) -> None:
        if message.id not in seen:
            seen.add(message.id)
            paid[message.key] = paid.get(message.key, 0) + message.value

    deliver({"orders": lambda message: ordered.add(message.key), "payments": on_payment})
    return {"paid": paid, "ordered": sorted(ordered)}


def test_what_the_interleaving_alone_changes_is_named_so() -> None:
    """With the least of each stream, once and in its order; and accepted where either result is right."""
    both = {orders: Kafka(), payments: SqsFifo()}
    verdict = check(drops_early_payments, both, schedules=100, seed=1)
    assert verdict.status == "violated"
    assert verdict.label == "across keys"
    assert verdict.scenario is not None
    assert {event.topic for event in verdict.scenario.events} == {"orders", "payments"}
    assert len(verdict.scenario.events) == 2
    assert [type(fault) for fault in verdict.scenario.faults] == [Overtake]
    reported = " ".join(verdict.report().split())
    assert "It depends on how the two streams interleave: each event came once" in reported
    assert "came behind what was sent later to" in reported
    accepted = check(drops_early_payments, both, faults={Overtake}, schedules=100, seed=1, across_keys="any")
    assert accepted.status == "held", accepted.report()
    assert check(drops_early_payments, both, schedules=100, seed=1).scenario == verdict.scenario


def test_the_repaired_twin_holds() -> None:
    """Under all that either broker can do, mixed."""
    verdict = check(keeps_early_payments, {orders: Kafka(), payments: Webhook()}, schedules=300, seed=1)
    assert verdict.status == "held", verdict.report()
    assert verdict.tally is not None
    assert {"Duplicate", "Redeliver", "Rehash", "Overtake", "Zombie"} <= set(verdict.tally.effective)


def test_a_handler_may_wait_for_the_other_stream_by_raising() -> None:
    """It is shown the message again when the other stream has gone on."""

    def waits(deliver: Any) -> dict[str, int]:
        ordered: set[str] = set()
        paid: dict[Any, tuple[str, int]] = {}

        def on_payment(message: Any) -> None:
            sent = {event.key for event in deliver.sent() if event.topic == "orders"}
            if message.key in sent - ordered:
                raise ValueError("its order has not come")
            if message.key in ordered:
                paid[message.id] = message.key, message.value

        deliver({orders: lambda message: ordered.add(message.key), payments: on_payment})
        return {key: sum(amount for of, amount in paid.values() if of == key) for key in ("key-1", "key-2")}

    verdict = check(waits, {orders: Kafka(), payments: SqsStandard()}, schedules=150, seed=1, across_keys="any")
    assert verdict.status == "held", verdict.report()


PARTS = (Kafka(partitions=3, consumers=2), SqsStandard())


def drawn(chance: Random) -> Stream:
    topics = [chance.choice(["a", "b"]) for _ in range(8)]
    return Stream.of([Event(chance.choice("xyz"), n, topic=topic) for n, topic in enumerate(topics)])


def test_each_stream_has_what_its_own_broker_would_make_of_it() -> None:
    """For any plan, the steps of one stream are those of its broker's model; only their mixture is free."""
    mixed = set()
    for number in range(150):
        chance = Random(number)
        stream = drawn(chance)
        model = Together(topics=("a", "b"), brokers=PARTS).model(stream)
        assert isinstance(model, TogetherModel)
        kinds = Together(topics=("a", "b"), brokers=PARTS).kinds()
        plan = next(Plans(model, kinds, number).mixtures())
        steps = list(model.play(plan))
        mixed.add(tuple(model.parts[step[1] % 2].topic for step in steps if step[0] == DELIVER))
        for place, part in enumerate(model.parts):
            if part.model is None:
                continue
            own = Stream(tuple(stream[position] for position in part.positions))
            faults = [f for f in plan if f.at in own.ids and not model.holds(f)]
            of_part = [model._inner_step(step) for step in steps if step[1] % 2 == place]
            assert of_part == list(PARTS[place].model(own).play(faults))
        assert len(model.schedule(plan, steps, ())) == len(steps)
    assert len(mixed) > 120


def test_any_interleaving_of_two_streams_is_made() -> None:
    """By holds of whole streams alone, where neither broker changes an order."""
    stream = Stream.of([Event("x", n, topic=topic) for n, topic in enumerate("aabb")])
    broker = Together(topics=("a", "b"), brokers=(Kafka(partitions=1), Kafka(partitions=1)))
    model, found = broker.model(stream), set()
    plans = Plans(model, [Overtake], 0)
    singles = [fault for position in range(4) for fault in plans.at(position)]
    for one in [None, *singles]:
        for two in [None, *singles]:
            steps = model.play([fault for fault in (one, two) if fault is not None])
            found.add("".join(stream[step[2]].topic or "" for step in steps))
    assert found == {"aabb", "abab", "abba", "baab", "baba", "bbaa"}


def test_a_file_holds_the_topics(tmp_path: Path) -> None:
    """And its scenario can be run by itself."""
    verdict = check(drops_early_payments, {orders: Kafka(), payments: SqsFifo()}, schedules=100, seed=1)
    scenario = verdict.scenario
    assert scenario is not None
    stream = read(Path(verdict.save(tmp_path))).stream()
    assert stream.events == scenario.events
    assert run(drops_early_payments, Scenario(stream, scenario.broker, scenario.faults)).status == "violated"


@pytest.mark.parametrize(
    ("streams", "says"),
    [
        ({orders: Kafka()}, "1 streams: of one write chaos(orders, broker=Kafka())"),
        ({orders: Kafka(), st.just([]): Kafka()}, "each has to be one of events(…)"),
        ({orders: Kafka(), payments: 3}, "must extend one of chaoskit's brokers"),
        ({"orders": Kafka(), "payments": Kafka()}, "a strategy of events with its broker is needed"),
        ({orders: Kafka(topic="t"), payments: Kafka(topic="t")}, "two streams have the topic 't'"),
    ],
)
def test_what_are_no_streams_is_an_error(streams: Any, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        chaos(streams)
    assert says in str(caught.value)


def test_a_handler_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UsageError, match="deliver has no handler for the stream 'payments'"):
        check(lambda deliver: deliver({orders: print}) or 1, {orders: Kafka(), payments: Kafka()}, seed=1)
    with pytest.raises(UsageError, match="it is none of the streams of chaos"):
        check(lambda deliver: deliver({st.just(1): print}) or 1, {orders: Kafka(), payments: Kafka()}, seed=1)
