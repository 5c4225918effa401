"""Something holds after each delivery, not only at the end."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from chaoskit.values.errors import UsageError
from chaoskit.values.invariant import Invariant, Violation
from chaoskit.values.outcome import Outcome


def always(predicate: Callable[[Any], bool], name: str | None = None) -> Invariant:
    """`predicate(state)` is true after each delivery; the state is what `deliver(…, state=…)` gives.

    `name` is used in the report; without it the predicate's own name is.
    """
    title = name or titled("always", predicate)

    def check(reference: Outcome, outcome: Outcome) -> Iterator[Violation]:
        for number, (event, state) in enumerate(zip(outcome.delivered, outcome.states, strict=True), start=1):
            if not predicate(state):
                yield Violation(
                    title, f"{title} does not hold after delivery {number} ({event}): the state is {state!r}"
                )
                return

    return Invariant(title, check, needs_states=True)


def never(predicate: Callable[[Any], bool], name: str | None = None) -> Invariant:
    """`predicate(state)` is true of no state: after no delivery where `deliver(…, state=…)` gives the states along the
    way, else not at the end. Without `state=` nobody sees what was wrong for a moment only.

    An account must never be below zero, `never(lambda balance: balance < 0)`:

    1. credit 5: the balance is 5
    2. debit 5: the balance is 0
    3. debit 5, delivered again: the balance is -5, which is reported
    4. credit 5: the balance is 0 again, and at the end nothing would show

    A predicate that raises, or gives None because it lacks its `return`, makes the test unknown. `name` is used in the
    report; without it the predicate's own name is. Raises UsageError for what is no function of the state.
    """
    title = name or titled("never", predicate)

    def check(reference: Outcome, outcome: Outcome) -> Iterator[Violation]:
        for where, state in seen(outcome):
            if given(predicate, state):
                yield Violation(title, f"{title} does not hold {where}: the state is {state!r}")
                return

    return Invariant(title, check, takes_states=True)


def seen(outcome: Outcome) -> Iterator[tuple[str, Any]]:
    """The states of a run and where they were seen: after each delivery, or at the end where that is all there is."""
    if outcome.states:
        for number, (event, state) in enumerate(zip(outcome.delivered, outcome.states, strict=True), start=1):
            yield f"after delivery {number} ({event})", state
    # Where nothing came, the state is none that a delivery has made.
    elif outcome.delivered:
        yield "at the end", outcome.state


def given(function: Callable[[Any], Any], state: Any) -> Any:
    """What the user's function says of a state. Raises TypeError for None: who says nothing has shown nothing."""
    answer = function(state)
    if answer is None:
        raise TypeError(f"{_name(function)} gave None: does it return what it computes?")
    return answer


def titled(what: str, function: Any, *more: object) -> str:
    """`never(overdrawn)`. Raises UsageError for what is no function of the state."""
    # A coroutine is true, whatever would come of it.
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise UsageError(f"{what}({function!r}): a function of the state is needed, and not one that is awaited")
    return f"{what}({', '.join([_name(function), *map(str, more)])})"


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", "predicate"))
