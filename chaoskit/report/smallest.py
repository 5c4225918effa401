"""How small the delivery is that a report shows: what was left out of the stream, and what was not."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.values.invariant import DIED
from chaoskit.values.verdict import Verdict

PART = (
    "The stream is a part of the one that was found ({} of {} events), which may be none by itself. A replay plays the "
    "whole one where the handler refuses the part in order."
)
WHOLE = (
    "The stream is one that the strategy draws whole, made as simple as possible, and no event was left out of it: "
    "what is behind a map, a filter or st.builds is not known. Of the stream that was found first {} enough to "
    "fail. Of events(…), lifecycle(…) and events_from(…) events are left out, too."
)


def smallest(verdict: Verdict) -> str:
    """A run that takes its process with it is not made smaller, and out of a whole stream no event is left."""
    if verdict.fewer:
        return "a whole stream"
    return "as drawn" if verdict.violations[0].invariant == DIED else "minimal"


def stream_remarks(verdict: Verdict) -> Iterator[str]:
    assert verdict.scenario is not None
    shown = len(verdict.scenario.events)
    if verdict.found is not None and verdict.is_part:
        yield PART.format(shown, len(verdict.found))
    if verdict.fewer:
        yield WHOLE.format("one event is" if verdict.fewer == 1 else f"{verdict.fewer} events are")
