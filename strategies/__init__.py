"""Streams and scenarios as Hypothesis strategies."""

from __future__ import annotations

from chaoskit.strategies.domains import profile, wallet
from chaoskit.strategies.lifecycles import lifecycle
from chaoskit.strategies.recorded import events_from
from chaoskit.strategies.scenarios import scenarios
from chaoskit.strategies.streams import events

__all__ = ["events", "events_from", "lifecycle", "profile", "scenarios", "wallet"]
