"""A Lambda function that reads the stream of a DynamoDB table, and keeps the balance of each customer beside it.

Lambda invokes with the whole batch again when one of its records fails or its answer is lost. What adds the change of
each record then counts twice; the repaired function keeps the sequence number up to which it has counted.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Kinesis, Resend, chaos
from chaoskit.adapters import aws_lambda
from chaoskit.strategies import events

CHANGES = events(
    st.fixed_dictionaries({"before": st.integers(0, 9), "now": st.integers(0, 9)}), keys=st.sampled_from(["ann", "bob"])
)
STREAM = Kinesis(consumer="lambda", records_per_put=1)
"""No record of a table's stream is swapped or written twice, which a producer to Kinesis may do."""


def images(change: dict[str, int]) -> Any:
    """An order as it was before, and as it is then."""
    return {"total": change["before"]}, {"total": change["now"]}


def function(balances: dict[str, int], remembers: bool) -> Any:
    """The service, over the records as the documentation of AWS has them."""
    counted: dict[str, int] = {}

    def lambda_handler(event: dict[str, Any], context: Any) -> None:
        for record in event["Records"]:
            if record["eventName"] not in ("INSERT", "MODIFY"):
                continue
            change = record["dynamodb"]
            customer, number = change["Keys"]["customer"]["S"], int(change["SequenceNumber"])
            if remembers and number <= counted.get(customer, 0):
                continue
            counted[customer] = number
            before = int(change.get("OldImage", {}).get("total", {}).get("N", 0))
            balances[customer] = balances.get(customer, 0) + int(change["NewImage"]["total"]["N"]) - before

    return lambda_handler


@pytest.mark.parametrize("remembers", [pytest.param(False, id="written"), pytest.param(True, id="repaired")])
@chaos(CHANGES, broker=STREAM, without={Resend})
def test_each_change_is_counted_once(deliver: Any, remembers: bool) -> dict[str, int]:
    balances: dict[str, int] = {}
    deliver(aws_lambda.dynamodb(function(balances, remembers), keys="customer", images=images), batch=True)
    return balances
