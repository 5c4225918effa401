"""Question 14: what does one fault cost a model, and what do many?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from benchmarks.measure import CPU, Expected, Figure, Row, Section, say
from chaoskit import Event, Kafka, RabbitMQ, SqsFifo, Stream
from chaoskit.brokers import Settings
from chaoskit.search.plans import Plan, Plans
from chaoskit.values.faults import FaultKind
from chaoskit.values.scenario import Model

MOST = {Kafka: Expected(4, at_least=False, unit="µs"), SqsFifo: Expected(6, at_least=False, unit="µs")}
EVENTS, MANY_EVENTS, MANY_FAULTS = 10, 2000, 64
PLANS, CALM = 200, ((),) * 200
REPETITIONS = 9


def measure(quick: bool) -> Section:
    repetitions = 5 if quick else REPETITIONS
    rows: list[Row] = []
    for broker in (Kafka(idempotent_producer=False), SqsFifo(), RabbitMQ()):
        say(f"faults: {type(broker).__name__}")
        rows += [*_kinds(broker, repetitions), _many(broker, repetitions)]
    note = (
        f"CPU time of a model at work, without handler and messages: the least of {repetitions} times of {PLANS} plans "
        f"of one fault of this kind over {EVENTS} events of two keys, in µs above the calm run beside it; and of "
        f"{MANY_FAULTS} faults over {MANY_EVENTS:,} events of eight keys, against one of them."
    )
    return Section("What a fault costs", "fault", "without it", note, tuple(rows))


def _kinds(broker: Settings, repetitions: int) -> Iterator[Row]:
    model, name = broker.model(_stream("ab", EVENTS)), type(broker).__name__
    calm = _cost(model, CALM, repetitions)
    for kind in broker.kinds():
        cost = _cost(model, list(islice(_singles(model, kind), PLANS)), repetitions)
        figures = Figure((cost - calm) * 1e6, "µs"), Figure(calm * 1e6, "µs")
        expected = MOST.get(type(broker), MOST[SqsFifo])
        yield Row(f"`{name}`: {kind.__name__}", cost / calm, *figures, f"least of {repetitions}", expected)


def _many(broker: Settings, repetitions: int) -> Row:
    """One plan of many faults of all kinds against plans of one of them each."""
    model = broker.model(_stream("abcdefgh", MANY_EVENTS))
    kinds, share = broker.kinds(), -(-MANY_FAULTS // len(broker.kinds()))
    singles = [plan for kind in kinds for plan in islice(_singles(model, kind), share)][:MANY_FAULTS]
    one = _cost(model, singles, repetitions)
    many = _cost(model, [tuple(fault for plan in singles for fault in plan)], repetitions)
    what = f"`{type(broker).__name__}`: {MANY_FAULTS} faults over {MANY_EVENTS:,} events"
    of = f"least of {repetitions}"
    return Row(what, many / one, Figure(many * 1e3, "ms"), Figure(one * 1e3, "ms"), of, Expected(4, at_least=False))


def _singles(model: Model, kind: FaultKind) -> Iterator[Plan]:
    return (plan for plan in Plans(model, (kind,), 1).some_singles() if plan)


def _cost(model: Model, plans: Sequence[Plan], repetitions: int) -> float:
    """Seconds of CPU time for one of these plans."""
    least = float("inf")
    for _ in range(repetitions):
        started = CPU()
        for plan in plans:
            for _ in model.play(plan):
                pass
        least = min(least, CPU() - started)
    return least / len(plans)


def _stream(keys: str, size: int) -> Stream:
    return Stream.of([Event(keys[number % len(keys)], number) for number in range(size)])
