"""The shape of a check: a name and a function from two outcomes to violations."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from chaoskit.values.outcome import Outcome
from chaoskit.values.state import Difference


@attrs.frozen
class Violation:
    """One thing that must hold and does not. `message` is a sentence; `differences` says where states differ."""

    invariant: str
    message: str
    differences: tuple[Difference, ...] = ()


@attrs.frozen
class Invariant:
    """A check of an outcome against the in-order reference.

    `check(reference, outcome)` yields violations, none when it holds. `needs_state`: the final state is asked
    for, and compared with that of another run. `needs_states`: the state after each delivery is asked for,
    `deliver(…, state=…)` must be given. `takes_states`: it is looked at where it is given, and else the final state,
    which must be there then. `needs_effects`: what `deliver.effect(…)` records is compared, and a search in which
    nothing is recorded in order has shown nothing.
    """

    name: str
    check: Callable[[Outcome, Outcome], Iterable[Violation]]
    needs_state: bool = False
    needs_states: bool = False
    takes_states: bool = False
    needs_effects: bool = False


HANG = "hang"
"""What is violated by a run that does not end."""

DIED = "process died"
"""What is violated by a run that takes its process with it."""

ENDED = "process ended"
"""What is violated by a handler that ends its process by raising, with SystemExit."""

SETTLED = "settled"
"""What is violated by a handler that forgets to settle a message."""

BODY = "test body"
"""What is violated by a test that raises, after the deliveries or between two of them."""
