"""The simulation against closed forms: M/D/1, M/D/n, and what a saturated system does exactly."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest

from chaoskit import Event, Kafka, OrderingCost, PostgresQueue, PubSub, SqsFifo, ordering_cost
from chaoskit.throughput.simulation import work_off

HANDLER_MS = 10.0
CLOSE = 0.03


def stream(keys: int, messages: int, seed: int = 11) -> list[Event]:
    """Each message has any of the keys, so that the arrivals of one key are a Poisson process, too."""
    chance = random.Random(seed)
    return [Event(f"key-{chance.randrange(keys)}", None) for _ in range(messages)]


def wait_of_one(per_second: float) -> float:
    """M/D/1, the mean wait in ms by Pollaczek and Khinchine: rho D / 2 (1 - rho)."""
    load = per_second * HANDLER_MS / 1000
    return load * HANDLER_MS / (2 * (1 - load))


def wait_of_several(per_second: float, servers: int) -> float:
    """M/D/n, the mean wait in ms: of the chain of how many are there at times D apart, by iterating it until it stands
    still. After D all that were being served have gone: X' = max(X - n, 0) + Poisson(lambda D)."""
    mean = per_second * HANDLER_MS / 1000
    most = 40 * servers
    arriving = [math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(most)]
    there = [1.0] + [0.0] * (most - 1)
    for _ in range(400):
        left = [math.fsum(there[: servers + 1]), *there[servers + 1 :]]
        there = [math.fsum(left[i] * arriving[k - i] for i in range(min(k + 1, len(left)))) for k in range(most)]
    queue = math.fsum((k - servers) * share for k, share in enumerate(there) if k > servers)
    return queue / per_second * 1000


def test_the_closed_form_of_several_is_that_of_one_for_one() -> None:
    """The yardstick itself: two derivations of M/D/1."""
    assert wait_of_several(60, 1) == pytest.approx(wait_of_one(60), rel=1e-6)


@pytest.mark.parametrize("per_second", [50.0, 75.0])
def test_total_order_waits_as_m_d_1(per_second: float) -> None:
    """One lane, one consumer."""
    cost = ordering_cost(
        stream(7, 80_000), SqsFifo(), handler_ms=HANDLER_MS, consumers=1, arrivals_per_second=per_second
    )
    assert cost.total.at(1).wait_ms == pytest.approx(wait_of_one(per_second), rel=CLOSE)


@pytest.mark.parametrize("servers", [2, 3])
def test_no_order_waits_as_m_d_n(servers: int) -> None:
    """Any free consumer takes the oldest message."""
    per_second = 0.7 * servers * 1000 / HANDLER_MS
    cost = ordering_cost(
        stream(7, 80_000), PostgresQueue(), handler_ms=HANDLER_MS, consumers=servers, arrivals_per_second=per_second
    )
    assert cost.unordered.at(servers).wait_ms == pytest.approx(wait_of_several(per_second, servers), rel=CLOSE)
    assert cost.unordered.at(servers - 1).wait_ms is None, "more arrives than they handle"


@pytest.mark.parametrize("broker", [PubSub(ordering=True), Kafka(group="parallel")], ids=["key", "parallel"])
def test_order_per_key_waits_as_m_d_1_for_each_key_where_there_are_consumers_enough(broker: PubSub | Kafka) -> None:
    """Four keys that are alike, four consumers: a message waits for its own key only."""
    per_second = 4 * 60.0
    cost = ordering_cost(stream(4, 80_000), broker, handler_ms=HANDLER_MS, consumers=4, arrivals_per_second=per_second)
    assert cost.per_key.at(4).wait_ms == pytest.approx(wait_of_one(60.0), rel=CLOSE)


def test_partitions_wait_as_m_d_1_with_the_load_of_each() -> None:
    """The mean of the partitions, each weighed by its share of the messages."""
    events, per_second = stream(12, 80_000), 120.0
    broker = Kafka(partitions=3)
    cost = ordering_cost(events, broker, handler_ms=HANDLER_MS, consumers=3, arrivals_per_second=per_second)
    homes = [broker.home(event.key, 0, 3) for event in events]
    shares = [homes.count(partition) / len(homes) for partition in range(3)]
    expected = math.fsum(share * wait_of_one(share * per_second) for share in shares if share)
    assert cost.per_key.at(3).wait_ms == pytest.approx(expected, rel=CLOSE)


def even(keys: int) -> list[Event]:
    return [Event(f"key-{n % keys}", None) for n in range(10 * keys)]


def saturated(broker: PubSub | SqsFifo | Kafka, keys: int, consumers: int) -> OrderingCost:
    return ordering_cost(even(keys), broker, handler_ms=HANDLER_MS, consumers=consumers)


@pytest.mark.parametrize("keys", [1, 4, 5])
def test_saturated_throughput_is_exact(keys: int) -> None:
    """100 a second for each consumer that can work: one, min(keys, n), n."""
    cost = saturated(PubSub(ordering=True), keys, 5)
    assert [point.throughput for point in cost.total.points] == [100] * 5
    assert cost.per_key.at(keys).throughput == cost.per_key.at(5).throughput == 100 * keys
    assert [point.throughput for point in cost.unordered.points] == [100, 200, 300, 400, 500]
    assert all(point.busy == 1 for point in cost.unordered.points)
    assert cost.total.at(4).busy == 0.25


def test_a_hot_key_bounds_order_per_key_by_its_share() -> None:
    """Half of the messages have one key: two at once, however many consumers there are."""
    events = [Event("hot" if n % 2 else f"key-{n}", None) for n in range(1000)]
    cost = ordering_cost(events, PubSub(ordering=True), handler_ms=HANDLER_MS, consumers=8)
    assert cost.hottest_key == "hot"
    assert cost.hottest_share == cost.per_key.hottest_share == 0.5
    assert cost.per_key.at(8).throughput == 200
    assert cost.per_key.average == 2
    assert cost.per_key.knee == 2


def test_a_quota_bounds_all_orders_and_the_simulation_keeps_it() -> None:
    """300 messages a second from a FIFO queue, 3,000 in requests of ten; total order has 100 by its handler."""
    one, ten = saturated(SqsFifo(), 40, 40), saturated(SqsFifo(send_batch=10), 40, 40)
    assert (one.total.at(40).throughput, one.per_key.at(40).throughput, one.unordered.at(40).throughput) == (
        100, 300, 300,
    )  # fmt: skip
    assert (ten.per_key.at(40).throughput, ten.unordered.at(40).throughput) == (3000, 3000)
    assert one.per_key.knee == one.unordered.knee == 3
    spacing = 1000 / 300 / HANDLER_MS
    played = work_off([n % 40 for n in range(4000)], 40, spacing=spacing)
    assert 4000 / played.done * 1000 / HANDLER_MS == pytest.approx(300, rel=0.01)
    assert played.peak == 3


def test_no_two_messages_of_a_lane_are_under_way_at_once_and_none_overtakes_in_it() -> None:
    """And never more than there are consumers; each is begun when it could be, the oldest first."""
    chance = random.Random(3)
    for _ in range(50):
        lanes = [chance.randrange(6) for _ in range(60)]
        arrivals = sorted(chance.choice([0.0, chance.random() * 40]) for _ in lanes)
        consumers = chance.randint(1, 5)
        starts = work_off(lanes, consumers, arrivals).starts
        assert starts == by_hand(lanes, consumers, arrivals)
        for lane in set(lanes):
            own = [start for start, its in zip(starts, lanes, strict=True) if its == lane]
            assert all(later >= earlier + 1 for earlier, later in pairwise(own))
        assert max(sum(s <= t < s + 1 for s in starts) for t in starts) <= consumers


def by_hand(lanes: list[int], consumers: int, arrivals: list[float]) -> tuple[float, ...]:
    """The same rule without heaps or lanes' queues: at each moment look at every message, the oldest first."""
    starts: dict[int, float] = {}
    now = 0.0
    while len(starts) < len(lanes):
        for message, lane in enumerate(lanes):
            under_way = [m for m, start in starts.items() if start + 1 > now]
            older = [m for m in range(message) if lanes[m] == lane and (m not in starts or starts[m] + 1 > now)]
            if message not in starts and arrivals[message] <= now and not older and len(under_way) < consumers:
                starts[message] = now
        later = [start + 1 for start in starts.values()] + arrivals
        now = min((t for t in later if t > now), default=now)
    return tuple(starts[message] for message in range(len(lanes)))
