"""A message as it is sent: the bytes of its value, by a serializer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from typing import Any

import attrs

from chaoskit.values.errors import UsageError

Serializer = Callable[[Any], bytes | str]
"""From the value of an event to what its producer sends; text is sent as UTF-8."""


class Sent:
    """What has a value that was sent as bytes."""

    __slots__ = ("_serializer",)
    value: Any
    _serializer: Serializer
    """Not set where nobody named one."""

    @property
    def raw(self) -> bytes:
        """The bytes of the value as the producer sends them: by `deliver(handler, serializer=…)`, else as JSON.

        They are made when they are asked for. Raises UsageError for what JSON cannot say, and for a serializer that
        gives neither bytes nor text.
        """
        return raw_value(self.value, getattr(self, "_serializer", None))

    def sent_by(self, serializer: Serializer) -> None:
        """This is what makes its bytes."""
        self._serializer = serializer


def raw_value(value: Any, serializer: Serializer | None = None) -> bytes:
    """The bytes of a value. Raises UsageError where the serializer gives neither bytes nor text."""
    made = (serializer or json_bytes)(value)
    if isinstance(made, str):
        return made.encode()
    if not isinstance(made, (bytes, bytearray, memoryview)):
        raise UsageError(f"serializer= gave {made!r} ({type(made).__name__}) for {value!r}: bytes or text are needed")
    return bytes(made)


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
