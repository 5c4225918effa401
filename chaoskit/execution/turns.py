"""A process takes all that follows and is its own in one turn: it begins, its deliveries, its death.

To hand the baton over between two threads costs more than a delivery, above all between two cores. So the thread that
has it asks the run for its next call, and gives the baton back when that is none of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import attrs

from chaoskit.execution.script import Calls, Change, Handler
from chaoskit.values.event import Message


class BatonHolder(Protocol):
    """The thread of a process."""

    def goes_on(self) -> bool:
        """Whether it may take another message: it was not interrupted, and is no child that the handler has forked."""


@attrs.frozen(eq=False)
class Dying:
    """The handler of a process that dies in it: `die` in its own thread, and then `buried` in that of the run."""

    thread: BatonHolder
    die: Callable[[Message], Coroutine[Any, Any, None]]
    buried: Callable[[], None]
    do: Callable[[Callable[[], Coroutine[Any, Any, None]]], Any]
    """Run this in its thread."""

    def __call__(self, message: Message) -> None:
        self.do(lambda: self.die(message))
        self.buried()


class Turns:
    """Who asks the calls of a run what comes next: who plays it, or the process that has the baton."""

    def __init__(self) -> None:
        self._calls: Calls | None = None
        self._left: tuple[Handler, Message] | Change | None = None
        """What a process has asked for, and leaves to who plays the run."""
        self._raised: BaseException | None = None
        """By the calls themselves, when a process asked."""

    def of(self, calls: Calls) -> Calls:
        """The same calls, in turns. None of them is None."""
        self._calls = calls
        error: Exception | None = None
        while (call := self._next(error)) is not None:
            error = yield call

    def _next(self, error: Exception | None) -> tuple[Handler, Message] | Change | None:
        call, self._left = self._left, None
        if self._raised is not None:
            raise self._raised
        if call is not None or self._calls is None:
            return call
        try:
            return self._calls.send(error)
        except StopIteration:
            return None

    async def go_on(
        self, thread: BatonHolder, mine: Handler, handle: Callable[[Message], Coroutine[Any, Any, Any]]
    ) -> None:
        """Take what follows and is for the handler `mine`, in the thread of its process, which has raised and returned
        nothing so far. A call that raises or returns something is left to who plays the run, and does so there."""
        while self._calls is not None and thread.goes_on():
            try:
                call = self._next(None)
            except BaseException as error:  # noqa: BLE001 - raised again where the run is played
                self._raised = error
                return
            handler, message = call if isinstance(call, tuple) else (None, None)
            if message is None or not (handler is mine or _dies(handler, thread)):
                self._left = call
                return
            try:
                if isinstance(handler, Dying):
                    # First, as who dies in the middle does not come back.
                    self._left = _done(handler), message
                    await handler.die(message)
                    return
                result = await handle(message)
            except BaseException as error:
                if not thread.goes_on():
                    raise
                self._left = _raising(error), message
                return
            if result is not None:
                self._left = _returning(result), message
                return


def _dies(handler: object, thread: BatonHolder) -> bool:
    return isinstance(handler, Dying) and handler.thread is thread


def _done(dying: Dying) -> Handler:
    return lambda _: dying.buried()


def _returning(result: Any) -> Handler:
    return lambda _: result


def _raising(error: BaseException) -> Handler:
    def handle(_: Message) -> None:
        raise error

    return handle
