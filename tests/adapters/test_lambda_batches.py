"""Lambda functions with powertools' batch processors and idempotency, under whole invocations: what comes back of one
that failed in part, and what recognises it then."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

from adapters.streams import check, kinds
from adapters.test_aws_lambda import in_memory
from chaoskit import Event, Gather, LambdaSqs, Overtake, Redeliver, Resend
from chaoskit.adapters import aws_lambda

batch = pytest.importorskip("aws_lambda_powertools.utilities.batch", reason="aws-lambda-powertools is missing")
idempotency = pytest.importorskip("aws_lambda_powertools.utilities.idempotency")


def steps_of(keys: list[str]) -> list[Event]:
    """The first, second, … step of each customer."""
    return [
        Event(key, {"key": key, "step": keys[: place + 1].count(key), "order": f"{key}-{keys[: place + 1].count(key)}"})
        for place, key in enumerate(keys)
    ]


STEPS = st.lists(st.sampled_from(["ann", "bob"]), min_size=3, max_size=6).map(steps_of)
PARTIAL = LambdaSqs(report_batch_item_failures=True)


def book(rows: dict[str, list[int]], step: dict[str, Any]) -> None:
    """One step of a customer, which has to wait for the one before: that is a failure of the record."""
    row = rows.setdefault(step["key"], [])
    if step["step"] > max(row, default=0) + 1:
        raise LookupError("the step before has not come yet")
    row.append(step["step"])


def under(function: Callable[[dict[str, list[int]]], Any]) -> Any:
    def test(deliver: Any) -> Any:
        rows: dict[str, list[int]] = {}
        deliver(aws_lambda.sqs(function(rows)), batch=True)
        return rows

    return test


def loops(rows: dict[str, list[int]]) -> Any:
    """As the first page of AWS on SQS has it: what raises fails all of the batch, also what is booked already."""

    def lambda_handler(event: Any, context: Any) -> None:
        for record in event["Records"]:
            book(rows, json.loads(record["body"]))

    return lambda_handler


def reports(rows: dict[str, list[int]]) -> Any:
    """https://docs.aws.amazon.com/powertools/python/latest/utilities/batch, "Processing messages from SQS" """
    processor = batch.BatchProcessor(event_type=batch.EventType.SQS)

    def record_handler(record: Any) -> None:
        book(rows, record.json_body)

    def lambda_handler(event: Any, context: Any) -> Any:
        return batch.process_partial_response(event, record_handler, processor, context)

    return lambda_handler


def test_what_fails_in_a_batch_brings_back_what_is_done_unless_it_is_reported() -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html"""
    asked = {"faults": {Overtake, Gather}, "schedules": 80}
    verdict = check(under(loops), PARTIAL, STEPS, **asked)
    assert kinds(verdict) == {"Gather", "Overtake"}
    assert check(under(loops), PARTIAL, STEPS, **{**asked, "faults": {Overtake}}).status == "held"
    assert check(under(reports), PARTIAL, STEPS, **asked).status == "held"


def once_each(key: str) -> Any:
    """The same page, "Making Lambda functions idempotent": each record by itself, by `key`."""

    def function(rows: dict[str, list[int]]) -> Any:
        processor = batch.BatchProcessor(event_type=batch.EventType.SQS)
        config = idempotency.IdempotencyConfig(event_key_jmespath=key)

        @idempotency.idempotent_function(
            data_keyword_argument="record", config=config, persistence_store=in_memory(), key_prefix="book"
        )
        def record_handler(record: Any) -> Any:
            book(rows, json.loads(record["body"]))
            return {"booked": True}

        def lambda_handler(event: Any, context: Any) -> Any:
            config.register_lambda_context(context)
            with processor(event["Records"], lambda record: record_handler(record=record.raw_event)):
                processor.process()
            return processor.response()

        return lambda_handler

    return function


def once_in_all(rows: dict[str, list[int]]) -> Any:
    """The decorator of a function with one event, around one with many records: an invocation counts as done when one
    that began with the same record was."""
    config = idempotency.IdempotencyConfig(event_key_jmespath="Records[0].messageId")

    @idempotency.idempotent(config=config, persistence_store=in_memory())
    def lambda_handler(event: Any, context: Any) -> Any:
        for record in event["Records"]:
            book(rows, json.loads(record["body"]))
        return {"batchItemFailures": []}

    return lambda_handler


def test_what_recognises_a_record_in_a_batch() -> None:
    """The id of a message does not stay where its producer sends twice; that of the first one is none of a batch."""
    asked = {"faults": {Gather, Redeliver, Resend}, "schedules": 80}
    assert kinds(check(under(once_each("messageId")), PARTIAL, STEPS, **asked)) == {"Resend"}
    assert kinds(check(under(once_in_all), PARTIAL, STEPS, **{**asked, "faults": {Gather, Redeliver}})) == {
        "Gather", "Redeliver"
    }  # fmt: skip
    held = under(once_each("powertools_json(body).order"))
    assert check(held, PARTIAL, STEPS, **asked).status == "held"
