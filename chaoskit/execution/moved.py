"""A handler with a move around it."""

from __future__ import annotations

import inspect
from typing import Any

from chaoskit.execution.script import Handler, Move
from chaoskit.values.event import Message
from chaoskit.values.settling import settled_as


def moved(handler: Handler, move: Move, *, is_async: bool) -> Handler:
    """The handler as its consumer would call it behind this move. What the handler raises passes through."""
    return _awaiting(handler, move) if is_async else _calling(handler, move)


def _calling(handler: Handler, move: Move) -> Handler:
    def handle(message: Message) -> Any:
        result = None
        for given in move(message):
            result = handler(settled_as(given, message))
        return result

    return handle


def _awaiting(handler: Handler, move: Move) -> Handler:
    async def handle(message: Message) -> Any:
        result = None
        for given in move(message):
            result = handler(settled_as(given, message))
            if inspect.isawaitable(result):
                result = await result
        return result

    return handle
