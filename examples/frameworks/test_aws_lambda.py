"""A Lambda function behind SQS, with the batch processor and the idempotency of powertools.

Powertools' page keys records by `messageId`, which SQS makes anew for what a producer sends twice; an order's own id
stays. A persistence layer in memory stands for DynamoDB.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import LambdaSqs, chaos
from chaoskit.adapters import aws_lambda
from chaoskit.strategies import events

batch = pytest.importorskip("aws_lambda_powertools.utilities.batch")
idempotency = pytest.importorskip("aws_lambda_powertools.utilities.idempotency")
errors = pytest.importorskip("aws_lambda_powertools.utilities.idempotency.exceptions")

ORDERS = events(
    st.fixed_dictionaries({"order": st.uuids().map(str), "amount": st.integers(1, 9)}), keys=st.just("shop")
)


class InMemory(idempotency.BasePersistenceLayer):
    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, Any] = {}

    def _get_record(self, idempotency_key: str) -> Any:
        if idempotency_key not in self.rows:
            raise errors.IdempotencyItemNotFoundError
        return self.rows[idempotency_key]

    def _put_record(self, data_record: Any) -> None:
        if data_record.idempotency_key in self.rows:
            raise errors.IdempotencyItemAlreadyExistsError
        self.rows[data_record.idempotency_key] = data_record

    def _update_record(self, data_record: Any) -> None:
        self.rows[data_record.idempotency_key] = data_record

    def _delete_record(self, data_record: Any) -> None:
        self.rows.pop(data_record.idempotency_key)


def function(billed: dict[str, int], key: str) -> Any:
    """The service: `lambda_handler`, as the documentation of powertools has it."""
    processor = batch.BatchProcessor(event_type=batch.EventType.SQS)
    config = idempotency.IdempotencyConfig(event_key_jmespath=key)

    @idempotency.idempotent_function(
        data_keyword_argument="record", config=config, persistence_store=InMemory(), key_prefix="bill"
    )
    def record_handler(record: dict[str, Any]) -> dict[str, int]:
        order = json.loads(record["body"])
        billed[order["order"]] = billed.get(order["order"], 0) + order["amount"]
        return {"billed": order["amount"]}

    def lambda_handler(event: dict[str, Any], context: Any) -> Any:
        config.register_lambda_context(context)
        with processor(event["Records"], lambda record: record_handler(record=record.raw_event)):
            processor.process()
        return processor.response()

    return lambda_handler


@pytest.mark.parametrize(
    "key", [pytest.param("messageId", id="written"), pytest.param("powertools_json(body).order", id="repaired")]
)
@chaos(ORDERS, broker=LambdaSqs(report_batch_item_failures=True))
def test_each_order_is_billed_once(deliver: Any, key: str) -> dict[str, int]:
    billed: dict[str, int] = {}
    deliver(aws_lambda.sqs(function(billed, key)))
    return billed
