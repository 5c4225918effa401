"""chaoskit runs a message handler under every delivery that its broker can really make.

Everything here is imported when it is first used: the pytest plugin lives in this package, and every pytest run
pays for what it imports.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "Anything": "brokers",
    "BatchSwap": "values.faults",
    "Boundary": "values.boundary",
    "Celery": "brokers",
    "ChaosError": "values.errors",
    "ChaosFailure": "values.verdict",
    "DeadLetter": "values.faults",
    "Debezium": "brokers",
    "Duplicate": "values.faults",
    "Event": "values.event",
    "EventHubs": "brokers",
    "Fail": "values.faults",
    "Fault": "values.faults",
    "ImpossibleFault": "values.errors",
    "InOrder": "brokers",
    "Invariant": "values.invariant",
    "JetStream": "brokers",
    "Kafka": "brokers",
    "Kinesis": "brokers",
    "LambdaSqs": "brokers",
    "Lose": "values.faults",
    "Message": "values.event",
    "Outbox": "brokers",
    "Outcome": "values.outcome",
    "Overtake": "values.faults",
    "Permitted": "traces",
    "PostgresQueue": "brokers",
    "PubSub": "brokers",
    "RabbitMQ": "brokers",
    "RabbitMQStream": "brokers",
    "Redeliver": "values.faults",
    "RedisList": "brokers",
    "RedisStreams": "brokers",
    "Rehash": "values.faults",
    "Repair": "values.repair",
    "Resend": "values.faults",
    "Scenario": "values.scenario",
    "Schedule": "values.schedule",
    "ServiceBus": "brokers",
    "SnsSqs": "brokers",
    "SqsFifo": "brokers",
    "SqsStandard": "brokers",
    "Step": "values.schedule",
    "Stream": "values.event",
    "Tolerance": "values.tolerance",
    "UsageError": "values.errors",
    "Verdict": "values.verdict",
    "Violation": "values.invariant",
    "Webhook": "brokers",
    "Zombie": "values.faults",
    "boundary": "api",
    "chaos": "decorator",
    "check": "api",
    "repairs": "api",
    "replay": "api",
    "run": "api",
    "tolerance": "api",
    "__version__": "version",
}

_ROOMS = ("codec", "invariants", "strategies")
"""Modules that are found without importing them by name: `chaoskit.codec.register(…)`."""

__all__ = [name for name in _HOMES if name != "__version__"]


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
    from chaoskit.api import boundary as boundary
    from chaoskit.api import check as check
    from chaoskit.api import repairs as repairs
    from chaoskit.api import replay as replay
    from chaoskit.api import run as run
    from chaoskit.api import tolerance as tolerance
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
    from chaoskit.traces import Permitted as Permitted
    from chaoskit.values.boundary import Boundary as Boundary
    from chaoskit.values.errors import ChaosError as ChaosError
    from chaoskit.values.errors import ImpossibleFault as ImpossibleFault
    from chaoskit.values.errors import UsageError as UsageError
    from chaoskit.values.event import Event as Event
    from chaoskit.values.event import Message as Message
    from chaoskit.values.event import Stream as Stream
    from chaoskit.values.faults import BatchSwap as BatchSwap
    from chaoskit.values.faults import DeadLetter as DeadLetter
    from chaoskit.values.faults import Duplicate as Duplicate
    from chaoskit.values.faults import Fail as Fail
    from chaoskit.values.faults import Fault as Fault
    from chaoskit.values.faults import Lose as Lose
    from chaoskit.values.faults import Overtake as Overtake
    from chaoskit.values.faults import Redeliver as Redeliver
    from chaoskit.values.faults import Rehash as Rehash
    from chaoskit.values.faults import Resend as Resend
    from chaoskit.values.faults import Zombie as Zombie
    from chaoskit.values.invariant import Invariant as Invariant
    from chaoskit.values.invariant import Violation as Violation
    from chaoskit.values.outcome import Outcome as Outcome
    from chaoskit.values.repair import Repair as Repair
    from chaoskit.values.scenario import Scenario as Scenario
    from chaoskit.values.schedule import Schedule as Schedule
    from chaoskit.values.schedule import Step as Step
    from chaoskit.values.tolerance import Tolerance as Tolerance
    from chaoskit.values.verdict import ChaosFailure as ChaosFailure
    from chaoskit.values.verdict import Verdict as Verdict
    from chaoskit.version import __version__ as __version__
