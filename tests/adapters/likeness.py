"""Whether one message is like another one, field by field: what is there, of which type, and in which format."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).with_name("recorded")

FORMATS = {
    "a UUID": re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    "seconds since 1970, in ms": re.compile(r"1\d{12}"),
    "20 digits": re.compile(r"\d{20}"),
    "56 digits": re.compile(r"\d{56}"),
    "digits": re.compile(r"\d+"),
    "32 hexadecimal digits": re.compile(r"[0-9a-f]{32}"),
    "a time in seconds": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    "a time in ms": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
    "a record of a shard": re.compile(r"shardId-\d{12}:\d{56}"),
    "a certificate": re.compile(r"https://sns\.[\w-]+\.amazonaws\.com/SimpleNotificationService-[0-9a-f]{32}\.pem"),
    "an unsubscription": re.compile(r"https://sns\.[\w-]+\.amazonaws\.com/\?Action=Unsubscribe&SubscriptionArn=arn:.*"),
    "a reply subject of JetStream": re.compile(r"\$JS\.ACK\.EVENTS\.billing\.\d+\.\d+\.\d+\.1\d{18}\.\d+"),
    "a region": re.compile(r"[a-z]+-[a-z]+-\d"),
    "a stream": re.compile(r"arn:aws:dynamodb:[\w-]+:\d{12}:table/[\w-]+/stream/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}"),
    "a name of AWS": re.compile(r"arn:aws:\w+:[\w-]*:\d{12}:.+"),
    "a consumer tag": re.compile(r"ctag\d+\.[0-9a-f]+"),
}
"""The first of these that a text has is its format."""


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))


def differences(mine: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """What is in one of them and not in the other, or of another type or format. Texts of no known format, numbers
    and truth values may be others."""
    if isinstance(theirs, dict) and isinstance(mine, dict):
        for name in sorted(mine.keys() | theirs.keys()):
            if name not in mine or name not in theirs:
                yield f"{path}.{name}: {'missing' if name not in mine else 'not in theirs'}"
            else:
                yield from differences(mine[name], theirs[name], f"{path}.{name}")
    elif isinstance(theirs, list) and isinstance(mine, list):
        for number, (one, other) in enumerate(zip(mine, theirs, strict=False)):
            yield from differences(one, other, f"{path}[{number}]")
    elif _type(mine) != _type(theirs):
        yield f"{path}: {_type(mine)}, and not {_type(theirs)}"
    elif isinstance(theirs, str) and _format(mine) != _format(theirs):
        yield f"{path}: {mine!r} is {_format(mine)}, and not {_format(theirs)}, as {theirs!r}"


def _type(value: Any) -> str:
    # A JSON file knows no other kind of number.
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


def _format(text: str) -> str:
    found = next((name for name, pattern in FORMATS.items() if pattern.fullmatch(text)), None)
    return found or ("Base64" if len(text) > 16 and _is_base64(text) else "text")


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except binascii.Error:
        return False


def as_json(value: Any) -> Any:
    """As a file has it: bytes in Base64, times in the words of Python."""
    if isinstance(value, dict):
        return {name: as_json(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(each) for each in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value) if isinstance(value, datetime) else value
