"""What a report shows as lines of a fixed width: the effects that left, and where in the handler something took place.
The terminal and the page have tables of their own for effects; a picture and a summary of GitHub's take these lines."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from chaoskit.report.columns import fitted
from chaoskit.report.deaths import DIED, FAILED, death_lines
from chaoskit.report.effects import EFFECTS, MOST_ROWS, EffectRow
from chaoskit.report.failures import failure_lines
from chaoskit.report.overlaps import STOPPED, overlap_lines
from chaoskit.report.summary import Summary
from chaoskit.values.schedule import Schedule

HEADS = EffectRow("", "in order", "observed")
WIDEST = (44, 24, 32)
"""Columns of an effect and of what is reported of it in either run: a row is no wider than a line of source."""


@attrs.frozen
class Traced:
    """Lines of a fixed width, and what they are about."""

    heading: str
    lines: tuple[str, ...]


def traced(found: Summary) -> tuple[Traced, ...]:
    """Those that there are, in the order of the other reports."""
    effects = tuple(effect_lines(found.effects))
    return _parts((EFFECTS, effects), (DIED, found.deaths), (FAILED, found.failures), (STOPPED, found.overlaps))


def inside_parts(schedule: Schedule) -> tuple[Traced, ...]:
    """Where in the handler something took place, for who reads it without the rest."""
    made = (DIED, death_lines), (FAILED, failure_lines), (STOPPED, overlap_lines)
    return _parts(*((heading, tuple(lines(schedule))) for heading, lines in made))


def _parts(*parts: tuple[str, tuple[str, ...]]) -> tuple[Traced, ...]:
    return tuple(Traced(heading, lines) for heading, lines in parts if lines)


def effect_lines(effects: Sequence[EffectRow]) -> list[str]:
    """A table with a line for each effect, and a last one that counts those that would be too many."""
    if not effects:
        return []
    rows = [attrs.astuple(row) for row in (HEADS, *effects[:MOST_ROWS])]
    columns = [fitted(column, most) for column, most in zip(zip(*rows, strict=True), WIDEST, strict=True)]
    lines = ["   ".join(cells).rstrip() for cells in zip(*columns, strict=True)]
    return lines if len(effects) <= MOST_ROWS else [*lines, f"and {len(effects) - MOST_ROWS} more"]
