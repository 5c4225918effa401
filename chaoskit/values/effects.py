"""Which effects of two runs are the same, and how often each took place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from chaoskit.values.outcome import Effect
from chaoskit.values.state import same


@attrs.frozen(eq=False)
class Counted:
    """Effects of one name, key and value: those of the in-order run, and those that were `observed`."""

    effect: Effect
    in_order: tuple[Effect, ...] = ()
    observed: tuple[Effect, ...] = ()


def counted(in_order: Sequence[Effect], observed: Sequence[Effect]) -> list[Counted]:
    """Each once, in the order in which they first took place, those of the in-order run first."""
    found: dict[str, list[list[list[Effect]]]] = {}
    rows: list[list[list[Effect]]] = []
    for run, effects in enumerate((in_order, observed)):
        for effect in effects:
            # Values need not be hashable, and are compared as states are.
            alike = found.setdefault(effect.name, [])
            row = next((row for row in alike if _is_same(effect, row)), None)
            if row is None:
                row = [[], []]
                alike.append(row)
                rows.append(row)
            row[run].append(effect)
    return [Counted((first or second)[0], tuple(first), tuple(second)) for first, second in rows]


def _is_same(effect: Effect, row: Iterable[Sequence[Effect]]) -> bool:
    other = next(each[0] for each in row if each)
    return same(other.key, effect.key) and same(other.value, effect.value)
