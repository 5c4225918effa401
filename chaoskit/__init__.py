"""chaoskit runs a message handler under every delivery that its broker can really make.

Everything here is imported when it is first used: the pytest plugin lives in this package, and every pytest run
pays for what it imports.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "BatchSwap": "faults",
    "ChaosError": "errors",
    "ChaosFailure": "errors",
    "DeadLetter": "faults",
    "Duplicate": "faults",
    "Event": "event",
    "Fault": "faults",
    "ImpossibleFault": "errors",
    "Invariant": "invariant",
    "Kafka": "brokers",
    "Message": "event",
    "Outcome": "outcome",
    "Overtake": "faults",
    "Redeliver": "faults",
    "Rehash": "faults",
    "Scenario": "scenario",
    "Schedule": "schedule",
    "Step": "schedule",
    "Stream": "event",
    "UsageError": "errors",
    "Verdict": "verdict",
    "Violation": "invariant",
    "chaos": "decorator",
    "check": "api",
    "replay": "replay_file",
    "run": "api",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'chaoskit' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"chaoskit.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


if TYPE_CHECKING:
    from chaoskit.api import check as check
    from chaoskit.api import run as run
    from chaoskit.brokers import Kafka as Kafka
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
    from chaoskit.faults import Fault as Fault
    from chaoskit.faults import Overtake as Overtake
    from chaoskit.faults import Redeliver as Redeliver
    from chaoskit.faults import Rehash as Rehash
    from chaoskit.invariant import Invariant as Invariant
    from chaoskit.invariant import Violation as Violation
    from chaoskit.outcome import Outcome as Outcome
    from chaoskit.replay_file import replay as replay
    from chaoskit.scenario import Scenario as Scenario
    from chaoskit.schedule import Schedule as Schedule
    from chaoskit.schedule import Step as Step
    from chaoskit.verdict import Verdict as Verdict
