"""A Lambda function behind a rule of EventBridge, that lists the objects of a bucket of S3.

EventBridge promises no order, and S3 puts a `sequencer` into each event for that: a hexadecimal number. They differ in
length, so that they do not compare as texts; the shorter one is filled with zeros on the right, as its documentation
says.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Event, LambdaSqs, chaos
from chaoskit.adapters import aws_lambda


def uploads(steps: list[tuple[str, int]]) -> list[Event]:
    """What becomes of one object: created or deleted."""
    numbers = accumulate(step for _, step in steps)
    return [
        Event(
            "a.csv",
            {"bucket": {"name": "uploads"}, "object": {"key": "a.csv", "sequencer": f"{number:016X}".rstrip("0")},
             "reason": reason},
        )
        for (reason, _), number in zip(steps, numbers, strict=True)
    ]  # fmt: skip


UPLOADS = st.lists(
    st.tuples(st.sampled_from(["PutObject", "DeleteObject"]), st.integers(1, 1 << 40)), min_size=1, max_size=4
).map(uploads)


def function(objects: dict[str, Any], compares: bool) -> Any:
    newest: dict[str, str] = {}

    def lambda_handler(event: dict[str, Any], context: Any) -> None:
        detail = event["detail"]
        key, sequencer = detail["object"]["key"], detail["object"]["sequencer"].ljust(16, "0")
        if compares and sequencer < newest.get(key, ""):
            return
        newest[key] = sequencer
        if detail["reason"] == "DeleteObject":
            objects.pop(key, None)
        else:
            objects[key] = sequencer

    return lambda_handler


@pytest.mark.parametrize("compares", [pytest.param(False, id="written"), pytest.param(True, id="repaired")])
@chaos(UPLOADS, broker=LambdaSqs(batch_size=1))
def test_what_is_there_is_listed(deliver: Any, compares: bool) -> dict[str, Any]:
    objects: dict[str, Any] = {}
    deliver(aws_lambda.eventbridge(function(objects, compares), source="aws.s3"))
    return objects
