"""Lines of a fixed width, in which things stand below each other whatever they are made of."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from chaoskit.values.texts import in_line

WIDEST_LINE = 100
"""Columns of a line of source: what somebody else's file has may be of any length."""
BEFORE = 12
"""Columns that are left before an expression where its line is cut at the beginning."""


def fitted(texts: Sequence[str], most: int) -> list[str]:
    """A column of these texts, each a line, as wide as the widest of them and at most so wide."""
    shown = [narrow(in_line(text), most) for text in texts]
    width = max(map(cell_len, shown), default=0)
    return [set_cell_size(text, width) for text in shown]


def narrow(text: str, most: int) -> str:
    """At most so many columns of it, with a sign where it was cut."""
    return text if cell_len(text) <= most else f"{set_cell_size(text, most - 1).rstrip()}…"


def underlined(source: str, expression: str, column: int) -> tuple[str, str]:
    """A line of source, and the line below it that underlines the expression, which begins in it at `column`. Of a long
    line the part with the expression is shown. Without a source the expression stands for it."""
    line = source or expression
    start = min(max(0, column), len(line)) if source else 0  # a file may say anything
    before, here = in_line(line[:start]), in_line(line[start : start + len(expression)])
    if cell_len(before) + cell_len(here) > WIDEST_LINE and len(before) > BEFORE:
        before = f"…{before[-BEFORE:]}"
    shown = narrow(before + here + in_line(line[start + len(expression) :]), WIDEST_LINE)
    under = min(cell_len(here), cell_len(shown) - cell_len(before))
    return shown, f"{' ' * cell_len(before)}{'^' * under}"
