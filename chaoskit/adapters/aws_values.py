"""What AWS computes of a message, in its own formats: ids, digests and sizes."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Mapping
from typing import Any

from chaoskit.values.event import Message


def id_of(message: Message, of: str = "message") -> str:
    """A UUID of version 4, as AWS's ids are, which a redelivery keeps."""
    named = uuid.uuid5(uuid.NAMESPACE_URL, f"{of}/{message.topic}/{message.message_id or message.id}")
    return str(uuid.UUID(bytes=named.bytes, version=4))


def sequence_number(message: Message) -> str:
    """Of a FIFO queue: 20 digits."""
    return str(message.sequence).zfill(20)


def md5_of_body(body: str) -> str:
    return hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()


def typed(value: Any) -> tuple[str, str | bytes]:
    """Of a message attribute: its data type, and as it is sent."""
    if isinstance(value, bytes):
        return "Binary", value
    return "Number" if isinstance(value, (int, float)) and not isinstance(value, bool) else "String", str(value)


def md5_of_attributes(attributes: Mapping[str, tuple[str, str | bytes]]) -> str:
    """Of message attributes, each a data type and a value, as docs.aws.amazon.com/AWSSimpleQueueService has it
    (sqs-message-metadata: calculating the MD5 message digest)."""
    digest = hashlib.md5(usedforsecurity=False)
    for name, (kind, value) in sorted(attributes.items()):
        for part in (name.encode(), kind.encode()):
            digest.update(len(part).to_bytes(4) + part)
        data = value if isinstance(value, bytes) else value.encode()
        digest.update((b"\x02" if isinstance(value, bytes) else b"\x01") + len(data).to_bytes(4) + data)
    return digest.hexdigest()


def size_of(value: Mapping[str, Any]) -> int:
    """Bytes of a value in DynamoDB's JSON, {"S": "text"}, as DynamoDB counts them (developer guide: item sizes)."""
    ((kind, held),) = value.items()
    match kind:
        case "S":
            return len(held.encode())
        case "N":
            return len(held.lstrip("-").replace(".", "").strip("0")) // 2 + 2 if held.strip("-0.") else 1
        case "B":
            return len(base64.b64decode(held))
        case "M":
            return 3 + sum(1 + len(name.encode()) + size_of(each) for name, each in held.items())
        case "L":
            return 3 + sum(1 + size_of(each) for each in held)
        case "SS" | "NS" | "BS":
            return sum(size_of({kind[0]: each}) for each in held)
    return 1


def size_of_item(item: Mapping[str, Any]) -> int:
    """Of all its attributes, with their names."""
    return sum(len(name.encode()) + size_of(each) for name, each in item.items())
