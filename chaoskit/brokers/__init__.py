"""One small file for each system, over the stages that they share."""

from __future__ import annotations

from chaoskit.brokers.base import Settings as Settings
from chaoskit.brokers.systems import *  # noqa: F403  # who adds a broker names it in systems.py, and nowhere else
from chaoskit.brokers.systems import FAMILIES
from chaoskit.values.errors import UsageError
from chaoskit.values.scenario import Broker

BROKERS: dict[str, type[Settings]] = {kind.__name__: kind for kind in FAMILIES}
"""Every broker by the name that stands in a repro file."""


def base_of(broker: Broker) -> type[Settings]:
    """The broker of chaoskit's that this is, or that its class extends. Raises UsageError where there is none."""
    for kind in type(broker).__mro__:
        if BROKERS.get(kind.__name__) is kind:
            return BROKERS[kind.__name__]
    if isinstance(broker, type):
        raise UsageError(f"broker={broker.__name__}: a class, and no broker yet: write {broker.__name__}()")
    name = type(broker).__name__
    raise UsageError(
        f"broker={broker!r}: a class of your own must extend one of chaoskit's brokers, such as class {name}(Kafka): "
        "else a failure of it could be neither reported nor saved"
    )


def is_own(broker: Broker) -> bool:
    return type(broker) is not base_of(broker)
