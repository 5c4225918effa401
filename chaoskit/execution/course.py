"""Which steps a run takes: the recorded ones, and from where another answer came those that the model makes itself."""

from __future__ import annotations

from collections.abc import Sequence

from chaoskit.execution.batches import Batching, Singles
from chaoskit.execution.retried import Final, how_final, is_gone
from chaoskit.execution.rounds import rounds_of
from chaoskit.execution.script import Script, next_step
from chaoskit.execution.settling import Settlements, answers
from chaoskit.values.answers import how_gone
from chaoskit.values.scenario import Steps
from chaoskit.values.schedule import FAIL, Raw
from chaoskit.values.settling import GONE, REJECTED, Settling


class Course:
    """`steps` of one run, of which more may be added while it goes on. `refused` are the numbers of those that the
    handler refused, and `gone` those of them whose failure was final, which whoever plays it writes down;
    `gone_at_once`: as nothing had asked for another attempt."""

    def __init__(self, script: Script, settling: Settlements | None, batching: Singles | Batching) -> None:
        self._script, self._settling, self._batching = script, settling, batching
        self._rounds = rounds_of(script, None if settling is None else self._left_open)
        self._live: Steps | None = None
        self._made: list[Raw] = []
        self.steps: Sequence[Raw] = script.steps
        self.refused: list[int] = []
        self.gone: dict[int, Settling] = {}
        self.gone_at_once: set[int] = set()
        # Where the broker drops all that fails, whoever chose its settings has chosen that.
        self.can_be_gone = settling is None and script.faults is not None and not script.mailbox.model.skips_refused
        if settling is not None and settling.is_live:
            self._live = script.after(0, ())
            self.steps = self._made = next_step(self._live, None)

    def may_be_gone(self, number: int, error: Exception) -> None:
        """This was raised in the delivery of this number: it may be final."""
        final = how_final(error)
        if final is not None and self.can_be_gone:
            is_gone(error, final)
            self.gone[number] = REJECTED if final.rejected else GONE
            if not final.used_up:
                self.gone_at_once.add(number)

    def attempt_failed(self, number: int, final: Final | None) -> None:
        """The attempt of this number failed before the handler was called."""
        if final is not None and self.can_be_gone:
            self.gone[number] = REJECTED if final.rejected else GONE

    def passed(self, number: int, *, refused: bool) -> None:
        """The step of this number is over, and the handler refused it or not."""
        settling, steps = self._settling, self.steps
        if settling is not None:
            settling.passed(steps, number)
        if self._rounds is not None:
            self.steps = self._rounds.after(steps, number, refused, gone=number in self.gone)
        # Up to here the recorded steps were right; behind another answer only the model knows what follows.
        elif self._is_other(number):
            answered = answers(settling, steps, number + 1, self.refused, gone=self.gone)
            self._live = self._script.after(number + 1, answered, steps)
            # One list: whoever walks it goes on with what the model adds.
            self._made = self.steps = list(steps[: number + 1])
        if self._live is not None:
            answer = answers(settling, self.steps, number + 1, self.refused, number, gone=self.gone)[0]
            self._made += next_step(self._live, answer)

    def _left_open(self, steps: Sequence[Raw]) -> list[Raw]:
        assert self._settling is not None
        return self._settling.shown_again(steps, self.refused)

    def _is_other(self, number: int) -> bool:
        if self._live is not None:
            return self._batching.is_other(number, self.refused, None)
        if self._batching.is_other(number, self.refused, self._script.refusals):
            return True
        if self.can_be_gone and not self._is_gone_as_recorded(number):
            return True
        return self._settling is not None and not self._settling.is_as_recorded(number)

    def _is_gone_as_recorded(self, number: int) -> bool:
        now = self.gone.get(number)
        if number in self.refused:
            # Of one that was set aside the steps do not tell why: the model makes them again.
            return now == how_gone(self.steps, number) != REJECTED
        return self.steps[number][0] != FAIL or now == (how_gone(self.steps, number) if now else None)
