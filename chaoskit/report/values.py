"""Values of the user's as text and as JSON. They may be anything, and are written as if somebody meant harm."""

from __future__ import annotations

import re
from typing import Any

from chaoskit.codec import encode, lenient
from chaoskit.errors import CodecError

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\uffff]"
)
"""Control characters, halves of pairs, and what turns the direction of the text around it: nobody sees them, XML does
not have some of them, and UTF-8 has no halves."""


class Undecoded(dict[str, Any]):
    """A value as a repro file has it: reading it needs a class that is not here."""


def visible(text: str) -> str:
    """With what nobody sees as an escape such as `\\x1b`. Newlines and tabs stay."""
    return _UNSEEN.sub(lambda found: found.group().encode("unicode_escape", "surrogatepass").decode(), text)


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def as_json(value: Any) -> Any:
    """As repro files have it, with `{"$repr": …}` for what has no encoding."""
    if isinstance(value, Undecoded):
        return dict(value)
    try:
        return encode(value)
    except CodecError:
        if isinstance(value, dict) and all(type(key) is str and not key.startswith("$") for key in value):
            return {key: as_json(item) for key, item in value.items()}
        return [as_json(item) for item in value] if isinstance(value, list) else lenient(value)
