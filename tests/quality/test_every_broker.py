"""No false alarm by any broker: what is right is never flagged, by whatever any of them can do to it."""

from __future__ import annotations

from types import ModuleType

import pytest

from chaoskit import Lose, Overtake, Verdict, check
from chaoskit.brokers import BROKERS, InOrder, Settings
from chaoskit.brokers.facts import as_written
from chaoskit.faults import FaultKind
from handlers import name
from handlers.correct import CORRECT, ledger_durable_ids, orders_retried_until_customer_known
from quality.brokers import DEAD_LETTERS, DEFAULTS, LOSSY, VARIANTS

SCHEDULES = 1_500
"""For each handler on each broker: 7,500 schedules a broker."""

AT_MOST_ONCE = "what the handler refuses is gone: whoever raises until something else has come needs to be asked again"
BLOCKED = (
    "an order that stands before its customer in the same lane is tried for ever, and nothing behind it is read: a "
    "handler that waits for another message must not wait in its lane"
)
ORDERS_FAIL = {
    'Kinesis(consumer="lambda")': BLOCKED,
    "Outbox()": BLOCKED,
    'Outbox(cursor="id")': BLOCKED,
    "Debezium(slot_lost=True)": BLOCKED,
    "RedisList(reliable=False)": AT_MOST_ONCE,
    "RabbitMQ(auto_ack=True)": AT_MOST_ONCE,
    "RedisStreams(noack=True)": AT_MOST_ONCE,
    'JetStream(ack_policy="none")': AT_MOST_ONCE,
    'ServiceBus(receive_mode="receive_and_delete")': AT_MOST_ONCE,
}
"""Where orders that raise until their customer is known are wrong indeed, and why."""

NEVER_EQUAL = "two payments of one body are rare among 100 amounts, and only those are dropped"
IDLE: dict[tuple[str, ModuleType], tuple[FaultKind, str]] = {
    ("SqsFifo(content_based_deduplication=True)", ledger_durable_ids): (Lose, NEVER_EQUAL),
    ("SqsFifo(content_based_deduplication=True)", orders_retried_until_customer_known): (Lose, NEVER_EQUAL),
}
"""What makes a verdict unknown, although all is well: a kind of fault that could act, and did not."""

SYSTEMS = {as_written(broker): broker for broker in (*DEFAULTS, *VARIANTS, *LOSSY, *DEAD_LETTERS) if broker.kinds()}


def searched(handler: ModuleType, broker: Settings) -> Verdict:
    return check(handler.test, handler.EVENTS, broker, schedules=SCHEDULES, seed=0)


def pairs(systems: tuple[Settings, ...]) -> list[object]:
    """Every correct handler on each of these, but for what is known to be wrong there."""
    return [
        pytest.param(handler, broker, id=f"{as_written(broker)}-{name(handler)}")
        for broker in systems
        for handler in CORRECT
        if broker.kinds() and not (handler is orders_retried_until_customer_known and as_written(broker) in ORDERS_FAIL)
    ]


def assert_held(handler: ModuleType, broker: Settings) -> None:
    """Not flagged, over enough distinct schedules, and every kind of fault that can act has acted."""
    verdict = searched(handler, broker)
    idle, why = IDLE.get((as_written(broker), handler), (None, ""))
    if verdict.status == "unknown" and idle is not None:
        assert len(verdict.reasons) == 1, verdict.reasons
        assert verdict.reasons[0].startswith(f"{idle.__name__} never changed"), (why, verdict.reasons)
    else:
        assert verdict.status == "held", (verdict.reasons, verdict.scenario, verdict.violations)
    assert verdict.tally.schedules == SCHEDULES
    # Where all keys are in one lane nothing overtakes.
    quiet = {Overtake.__name__} | ({idle.__name__} if idle else set())
    assert {kind.__name__ for kind in broker.kinds()} - set(verdict.tally.effective) <= quiet


@pytest.mark.parametrize(("handler", "broker"), pairs(DEFAULTS + VARIANTS))
def test_a_correct_handler_is_not_flagged_by_any_broker(handler: ModuleType, broker: Settings) -> None:
    """Whatever a broker can do with its defaults, and where it promises something else."""
    assert_held(handler, broker)


@pytest.mark.parametrize(("handler", "broker"), pairs(LOSSY))
def test_a_correct_handler_is_not_flagged_for_what_the_broker_lost(handler: ModuleType, broker: Settings) -> None:
    """What is lost is left out of the reference, too: no handler can do anything about it."""
    assert_held(handler, broker)


@pytest.mark.parametrize(("handler", "broker"), pairs(DEAD_LETTERS))
def test_a_correct_handler_is_not_flagged_for_dead_letters(handler: ModuleType, broker: Settings) -> None:
    """Messages that are set aside and come back later, as others."""
    assert_held(handler, broker)


@pytest.mark.parametrize("system", ORDERS_FAIL)
def test_orders_that_raise_until_their_customer_is_known_are_wrong_there(system: str) -> None:
    """The exceptions above are no false alarms that were given up: the search finds the order that is never taken."""
    verdict = check(
        orders_retried_until_customer_known.test,
        orders_retried_until_customer_known.EVENTS,
        SYSTEMS[system],
        schedules=3_000,
        seed=0,
    )
    assert verdict.status == "violated"


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
    assert ORDERS_FAIL.keys() <= SYSTEMS.keys()
    assert {system for system, _ in IDLE} <= SYSTEMS.keys()
