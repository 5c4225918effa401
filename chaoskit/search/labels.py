"""Which order a failure breaks: that within the lanes of its broker, or only one across them."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from chaoskit.execution.limit import Hung
from chaoskit.execution.script import Run
from chaoskit.search.oracle import Case
from chaoskit.search.orders import count_orders, lanes_in_order, orders_of
from chaoskit.values.errors import UsageError
from chaoskit.values.event import EventId
from chaoskit.values.schedule import GO_ON, is_handed
from chaoskit.values.state import snapshot
from chaoskit.values.verdict import Label

MOST_ORDERS = 1000
"""Fault-free orders that are run to decide a label."""


def explained_by_order(case: Case, run: Run, orders: Sequence[Sequence[int]]) -> bool:
    """Whether one of these fault-free orders gives the same result as `run` did."""
    return any(_gives(case, order, run) for order in orders)


def looks_across(case: Case, run: Run) -> bool:
    """Whether one of the fault-free orders near to this run gives the same result: two runs at most."""
    return explained_by_order(case, run, likely_orders(case, run))


def _gives(case: Case, order: Sequence[int], run: Run) -> bool:
    lost = _lost(case, run)
    if lost:
        ids = case.model.stream.ids
        order = [position for position in order if ids[position] not in lost]
    try:
        other = case.in_order(order, strict=False).outcome
    # That order cannot be run, so it explains nothing.
    except (UsageError, Hung):
        return False
    if bool(run.outcome.refused) != bool(other.refused) or bool(run.outcome.failure) != bool(other.failure):
        return False
    if run.outcome.forgets:  # which is no matter of order
        return False
    # The reference below may be run now, over the same state.
    other = attrs.evolve(other, state=snapshot(other.state))
    # Both raise after their deliveries: there are no states to compare.
    if run.outcome.failure is not None:
        return True
    return case.subject.agree(case.reference(lost), run.outcome, other)


def _lost(case: Case, run: Run) -> tuple[EventId, ...]:
    """What this run is compared without."""
    return run.outcome.lost if case.subject.loss == "left out" else ()


def likely_orders(case: Case, run: Run) -> list[list[int]]:
    """Two fault-free orders near to this run: by first and by last delivery, each lane in its own order."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for number, step in enumerate(run.steps):
        if is_handed(step) or step[0] == GO_ON:
            first.setdefault(step[2], number)
            last[step[2]] = number
    lost, ids = _lost(case, run), case.model.stream.ids
    lanes = [[position for position in lane if ids[position] not in lost] for lane in case.model.lanes()]
    # By the first where a handler ignores what it knows, by the last where it overwrites: most handlers do one or the
    # other.
    found = [lanes_in_order(lanes, times) for times in (first, last)]
    return found[:1] if found[0] == found[1] else found


def label_of(case: Case, run: Run) -> Label | None:
    """Run every fault-free order, up to a thousand: "across keys" if one of them gives this result. None where it
    is not about an order, as it fails in order, too."""
    if case.fails_in_order():
        return None
    lanes = case.model.lanes()
    # Before the orders are counted: two runs decide most labels, also where there are far too many to try.
    if looks_across(case, run):
        return "across keys"
    if count_orders(lanes) > MOST_ORDERS:
        return "not decided"
    return "across keys" if any(_gives(case, order, run) for order in orders_of(lanes)) else "within"
