"""No false alarm by any broker: what is right is never flagged, by whatever any of them can do to it."""

from __future__ import annotations

from types import ModuleType

import pytest

from cases import cases
from chaoskit import BatchSwap, Lose, Overtake, Verdict, check
from chaoskit.brokers import BROKERS, InOrder, Settings
from chaoskit.report.broker_facts import as_written
from chaoskit.values.faults import FaultKind
from handlers import name
from handlers.correct import (
    CORRECT,
    ledger_durable_ids,
    orders_retried_until_customer_known,
    raises_until_its_turn,
)
from quality.brokers import DEAD_LETTERS, DEFAULTS, LOSSY, VARIANTS

SCHEDULES = cases(250)
"""For each handler on each broker."""
ON_LOSSY = cases(500)
"""Where a few events of a stream can be lost: fewer schedules lose none."""

WRONG_WHERE_LANES_BLOCK = {
    raises_until_its_turn: (
        "Kinesis()",
        "Kinesis(start_at_latest=True)",
        'Kinesis(consumer="lambda")',
        "EventHubs()",
        "EventHubs(start_at_latest=True)",
        "RabbitMQStream()",
        "RabbitMQStream(start_at_latest=True)",
        "Outbox()",
    ),
    orders_retried_until_customer_known: (
        "Kinesis()",
        "Kinesis(start_at_latest=True)",
        'Kinesis(consumer="lambda")',
        "Outbox()",
    ),
}
"""Where a producer may swap two messages of a lane that waits for what its handler refuses: the one that came first is
tried for ever, and what it waits for stands behind it and is never read. A handler must not raise for that there."""

DROPS_REFUSED = (
    'Kafka(on_error="skip")',
    'Kafka(group="share")',
    'Kafka(group="share", delivery_count_limit=2)',
    "RabbitMQ()",
    "RabbitMQ(auto_ack=True)",
    "RabbitMQ(delivery_limit=1)",
    "RedisStreams(noack=True)",
    "RedisList(reliable=False)",
    "JetStream(max_deliver=2)",
    'JetStream(ack_policy="none")',
    'ServiceBus(receive_mode="receive_and_delete")',
)
WRONG_WHERE_REFUSED_IS_DROPPED = {
    raises_until_its_turn: (*DROPS_REFUSED, 'Kafka(consumers=2, group="share")'),
    orders_retried_until_customer_known: DROPS_REFUSED,
}
"""Where a message that was refused, often enough or once, is dropped and nothing brings it back: a handler must not
raise there for what it waits for."""

NEVER_EQUAL = "two payments of one body are rare among 100 amounts, and only those are dropped"
IDLE: dict[tuple[str, ModuleType], tuple[FaultKind, str]] = {
    ("SqsFifo(content_based_deduplication=True)", ledger_durable_ids): (Lose, NEVER_EQUAL),
    ("SqsFifo(content_based_deduplication=True)", orders_retried_until_customer_known): (Lose, NEVER_EQUAL),
}
"""A kind of fault that could act, and did not. The passing line names it."""

SYSTEMS = {as_written(broker): broker for broker in (*DEFAULTS, *VARIANTS, *LOSSY, *DEAD_LETTERS) if broker.kinds()}


def searched(handler: ModuleType, broker: Settings, schedules: int = SCHEDULES) -> Verdict:
    return check(handler.test, handler.EVENTS, broker, schedules=schedules, seed=0)


def pairs(systems: tuple[Settings, ...]) -> list[object]:
    """Every correct handler on each of these, but for what is known to be wrong there."""
    return [
        pytest.param(handler, broker, id=f"{as_written(broker)}-{name(handler)}")
        for broker in systems
        for handler in CORRECT
        if broker.kinds()
        and as_written(broker) not in WRONG_WHERE_LANES_BLOCK.get(handler, ())
        and as_written(broker) not in WRONG_WHERE_REFUSED_IS_DROPPED.get(handler, ())
    ]


def assert_held(handler: ModuleType, broker: Settings, schedules: int = SCHEDULES) -> None:
    """Not flagged, over enough distinct schedules, and every kind of fault that can act has acted."""
    verdict = searched(handler, broker, schedules)
    idle, _ = IDLE.get((as_written(broker), handler), (None, ""))
    assert verdict.status == "held", (verdict.reasons, verdict.scenario, verdict.violations)
    assert verdict.tally.schedules == schedules
    # Where all keys are in one lane nothing overtakes.
    quiet = {Overtake.__name__} | ({idle.__name__} if idle else set())
    tried = {*verdict.tally.effective, *verdict.tally.left_out}
    assert {kind.__name__ for kind in broker.kinds()} - tried <= quiet


@pytest.mark.many
@pytest.mark.parametrize(("handler", "broker"), pairs(DEFAULTS + VARIANTS))
def test_a_correct_handler_is_not_flagged_by_any_broker(handler: ModuleType, broker: Settings) -> None:
    """Whatever a broker can do with its defaults, and where it promises something else."""
    assert_held(handler, broker)


@pytest.mark.many
@pytest.mark.parametrize(("handler", "broker"), pairs(LOSSY))
def test_a_correct_handler_is_not_flagged_for_what_the_broker_lost(handler: ModuleType, broker: Settings) -> None:
    """What is lost is left out of the reference, too: no handler can do anything about it."""
    assert_held(handler, broker, ON_LOSSY)


@pytest.mark.many
@pytest.mark.parametrize(("handler", "broker"), pairs(DEAD_LETTERS))
def test_a_correct_handler_is_not_flagged_for_dead_letters(handler: ModuleType, broker: Settings) -> None:
    """Messages that are set aside and come back later, as others."""
    assert_held(handler, broker)


@pytest.mark.parametrize(
    ("handler", "system"), [(handler, system) for handler, found in WRONG_WHERE_LANES_BLOCK.items() for system in found]
)
def test_what_waits_for_a_message_behind_it_in_its_lane_is_found(handler: ModuleType, system: str) -> None:
    """The exceptions above are no false alarms that were given up: two messages that the producer swapped."""
    verdict = searched(handler, SYSTEMS[system])
    assert verdict.status == "violated"
    assert verdict.scenario is not None
    assert verdict.outcome is not None
    assert [type(fault) for fault in verdict.scenario.faults] == [BatchSwap]
    assert [violation.invariant for violation in verdict.violations][:1] == ["refused"]
    first, second = verdict.scenario.events
    assert [refused.event for refused in verdict.outcome.refused] == [second.id]
    assert verdict.outcome.unseen == (first.id,)


@pytest.mark.parametrize("handler", CORRECT, ids=name)
def test_without_faults_nothing_is_shown(handler: ModuleType) -> None:
    """A broker that makes no fault cannot show that a handler is right: the verdict is unknown, and says so."""
    verdict = searched(handler, InOrder())
    assert verdict.status == "unknown"
    assert "makes no fault" in verdict.reasons[0]
    assert verdict.tally.schedules == 0


def test_every_broker_is_run() -> None:
    """Whoever adds a broker has it run; and each exception is of a system that is run."""
    assert {type(broker) for broker in DEFAULTS} == set(BROKERS.values())
    assert {system for found in WRONG_WHERE_LANES_BLOCK.values() for system in found} <= SYSTEMS.keys()
    assert {system for system, _ in IDLE} <= SYSTEMS.keys()


@pytest.mark.parametrize(
    ("handler", "settings"),
    [(handler, settings) for handler, names in WRONG_WHERE_REFUSED_IS_DROPPED.items() for settings in names],
    ids=lambda each: each if isinstance(each, str) else name(each),
)
def test_a_handler_that_raises_is_wrong_where_what_it_refuses_is_dropped(handler: ModuleType, settings: str) -> None:
    """The exceptions of above are none of the tool: what was refused is missing in the end. Where the limit of
    deliveries is far, that takes more schedules."""
    verdict = searched(handler, SYSTEMS[settings], 4_500)
    assert verdict.status == "violated"
    assert verdict.outcome is not None
    assert verdict.outcome.dropped
