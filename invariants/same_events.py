"""Whoever has handled the same events has the same state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from chaoskit.values.event import EventId
from chaoskit.values.invariant import Invariant, Violation
from chaoskit.values.outcome import Outcome
from chaoskit.values.state import differences, same


def converges(name: str = "converges") -> Invariant:
    """Two copies of the state that have handled the same events are equal, in whatever order these came and however
    often: strong eventual consistency. With `deliver(…, state=…)` it is asked after each delivery: where all that was
    handled so far are the first n events of the stream, the state is that of the in-order run after these n. The final
    state is compared in any case, so that without `state=` this is `final_state()`.

    `final_state` does not see what was wrong for a while. A row that is overwritten, whoever wrote it last:

    1. e1 is written: the row is e1's, as in order
    2. e2 is written: the row is e2's, as in order after two events
    3. e1 comes again: the row is e1's, though e2 was handled, which is reported
    4. e2 comes again, too: the row is e2's, and at the end nothing would show

    While an event was refused and not taken yet, nothing is compared along the way: it will be tried again. Source:
    Shapiro, Preguiça, Baquero and Zawirski, Conflict-free Replicated Data Types, 2011.
    """

    def check(reference: Outcome, outcome: Outcome) -> Iterator[Violation]:
        for where, expected, observed in _comparable(reference, outcome):
            if not same(expected, observed):
                found = tuple(differences(expected, observed))
                yield Violation(name, f"{where} the state is not that of the same events in order", found)
                return
        if not same(reference.state, outcome.state):
            found = tuple(differences(reference.state, outcome.state))
            yield Violation(name, "the final state is not that of the same events in order", found)

    return Invariant(name, check, needs_state=True, takes_states=True)


def _comparable(reference: Outcome, outcome: Outcome) -> Iterator[tuple[str, Any, Any]]:
    """The deliveries after which all that was handled are the first events of the stream: the state that it has in
    order, and the one that was observed."""
    if not (outcome.states and reference.states):
        return
    expected = {refused.event for refused in reference.refused}  # which changes nothing, here as there
    in_order = [event for event in reference.delivered if event not in expected]
    after = dict(zip(reference.delivered, reference.states, strict=True))
    refusals, came = Counter(raised.event for raised in outcome.raised), Counter[EventId]()
    for number, (event, state) in enumerate(zip(outcome.delivered, outcome.states, strict=True), start=1):
        if event not in expected:
            came[event] += 1
        # Which of its deliveries were refused is not known: it was taken for certain when one more has come.
        if any(count <= refusals[each] for each, count in came.items()):
            continue
        if came and set(in_order[: len(came)]) == set(came):
            yield f"after delivery {number} ({event})", after[in_order[len(came) - 1]], state
