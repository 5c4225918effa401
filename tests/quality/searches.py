"""Searches whose verdicts several claims share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from types import ModuleType

from cases import cases
from chaoskit import Kafka, Verdict, check
from chaoskit.values.faults import FaultKind
from handlers import Kinds, Least

ONE = Kafka(partitions=1, consumers=1, idempotent_producer=False)
"""The basis of the known truth: one lane, and a producer whose retries may swap batches."""

SIX = Kafka(partitions=6, consumers=1, idempotent_producer=False)
"""The default topic, with the same producer: also what happens between partitions."""

SEEDS = range(cases(10, most=20))
"""Ten with each push, all of which must be shrunk to the least; twenty at night."""
ENOUGH = len(SEEDS) - len(SEEDS) // 20
"""Of these seeds, how many must be shrunk to the least: 95 %."""

Shape = tuple[str, str | None, int, int]
"""Status, label, events and faults of a verdict."""


@cache
def search(
    handler: ModuleType, broker: Kafka, kinds: tuple[FaultKind, ...] | None, seed: int, schedules: int = 1000
) -> Verdict:
    """One search for what breaks `handler`, by `kinds` or by all that `broker` can make."""
    return check(handler.test, handler.EVENTS, broker, faults=kinds, schedules=schedules, seed=seed)


def shape(verdict: Verdict) -> Shape:
    """What a claim about a verdict is about."""
    found = verdict.scenario
    return (
        verdict.status,
        verdict.label,
        len(found.events) if found else 0,
        len(found.faults) if found else 0,
    )


def shapes(handler: ModuleType, broker: Kafka, kinds: tuple[FaultKind, ...] | None) -> Counter[Shape]:
    """How often each shape comes out of the seeds."""
    return Counter(shape(search(handler, broker, kinds, seed)) for seed in SEEDS)


def assert_found(found: Counter[Shape], label: str, least: Least) -> None:
    """Found and rightly labelled in every seed, and shrunk to `least` in 95 % of them."""
    assert {(status, named) for status, named, _, _ in found} == {("violated", label)}, found
    assert min(found)[2:] >= least, f"smaller than the known least {least}: {found}"
    assert found[("violated", label, *least)] >= ENOUGH, f"least is {least}: {found}"


def as_tuple(kinds: Kinds) -> tuple[FaultKind, ...]:
    """The kinds as a search takes them."""
    return kinds if isinstance(kinds, tuple) else (kinds,)


def titled(kinds: Iterable[FaultKind] | None) -> str:
    """A name for kinds of fault, for the id of a test."""
    return "all" if kinds is None else "+".join(kind.__name__ for kind in kinds)
