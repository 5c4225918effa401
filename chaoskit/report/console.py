"""The only console that anything is printed with: what a stranger wrote stays text in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from chaoskit.values.texts import for_log

PROSE = 100
"""Sentences that are longer than this are hard to read, however wide the terminal is."""


class HarmlessConsole(Console):
    """Of rich, with every text made harmless as it is printed: only the colours and moves of rich itself reach the
    terminal, and no line is a command to GitHub's runner. So whoever prints a value, a name or an error with it has
    nothing to remember. It highlights nothing: that would split texts before they are seen whole."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "highlight": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=for_log(segment.text))
