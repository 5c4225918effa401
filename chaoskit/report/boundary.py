"""What has to stay in order, in words."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.brokers.inside import names_of
from chaoskit.report.values import cut
from chaoskit.values.boundary import Boundary, Candidate, Fields
from chaoskit.values.texts import printed

MOST_OF_VALUE = 60


def boundary_lines(boundary: Boundary | None) -> list[str]:
    """The answer, what breaks where the key is finer, and what that says of the key that the events have."""
    return [] if boundary is None else list(_lines(boundary))


def key_name(fields: Fields | None) -> str:
    """A key in words: `key`, `value.account`, `value.from and value.to`; one for all, and none."""
    if fields is None:
        return "no order at all"
    return names_of(fields) if fields else "one key for all messages"


def _lines(boundary: Boundary) -> Iterator[str]:
    found = next(each for each in boundary.candidates if each.fields == boundary.finest)
    if not boundary.needs_order:
        yield f"needs no order: it holds in all {found.orders:,} orders that were run of {boundary.streams} streams"
        return
    if boundary.finest:
        name = key_name(boundary.finest)
        held = f"with no other it holds in all {found.orders:,} orders that were run of {boundary.streams} streams"
        yield f"needs order for each {name}: {held}"
    else:
        yield "needs total order: no key that these events offer keeps it right"
    if (finer := boundary.next_finer) is not None:
        yield f"{_finer(finer)}: {_counterexample(finer)}"
    present = next(each for each in boundary.candidates if each.fields == ("key",))
    if boundary.finest != ("key",) and present is not finer:
        yield f"the key that the events have {_present(present)}"


def _finer(candidate: Candidate) -> str:
    if candidate.fields is None:
        return "without any order it breaks"
    return f"order for each {key_name(candidate.fields)} is not enough"


def _present(candidate: Candidate) -> str:
    if candidate.status == "violated":
        return f"breaks it: {_counterexample(candidate)}"
    if candidate.status == "unknown":
        return "is the same in every stream: nothing is said of it"
    return "is coarser than that: fewer messages can be handled at once"


def _counterexample(candidate: Candidate) -> str:
    events = {event.id: event for event in candidate.events}
    events_shown = [f"{id_} ({_short(events[id_].value)})" for id_ in candidate.order]
    return f"{', '.join(events_shown)} gives {_short(candidate.observed)}, in order {_short(candidate.expected)}"


def _short(value: object) -> str:
    return cut(printed(value), MOST_OF_VALUE)
