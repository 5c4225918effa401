"""What a client hands over is bytes: of an event's value by a serializer, of its key, and of its headers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

import attrs

from chaoskit.values.errors import UsageError
from chaoskit.values.event import Message

Serializer = Callable[[Any], bytes | str]
"""From the value of an event to what its producer sends; text is sent as UTF-8."""

Headers = Callable[[Message], Mapping[str, Any]]
"""The headers that the producer sets, such as an id: `lambda message: {"event-id": str(message.id)}`."""


def json_bytes(value: Any) -> bytes:
    """The value as JSON in UTF-8; bytes and None as they are. Knows dataclasses, attrs and pydantic models too.

    Raises UsageError for what JSON cannot say.
    """
    if value is None or isinstance(value, bytes):
        return value or b""
    try:
        return json.dumps(value, default=_plain, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"the value {value!r} cannot be sent as JSON ({error}): say how its producer serializes it, "
            "serializer=function from the value to bytes"
        ) from error


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):  # pydantic
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if attrs.has(type(value)):
        return attrs.asdict(value)
    raise TypeError(f"{type(value).__name__} is not a type of JSON")


def raw_value(value: Any, serializer: Serializer | None = None) -> bytes:
    """The bytes of a value. Raises UsageError where the serializer gives neither bytes nor text."""
    made = (serializer or json_bytes)(value)
    if isinstance(made, str):
        return made.encode()
    if not isinstance(made, (bytes, bytearray, memoryview)):
        raise UsageError(f"serializer= gave {made!r} ({type(made).__name__}) for {value!r}: bytes or text are needed")
    return bytes(made)


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
