"""AWS Lambda functions: each delivery is an invocation with the event that AWS documents for its source.

The handlers here take one message, or the list of one invocation under `deliver(…, batch=True)`. Sources:
docs.aws.amazon.com/lambda (with-sqs, with-kinesis, with-ddb, services-sqs-errorhandling), docs.aws.amazon.com/sns
(sns-message-and-json-formats), docs.aws.amazon.com/eventbridge (eb-events-structure).
"""

from __future__ import annotations

import base64
import itertools
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs

from chaoskit.adapters.aws_values import id_of, md5_of_attributes, md5_of_body, sequence_number, typed
from chaoskit.adapters.dynamodb import Images, stream_record
from chaoskit.adapters.refusing import NotHandled
from chaoskit.adapters.seconds import second_of
from chaoskit.adapters.serializing import Serializer, raw_text, raw_value
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Message

LambdaFunction = Callable[[Any, Any], Any]
"""The user's `lambda_handler(event, context)`."""
Invoked = Callable[[Any], "list[Message]"]
"""From one Message or the list of an invocation to those that failed."""

REGION, ACCOUNT = "us-east-1", "123456789012"
_KINESIS = 0x205BF4E5C260000000067648A170005C181EEA << 36
"""Sequence numbers have 56 digits, of which the low bits name the shard."""
_SIGNATURE = base64.b64encode(b"no signature: nothing is signed here".ljust(128)).decode()


@attrs.frozen
class LambdaContext:
    """The second argument of a function. Its clock stands still: there is always all of the time left."""

    aws_request_id: str
    function_name: str = "function"
    function_version: str = "$LATEST"
    memory_limit_in_mb: str = "128"
    invoked_function_arn: str = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:function"
    log_group_name: str = "/aws/lambda/function"
    log_stream_name: str = "2024/01/01/[$LATEST]00000000000000000000000000000000"
    identity: None = None
    client_context: None = None

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds: 30 seconds, always."""
        return 30_000


def sqs(
    function: LambdaFunction, *, serializer: Serializer | None = None, report_batch_item_failures: bool = True
) -> Invoked:
    """A function whose event source is an SQS queue: `deliver(sqs(lambda_handler))`, with `LambdaSqs(…)`.

    `serializer` makes the body of the event's value, JSON by default. `report_batch_item_failures` is that of the event
    source mapping, and of the broker: without it Lambda does not look at what the function returns. Raises what the
    function raises, and `NotHandled` for one message that it reports; of a list, those that it reports are returned.
    """

    def record(message: Message) -> dict[str, Any]:
        return _of_queue(message, raw_text(message.value, serializer), message.headers)

    return _invoked(function, record, lambda made: made["messageId"], report_batch_item_failures)


def sns_sqs(
    function: LambdaFunction, *, serializer: Serializer | None = None, report_batch_item_failures: bool = True
) -> Invoked:
    """A function behind an SQS queue that subscribes to an SNS topic: each body is the notification, as JSON.

    Where the subscription has raw message delivery, bodies are those of `sqs`. The rest is as there.
    """

    def record(message: Message) -> dict[str, Any]:
        return _of_queue(message, json.dumps(_notification(message, raw_text(message.value, serializer))), {})

    return _invoked(function, record, lambda made: made["messageId"], report_batch_item_failures)


def kinesis(
    function: LambdaFunction, *, serializer: Serializer | None = None, report_batch_item_failures: bool = True
) -> Invoked:
    """A function that reads a Kinesis stream: `deliver(kinesis(lambda_handler))`, with `Kinesis(consumer="lambda")`.

    `data` is what `serializer` makes of the event's value, JSON by default, in Base64. The rest is as in `sqs`.
    """

    def record(message: Message) -> dict[str, Any]:
        return _of_shard(message, base64.b64encode(raw_value(message.value, serializer)).decode())

    return _invoked(function, record, lambda made: made["kinesis"]["sequenceNumber"], report_batch_item_failures)


def dynamodb(
    function: LambdaFunction,
    *,
    keys: str | Sequence[str],
    images: Images | None = None,
    report_batch_item_failures: bool = True,
) -> Invoked:
    """A function that reads the stream of a DynamoDB table, with `Kinesis(consumer="lambda")`, whose rules it shares.

    `keys` names the key attributes of the table, the partition key first. The event's value is the new item, or None
    where it was removed; the first event of a key is an INSERT. `images(value)` gives the old and the new item instead,
    None for none, for a stream of NEW_AND_OLD_IMAGES. Raises UsageError for what DynamoDB has no type for.
    """
    names = (keys,) if isinstance(keys, str) else tuple(keys)

    def record(message: Message) -> dict[str, Any]:
        arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{message.topic}/stream/2024-01-01T00:00:00.000"
        return {**stream_record(message, names, images), "awsRegion": REGION, "eventSourceARN": arn}

    return _invoked(function, record, lambda made: made["dynamodb"]["SequenceNumber"], report_batch_item_failures)


def eventbridge(
    function: LambdaFunction, *, source: str = "events", detail_type: str | Callable[[Message], str] = "event"
) -> Callable[[Message], None]:
    """A function that a rule of EventBridge invokes, one event a time: `detail` is the event's value.

    EventBridge promises no order and at least one delivery: `LambdaSqs(batch_size=1)` has the same rules. Raises
    UsageError for a value that is no JSON object.
    """

    def event(message: Message) -> dict[str, Any]:
        detail = json.loads(raw_text(message.value))
        if not isinstance(detail, dict):
            raise UsageError(f"the detail of an EventBridge event is a JSON object, not {message.value!r}")
        return {
            "version": "0",
            "id": id_of(message),
            "detail-type": detail_type if isinstance(detail_type, str) else detail_type(message),
            "source": source,
            "account": ACCOUNT,
            "time": _iso(second_of(message), "seconds"),
            "region": REGION,
            "resources": [],
            "detail": detail,
        }

    invoke = _runtime(function)

    def handle(message: Message) -> None:
        invoke(event(message))

    handle.__wrapped__ = function  # type: ignore[attr-defined]
    return handle


# An invocation.


def _invoked(
    function: LambdaFunction, record: Callable[[Message], dict[str, Any]], identify: Callable[[Any], str], reports: bool
) -> Invoked:
    invoke = _runtime(function)

    def handle(given: Message | Sequence[Message]) -> list[Message]:
        messages = [given] if isinstance(given, Message) else list(given)
        records = [record(message) for message in messages]
        identifiers = [identify(each) for each in records]
        answer = invoke({"Records": records})
        failed = reported(answer, identifiers) if reports else frozenset()
        if failed and isinstance(given, Message):
            raise NotHandled(f"the function reported it as failed: {answer}")
        return [message for message, name in zip(messages, identifiers, strict=True) if name in failed]

    handle.__wrapped__ = function  # type: ignore[attr-defined]  # the code that a process can die in
    return handle


def reported(answer: Any, identifiers: Sequence[str]) -> frozenset[str]:
    """Which of the `identifiers` of an invocation come back after this answer, as ReportBatchItemFailures has it.

    Raises `NotHandled` for an answer that makes all of them come back: one that is no object, that names what was not
    in the batch, or nothing. Source: docs.aws.amazon.com/lambda, services-sqs-errorhandling.
    """
    if answer is None:
        return frozenset()
    if not isinstance(answer, Mapping):
        raise NotHandled(
            f"the function returned {answer!r}, which is no partial batch response: the whole batch comes back. "
            "Without ReportBatchItemFailures Lambda does not read it: report_batch_item_failures=False"
        )
    failures = answer.get("batchItemFailures") or ()
    names = [item.get("itemIdentifier") if isinstance(item, Mapping) else None for item in failures]
    if unknown := [name for name in names if name not in identifiers]:
        raise NotHandled(
            f"batchItemFailures names {unknown[0]!r}, which is not in the batch: the whole batch comes back"
        )
    return frozenset(map(str, names))


def _runtime(function: LambdaFunction) -> Callable[[dict[str, Any]], Any]:
    """What Lambda's runtime does around a function: both ways are JSON."""
    counted = itertools.count(1)

    def invoke(event: dict[str, Any]) -> Any:
        sent = json.dumps(event)
        request = uuid.uuid5(uuid.NAMESPACE_URL, f"{next(counted)} {sent}")
        # A result that is no JSON is Runtime.MarshalError: the function has failed, whatever it has done.
        return json.loads(json.dumps(function(json.loads(sent), LambdaContext(str(request)))))

    return invoke


# Records.


def _of_queue(message: Message, body: str, headers: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: typed(value) for name, value in headers.items()}
    sent, identity, count = int(message.timestamp * 1000), id_of(message), message.attempt or 1
    attributes = {
        "ApproximateReceiveCount": str(count),
        "SentTimestamp": str(sent),
        "SenderId": "AIDAIENQZJOLO23YVJ4VO",
        "ApproximateFirstReceiveTimestamp": str(sent + 5),
    }
    fifo = message.sequence is not None
    if fifo:
        attributes |= {
            "SequenceNumber": sequence_number(message),
            "MessageGroupId": str(message.group),
            "MessageDeduplicationId": str(message.deduplication_id),
        }
    return {
        "messageId": identity,
        # Another one for each receive.
        "receiptHandle": base64.b64encode(f"{identity}#{count}".encode()).decode(),
        "body": body,
        "attributes": attributes,
        "messageAttributes": {name: _attribute(value) for name, value in headers.items()},
        "md5OfBody": md5_of_body(body),
        **({"md5OfMessageAttributes": md5_of_attributes(told)} if told else {}),
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{message.topic}{'.fifo' * fifo}",
        "awsRegion": REGION,
    }


def _attribute(value: Any) -> dict[str, Any]:
    lists: dict[str, Any] = {"stringListValues": [], "binaryListValues": []}
    if isinstance(value, bytes):
        return {"binaryValue": base64.b64encode(value).decode(), **lists, "dataType": "Binary"}
    kind, text = typed(value)
    return {"stringValue": text, **lists, "dataType": kind}


def _notification(message: Message, text: str) -> dict[str, Any]:
    arn = f"arn:aws:sns:{REGION}:{ACCOUNT}:{message.topic}{'.fifo' * (message.sequence is not None)}"
    host = f"https://sns.{REGION}.amazonaws.com"
    numbered = {} if message.sequence is None else {"SequenceNumber": sequence_number(message)}
    headers = {
        name: {"Type": kind["dataType"], "Value": kind.get("stringValue", kind.get("binaryValue"))}
        for name, kind in ((name, _attribute(value)) for name, value in message.headers.items())
    }
    return {
        "Type": "Notification",
        # Of the notification, which has an id of its own.
        "MessageId": id_of(message, "notification"),
        **numbered,
        "TopicArn": arn,
        "Message": text,
        "Timestamp": _iso(message.timestamp, "milliseconds"),
        "SignatureVersion": "1",
        "Signature": _SIGNATURE,
        "SigningCertURL": f"{host}/SimpleNotificationService-{'0' * 32}.pem",
        "UnsubscribeURL": f"{host}/?Action=Unsubscribe&SubscriptionArn={arn}:{id_of(message, 'subscription')}",
        **({"MessageAttributes": headers} if headers else {}),
    }


def _of_shard(message: Message, data: str) -> dict[str, Any]:
    shard = message.partition or 0
    number = _KINESIS + ((message.sequence or 0) << 36) + (shard << 4) + 2
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": str(message.key),
            "sequenceNumber": str(number),
            "data": data,
            "approximateArrivalTimestamp": round(message.timestamp, 3),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"shardId-{shard:012}:{number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": f"arn:aws:iam::{ACCOUNT}:role/lambda-role",
        "awsRegion": REGION,
        "eventSourceARN": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{message.topic}",
    }


def _iso(timestamp: float, precision: str) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec=precision).replace("+00:00", "Z")
