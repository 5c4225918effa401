"""Values of the user's as text and as JSON. They may be anything, and are written as if somebody meant harm."""

from __future__ import annotations

from html import escape
from typing import Any

from chaoskit.codec import encode, lenient
from chaoskit.values.errors import CodecError
from chaoskit.values.texts import no_command
from chaoskit.values.texts import visible as visible


class Undecoded(dict[str, Any]):
    """A value as a repro file has it: reading it needs a class that is not here."""


def in_markup(text: str) -> str:
    """As the text of an element of HTML or XML, which may be printed in a log."""
    return no_command(escape(visible(text)), "&#58;", "&#35;")


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def as_json(value: Any) -> Any:
    """As repro files have it, with `{"$repr": …}` for what has no encoding."""
    if isinstance(value, Undecoded):
        return dict(value)
    try:
        return encode(value)
    # Part by part: one value without an encoding must not take the others with it.
    except CodecError:
        if isinstance(value, dict) and all(type(key) is str and not key.startswith("$") for key in value):
            return {key: as_json(item) for key, item in value.items()}
        return [as_json(item) for item in value] if isinstance(value, list) else lenient(value)
