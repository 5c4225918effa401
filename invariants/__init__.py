"""What must hold under every delivery. Each function returns an Invariant: a name and a function."""

from __future__ import annotations

from chaoskit.invariants.errors import no_error
from chaoskit.invariants.final import final_state
from chaoskit.invariants.steps import always

__all__ = ["always", "final_state", "no_error"]
