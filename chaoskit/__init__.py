"""chaoskit runs a message handler under every delivery that its broker can really make.

Everything here is imported when it is first used: the pytest plugin lives in this package, and every pytest run
pays for what it imports.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "Boundary": "values.boundary",
    "ChaosError": "values.errors",
    "ChaosFailure": "values.verdict",
    "Delivery": "execution.deliveries",
    "Died": "values.errors",
    "Effect": "values.outcome",
    "Event": "values.event",
    "Fault": "values.faults",
    "ImpossibleFault": "values.errors",
    "Invariant": "values.invariant",
    "Message": "values.event",
    "NotSettled": "values.errors",
    "OrderingCost": "throughput.cost",
    "Outcome": "values.outcome",
    "Permitted": "traces",
    "Planted": "values.planted",
    "Repair": "values.repair",
    "Scenario": "values.scenario",
    "Schedule": "values.schedule",
    "SelfCheck": "values.planted",
    "Step": "values.schedule",
    "Stream": "values.event",
    "Tolerance": "values.tolerance",
    "UsageError": "values.errors",
    "Verdict": "values.verdict",
    "Violation": "values.invariant",
    "atomic": "execution.stepping",
    "boundary": "api",
    "chaos": "decorator",
    "check": "api",
    "ordering_cost": "throughput.measure",
    "repairs": "api",
    "replay": "api",
    "run": "api",
    "self_check": "api",
    "tolerance": "api",
    "__version__": "version",
}

_ROOMS = ("codec", "invariants", "strategies")
"""Modules that are found without importing them by name: `chaoskit.codec.register(…)`."""


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"chaoskit.{name}")
    if name == "__all__":
        value: Any = [*(each for each in _HOMES if each != "__version__"), *_kinds(), *_brokers()]
    elif name in _HOMES:
        value = getattr(import_module(f"chaoskit.{_HOMES[name]}"), name)
    elif name[:1].isupper() and name in _kinds():  # pytest asks for other names, and pays for nothing
        value = _kinds()[name]
    elif name[:1].isupper() and name in _brokers():
        value = _brokers()[name]
    else:
        raise AttributeError(f"module 'chaoskit' has no attribute {name!r}")
    globals()[name] = value
    return value


def _kinds() -> dict[str, Any]:
    """Every kind of fault by its name."""
    found: dict[str, Any] = import_module("chaoskit.values.faults").KIND_BY_NAME
    return found


def _brokers() -> dict[str, Any]:
    """Every broker by its name."""
    found: dict[str, Any] = import_module("chaoskit.brokers").BROKERS
    return found


def __dir__() -> list[str]:
    return sorted([*__getattr__("__all__"), *_ROOMS, "__version__"])


if TYPE_CHECKING:
    from chaoskit import codec as codec
    from chaoskit import invariants as invariants
    from chaoskit import strategies as strategies
    from chaoskit.api import boundary as boundary
    from chaoskit.api import check as check
    from chaoskit.api import repairs as repairs
    from chaoskit.api import replay as replay
    from chaoskit.api import run as run
    from chaoskit.api import self_check as self_check
    from chaoskit.api import tolerance as tolerance
    from chaoskit.brokers.systems import *  # noqa: F403  # every broker is named there, and nowhere else
    from chaoskit.decorator import chaos as chaos
    from chaoskit.execution.deliveries import Delivery as Delivery
    from chaoskit.execution.stepping import atomic as atomic
    from chaoskit.throughput.cost import OrderingCost as OrderingCost
    from chaoskit.throughput.measure import ordering_cost as ordering_cost
    from chaoskit.traces import Permitted as Permitted
    from chaoskit.values.boundary import Boundary as Boundary
    from chaoskit.values.errors import ChaosError as ChaosError
    from chaoskit.values.errors import Died as Died
    from chaoskit.values.errors import ImpossibleFault as ImpossibleFault
    from chaoskit.values.errors import NotSettled as NotSettled
    from chaoskit.values.errors import UsageError as UsageError
    from chaoskit.values.event import Event as Event
    from chaoskit.values.event import Message as Message
    from chaoskit.values.event import Stream as Stream
    from chaoskit.values.faults import *  # noqa: F403  # and every kind of fault there
    from chaoskit.values.invariant import Invariant as Invariant
    from chaoskit.values.invariant import Violation as Violation
    from chaoskit.values.outcome import Effect as Effect
    from chaoskit.values.outcome import Outcome as Outcome
    from chaoskit.values.planted import Planted as Planted
    from chaoskit.values.planted import SelfCheck as SelfCheck
    from chaoskit.values.repair import Repair as Repair
    from chaoskit.values.scenario import Scenario as Scenario
    from chaoskit.values.schedule import Schedule as Schedule
    from chaoskit.values.schedule import Step as Step
    from chaoskit.values.tolerance import Tolerance as Tolerance
    from chaoskit.values.verdict import ChaosFailure as ChaosFailure
    from chaoskit.values.verdict import Verdict as Verdict
    from chaoskit.version import __version__ as __version__
