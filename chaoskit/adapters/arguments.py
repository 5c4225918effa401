"""From a message to the arguments of a task."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from chaoskit.values.errors import UsageError
from chaoskit.values.event import Message

CalledWith = Callable[[Message], Any]
"""What a task is called with: a tuple of positional arguments, a dict of named ones, or else the one argument."""


def arguments_of(message: Message, args: CalledWith | None) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of one message; its value as the only one where `args` is None."""
    if args is None:
        return [message.value], {}
    given = args(message)
    if isinstance(given, tuple):
        return list(given), {}
    return ([], given) if isinstance(given, dict) else ([given], {})


def retries_of(message: Message) -> int:
    """How often its framework has put it back before this delivery; 0 where its broker does not say."""
    return int(message.headers.get("retries", 0))


def pickled(positional: list[Any], named: dict[str, Any], name: str) -> tuple[list[Any], dict[str, Any]]:
    """The arguments as they come out of a job that is pickled. Raises UsageError for what cannot be."""
    try:
        copied: tuple[list[Any], dict[str, Any]] = pickle.loads(pickle.dumps((positional, named)))
    except Exception as error:
        raise UsageError(f"the arguments {positional!r} and {named!r} of {name} cannot be pickled: {error}") from error
    return copied
