"""What must hold under every delivery. Each function returns an Invariant: a name and a function."""

from __future__ import annotations

from chaoskit.invariants.effects import effects_at_least_once, effects_exactly_once
from chaoskit.invariants.errors import no_error
from chaoskit.invariants.final import final_state
from chaoskit.invariants.lost import no_lost_event
from chaoskit.invariants.measures import bounded, conserved, monotonic
from chaoskit.invariants.same_events import converges
from chaoskit.invariants.steps import always, never

__all__ = [
    "always",
    "bounded",
    "conserved",
    "converges",
    "effects_at_least_once",
    "effects_exactly_once",
    "final_state",
    "monotonic",
    "never",
    "no_error",
    "no_lost_event",
]
