"""The one driver of all judges: the set of states that can be true, moved word by word.

A machine says what one word can do to one state. A word is impossible where no state is left behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from chaoskit.traces.tokens import Word

S = TypeVar("S")


class Machine(Protocol[S]):
    """One way of handing out messages. A state is hashable, and a step leaves it as it was."""

    def start(self) -> S:
        """The state before the first word."""

    def step(self, state: S, word: Word) -> Iterable[S | str]:
        """Each state that the word can lead to, and a sentence for each way in which it cannot be made."""

    def explain(self, states: Sequence[S], word: Word, against: Sequence[str]) -> tuple[str, ...]:
        """The sentences where no state can make the word; `against` are the sentences of all their steps."""


def judge(machine: Machine[S], words: Iterable[tuple[int, Word]]) -> tuple[int, tuple[str, ...]] | None:
    """The first word, by its number, that cannot be made after those before it, and the sentences against it."""
    states = [machine.start()]
    for number, word in words:
        reached, against = sort_out([found for state in states for found in machine.step(state, word)])
        if not reached:
            return number, machine.explain(states, word, against)
        states = reached
    return None


def sort_out(steps: Iterable[S | str]) -> tuple[list[S], list[str]]:
    """The states, each once and in the order in which they were found, and the sentences."""
    found = list(steps)
    if len(found) == 1 and not isinstance(found[0], str):
        return [found[0]], []  # what most words lead to: nothing to compare
    states: dict[S, None] = {}  # no set: its order would choose the sentences that are shown
    against: list[str] = []
    for each in found:
        if isinstance(each, str):
            against.append(each)
        else:
            states[each] = None
    return list(states), against
