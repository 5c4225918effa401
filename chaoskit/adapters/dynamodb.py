"""Records of DynamoDB streams, and items in DynamoDB's JSON."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from chaoskit.adapters.aws_values import size_of_item
from chaoskit.adapters.seconds import second_of
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Message

Image = Mapping[str, Any]
Images = Callable[[Any], "tuple[Image | None, Image | None]"]
"""From an event's value to the item as it was before and as it is then."""

_FIRST = 111_000_000_000_000_000_000_001


def stream_record(message: Message, keys: Sequence[str], images: Images | None) -> dict[str, Any]:
    """The record of a change, without the names of its table and region."""
    old, new = (None, message.value) if images is None else images(message.value)
    name, number = _event_name(message, old, new, images is not None), str(_FIRST + (message.sequence or 0))
    told: dict[str, Any] = {"NewImage": new, "OldImage": old}
    described = {which: attribute_value(dict(item))["M"] for which, item in told.items() if item is not None}
    item = new if new is not None else old
    names = {key: _key_of(message, key, item, first=key == keys[0]) for key in keys}
    described_keys = {key: attribute_value(value) for key, value in names.items()}
    return {
        "eventID": f"{int(number):032x}",
        "eventName": name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "dynamodb": {
            "ApproximateCreationDateTime": second_of(message),
            "Keys": described_keys,
            **described,
            "SequenceNumber": number,
            "SizeBytes": sum(map(size_of_item, (described_keys, *described.values()))),
            "StreamViewType": "NEW_IMAGE" if images is None else "NEW_AND_OLD_IMAGES",
        },
    }


def _event_name(message: Message, old: Image | None, new: Image | None, both: bool) -> str:
    if new is None:
        return "REMOVE"
    return "INSERT" if (old is None if both else message.seq == 1) else "MODIFY"


def _key_of(message: Message, key: str, item: Image | None, *, first: bool) -> Any:
    if item is not None and key in item:
        return item[key]
    if first:
        return message.key
    raise UsageError(f"keys=…: the item {item!r} of {message.id} has no key attribute {key!r}")


def attribute_value(value: Any) -> dict[str, Any]:
    """A value of Python in DynamoDB's JSON: {"S": "text"}, {"N": "1"}, …; bytes in Base64, as in an event.

    Raises UsageError for what DynamoDB has no type for.
    """
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int() | float() | Decimal():
            return {"N": str(value)}
        case bytes():
            return {"B": base64.b64encode(value).decode()}
        case dict():
            return {"M": {str(name): attribute_value(each) for name, each in value.items()}}
        case list() | tuple():
            return {"L": [attribute_value(each) for each in value]}
        case set() | frozenset() if value:
            return _set(value)
    raise UsageError(f"DynamoDB has no type for {value!r} ({type(value).__name__})")


def _set(values: Any) -> dict[str, Any]:
    typed = [next(iter(attribute_value(value).items())) for value in values]
    kinds = {kind for kind, _ in typed}
    if len(kinds) > 1 or not kinds <= {"S", "N", "B"}:
        raise UsageError(f"a set of DynamoDB has texts, numbers or bytes only: {values!r}")
    return {f"{kinds.pop()}S": sorted(text for _, text in typed)}
