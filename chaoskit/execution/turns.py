"""A process takes all of its deliveries that follow one another in one turn.

To hand the baton over between two threads costs more than a delivery, above all between two cores. So the thread that
has it asks the run for its next call, and gives the baton back when that is none of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from chaoskit.execution.script import Calls, Change, Handler
from chaoskit.values.event import Message


class Turns:
    """Who asks the calls of a run what comes next: who plays it, or the process that has just handled a message."""

    def __init__(self) -> None:
        self._calls: Calls | None = None
        self._asked_for: tuple[Handler, Message] | Change | None = None
        """By a process that it was none for."""
        self._raised: BaseException | None = None
        """By the calls themselves, when a process asked."""

    def of(self, calls: Calls) -> Calls:
        """The same calls, in turns. None of them is None."""
        self._calls = calls
        error: Exception | None = None
        while (call := self._next(error)) is not None:
            error = yield call

    def _next(self, error: Exception | None) -> tuple[Handler, Message] | Change | None:
        call, self._asked_for = self._asked_for, None
        if self._raised is not None:
            raise self._raised
        if call is not None or self._calls is None:
            return call
        try:
            return self._calls.send(error)
        except StopIteration:
            return None

    async def take(
        self,
        handle: Callable[[Message], Coroutine[Any, Any, Any]],
        message: Message,
        mine: Handler,
        goes_on: Callable[[], bool],
    ) -> Any:
        """Handle this message, in the thread of its process, and those that follow and are for the same handler
        `mine`, up to one that the process refuses, or from which it returns something: that is for who plays the run.
        """
        while True:
            result = await handle(message)
            if result is not None or self._calls is None or not goes_on():
                return result
            try:
                call = self._next(None)
            except BaseException as error:  # noqa: BLE001 - raised by the run, where the handler has not raised
                self._raised = error
                return None
            if not isinstance(call, tuple) or call[0] is not mine:
                self._asked_for = call
                return None
            message = call[1]
