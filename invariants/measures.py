"""A number that is taken of the state: it stays, it does not go down, it does not grow beyond a limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from chaoskit.invariants.steps import given, seen, titled
from chaoskit.values.invariant import Invariant, Violation
from chaoskit.values.outcome import Outcome
from chaoskit.values.state import Difference, only_rounding, same

Measure = Callable[[Any], Any]
"""Of a state, such as the sum of all balances."""


def conserved(measure: Measure, name: str | None = None) -> Invariant:
    """`measure(state)` never changes: after each delivery it is what it is in order after the first one, where
    `deliver(…, state=…)` gives the states along the way; else it is at the end what it is in order. Give the whole
    state and let `measure` take the sum: a state that never moves shows nothing. Floats agree up to rounding (1e-9).

    Transfers move money and make none, `conserved(lambda balances: sum(balances.values()))`:

    1. alice has 10, bob has 0: the sum is 10
    2. 4 from alice to bob: 6 and 4, the sum is 10
    3. again, and the handler raises between the two halves: 2 and 4, the sum is 6, which is reported
    4. it is tried once more: 2 and 8, the sum is 10, and at the end nothing would show

    A measure that raises or gives None makes the test unknown; one that changes in order already is reported as that.
    """
    title = name or titled("conserved", measure)

    def check(reference: Outcome, outcome: Outcome) -> Iterator[Violation]:
        # Like is compared with like: states along the way with the first of them, a final one with the final one.
        first = next(iter(reference.states or outcome.states), None) if outcome.states else reference.state
        for where, state in seen(outcome):
            expected, observed = given(measure, first), given(measure, state)
            if not _alike(expected, observed):
                yield Violation(title, f"{title} does not hold {where}: {observed!r} instead of {expected!r}")
                return

    return Invariant(title, check, takes_states=True)


def monotonic(measure: Measure, name: str | None = None) -> Invariant:
    """`measure(state)` never goes down from one delivery to the next. Numbers, texts, dates and tuples go by their
    order, sets by what they contain: a set that loses a member has gone down. It needs the states along the way,
    `deliver(…, state=…)`; a test without them gets a UsageError.

    A version that readers have seen must not go back, `monotonic(lambda row: row.version)`:

    1. version 1 is written
    2. version 2 is written
    3. version 1 comes again and overwrites it: from 2 to 1, which is reported
    4. version 2 comes again, too: at the end nothing would show

    A measure that raises, gives None or NaN, or values that have no order, makes the test unknown.
    """
    title = name or titled("monotonic", measure)

    def check(reference: Outcome, outcome: Outcome) -> Iterator[Violation]:
        measured = [(where, _ordered(measure, state)) for where, state in seen(outcome)]
        for (_, before), (where, after) in pairwise(measured):
            # Not `before > after`, which is false of two sets of which neither contains the other.
            if not before <= after:
                yield Violation(title, f"{title} does not hold {where}: it goes from {before!r} to {after!r}")
                return

    return Invariant(title, check, needs_states=True)


def bounded(measure: Measure, limit: Any, name: str | None = None) -> Invariant:
    """`measure(state)` is at most `limit`, after each delivery where `deliver(…, state=…)` gives the states along the
    way, else at the end. For what grows with every message, such as a set of ids that nobody ever takes anything out
    of: let the streams be longer than the limit, `events(…, min_size=…)`, and in order it fails already.

    At most 2 ids are stored for each account, `bounded(lambda seen: len(seen), 2)`:

    1. e1 comes: 1 id is stored
    2. e2 comes: 2 ids are stored
    3. e2 comes again: still 2
    4. e3 comes and e1 stays: 3 ids, which is reported

    A measure that raises, or gives None, NaN or what has no order with the limit, makes the test unknown.
    """
    title = name or titled("bounded", measure, limit)

    def check(reference: Outcome, outcome: Outcome) -> Iterator[Violation]:
        for where, state in seen(outcome):
            observed = _ordered(measure, state)
            if not observed <= limit:
                yield Violation(title, f"{title} does not hold {where}: {observed!r} is more than {limit!r}")
                return

    return Invariant(title, check, takes_states=True)


def _alike(one: Any, two: Any) -> bool:
    return same(one, two) or only_rounding(Difference("", one, two))


def _ordered(measure: Measure, state: Any) -> Any:
    value = given(measure, state)
    if isinstance(value, float) and value != value:
        raise ValueError("the measure gave NaN, which is neither more nor less than anything")
    return value
