"""From events and a broker to what each order costs."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any

import attrs

from chaoskit.brokers import Kafka, Settings
from chaoskit.throughput.cost import AtConsumers, OrderChoice, OrderingCost
from chaoskit.throughput.lanes import Lanes, Order, lanes_of
from chaoskit.throughput.simulation import work_off
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Event, Stream
from chaoskit.values.texts import one_line, printed

ENOUGH = 10_000
"""Messages for a throughput: a stream of fewer is played again and again, so that its end hardly counts."""
ENOUGH_WAITS = 20_000
"""Messages for a mean wait."""
MORE = 1.05
"""A rise of less is none: where adding consumers stops helping. A topic of six partitions gains nothing from a fourth
consumer and a fifth, but much from a sixth: what the next one brings does not tell, but what all others could."""
MOST_CONSUMERS = 1_000
LEAST, MOST = 1e-6, 1e9
"""Milliseconds, and messages a second: beyond these times lose their digits."""


def ordering_cost(
    events: Iterable[Event] | Stream,
    broker: Settings | None = None,
    *,
    handler_ms: float,
    consumers: int = 32,
    key: Callable[[Event], Any] | None = None,
    arrivals_per_second: float | None = None,
    seed: int = 0,
) -> OrderingCost:
    """What total order, order per key and no order cost: how much runs at once, and where consumers stop helping.

    `events` are recorded or made, in the order in which they were sent. `broker` keeps the order (Kafka() by default):
    its serialization point and its partitioner say which messages wait for each other. `handler_ms`: what the handler
    takes for one message, in milliseconds, the same for all. `consumers`: 1 to so many are looked at, each of which
    handles one message at a time; at most 1,000. `key`: from an event to its key, such as `lambda event:
    event.value["from"]`; without it, the event's own. With `arrivals_per_second` messages come at random (a Poisson
    process, drawn from `seed`) and their mean wait is simulated, too; without it there is always a backlog.

    It is a queueing simulation (M/D/n with the broker's lanes where messages arrive, saturated where they do not).
    What a network, a commit or an acknowledgement takes is not in it, and no attempt fails; a consumer that takes a
    receive of ten from one group is one that handles ten in a row. A stream of fewer than 10,000 messages is played
    again and again. It takes a second or two for 10,000 messages and 32 consumers, and grows with both.

    Raises UsageError for what cannot mean what it says, StreamError for events that are no stream, and for keys that
    the broker cannot partition by.
    """
    broker = Kafka() if broker is None else broker
    _check(broker, handler_ms, consumers, arrivals_per_second)
    stream = Stream.of(events)
    if not len(stream):
        raise UsageError("ordering_cost(events=[]): there is nothing to order; at least one event is needed")
    keys = _keys(stream, key)
    asked = _Asked(broker, handler_ms, consumers, arrivals_per_second, seed)
    counts = Counter(each for each in keys if each is not None)
    hottest = max(counts, key=counts.__getitem__, default=None)
    total, per_key, unordered = (_choice(asked, keys, order) for order in ("total", "per_key", "unordered"))
    return OrderingCost(
        broker, handler_ms, len(keys), len(counts), keys.count(None), hottest,
        counts[hottest] / len(keys) if counts else 0.0, total, per_key, unordered, arrivals_per_second,
    )  # fmt: skip


@attrs.frozen
class _Asked:
    """The same for the three orders."""

    broker: Settings
    handler_ms: float
    consumers: int
    arrivals_per_second: float | None
    seed: int

    @property
    def quota(self) -> float:
        """Messages a second that the broker's quota allows."""
        return float(self.broker.serialization.per_second or math.inf)

    @property
    def spacing(self) -> float:
        """What the quota puts between two messages, in handler times."""
        return 1000 / self.quota / self.handler_ms


def _check(broker: object, handler_ms: object, consumers: object, arrivals: object) -> None:
    if not isinstance(broker, Settings):
        raise UsageError(f"ordering_cost(broker={printed(broker)}): a broker such as Kafka() is needed")
    if type(consumers) is not int or not 1 <= consumers <= MOST_CONSUMERS:
        raise UsageError(f"ordering_cost(consumers={printed(consumers)}): a whole number, 1 to 1,000, is needed")
    if not _is_within(handler_ms):
        raise UsageError(
            f"ordering_cost(handler_ms={printed(handler_ms)}): what the handler takes is needed, in milliseconds, "
            "0.000001 to 1,000,000,000"
        )
    if arrivals is not None and not _is_within(arrivals):
        raise UsageError(
            f"ordering_cost(arrivals_per_second={printed(arrivals)}): messages a second, 0.000001 to 1,000,000,000, or "
            "None for a backlog are needed"
        )


def _is_within(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and LEAST <= value <= MOST


def _keys(stream: Stream, key: Callable[[Event], Any] | None) -> list[Any]:
    """The key of each event. A function of the user's may raise anything, and return what cannot be a key."""
    if key is None:
        return [event.key for event in stream]
    if not callable(key):
        raise UsageError(f"ordering_cost(key={printed(key)}): a function from an event to its key is needed")
    keys: list[Any] = []
    for event in stream:
        try:
            found = key(event)
            hash(found)
        except Exception as error:
            what = one_line(f"{type(error).__name__}: {error}")
            raise UsageError(f"ordering_cost(key=…) gave no key for event {event.id!r}: {what}") from error
        keys.append(found)
    return keys


def _choice(asked: _Asked, keys: Sequence[Hashable], order: Order) -> OrderChoice:
    at = asked.broker.serialization
    why_not = {"total": at.why_not_total, "per_key": at.why_not_per_key, "unordered": ""}[order]
    if why_not:
        return OrderChoice(order, at.lane, why_not=why_not)
    bounds = _bounds(asked, keys, order)
    points = tuple(_points(asked, keys, order))
    most = math.inf if bounds.average is None else bounds.average * 1000 / asked.handler_ms
    knee = next((point.consumers for point in points if most < MORE * point.throughput), None)
    return attrs.evolve(bounds, points=points, knee=knee)


def _bounds(asked: _Asked, keys: Sequence[Hashable], order: Order) -> OrderChoice:
    """What as many consumers as can help do."""
    at = asked.broker.serialization
    takes = at.takes if order == "per_key" else ""
    quota = asked.quota * asked.handler_ms / 1000  # messages at once that it lets through
    if _nothing_waits(asked.broker, keys, order):
        within = quota < math.inf
        return OrderChoice(
            order, at.lane, peak=math.ceil(quota) if within else None, average=quota if within else None, takes=takes
        )
    partitions = asked.broker.partitions_at_first * at.slices  # as many consumers as can own one
    lanes = lanes_of(asked.broker, _messages(asked.broker, keys, order), order)(partitions)
    hottest = max(Counter(lanes).values()) / len(lanes)
    # What has no key is a lane of its own, so that of a stream played twice there would be more of them.
    once = lanes_of(asked.broker, keys, order)(partitions) if at.unit == "key" else lanes
    peak = work_off(once, len(set(once)), spacing=asked.spacing).peak
    return OrderChoice(order, at.lane, len(set(once)), hottest, peak, min(1 / hottest, quota), takes=takes)


def _nothing_waits(broker: Settings, keys: Sequence[Hashable], order: Order) -> bool:
    """Whether no message waits for another one, so that each consumer helps."""
    at = broker.serialization
    if order == "unordered":
        return not at.bounds_no_order
    return order == "per_key" and at.unit == "key" and set(keys) == {None}


def _messages(broker: Settings, keys: Sequence[Hashable], order: Order) -> list[Hashable]:
    """Enough of them. Without order each partition gets the same, whatever the stream."""
    if order == "unordered":
        partitions = broker.partitions_at_first * broker.serialization.slices
        return [None] * (partitions * math.ceil(ENOUGH / partitions))
    return _again(keys, ENOUGH)


def _points(asked: _Asked, keys: Sequence[Hashable], order: Order) -> Iterator[AtConsumers]:
    free = _nothing_waits(asked.broker, keys, order)
    lanes = lanes_of(asked.broker, _messages(asked.broker, keys, order), order)
    waits = _Waits.of(asked, keys, order) if asked.arrivals_per_second is not None else None
    for consumers in range(1, asked.consumers + 1):
        at_once = consumers if free else _saturated(lanes(consumers), consumers)
        throughput = min(at_once * 1000 / asked.handler_ms, asked.quota)
        busy = throughput * asked.handler_ms / 1000 / consumers
        yield AtConsumers(consumers, throughput, busy, waits.mean_ms(consumers, throughput) if waits else None)


def _saturated(lanes: Sequence[int], consumers: int) -> float:
    """How many messages are under way at once while a backlog is worked off."""
    counts = Counter(lanes)
    if len(counts) <= consumers:  # nothing waits for a consumer: the fullest lane decides
        return len(lanes) / max(counts.values())
    return len(lanes) / work_off(lanes, consumers).done


@attrs.define
class _Waits:
    """Messages that arrive at random, in handler times. `known`: lanes of which each had a consumer, and their mean
    wait, which no further consumer changes."""

    asked: _Asked
    lanes: Lanes
    arrivals: list[float]
    known: tuple[list[int], float] | None = None

    @classmethod
    def of(cls, asked: _Asked, keys: Sequence[Hashable], order: Order) -> _Waits:
        many = _again(keys, ENOUGH_WAITS)
        rate = (asked.arrivals_per_second or 0) * asked.handler_ms / 1000
        chance, now, arrivals = random.Random(asked.seed), 0.0, []
        for _ in many:
            now -= math.log(1 - chance.random()) / rate
            arrivals.append(now)
        return cls(asked, lanes_of(asked.broker, many, order), arrivals)

    def mean_ms(self, consumers: int, throughput: float) -> float | None:
        """The mean wait of all but the first tenth, which meets consumers that have nothing to do yet."""
        if (self.asked.arrivals_per_second or 0) >= throughput:
            return None
        lanes = self.lanes(consumers)
        if self.known is None or self.known[0] != lanes:
            mean = self._played(lanes, consumers)
            if len(set(lanes)) > consumers:
                return mean
            self.known = lanes, mean
        return self.known[1]

    def _played(self, lanes: list[int], consumers: int) -> float:
        done = work_off(lanes, consumers, self.arrivals, self.asked.spacing)
        waits = [start - arrival for start, arrival in zip(done.starts, self.arrivals, strict=True)]
        waits = waits[len(waits) // 10 :]
        return math.fsum(waits) / len(waits) * self.asked.handler_ms


def _again(keys: Sequence[Hashable], enough: int) -> list[Hashable]:
    """The stream over and over, whole, until there are enough messages."""
    return list(keys) * math.ceil(enough / len(keys)) if len(keys) < enough else list(keys)
