"""A handler that takes batches: what it is called with, which of its messages have failed, and what a call settles."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from chaoskit.execution.deliveries import Delivery
from chaoskit.execution.script import Handler, Move, Script
from chaoskit.values.event import REPORTED, Message, MessageFailed
from chaoskit.values.schedule import BATCH, BEGIN, DELIVER, DIE, GO_ON, Raw, size_of, what_of

ALL = 1 << 60

MOVED = (
    "it is asked with something between the queue and the handler, which takes message by message: this is not known "
    "of a handler that takes batches, deliver(handler, batch=…)"
)


SETTLES_ITSELF = (
    'deliver(…, batch=…) settles each call when the handler returns: it goes neither with settle="handler" nor with a '
    "loop over a consumer, which takes its own batches"
)
SEVERAL = "deliver(…, batch=…) of several streams: what comes in one call is of one broker. Check them one by one"


class SomeFailed(Exception):
    """Of one call some messages have failed: the reason of each, by its place."""

    def __init__(self, reasons: dict[int, Exception]) -> None:
        super().__init__(f"{len(reasons)} of a batch failed")
        self.reasons = reasons


class Singles:
    """The calls of a handler that takes one message at a time."""

    _number = 0
    _step: Raw = ()

    def around(self, handler: Handler) -> Handler:
        return handler

    def waits(self, number: int, step: Raw) -> bool:
        """Whether there is nothing to do at this step yet, as the call is made at a later one."""
        self._number, self._step = number, step
        return False

    def parcel(self, message: Callable[[Raw], Message]) -> Any:
        """What the handler is called with."""
        return message(self._step)

    @property
    def numbers(self) -> list[int]:
        """Those of the steps of the last call."""
        return [self._number]

    def failed(self, error: Exception) -> list[tuple[int, Raw, Exception]]:
        """What of the last call is not settled, by its number and step, each with its reason."""
        return [(self._number, self._step, error)]

    def is_other(self, number: int, refused: Sequence[int], expected: Container[int] | None) -> bool:
        """Whether what follows this step is not known. `expected`: what was refused when the steps were recorded; None:
        the model goes on from there itself, and has to learn of this step only."""
        return expected is not None and (number in refused) != (number in expected)


def batches_of(
    batch: bool | int,
    script: Script,
    move: Move | None,
    is_async: bool,
    misused: Callable[[str], NoReturn],
    *,
    settles: bool = False,
) -> tuple[int, Batching]:
    """Of `deliver(…, batch=batch)`: how many messages a call may have, and the batches of the run. `settles`: the
    handler settles by itself, or is a loop that does."""
    if not isinstance(batch, int) or batch < 1:
        misused(f"deliver(batch={batch!r}): True, or how many messages a call may have at most, 1 or more")
    if settles:
        misused(SETTLES_ITSELF)
    if move is not None:
        misused(MOVED)
    if script.mailbox.model.handover is None:
        misused(SEVERAL)
    most = ALL if batch is True else batch
    return most, Batching(script, most, is_async, misused)


class Batching(Singles):
    """The batches of one run."""

    def __init__(self, script: Script, most: int, is_async: bool, misused: Callable[[str], NoReturn]) -> None:
        self._model, self._is_async, self._misused = script.mailbox.model, is_async, misused
        self._model.in_batches(most)
        self._open: list[tuple[int, Raw]] = []
        self._left = 0
        self._size = 1

    # The handler.

    def around(self, handler: Handler) -> Handler:
        """The handler for messages of which it gets a list: a single one is a batch of its own."""
        if isinstance(handler, Mapping):
            self._misused(SEVERAL)

        def handle(given: Any) -> Any:
            messages: list[Message] = given if isinstance(given, list) else [given]
            marked: dict[int, Exception] = {}
            for place, message in enumerate(messages):
                message.comes_in(marked, place)
            result = handler(messages)  # type: ignore[arg-type]
            if result is None and not marked:
                return None
            if self._is_async and inspect.isawaitable(result):
                return self._awaited(result, messages, marked)
            return self._taken(result, messages, marked)

        handle.__wrapped__ = handler  # type: ignore[attr-defined]  # whose code it is
        return handle

    async def _awaited(self, result: Any, messages: Sequence[Message], marked: dict[int, Exception]) -> Any:
        return self._taken(await result, messages, marked)

    def _taken(self, result: Any, messages: Sequence[Message], marked: dict[int, Exception]) -> Any:
        """Raises SomeFailed where some have failed."""
        if isinstance(result, (list, tuple, set, frozenset)):
            marked = {**marked, **self._listed(result, messages)}
        elif result is not None:
            return result
        if not marked:
            return None
        if self._model.handover.failed is None:
            self._misused(
                "the handler reported single messages as failed, of which this broker knows nothing under its "
                "settings: it takes the call for done, and what failed is gone. Let the handler raise, or set "
                "report_batch_item_failures=True where the function has it (ReportBatchItemFailures)"
            )
        if len(messages) == 1:
            raise marked[0]
        raise SomeFailed(dict(sorted(marked.items())))

    def _listed(self, result: Iterable[Any], messages: Sequence[Message]) -> dict[int, Exception]:
        found: dict[int, Exception] = {}
        for each in result:
            if each is None:  # of a comprehension that calls something for each message
                continue
            places = [n for n, message in enumerate(messages) if _names(each, message)]
            if not places:
                self._misused(
                    f"the handler returned a list with {each!r}, which is no message of its batch, nor the id of one: "
                    "what it returns are those that failed"
                )
            found |= {place: MessageFailed(REPORTED) for place in places}
        return found

    # The steps of a run.

    def waits(self, number: int, step: Raw) -> bool:
        do = what_of(step)
        if do == BATCH:
            self._open, self._size, self._left = [], size_of(step), size_of(step)
            return True
        if do not in (DELIVER, DIE, BEGIN, GO_ON):
            return False
        if self._left == 0:
            self._open, self._size, self._left = [], 1, 1
        self._left -= 1
        self._open.append((number, step))
        return self._left > 0

    def parcel(self, message: Callable[[Raw], Message]) -> Any:
        made = [message(step) for _, step in self._open]
        return made if self._size > 1 else made[0]

    @property
    def numbers(self) -> list[int]:
        return [number for number, _ in self._open]

    def failed(self, error: Exception) -> list[tuple[int, Raw, Exception]]:
        """All of it where the handler raised, else what the broker takes back with what failed."""
        if not isinstance(error, SomeFailed):
            return [(number, step, error) for number, step in self._open]
        reasons = error.reasons
        lowest = min(reasons)
        rest = self._model.handover.failed == "from the lowest"
        return [
            (number, step, reasons.get(place, reasons[lowest]))
            for place, (number, step) in enumerate(self._open)
            if place in reasons or (rest and place > lowest)
        ]

    def is_other(self, number: int, refused: Sequence[int], expected: Container[int] | None) -> bool:
        if self._left or not self._open or self._open[-1][0] != number or not (refused or expected):
            return False
        numbers = self.numbers
        if expected is None:  # it has learned that all but the last were taken
            return any(each in refused for each in numbers[:-1])
        return any((each in refused) != (each in expected) for each in numbers)


def _names(each: object, message: Message) -> bool:
    return each is message or (
        isinstance(each, (str, int)) and not isinstance(each, bool) and each in (message.id, message.message_id)
    )


def delivered(number: int, given: Any, error: Exception | None) -> Delivery:
    """What a test that goes through the deliveries learns of a call."""
    messages = tuple(given) if isinstance(given, list) else (given,)
    return Delivery(number, messages[0], error, messages)
