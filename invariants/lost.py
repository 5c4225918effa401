"""No event is lost on its way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from chaoskit.invariants.steps import given, titled
from chaoskit.values.event import EventId
from chaoskit.values.invariant import Invariant, Violation
from chaoskit.values.outcome import Outcome

Ids = Callable[[Any], Iterable[EventId]]


def no_lost_event(handled: Ids | None = None) -> Invariant:
    """Every event that was produced is handled at least once: the broker does not lose it, does not give it up after a
    refusal, and does not keep it for ever behind one that is refused. It counts also where `loss="left out"` compares
    states without what the settings lose.

    That the handler took a message says nothing of what it did. `handled(state)` gives the ids of the events whose
    effect the final state has: each that is there in order must be there.

    Three orders come to a shop, `no_lost_event(lambda shop: shop.orders)`:

    1. o1 comes and is written: the state has o1
    2. o2 comes, and its write fails; the handler logs that and goes on: the state has o1
    3. o3 comes and is written: the state has o1 and o3
    4. o1 comes again: at the end o2 is missing, which is reported

    What is refused in order, too, is expected: see `poison`. `handled` that raises or gives None makes the test
    unknown. Raises UsageError for what is no function of the state.
    """
    title = "no_lost_event" if handled is None else titled("no_lost_event", handled)

    def check(reference: Outcome, outcome: Outcome) -> Iterator[Violation]:
        # Grows below, so that each event is reported once.
        expected = {refused.event for refused in reference.refused}
        for why, ids in _gone(reference, outcome).items():
            for event in ids:
                if event not in expected:
                    expected.add(event)
                    yield Violation(title, f"{event} {why}")
        if handled is None:
            return
        here = set(given(handled, outcome.state))
        for event in dict.fromkeys(given(handled, reference.state)):
            if event not in here and event not in expected:
                yield Violation(title, f"{event} was delivered, and the final state does not show it")

    return Invariant(title, check, needs_state=handled is not None)


def _gone(reference: Outcome, outcome: Outcome) -> dict[str, Iterable[EventId]]:
    """Ids, by what became of them."""
    delivered = set(outcome.delivered)
    return {
        # The first that applies is reported: what was lost, given up or left waiting was never delivered, either.
        "was lost: it was never delivered": outcome.lost,
        "was given up after the handler refused it": outcome.dropped,
        "waits for ever behind what was refused": outcome.unseen,
        "was never delivered": [event for event in reference.delivered if event not in delivered],
    }
