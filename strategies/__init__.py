"""Streams and scenarios as Hypothesis strategies."""

from __future__ import annotations

from chaoskit.strategies.domains import profile, wallet
from chaoskit.strategies.lifecycles import lifecycle
from chaoskit.strategies.scenarios import scenarios
from chaoskit.strategies.streams import events

__all__ = ["events", "lifecycle", "profile", "scenarios", "wallet"]
