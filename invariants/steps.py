"""Something holds after each delivery, not only at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from chaoskit.values.invariant import Invariant, Violation
from chaoskit.values.outcome import Outcome


def always(predicate: Callable[[Any], bool], name: str | None = None) -> Invariant:
    """`predicate(state)` is true after each delivery; the state is what `deliver(…, state=…)` gives.

    `name` is used in the report; without it the predicate's own name is.
    """
    title = name or f"always({getattr(predicate, '__name__', 'predicate')})"

    def check(reference: Outcome, outcome: Outcome) -> Iterator[Violation]:
        for number, (event, state) in enumerate(zip(outcome.delivered, outcome.states, strict=True), start=1):
            if not predicate(state):
                yield Violation(
                    title, f"{title} does not hold after delivery {number} ({event}): the state is {state!r}"
                )
                return

    return Invariant(title, check, needs_states=True)
