"""What a client hands over is bytes: of an event's value by a serializer, of its key, and of its headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chaoskit.values.errors import UsageError
from chaoskit.values.event import Message
from chaoskit.values.raw import Serializer, json_bytes, raw_value

__all__ = [
    "Headers", "Serializer", "json_bytes", "raw_headers", "raw_key", "raw_text", "raw_value",
]  # fmt: skip

Headers = Callable[[Message], Mapping[str, Any]]
"""The headers that the producer sets, such as an id: `lambda message: {"event-id": str(message.id)}`."""


def raw_text(value: Any, serializer: Serializer | None = None) -> str:
    """The same for what carries text only. Raises UsageError where it is not UTF-8, too."""
    try:
        return raw_value(value, serializer).decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"text is carried here, and {value!r} is not UTF-8: encode it in serializer=") from error


def raw_key(key: Any) -> bytes | None:
    """The bytes of a key: text as UTF-8, None where there is none."""
    return None if key is None else key if isinstance(key, bytes) else str(key).encode()


def raw_headers(headers: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """Headers as Kafka carries them: bytes as they are, anything else as text in UTF-8."""
    return [(name, value if isinstance(value, bytes) else str(value).encode()) for name, value in headers.items()]
