"""A loop that asks its client for several messages at once: what comes in one call, and how many it asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from chaoskit.execution.batches import Batching, Singles, SomeFailed
from chaoskit.execution.script import Move, Script
from chaoskit.execution.settling import Settlements
from chaoskit.values.event import Message
from chaoskit.values.schedule import BATCH, GO_ON, Raw, is_handed, size_of, what_of
from chaoskit.values.settling import passed_over, settled_as


class LoopBatches(Batching):
    """Of a loop whose next question settles all that it was given by the one before."""

    def __init__(self, script: Script) -> None:  # the loop says how many it wants when it asks
        self._model, self._open, self._left, self._size = script.mailbox.model, [], 0, 1


class BatchesByHand(Singles):
    """Of a loop that settles by itself: all but the last message of a call are held, and what it settles of them it
    settles while it has the last one."""

    def __init__(self, settling: Settlements, at: Callable[[int], None]) -> None:
        self._settling, self._at = settling, at
        self._open: list[tuple[int, Raw]] = []
        self._left = 0

    def waits(self, number: int, step: Raw) -> bool:
        if what_of(step) == BATCH:
            self._open, self._left = [], size_of(step)
            return True
        if not is_handed(step) and step[0] != GO_ON:
            return False
        self._number, self._step = number, step
        if not self._left:
            self._open = []
        self._open.append((number, step))
        self._left = max(0, self._left - 1)
        if self._left:
            self._settling.holds(number)
        return self._left > 0

    def parcel(self, message: Callable[[Raw], Message]) -> Any:
        made = []
        for number, step in self._open:  # each is settled as the delivery that it is
            self._at(number)
            made.append(message(step))
        return made if len(made) > 1 else made[0]


def batches_of_loop(deliver: Any, has_exited: Callable[[], bool] | None = None) -> Singles:
    """Those of the run of a loop, which has just begun. `has_exited`: whether its process has ended by itself."""
    script, settling = deliver._script, deliver._settling
    model = script.mailbox.model
    if model.handover is None:  # of several streams
        return Singles()
    if settling is None:
        return LoopBatches(script)
    model.in_batches(None, by_hand=True)
    settling.has_exited = has_exited or settling.has_exited

    def at(number: int) -> None:
        deliver._at = number

    return BatchesByHand(settling, at)


def asks_for(deliver: Any, many: int) -> None:
    """The loop wants so many messages at once, if they are there."""
    model = deliver._script.mailbox.model
    if many > (deliver._most or 1) and model.handover is not None:
        deliver._most = many
        model.in_batches(many, by_hand=deliver._settling is not None)


def some_refused(deliver: Any, error: Exception, places: Sequence[int], call: Sequence[Message]) -> Exception | None:
    """What refuses those messages of a call that have these places in it, where the loop goes on."""
    settling = deliver._settling
    if settling is not None:
        for place in places:
            if place < len(call) - 1:  # the last one is refused itself
                settling.goes_back_to(call[place])
        return error if len(call) - 1 in places else None
    return SomeFailed(dict.fromkeys(places, error)) if len(call) > 1 else error


def given(call: Any, move: Move | None) -> Iterator[Message]:
    """What the loop gets of this message, or of these that came in one call, where something stands in between."""
    for message in call if isinstance(call, list) else (call,):
        if move is None:
            yield message
            continue
        all_given: list[Message] = []
        for each in move(message):
            all_given.append(settled_as(each, message))
            yield each
        passed_over(message, all_given)
