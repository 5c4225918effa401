"""A topic that never grows: no fault moves a key, in the model and to the judge, and nothing else changes."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import strategies as st

from chaoskit import check
from chaoskit.brokers import Debezium, EventHubs, JetStream, Kafka, Kinesis, RabbitMQ, RabbitMQStream, Settings
from chaoskit.strategies import events
from chaoskit.values.faults import Rehash
from handlers.small import inbox

GROWING: dict[str, Settings] = {
    "Kafka": Kafka(),
    "Kafka, parallel consumer": Kafka(group="parallel"),
    "Kinesis": Kinesis(parent_first=False),
    "RabbitMQStream": RabbitMQStream(),
    "RabbitMQ": RabbitMQ(queues=3, consumers=1),
    "JetStream": JetStream(partitions=3),
    "Debezium": Debezium(),
}
LOGS = [name for name in GROWING if name not in ("RabbitMQ", "JetStream", "Kafka, parallel consumer")]


EV = events(st.integers(1, 9), keys=st.sampled_from(["a", "b"]), max_size=6)


@pytest.mark.parametrize("name", GROWING)
def test_growth_breaks_what_a_fixed_count_does_not(name: str) -> None:
    """The finding at its minimum, and its twin on a topic that never grows, where all else is as it was."""
    grows = GROWING[name]
    fixed: Settings = attrs.evolve(grows, growth=False)  # type: ignore[call-arg]
    found = check(inbox, EV, grows, faults={Rehash}, schedules=300, seed=1)
    assert found.scenario is not None
    assert (len(found.scenario.events), len(found.scenario.faults)) == (2, 1)
    assert set(grows.kinds()) - set(fixed.kinds()) == {Rehash}
    reason = fixed.why_impossible(Rehash)
    assert reason is not None
    assert "(growth=False); growth=True makes it possible" in reason


def test_a_fixed_count_holds_what_growth_breaks() -> None:
    verdict = check(inbox, EV, Kafka(growth=False, on_error="stop"), schedules=300, seed=1)
    assert verdict.status == "held"
    assert check(inbox, EV, Kafka(on_error="stop"), schedules=300, seed=1).status == "violated"


@pytest.mark.parametrize("name", LOGS)
def test_the_judge_says_the_same(name: str) -> None:
    trace = "|put p0/1 |put p0/2 |grow 9"
    assert GROWING[name].permits(trace)
    assert not attrs.evolve(GROWING[name], growth=False).permits(trace)  # type: ignore[call-arg]


def test_a_plain_stream_stays_one() -> None:
    plain = RabbitMQStream(partitions=1)
    assert Rehash not in plain.kinds()
    assert "partitions=2 or more, a super stream" in str(plain.why_impossible(Rehash))
    assert not plain.permits("1 2 |grow 2 1")
    assert Rehash in RabbitMQStream(partitions=2).kinds()


def test_an_event_hub_grows_only_where_it_is_said() -> None:
    assert Rehash not in EventHubs().kinds()
    assert Rehash in EventHubs(partitions_added=True).kinds()
