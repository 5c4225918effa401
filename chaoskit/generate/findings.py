"""All that is known of a handler, and words about it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import attrs

from chaoskit.generate.adapted import Adapted
from chaoskit.generate.handlers import FoundHandler
from chaoskit.generate.payloads import Payload
from chaoskit.generate.places import Reads
from chaoskit.generate.roles import FieldPath, Roles
from chaoskit.generate.source import WIDTH, Names
from chaoskit.generate.state import KeptRows, OfClass


@attrs.frozen(eq=False)
class Findings:
    """All that is known of the handler. `owner`: what its instance is called in the test; empty for a function.
    `adapted`: how the framework is stood in for that calls it. `payload`: the class of the value.
    `kept`: the rows that are the final state, which outlive a process; None where it lies elsewhere."""

    handler: FoundHandler
    broker: str
    reads: Reads
    roles: Roles
    names: Names
    of_class: OfClass
    module_state: dict[str, str]
    module: str
    owner: str
    adapted: Adapted | None
    payload: Payload | None
    kept: KeptRows | None = None

    @property
    def by_module(self) -> bool:
        """The test names the handler's module, and not only the handler."""
        loop = self.adapted.loop if self.adapted else ()
        return bool(self.module_state) or any("{module}" in line for line in loop)

    @property
    def is_tied(self) -> bool:
        """The message says some of the value."""
        return bool(self.roles.tied if self.payload is None else self.payload.said)

    @property
    def is_async(self) -> bool:
        return self.handler.is_async if self.adapted is None else self.adapted.is_async


def shown(places: Sequence[FieldPath]) -> list[str]:
    return [".".join(place) for place in places]


def listed(words: Sequence[str]) -> str:
    shown = [f"`{word}`" for word in words[:6]] + (["more"] if len(words) > 6 else [])
    return joined(shown)


def joined(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def comment(text: str, indent: int = 0) -> list[str]:
    lines = textwrap.wrap(text, WIDTH - 2 - indent, break_long_words=False, break_on_hyphens=False)
    return [f"# {line}" for line in lines]


def with_comment(code: str, comment: str) -> list[str]:
    """Behind the code where there is room, else above it."""
    line = f"{code}  # {comment}"
    return [line] if "\n" not in code and len(line) + 4 <= WIDTH else [f"# {comment}", *code.splitlines()]
