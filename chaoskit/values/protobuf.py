"""Messages of protobuf as their fields, and again. The library is used by those only who have imported it."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from chaoskit.values.errors import CodecError


def is_message(kind: type) -> bool:
    base = getattr(sys.modules.get("google.protobuf.message"), "Message", None)
    return isinstance(base, type) and issubclass(kind, base)


def fields_of(message: Any) -> Any:
    """What it holds, as JSON. Fields have the names of the schema."""
    return _json().MessageToDict(message, preserving_proto_field_name=True)


def message_of(kind: Any, fields: Any) -> Any:
    """A message that holds these. Raises CodecError where they are not those of this class."""
    try:
        return _json().ParseDict(fields, kind())
    except _json().ParseError as error:
        raise CodecError(f"{kind.__qualname__} cannot be made: {error}") from error


def _json() -> Any:
    return importlib.import_module("google.protobuf.json_format")
