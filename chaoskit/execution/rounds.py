"""What becomes of a refused message where no model says it: in an order that no broker makes, and of poison."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chaoskit.execution.script import Script
from chaoskit.values.schedule import DELIVER, REFUSE, SKIP, Raw

LeftOpen = Callable[[Sequence[Raw]], list[Raw]]
"""From all steps to those of the messages that come again, as nobody has settled them."""


class Rounds:
    """Refused to the end `at_once`, or lost, or shown again at the end, round after round, for as long as a round
    brings anything on. What was `left_open` comes again before."""

    def __init__(self, retries: bool | None, left_open: LeftOpen | None, *, at_once: bool = False) -> None:
        self._retries = retries
        self._left_open = left_open
        self._at_once = at_once
        self._refused: list[Raw] = []
        self._more = True

    def after(self, steps: Sequence[Raw], number: int, refused: bool, *, gone: bool = False) -> Sequence[Raw]:
        """The steps with what follows from the one of this number. `gone`: its refusal was final."""
        steps = self._after(steps, number, refused, gone)
        if number + 1 == len(steps) and self._left_open is not None:
            return [*steps, *self._left_open(steps)]
        return steps

    def _after(self, steps: Sequence[Raw], number: int, refused: bool, gone: bool) -> Sequence[Raw]:
        step = steps[number]
        if refused and self._at_once:
            return [*steps[: number + 1], (REFUSE, *step[1:]), *steps[number + 1 :]]
        if refused and (gone or not self._retries):
            steps = [*steps[: number + 1], (SKIP, *step[1:]), *steps[number + 1 :]]
        elif refused:
            self._refused.append(step)
        elif step[0] == DELIVER:
            self._more = True
        if number + 1 < len(steps) or not self._refused:
            return steps
        # A round in which nothing was taken would be the same again, for ever.
        again = self._refused if self._more else [(REFUSE, *each[1:]) for each in self._refused]
        self._refused, self._more = [], False
        return [*steps, *again]


def rounds_of(script: Script, left_open: LeftOpen | None = None) -> Rounds | None:
    """None where the model says what becomes of a refused message. `left_open`: the handler settles by itself, and may
    give a message up in order, too."""
    at_once = bool(script.poison) or (left_open is not None and script.faults is None)
    if script.retries is None and not at_once:
        return None
    return Rounds(script.retries, left_open, at_once=at_once)
