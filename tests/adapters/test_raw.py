"""`message.raw`: the bytes that a producer sends, by the serializer that the user names."""

from __future__ import annotations

import io
import json
from typing import Any

import attrs
import pytest

from adapters.streams import Table, check, five, run
from chaoskit import Kafka, RabbitMQ, UsageError


@attrs.frozen
class Wire:
    """A serializer, and how the consumer reads what it gives."""

    write: Any
    read: Any


def as_json() -> Wire:
    return Wire(None, lambda raw: json.loads(raw)["amount"])


def as_avro() -> Wire:
    avro = pytest.importorskip("fastavro", reason="fastavro is missing")
    schema = {"type": "record", "name": "Payment", "fields": [{"name": "amount", "type": "long"}]}

    def write(value: Any) -> bytes:
        written = io.BytesIO()
        avro.schemaless_writer(written, schema, value)
        return written.getvalue()

    return Wire(write, lambda raw: avro.schemaless_reader(io.BytesIO(raw), schema)["amount"])


def as_protobuf() -> Wire:
    wrappers = pytest.importorskip("google.protobuf.wrappers_pb2", reason="protobuf is missing")

    def write(value: Any) -> bytes:
        made: bytes = wrappers.Int64Value(value=value["amount"]).SerializeToString()
        return made

    return Wire(write, lambda raw: wrappers.Int64Value.FromString(raw).value)


def as_pydantic() -> Wire:
    """Whose serializer gives text."""
    pydantic = pytest.importorskip("pydantic", reason="pydantic is missing")
    payment = pydantic.create_model("Payment", amount=int)
    return Wire(lambda value: payment(**value).model_dump_json(), lambda raw: payment.model_validate_json(raw).amount)


@pytest.mark.parametrize("made", [as_json, as_avro, as_protobuf, as_pydantic], ids=lambda made: made.__name__)
def test_a_handler_reads_the_bytes_that_its_producer_sends(made: Any) -> None:
    wire = made()

    def reading(once: bool) -> Any:
        def test(deliver: Any) -> Any:
            table = Table()

            def handle(message: Any) -> None:
                assert type(message.raw) is bytes
                if once:
                    table.add_once(message.id, message.key, wire.read(message.raw))
                else:
                    table.add(message.key, wire.read(message.raw))

            deliver(handle, serializer=wire.write)
            return table.rows

        return test

    assert check(reading(once=False), Kafka(), five, schedules=40).status == "violated"
    held = check(reading(once=True), Kafka(), five, schedules=40)
    assert held.status == "held", held.report()


def test_a_plain_consumer_and_a_batch_carry_them_too() -> None:
    seen = []

    def test(deliver: Any) -> int:
        with deliver.consumer(serializer=lambda value: str(value["amount"])) as consumer:
            seen.extend(message.raw for message in consumer)
        return 0

    def test_batch(deliver: Any) -> int:
        deliver(lambda batch: seen.extend(each.raw for each in batch), batch=True, serializer=lambda value: b"x")
        return 0

    run(test, RabbitMQ())
    run(test_batch, Kafka())
    assert set(seen) == {b"5", b"x"}


@pytest.mark.parametrize(("wrong", "shown"), [(5, "a function from the value"), (len, "bytes or text are needed")])
def test_what_serializes_nothing_is_refused(wrong: Any, shown: str) -> None:
    with pytest.raises(UsageError, match=shown):
        run(lambda deliver: deliver(lambda message: [message.raw], serializer=wrong), Kafka())
