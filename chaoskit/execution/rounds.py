"""What becomes of a refused message where no model says it: in an order that no broker makes, and of poison."""

from __future__ import annotations

from collections.abc import Sequence

from chaoskit.execution.script import Script
from chaoskit.values.schedule import DELIVER, REFUSE, SKIP, Raw


class Rounds:
    """Refused to the end `at_once`, or lost, or shown again at the end, round after round, for as long as a round
    brings anything on."""

    def __init__(self, retries: bool | None, *, at_once: bool = False) -> None:
        self._retries = retries
        self._at_once = at_once
        self._refused: list[Raw] = []
        self._more = True

    def after(self, steps: Sequence[Raw], number: int, refused: bool) -> Sequence[Raw]:
        """The steps with what follows from the one of this number."""
        step = steps[number]
        if refused and self._at_once:
            return [*steps[: number + 1], (REFUSE, *step[1:]), *steps[number + 1 :]]
        if refused and not self._retries:
            return [*steps[: number + 1], (SKIP, *step[1:]), *steps[number + 1 :]]
        if refused:
            self._refused.append(step)
        elif step[0] == DELIVER:
            self._more = True
        if number + 1 < len(steps) or not self._refused:
            return steps
        # A round in which nothing was taken would be the same again, for ever.
        again = self._refused if self._more else [(REFUSE, *each[1:]) for each in self._refused]
        self._refused, self._more = [], False
        return [*steps, *again]


def rounds_of(script: Script, *, rejects: bool = False) -> Rounds | None:
    """None where the model says what becomes of a refused message. `rejects`: in order, too, a handler may give one
    up."""
    at_once = bool(script.poison) or (rejects and script.faults is None)
    if script.retries is None and not at_once:
        return None
    return Rounds(script.retries, at_once=at_once)
