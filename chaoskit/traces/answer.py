"""The answer to "can this delivery happen to us?"."""

from __future__ import annotations

import attrs


@attrs.frozen
class Permitted:
    """Whether the broker can make a trace; if not, the first word that it could not make and the rules against it.

    `word` is spelled as it was written and `position` is its index among the words, from 0. If the content of
    `log:` is refused, both speak of the members of the log. True in a condition exactly if the trace is allowed.
    """

    allowed: bool
    word: str | None = None
    position: int | None = None
    rules: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.allowed

    def __str__(self) -> str:
        if self.allowed:
            return "legal"
        place = "illegal" if self.position is None else f"illegal at word {self.position + 1}"
        named = place if self.word is None else f"{place}, `{self.word}`"
        return f"{named}: {'; '.join(self.rules)}" if self.rules else named


def refused(word: str, position: int, rules: tuple[str, ...]) -> Permitted:
    """The answer for the first word that cannot be made."""
    assert rules, f"{word!r} was refused without a rule"
    return Permitted(False, word, position, tuple(dict.fromkeys(rules)))
