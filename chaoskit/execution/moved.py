"""A handler with a move around it."""

from __future__ import annotations

import inspect
from typing import Any

from chaoskit.execution.script import Handler, Move
from chaoskit.values.event import Message
from chaoskit.values.settling import passed_over, settled_as


def moved(handler: Handler, move: Move, *, is_async: bool) -> Handler:
    """The handler as its consumer would call it behind this move. What the handler raises passes through."""
    return _awaiting(handler, move) if is_async else _calling(handler, move)


def _calling(handler: Handler, move: Move) -> Handler:
    def handle(message: Message) -> Any:
        result, all_given = None, list[Message]()
        for given in move(message):
            all_given.append(settled_as(given, message))
            result = handler(given)
        passed_over(message, all_given)
        return result

    return handle


def _awaiting(handler: Handler, move: Move) -> Handler:
    async def handle(message: Message) -> Any:
        result, all_given = None, list[Message]()
        for given in move(message):
            all_given.append(settled_as(given, message))
            result = handler(given)
            if inspect.isawaitable(result):
                result = await result
        passed_over(message, all_given)
        return result

    return handle
