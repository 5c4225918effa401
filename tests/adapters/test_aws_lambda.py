"""Lambda functions as AWS and powertools document them, and the events that they get."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Duplicate, Event, Kinesis, LambdaSqs, Message, Redeliver, Resend, SnsSqs, UsageError, check
from chaoskit.adapters import aws_lambda
from chaoskit.adapters.refusing import NotHandled
from chaoskit.strategies import events

ORDERS = events(st.fixed_dictionaries({"order": st.uuids().map(str), "amount": st.integers(1, 9)}), keys=st.just("ann"))
MESSAGES = [
    Message("ann", {"amount": n}, f"e{n}", n, {}, 1_700_000_000.25 + n, "orders", 2, attempt=1,
            message_id=f"message-{n}", sequence=256 * n, group="ann", deduplication_id=f"e{n}")
    for n in (1, 2, 3, 4)
]  # fmt: skip


def events_of(adapter: Callable[..., Any], *messages: Message, **settings: Any) -> list[Any]:
    """What a function gets: the event of each invocation."""
    got: list[Any] = []
    handle = adapter(lambda event, context: got.append(event), **settings)
    for message in messages:
        handle(message)
    return got


# Field by field.


def test_the_event_of_a_fifo_queue_is_that_of_aws() -> None:
    """Its fields are those that AWS documents; ids stay, receipt handles and counts do not."""
    again = Message("ann", {"amount": 1}, "e1", 1, {"trace": "t", "raw": b"1"}, 1_700_000_001.25, "orders", attempt=2,
                    message_id="message-1", sequence=256, group="ann", deduplication_id="e1")  # fmt: skip
    first, second = (event["Records"][0] for event in events_of(aws_lambda.sqs, MESSAGES[0], again))
    assert first == {
        "messageId": second["messageId"],
        "receiptHandle": first["receiptHandle"],
        "body": '{"amount": 1}',
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1700000001250",
            "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "ApproximateFirstReceiveTimestamp": "1700000001255",
            "SequenceNumber": "00000000000000000256",
            "MessageGroupId": "ann",
            "MessageDeduplicationId": "e1",
        },
        "messageAttributes": {},
        "md5OfBody": "0ef26b5f45f9e15d5a380f42480357f6",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:orders.fifo",
        "awsRegion": "us-east-1",
    }
    assert second["attributes"]["ApproximateReceiveCount"] == "2"
    assert second["receiptHandle"] != first["receiptHandle"]
    assert second["messageAttributes"]["trace"]["stringValue"] == "t"
    assert second["messageAttributes"]["raw"]["binaryValue"] == "MQ=="


def test_a_notification_lies_in_the_body() -> None:
    """Of SNS, with an id of its own."""
    (event,) = events_of(aws_lambda.sns_sqs, MESSAGES[0])
    body = json.loads(event["Records"][0]["body"])
    assert (body["Type"], json.loads(body["Message"])) == ("Notification", {"amount": 1})
    assert (body["TopicArn"], body["Timestamp"]) == (
        "arn:aws:sns:us-east-1:123456789012:orders.fifo",
        "2023-11-14T22:13:21.250Z",
    )
    assert body["MessageId"] != event["Records"][0]["messageId"]


def test_a_record_of_kinesis_is_that_of_aws() -> None:
    """Sequence numbers have 56 digits and grow; data is Base64 of the bytes."""
    first, second = (event["Records"][0] for event in events_of(aws_lambda.kinesis, *MESSAGES[:2]))
    number = first["kinesis"]["sequenceNumber"]
    assert first == {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "ann",
            "sequenceNumber": number,
            "data": base64.b64encode(b'{"amount": 1}').decode(),
            "approximateArrivalTimestamp": 1_700_000_001.25,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"shardId-000000000002:{number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::123456789012:role/lambda-role",
        "awsRegion": "us-east-1",
        "eventSourceARN": "arn:aws:kinesis:us-east-1:123456789012:stream/orders",
    }
    assert len(number) == 56
    assert int(second["kinesis"]["sequenceNumber"]) > int(number)


def test_a_record_of_a_table_has_its_images() -> None:
    """INSERT, MODIFY and REMOVE, in DynamoDB's own JSON."""
    changes = [None, {"n": 1.5, "ok": True, "tags": ["a", None], "raw": b"1", "set": {"b", "a"}}]
    removed = Message("ann", None, "e9", 2, {}, 1.0, "orders", sequence=1)
    created = Message("ann", changes[1], "e1", 1, {}, 1.0, "orders", sequence=0)
    serial = [event["Records"][0] for event in events_of(aws_lambda.dynamodb, created, removed, keys="id")]
    assert [each["eventName"] for each in serial] == ["INSERT", "REMOVE"]
    assert serial[0]["dynamodb"]["Keys"] == {"id": {"S": "ann"}}
    assert serial[0]["dynamodb"]["NewImage"] == {
        "n": {"N": "1.5"}, "ok": {"BOOL": True}, "tags": {"L": [{"S": "a"}, {"NULL": True}]}, "raw": {"B": "MQ=="},
        "set": {"SS": ["a", "b"]},
    }  # fmt: skip
    assert "NewImage" not in serial[1]["dynamodb"]
    (both,) = events_of(aws_lambda.dynamodb, created, keys=["id"], images=lambda value: ({"n": 1}, value))
    assert both["Records"][0]["eventName"] == "MODIFY"
    assert both["Records"][0]["dynamodb"]["OldImage"] == {"n": {"N": "1"}}


def test_an_event_of_eventbridge_has_the_value_as_its_detail() -> None:
    """And none where the value is no object."""
    (event,) = events_of(aws_lambda.eventbridge, MESSAGES[0], source="shop", detail_type=lambda m: f"order {m.seq}")
    assert (event["detail"], event["detail-type"], event["source"]) == ({"amount": 1}, "order 1", "shop")
    assert event["time"] == "2023-11-14T22:13:20Z"  # whole seconds, which neighbours share
    with pytest.raises(UsageError, match="a JSON object"):
        events_of(aws_lambda.eventbridge, Message("a", 1, "e1", 1, {}, 1.0))


# What it returns.


@pytest.mark.parametrize(
    "answer", ["ok", {"batchItemFailures": [{"itemIdentifier": ""}]}, {"batchItemFailures": [{"id": "x"}]}, {1, 2}]
)
def test_an_answer_that_cannot_be_read_fails_the_whole_batch(answer: Any) -> None:
    """As ReportBatchItemFailures has it; a set is no JSON, which the runtime finds."""
    with pytest.raises((NotHandled, TypeError)):
        aws_lambda.sqs(lambda event, context: answer)(MESSAGES)


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_an_answer_that_reports_nothing_settles_the_batch(answer: Any) -> None:
    """And so does a report that the event source mapping does not ask for: what failed is lost."""
    assert aws_lambda.sqs(lambda event, context: answer)(MESSAGES) == []

    def report(event: Any, context: Any) -> Any:
        return {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}

    assert aws_lambda.sqs(report)(MESSAGES) == MESSAGES[:1]
    assert aws_lambda.sqs(report, report_batch_item_failures=False)(MESSAGES) == []
    with pytest.raises(NotHandled, match="reported it as failed"):
        aws_lambda.sqs(report)(MESSAGES[0])


# With powertools.


@pytest.mark.parametrize("adapter", [aws_lambda.sqs, aws_lambda.sns_sqs, aws_lambda.kinesis, aws_lambda.dynamodb])
def test_powertools_reads_these_events_and_its_answer_is_understood(adapter: Any) -> None:
    """The batch processor of each source; of a FIFO queue the wrong one lets what follows a failure go first."""
    batch = pytest.importorskip("aws_lambda_powertools.utilities.batch", reason="aws-lambda-powertools is missing")
    kinds = {aws_lambda.kinesis: "KinesisDataStreams", aws_lambda.dynamodb: "DynamoDBStreams"}
    seen: list[str] = []

    def record_handler(record: Any) -> None:
        seen.append(record.raw_event.get("messageId", "") or "x")
        if len(seen) == 2:
            raise ValueError("no stock")

    def function(processor: Any) -> Any:
        return lambda event, context: batch.process_partial_response(event, record_handler, processor, context)

    settings = {"keys": "id"} if adapter is aws_lambda.dynamodb else {}
    processor = batch.BatchProcessor(event_type=batch.EventType[kinds.get(adapter, "SQS")])
    assert adapter(function(processor), **settings)(MESSAGES) == MESSAGES[1:2]
    assert len(seen) == 4
    if adapter is aws_lambda.sqs:
        seen.clear()
        assert adapter(function(batch.SqsFifoPartialProcessor()))(MESSAGES) == MESSAGES[1:]
        assert len(seen) == 2


def in_memory() -> Any:
    """A persistence layer for one test."""
    idempotency = pytest.importorskip("aws_lambda_powertools.utilities.idempotency")
    exceptions = pytest.importorskip("aws_lambda_powertools.utilities.idempotency.exceptions")

    class InMemory(idempotency.BasePersistenceLayer):
        """As powertools' own tests have it."""

        def __init__(self) -> None:
            super().__init__()
            self.records: dict[str, Any] = {}

        def _get_record(self, idempotency_key: str) -> Any:
            if idempotency_key not in self.records:
                raise exceptions.IdempotencyItemNotFoundError
            return self.records[idempotency_key]

        def _put_record(self, data_record: Any) -> None:
            if data_record.idempotency_key in self.records:
                raise exceptions.IdempotencyItemAlreadyExistsError
            self.records[data_record.idempotency_key] = data_record

        def _update_record(self, data_record: Any) -> None:
            self.records[data_record.idempotency_key] = data_record

        def _delete_record(self, data_record: Any) -> None:
            self.records.pop(data_record.idempotency_key)

    return InMemory()


def billing(key: str) -> Callable[[Any], dict[str, int]]:
    """The function of powertools' page on idempotency, "batch integration": each record once, by `key`."""
    batch = pytest.importorskip("aws_lambda_powertools.utilities.batch", reason="aws-lambda-powertools is missing")
    idempotency = pytest.importorskip("aws_lambda_powertools.utilities.idempotency")

    def test(deliver: Any) -> dict[str, int]:
        billed: dict[str, int] = {}
        processor = batch.BatchProcessor(event_type=batch.EventType.SQS)
        config = idempotency.IdempotencyConfig(event_key_jmespath=key)

        @idempotency.idempotent_function(
            data_keyword_argument="record", config=config, persistence_store=in_memory(), key_prefix="bill"
        )
        def record_handler(record: Any) -> Any:
            order = json.loads(record["body"])
            billed[order["order"]] = billed.get(order["order"], 0) + order["amount"]
            return {"billed": order["amount"]}

        def lambda_handler(event: Any, context: Any) -> Any:
            config.register_lambda_context(context)
            with processor(event["Records"], lambda record: record_handler(record=record.raw_event)):
                processor.process()
            return processor.response()

        deliver(aws_lambda.sqs(lambda_handler))
        return billed

    return test


def test_ids_of_messages_do_not_recognise_what_the_producer_sent_twice() -> None:
    """Powertools' page keys by messageId, which SQS makes anew for each send; the order's own id holds."""
    broker, kinds = LambdaSqs(report_batch_item_failures=True), {Duplicate, Redeliver, Resend}
    found = check(billing("messageId"), ORDERS, broker, faults=kinds, schedules=60, seed=1)
    assert found.status == "violated"
    assert found.scenario is not None
    assert {type(fault) for fault in found.scenario.faults} == {Resend}
    held = check(billing("powertools_json(body).order"), ORDERS, broker, faults=kinds, schedules=60, seed=1)
    assert held.status == "held", held.report()


@pytest.mark.parametrize(
    ("adapter", "broker"),
    [
        (aws_lambda.sqs, LambdaSqs(fifo=True)),
        (aws_lambda.sns_sqs, SnsSqs()),
        (aws_lambda.kinesis, Kinesis(consumer="lambda")),
    ],
)
def test_a_batch_that_comes_back_is_counted_twice(adapter: Any, broker: Any) -> None:
    """The function of AWS's own page, which loops over the records and raises where one fails."""

    def test(deliver: Any, *, once: bool) -> dict[str, int]:
        total: dict[str, int] = {}
        seen: set[str] = set()

        def lambda_handler(event: Any, context: Any) -> None:
            for record in event["Records"]:
                body = record.get("body") or base64.b64decode(record["kinesis"]["data"]).decode()
                order = json.loads(body)
                order = json.loads(order["Message"]) if "Message" in order else order
                if not once or order["order"] not in seen:
                    total["sum"] = total.get("sum", 0) + order["amount"]
                seen.add(order["order"])

        deliver(adapter(lambda_handler))
        return total

    stream = [Event("ann", {"order": f"o{n}", "amount": n}) for n in (1, 2, 3)]
    assert check(lambda deliver: test(deliver, once=False), stream, broker, schedules=40, seed=1).status == "violated"
    held = check(lambda deliver: test(deliver, once=True), stream, broker, schedules=40, seed=1)
    assert held.status == "held", held.report()
