"""From a message to the arguments of a task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chaoskit.values.event import Message

Arguments = Callable[[Message], Any]
"""What a task is called with: a tuple of positional arguments, a dict of named ones, or else the one argument."""


def arguments_of(message: Message, args: Arguments | None) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of one message; its value as the only one where `args` is None."""
    if args is None:
        return [message.value], {}
    given = args(message)
    if isinstance(given, tuple):
        return list(given), {}
    return ([], given) if isinstance(given, dict) else ([given], {})
