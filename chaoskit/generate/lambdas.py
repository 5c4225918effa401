"""Functions of AWS Lambda."""

from __future__ import annotations

import ast
import re

import attrs

from chaoskit.generate.adapted import (
    Adapted,
    first_with_value,
    validated_class,
)
from chaoskit.generate.classes import last_name
from chaoskit.generate.dynamodb_streams import dynamodb_stream
from chaoskit.generate.frameworks import framework_of
from chaoskit.generate.handlers import FoundHandler


def lambda_function(handler: FoundHandler) -> Adapted | None:
    what = framework_of(handler.tree, handler.function, [each.arg for each in handler.needed])
    source = ast.unparse(handler.tree)
    if not what.startswith("an AWS Lambda function") or "aws:kafka" in source:
        return None
    partial = re.search(r"batchItemFailures|process_partial_response|BatchProcessor|FifoPartialProcessor", source)
    settings = {"report_batch_item_failures": "True"} if partial else {}
    options = {} if partial else {"report_batch_item_failures": "False"}
    batches = _takes_all(handler, source)
    if re.search(r"['\"]dynamodb['\"]|DynamoDBStream|DynamoDBRecord", source):
        return _told(dynamodb_stream(handler, source), settings, options, batches)
    broker, function, is_value = "LambdaSqs", "sqs", _is_body
    if re.search(r"['\"]kinesis['\"]|Kinesis|\.kinesis\b", source):
        broker, function, is_value = "Kinesis", "kinesis", _is_data
        settings = {"consumer": '"lambda"', **settings}
    elif "['detail']" in source:
        function, is_value, settings, options = "eventbridge", _is_detail, {"batch_size": "1"}, {}
        batches = False
    else:
        if "['Message']" in source:
            function, is_value = "sns_sqs", _is_notified
        if re.search(r"FifoPartialProcessor|MessageGroupId|\.fifo\b", source):
            settings = {"fifo": "True", **settings}
    value = first_with_value(handler, is_value)
    if value is None:
        return None
    return Adapted(
        value, "aws_lambda", function, ("{handler}",), broker, settings, options=options, in_batches=batches,
        kind=validated_class(handler),
    )  # fmt: skip


def _takes_all(handler: FoundHandler, source: str) -> bool:
    """Whether it goes through all records of an invocation, by itself or by a processor of powertools."""
    loops = (node for node in ast.walk(handler.tree) if isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)))
    records = (ast.unparse(node.iter) for node in loops)
    return any(re.search(r"\bRecords\b|\.records\b", each) for each in records) or "process_partial_resp" in source


def _told(found: Adapted | None, settings: dict[str, str], options: dict[str, str], batches: bool) -> Adapted | None:
    """With what the function's answer says of its event source mapping."""
    return found and attrs.evolve(
        found, settings={**found.settings, **settings}, options={**found.options, **options}, in_batches=batches
    )


def _is_detail(node: ast.AST) -> bool:
    return isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and node.slice.value == "detail"


def _loads(node: ast.AST) -> str:
    """What JSON is read of."""
    is_loads = isinstance(node, ast.Call) and last_name(node.func) in ("loads", "model_validate_json")
    return ast.unparse(node.args[0]) if is_loads and isinstance(node, ast.Call) and node.args else ""


def _is_body(node: ast.AST) -> bool:
    return "body" in _loads(node) or (isinstance(node, ast.Attribute) and node.attr == "json_body")


def _is_notified(node: ast.AST) -> bool:
    return "Message" in _loads(node)


def _is_data(node: ast.AST) -> bool:
    is_method = isinstance(node, ast.Call) and last_name(node.func) == "data_as_json"
    return is_method or bool(re.search(r"\bdata\b|payload|decode", _loads(node)))
