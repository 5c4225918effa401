"""Several handlers, each for the messages of one stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chaoskit.values.errors import UsageError
from chaoskit.values.event import Message


def by_topic(handlers: Mapping[Any, Callable[[Message], Any]]) -> Callable[[Message], Any]:
    """A handler that gives each message to the one of its topic. Raises UsageError for a message that has none."""
    known = {topic_of(stream): handler for stream, handler in handlers.items()}

    def handle(message: Message) -> Any:
        handler = known.get(message.topic)
        if handler is None:
            raise UsageError(
                f"deliver has no handler for the stream {message.topic!r}: it was given those of "
                f"{', '.join(map(repr, known))}"
            )
        return handler(message)

    return handle


def one_handler(given: Any) -> Any:
    """Of several the one that takes the messages of all; anything else as it is."""
    return by_topic(given) if isinstance(given, Mapping) else given


def topic_of(stream: Any) -> str | None:
    """The name of a stream: itself where it is one, else that which `chaos({…})` has given to the strategy."""
    return stream if isinstance(stream, str) else getattr(stream, "chaos_topic", None)


def why_no_handlers(handlers: Mapping[Any, Any]) -> str | None:
    """What is wrong with them; None where nothing is."""
    for stream, handler in handlers.items():
        if topic_of(stream) is None:
            return f"deliver({{{stream!r}: …}}): it is none of the streams of chaos({{…}})"
        if not callable(handler):
            return f"deliver({{{topic_of(stream)}: {handler!r}}}): a function is needed, got {type(handler).__name__}"
    return None if handlers else "deliver({}) has no handler"
