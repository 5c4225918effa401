"""No false alarm: what is right is never flagged, by whatever Kafka can do to it."""

from __future__ import annotations

import itertools
from types import ModuleType

import pytest

from cases import cases
from chaoskit import Event, Kafka, Stream
from chaoskit.search.oracle import Subject
from chaoskit.search.question import default_invariants
from chaoskit.values.faults import Fault
from handlers import name
from handlers.correct import (
    CORRECT,
    ledger_durable_ids,
    orders_retried_until_customer_known,
    profile_upsert_by_seq,
    raises_until_its_turn,
    replica_with_tombstones,
    resequencer,
)
from quality.searches import ONE, SIX, search

BASES = [pytest.param(ONE, id="one-partition"), pytest.param(SIX, id="six-partitions")]
EVERY_CORRECT = [pytest.param(handler, id=name(handler)) for handler in CORRECT]

DISTINCT = cases(2_000)

SMALL = {
    ledger_durable_ids: [("alice", 1), ("bob", 20), ("alice", 300)],
    orders_retried_until_customer_known: [("customer-1", 1), ("order-7", 20), ("order-7", 300)],
    raises_until_its_turn: [("alice", 1), ("bob", 20), ("alice", 300)],
    profile_upsert_by_seq: [("alice", "Bern"), ("bob", "Cork"), ("alice", "Aachen")],
    replica_with_tombstones: [("invoice-1", "paid"), ("invoice-2", "sent"), ("invoice-1", None)],
    resequencer: [("chapter-1", "a"), ("chapter-2", "b"), ("chapter-1", "c")],
}
"""A stream of three events for each correct handler, small enough for every pair of faults."""


@pytest.mark.many
@pytest.mark.parametrize("broker", BASES)
@pytest.mark.parametrize("handler", EVERY_CORRECT)
def test_a_correct_handler_is_never_flagged(handler: ModuleType, broker: Kafka) -> None:
    """Thousands of distinct schedules, with every kind of fault effective, leave a correct handler unflagged."""
    verdict = search(handler, broker, None, seed=0, schedules=DISTINCT)
    assert verdict.status == "held", (verdict.reasons, verdict.scenario)
    assert verdict.tally.schedules == DISTINCT
    assert set(verdict.tally.effective) == {kind.__name__ for kind in broker.kinds()}


@pytest.mark.parametrize("broker", BASES)
@pytest.mark.parametrize("handler", EVERY_CORRECT)
def test_no_pair_of_faults_flags_a_correct_handler(handler: ModuleType, broker: Kafka) -> None:
    """On a stream of three events every fault and every pair of faults leaves a correct handler right."""
    stream = Stream.of([Event(key, value) for key, value in SMALL[handler]])
    case = Subject(handler.test, broker, default_invariants(None)).on(stream)
    singles = every_fault(broker, stream)
    flagged = [
        plan
        for plan in itertools.chain(itertools.product(singles), itertools.combinations_with_replacement(singles, 2))
        if case.violations(case.run(plan))
    ]
    assert not flagged
    assert {type(fault) for fault in singles} == set(broker.kinds())


def every_fault(broker: Kafka, stream: Stream) -> list[Fault]:
    """Every fault that can act on this stream, with every argument that makes a difference."""
    model = broker.model(stream)
    return [
        kind(id_, *arguments)
        for kind in broker.kinds()
        for position, id_ in enumerate(stream.ids)
        if (ranges := model.arguments(kind, position)) is not None
        for arguments in itertools.product(*ranges)
    ]
