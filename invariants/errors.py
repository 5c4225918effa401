"""The handler takes every message at once."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.values.invariant import Invariant, Violation
from chaoskit.values.outcome import Outcome


def no_error() -> Invariant:
    """No delivery raises, not even one that the handler takes on a later attempt.

    What is refused to the end is a violation without this invariant, too. What is refused in order, too, is expected:
    see `poison`.
    """

    def check(reference: Outcome, outcome: Outcome) -> Iterator[Violation]:
        expected = {refused.event for refused in reference.refused}
        for raised in outcome.raised:
            if raised.event in expected or raised.by_fault:
                continue
            error = raised.error
            yield Violation("no_error", f"the handler raised {type(error).__name__} on {raised.event}: {error}")

    return Invariant("no_error", check)
