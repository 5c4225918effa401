"""What a handler refuses: how often each message was, and what is tried again when nothing else is left."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from chaoskit.models.turns import Turn
from chaoskit.values.faults import Fault
from chaoskit.values.schedule import FAIL, REFUSE, WAIT, Raw

Chance = tuple[Hashable, Raw]
"""The lane that waits for a message, None where it was set aside; and its last delivery."""


Waiting = tuple[int, Hashable]
"""The position of an event, and the lane that waits for it."""


class Refusals:
    """Messages that were given up are tried again in the order in which they were produced, for as long as a whole
    round leaves others behind than an earlier one: what waits for others is taken once these have come, in however
    many steps."""

    def __init__(self) -> None:
        self._attempts: dict[Hashable, int] = {}
        self._waiting: dict[Waiting, Chance] = {}
        self._round: list[Waiting] = []
        self._rounds: set[frozenset[Waiting]] = set()

    @property
    def waits(self) -> bool:
        """Whether something was given up and not tried again."""
        return bool(self._waiting)

    def attempt(self, message: Hashable) -> int:
        """How often this message was refused by now."""
        attempts = self._attempts[message] = self._attempts.get(message, 0) + 1
        return attempts

    def begin_anew(self) -> None:
        """Something else was brought on meanwhile, so that earlier rounds say nothing."""
        self._rounds.clear()

    def give_up(self, message: Hashable, lane: Hashable, step: Raw) -> None:
        """It waits from here on. Of several messages of one event in one lane, or set aside, one is enough. What failed
        by a fault is always tried once more."""
        # It was not the handler that refused, so that earlier rounds say nothing about it.
        if step[0] == FAIL:
            self._rounds.clear()
        # A second chance has all its attempts again.
        self._attempts[message] = 0
        self._waiting[step[2], lane] = lane, step

    def withdraw(self, lane: Hashable) -> None:
        """What kept this lane is handed out by itself."""
        self._waiting = {each: chance for each, chance in self._waiting.items() if each[1] != lane}
        self._round = [each for each in self._round if each in self._waiting]

    def next_chance(self) -> Chance | None:
        """What is tried again; None: another round would bring nothing on."""
        if not self._waiting:  # as at the end of nearly all runs
            return None
        # As a set: the same ones in another order have brought nothing on.
        left = frozenset(self._waiting)
        if not self._round and left not in self._rounds:
            self._rounds.add(left)
            self._round = sorted(self._waiting, key=_position, reverse=True)  # taken from the end
        return self._waiting.pop(self._round.pop()) if self._round else None

    def end(self, history: Iterable[Turn], behind: Iterable[Turn]) -> list[tuple[Raw, Fault | None]] | None:
        """What is given no further chance, in the order in which it was produced, and what stands `behind` it and was
        not delivered before. Said once."""
        if not self._waiting:
            return None
        refused = [self._waiting[first][1] for first in sorted(self._waiting, key=_position)]
        self._waiting = {}
        # A failed attempt has shown the handler nothing.
        seen = {turn[3][2] for turn in history if turn[3][0] != FAIL}
        waiting = [turn[3] for turn in sorted(behind) if turn[3][2] not in seen]
        return [
            *(((REFUSE, *step[1:]), None) for step in refused),
            *(((WAIT, *step[1:]), None) for step in waiting),
        ]


def _position(waiting: Waiting) -> int:
    return waiting[0]
