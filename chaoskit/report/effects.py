"""What left and no rollback takes back, in order and as observed: a table beside that of the states."""

from __future__ import annotations

import attrs

from chaoskit.brokers.inside import names_of
from chaoskit.report.values import cut
from chaoskit.values.effects import Counted, counted
from chaoskit.values.errors import StaleState
from chaoskit.values.texts import printed
from chaoskit.values.verdict import Verdict

EFFECTS = "Effects that left"
MOST_ROWS = 12
MOST_OF_EFFECT = 120


@attrs.frozen
class EffectRow:
    """One effect: what it is, and how often it took place in either run, with the events and the steps of these."""

    what: str
    in_order: str
    observed: str


def effect_rows(verdict: Verdict) -> tuple[EffectRow, ...]:
    """Those that differ first; none where no effect was recorded, or where their values cannot be compared."""
    try:
        rows = counted(verdict.expected_effects, verdict.observed_effects)
    except StaleState:
        return ()
    rows.sort(key=lambda row: len(row.in_order) == len(row.observed))
    return tuple(map(_row, rows))


def effect_lines(verdict: Verdict) -> list[str]:
    """The rows as lines of a text with a fixed width, such as a comment; none where no effect was recorded."""
    rows = effect_rows(verdict)
    lines = [f"{row.what}: in order {row.in_order}; observed {row.observed}" for row in rows[:MOST_ROWS]]
    return [*lines, f"and {len(rows) - MOST_ROWS} more"] if len(rows) > MOST_ROWS else lines


def _row(row: Counted) -> EffectRow:
    effect = row.effect
    what = effect.name if effect.key is None else f"{effect.name} of {printed(effect.key)}"
    what = what if effect.value is None else f"{what}: {printed(effect.value)}"
    events = [each.event for each in row.in_order if each.event is not None]
    steps = [each.step for each in row.observed if each.step is not None]
    noun = "step" if len(steps) == 1 else "steps"
    in_order = times(len(row.in_order)) + (f", at {names_of(events)}" if events else "")
    observed = times(len(row.observed)) + (f", in {noun} {names_of(steps)}" if steps else "")
    return EffectRow(cut(what, MOST_OF_EFFECT), in_order, observed)


def times(number: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number} times")
