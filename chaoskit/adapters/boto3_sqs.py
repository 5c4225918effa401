"""An SQS client of boto3: `with deliver.consumer(Client) as sqs`, and a loop over `sqs.receive_message(…)`.

Its answers are those that AWS documents for the API, and its errors those of botocore.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from chaoskit.adapters.aws_values import id_of, md5_of_attributes, md5_of_body, sequence_number, typed
from chaoskit.adapters.installed import library
from chaoskit.adapters.serializing import raw_value
from chaoskit.adapters.stand_in import StandIn
from chaoskit.execution.consumer import Source
from chaoskit.values.event import Message

URL = "https://sqs.eu-central-1.amazonaws.com/123456789012/"
_REQUEST = "00000000-0000-0000-0000-000000000000"
_FINE = {
    "ResponseMetadata": {
        "RequestId": _REQUEST, "HTTPStatusCode": 200, "RetryAttempts": 0,
        "HTTPHeaders": {"x-amzn-requestid": _REQUEST, "content-type": "application/x-amz-json-1.0"},
    }
}  # fmt: skip


class Client(StandIn):
    """A message is settled by `delete_message` alone. `change_message_visibility` with 0 gives it back."""

    _stands_for = "the SQS client of boto3"

    def __init__(self, source: Source, **config: Any) -> None:
        super().__init__(source)
        self._given: dict[str, Any] = {}

    @staticmethod
    def settles_by_hand(**config: Any) -> bool:
        return True

    def get_queue_url(self, *, QueueName: str, **options: Any) -> dict[str, Any]:
        return {"QueueUrl": URL + QueueName, **_FINE}

    def receive_message(
        self,
        *,
        QueueUrl: str = "",
        AttributeNames: Sequence[str] = (),
        MessageSystemAttributeNames: Sequence[str] = (),
        MessageAttributeNames: Sequence[str] = (),
        MaxNumberOfMessages: int = 1,
        **options: Any,
    ) -> dict[str, Any]:
        """The next messages, up to so many; no `Messages` when nothing is left. Attributes are there if they are asked
        for."""
        messages = self._source.take_several(MaxNumberOfMessages)
        if not messages:
            self._source.idle()
            return dict(_FINE)
        asked = {*AttributeNames, *MessageSystemAttributeNames}
        return {"Messages": [self._received(each, asked, MessageAttributeNames) for each in messages], **_FINE}

    def _received(self, message: Message, asked: Collection[str], named: Sequence[str]) -> dict[str, Any]:
        handle = f"{message.message_id or message.id}#{len(self._given) + 1}"
        self._given[handle] = message
        body = raw_value(message.value, self._source.serializer).decode()
        found: dict[str, Any] = {
            "MessageId": id_of(message),
            "ReceiptHandle": handle,
            "MD5OfBody": md5_of_body(body),
            "Body": body,
        }
        if attributes := {name: at for name, at in system(message).items() if name in asked or "All" in asked}:
            found["Attributes"] = attributes
        carried = {name: at for name, at in self._source.headers(message).items() if _asks(name, named)}
        if carried:
            found["MessageAttributes"] = {name: _attribute(at) for name, at in carried.items()}
            kinds = {name: typed(at) for name, at in carried.items()}
            found["MD5OfMessageAttributes"] = md5_of_attributes(kinds)
        return found

    def delete_message(self, *, ReceiptHandle: str, QueueUrl: str = "") -> dict[str, Any]:
        """It is done. A handle that is none is an error; that of an earlier delivery is what the broker makes of it."""
        self._message("DeleteMessage", ReceiptHandle).ack()
        return dict(_FINE)

    def delete_message_batch(self, *, Entries: Sequence[Mapping[str, Any]], QueueUrl: str = "") -> dict[str, Any]:
        for entry in Entries:
            self.delete_message(ReceiptHandle=entry["ReceiptHandle"])
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries], **_FINE}

    def change_message_visibility(
        self, *, ReceiptHandle: str, VisibilityTimeout: int, QueueUrl: str = ""
    ) -> dict[str, Any]:
        """0 gives it back; anything else renews its lease."""
        message = self._message("ChangeMessageVisibility", ReceiptHandle)
        if VisibilityTimeout == 0:
            message.nack()
        else:
            message.extend()
        return dict(_FINE)

    def change_message_visibility_batch(
        self, *, Entries: Sequence[Mapping[str, Any]], QueueUrl: str = ""
    ) -> dict[str, Any]:
        for entry in Entries:
            self.change_message_visibility(
                ReceiptHandle=entry["ReceiptHandle"], VisibilityTimeout=entry["VisibilityTimeout"]
            )
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries], **_FINE}

    def close(self) -> None:
        """It has nothing open."""

    def _message(self, operation: str, handle: str) -> Any:
        if handle not in self._given:
            raise _error("ReceiptHandleIsInvalid", f"The input receipt handle {handle!r} is not valid.", operation)
        return self._given[handle]


def system(message: Message) -> dict[str, str]:
    """What SQS says of a message, all of it as text; times in ms."""
    sent = str(round(message.timestamp * 1000))
    found = {
        "SenderId": "AIDAIENQZJOLO23YVJ4VO", "SentTimestamp": sent, "ApproximateFirstReceiveTimestamp": sent,
        "ApproximateReceiveCount": str(message.attempt or 1),
    }  # fmt: skip
    for name, at in (
        ("SequenceNumber", None if message.sequence is None else sequence_number(message)),
        ("MessageGroupId", message.group),
        ("MessageDeduplicationId", message.deduplication_id),
    ):
        if at is not None:
            found[name] = at
    return found


def _asks(name: str, asked: Sequence[str]) -> bool:
    return any(each in ("All", ".*", name) or (each.endswith(".*") and name.startswith(each[:-2])) for each in asked)


def _attribute(value: Any) -> dict[str, Any]:
    kind, sent = typed(value)
    return {"BinaryValue" if kind == "Binary" else "StringValue": sent, "DataType": kind}


def _error(code: str, text: str, operation: str) -> Exception:
    kind = library("botocore.exceptions", "boto3").ClientError
    return kind({"Error": {"Code": code, "Message": text}}, operation)  # type: ignore[no-any-return]
