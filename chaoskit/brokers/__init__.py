"""One small file for each system, over the models that they share."""

from __future__ import annotations

from chaoskit.brokers.kafka import Kafka

BROKERS = {"Kafka": Kafka}
"""Every broker by the name that stands in a repro file."""

__all__ = ["BROKERS", "Kafka"]
