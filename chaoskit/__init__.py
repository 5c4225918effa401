"""chaoskit runs a message handler under every delivery that its broker can really make.

Everything here is imported when it is first used: the pytest plugin lives in this package, and every pytest run
pays for what it imports.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Anything": "brokers",
    "BatchSwap": "faults",
    "Celery": "brokers",
    "ChaosError": "errors",
    "ChaosFailure": "errors",
    "DeadLetter": "faults",
    "Debezium": "brokers",
    "Duplicate": "faults",
    "Event": "event",
    "EventHubs": "brokers",
    "Fail": "faults",
    "Fault": "faults",
    "ImpossibleFault": "errors",
    "InOrder": "brokers",
    "Invariant": "invariant",
    "JetStream": "brokers",
    "Kafka": "brokers",
    "Kinesis": "brokers",
    "LambdaSqs": "brokers",
    "Lose": "faults",
    "Message": "event",
    "Outbox": "brokers",
    "Outcome": "outcome",
    "Overtake": "faults",
    "Permitted": "traces",
    "PostgresQueue": "brokers",
    "PubSub": "brokers",
    "RabbitMQ": "brokers",
    "RabbitMQStream": "brokers",
    "Redeliver": "faults",
    "RedisList": "brokers",
    "RedisStreams": "brokers",
    "Rehash": "faults",
    "Resend": "faults",
    "Scenario": "scenario",
    "Schedule": "schedule",
    "ServiceBus": "brokers",
    "SnsSqs": "brokers",
    "SqsFifo": "brokers",
    "SqsStandard": "brokers",
    "Step": "schedule",
    "Stream": "event",
    "UsageError": "errors",
    "Verdict": "verdict",
    "Violation": "invariant",
    "Webhook": "brokers",
    "Zombie": "faults",
    "chaos": "decorator",
    "check": "api",
    "replay": "replay_file",
    "run": "api",
}

_ROOMS = ("codec", "invariants", "strategies")
"""Modules that are found without importing them by name: `chaoskit.codec.register(…)`."""

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"chaoskit.{name}")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'chaoskit' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"chaoskit.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_ROOMS, "__version__"])


if TYPE_CHECKING:
    from chaoskit import codec as codec
    from chaoskit import invariants as invariants
    from chaoskit import strategies as strategies
    from chaoskit.api import check as check
    from chaoskit.api import run as run
    from chaoskit.brokers import Anything as Anything
    from chaoskit.brokers import Celery as Celery
    from chaoskit.brokers import Debezium as Debezium
    from chaoskit.brokers import EventHubs as EventHubs
    from chaoskit.brokers import InOrder as InOrder
    from chaoskit.brokers import JetStream as JetStream
    from chaoskit.brokers import Kafka as Kafka
    from chaoskit.brokers import Kinesis as Kinesis
    from chaoskit.brokers import LambdaSqs as LambdaSqs
    from chaoskit.brokers import Outbox as Outbox
    from chaoskit.brokers import PostgresQueue as PostgresQueue
    from chaoskit.brokers import PubSub as PubSub
    from chaoskit.brokers import RabbitMQ as RabbitMQ
    from chaoskit.brokers import RabbitMQStream as RabbitMQStream
    from chaoskit.brokers import RedisList as RedisList
    from chaoskit.brokers import RedisStreams as RedisStreams
    from chaoskit.brokers import ServiceBus as ServiceBus
    from chaoskit.brokers import SnsSqs as SnsSqs
    from chaoskit.brokers import SqsFifo as SqsFifo
    from chaoskit.brokers import SqsStandard as SqsStandard
    from chaoskit.brokers import Webhook as Webhook
    from chaoskit.decorator import chaos as chaos
    from chaoskit.errors import ChaosError as ChaosError
    from chaoskit.errors import ChaosFailure as ChaosFailure
    from chaoskit.errors import ImpossibleFault as ImpossibleFault
    from chaoskit.errors import UsageError as UsageError
    from chaoskit.event import Event as Event
    from chaoskit.event import Message as Message
    from chaoskit.event import Stream as Stream
    from chaoskit.faults import BatchSwap as BatchSwap
    from chaoskit.faults import DeadLetter as DeadLetter
    from chaoskit.faults import Duplicate as Duplicate
    from chaoskit.faults import Fail as Fail
    from chaoskit.faults import Fault as Fault
    from chaoskit.faults import Lose as Lose
    from chaoskit.faults import Overtake as Overtake
    from chaoskit.faults import Redeliver as Redeliver
    from chaoskit.faults import Rehash as Rehash
    from chaoskit.faults import Resend as Resend
    from chaoskit.faults import Zombie as Zombie
    from chaoskit.invariant import Invariant as Invariant
    from chaoskit.invariant import Violation as Violation
    from chaoskit.outcome import Outcome as Outcome
    from chaoskit.replay_file import replay as replay
    from chaoskit.scenario import Scenario as Scenario
    from chaoskit.schedule import Schedule as Schedule
    from chaoskit.schedule import Step as Step
    from chaoskit.traces import Permitted as Permitted
    from chaoskit.verdict import Verdict as Verdict
