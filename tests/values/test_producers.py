"""Streams of what a producer has: its classes and its schemas, and a key that lies in the value."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
import types
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict
from uuid import UUID, uuid4

import attrs
import fastavro
import jsonschema
import msgspec
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, RootModel, model_validator

from chaoskit import Event, Kafka, UsageError, check
from chaoskit.codec import decode, encode
from chaoskit.repro.read import read
from chaoskit.search.recombined import Recombined
from chaoskit.strategies import events
from chaoskit.strategies.streams import parts_of
from chaoskit.values.event import Stream

FEW = settings(max_examples=8, database=None, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))


class Small(BaseModel):
    order_id: str = Field(pattern="[a-c]")
    amount: int = Field(gt=0)


class Status(Enum):
    OPEN = "open"
    PAID = "paid"


class Line(BaseModel):
    sku: str = Field(min_length=1, max_length=3)
    count: int = Field(gt=0, le=9)


class Order(BaseModel):
    order_id: str
    total: Decimal = Field(gt=0, max_digits=6, decimal_places=2)
    at: datetime
    token: UUID = Field(default_factory=uuid4)
    status: Status = Status.OPEN
    lines: list[Line] = Field(min_length=1)
    code: str = Field(pattern=r"^o-[0-9]$", alias="theCode")
    low: int = Field(ge=0, le=9)
    high: int = Field(ge=0, le=9)

    @model_validator(mode="after")
    def in_order(self) -> Order:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


@dataclasses.dataclass(frozen=True)
class Payment:
    order_id: int
    amount: Annotated[int, Field(gt=0, lt=10)]
    refund: Payment | None = None


@attrs.frozen
class Parcel:
    order_id: UUID
    _grams: int = attrs.field(validator=attrs.validators.ge(0))


class Note(TypedDict):
    order_id: str
    kind: Literal["note"]
    text: NotRequired[str]


class Rated(NamedTuple):
    order_id: str
    stars: float


class Struct(msgspec.Struct):
    order_id: str
    amount: Annotated[int, msgspec.Meta(ge=1, le=5)]


SCHEMA: dict[str, Any] = {
    "type": "object",
    "$defs": {"money": {"type": "integer", "minimum": 1, "maximum": 99}},
    "properties": {
        "order_id": {"type": "string"},
        "total": {"$ref": "#/$defs/money"},
        "at": {"type": "string", "format": "date-time"},
        "how": {"oneOf": [{"const": "card"}, {"type": "object", "required": ["iban"], "properties": {"iban": {}}}]},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2, "uniqueItems": True},
        "rate": {"type": ["number", "null"], "exclusiveMinimum": 0},
    },
    "allOf": [{"required": ["order_id", "total"]}],
    "additionalProperties": False,
}
AVRO: dict[str, Any] = {
    "type": "record",
    "name": "Order",
    "namespace": "shop",
    "fields": [
        {"name": "order_id", "type": "string"},
        {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "before", "type": ["null", "Order"]},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["NEW", "OLD"]}},
        {"name": "again", "type": "Kind"},
        {"name": "rates", "type": {"type": "map", "values": "float"}},
        {"name": "token", "type": {"type": "string", "logicalType": "uuid"}},
    ],
}


def _order_message() -> Any:
    """As protoc would generate it, in a module of its own."""
    file = descriptor_pb2.FileDescriptorProto(name="shop.proto", package="shop", syntax="proto3")
    order = file.message_type.add(name="OrderMessage")
    order.field.add(name="order_id", number=1, type=9, label=1)
    order.field.add(name="amount", number=2, type=5, label=1)
    order.field.add(name="before", number=3, type=11, label=3, type_name=".shop.OrderMessage")
    order.oneof_decl.add(name="how")
    order.field.add(name="card", number=4, type=9, label=1, oneof_index=0)
    order.field.add(name="cash", number=5, type=8, label=1, oneof_index=0)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    kind: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.OrderMessage"))
    kind.__module__ = "shop_pb2"
    sys.modules["shop_pb2"] = types.ModuleType("shop_pb2")
    sys.modules["shop_pb2"].OrderMessage = kind  # type: ignore[attr-defined]
    return kind


OrderMessage = _order_message()

KINDS: dict[str, Any] = {
    "pydantic": Order, "dataclass": Payment, "attrs": Parcel, "TypedDict": Note, "NamedTuple": Rated,
    "msgspec": Struct, "union": Small | Note, "JSON schema": SCHEMA, "Avro": AVRO, "protobuf": OrderMessage,
    "small": Small,
}  # fmt: skip


def order_id(value: Any) -> str:
    return str(value["order_id"] if isinstance(value, dict) else value.order_id)


def drawn(strategy: Any) -> list[list[Event]]:
    found: list[list[Event]] = []

    @given(strategy)
    @FEW
    def collect(stream: list[Event]) -> None:
        found.append(stream)

    collect()
    return found


@pytest.mark.parametrize("name", KINDS)
def test_keys_and_values_agree_and_keys_repeat(name: str) -> None:
    """In the streams that are drawn, and in those that are put together of them."""
    strategy = events(KINDS[name], keys="order_id")
    recombined = Recombined.made_of(strategy)
    assert recombined is not None
    found: list[Stream] = []

    # While Hypothesis draws, as in a search.
    @given(strategy, st.integers(0, 2**64))
    @FEW
    def collect(stream: list[Event], salt: int) -> None:
        found.extend(each for each, _ in recombined.of(Stream.of(stream), salt))

    collect()
    assert len(found) > 2 * recombined.drawn
    assert all(event.key == order_id(event.value) for stream in found for event in stream)
    assert any(2 * len({event.key for event in stream}) < len(stream) for stream in found)


@pytest.mark.parametrize("name", KINDS)
def test_values_come_back_from_a_repro_file(name: str) -> None:
    """As text and back, with nothing registered."""
    for stream in drawn(events(KINDS[name], keys="order_id")):
        for event in stream:
            back = decode(json.loads(json.dumps(encode(event.value))))
            assert type(back) is type(event.value)
            assert back == event.value


def test_values_are_what_the_schemas_allow() -> None:
    """By the libraries that others check them with."""
    for stream in drawn(events(SCHEMA, keys="order_id")):
        for event in stream:
            jsonschema.validate(event.value, SCHEMA)
    parsed: Any = fastavro.parse_schema(AVRO)
    for stream in drawn(events(parsed, keys="order_id")):
        for event in stream:
            wire = io.BytesIO()
            fastavro.schemaless_writer(wire, parsed, event.value)
            wire.seek(0)
            back: Any = fastavro.schemaless_reader(wire, parsed, parsed)
            assert back | {"rates": {}, "before": None} == event.value | {"rates": {}, "before": None}


@pytest.mark.parametrize("name", ["small", "dataclass", "JSON schema", "protobuf"])
def test_a_failure_shrinks_and_its_values_keep_their_key(name: str, tmp_path: Path) -> None:
    """Last write wins: two events of one key are enough; and the file that is saved can be read."""

    def test(deliver: Any) -> dict[str, Any]:
        state: dict[str, Any] = {}

        def handle(message: Any) -> None:
            assert message.key == order_id(message.value)
            state[message.key] = message.value

        deliver(handle)
        return state

    verdict = check(test, events(KINDS[name], keys="order_id"), Kafka(), schedules=100, seed=1)
    assert verdict.scenario is not None
    first, second = verdict.scenario.events
    assert first.key == second.key == order_id(first.value) == order_id(second.value)
    reported = verdict.report()
    assert all(
        line.strip()
        for line in reported[reported.index("The delivery") : reported.index("What happened")].splitlines()[:-1]
    )
    again = read(Path(verdict.save(tmp_path))).stream()
    assert [event.value for event in again] == [first.value, second.value]


def test_a_strategy_keeps_the_keys_that_it_draws() -> None:
    """Nothing is put into a value that the user has made: its fields may depend on each other."""
    values = st.sampled_from([("a", 1), ("b", 2), ("c", 3)])
    found = drawn(events(values, keys=lambda value: value[0]))
    assert all(event.value in (("a", 1), ("b", 2), ("c", 3)) for stream in found for event in stream)
    assert all(event.key == event.value[0] for stream in found for event in stream)
    parts = parts_of(events(values, keys=lambda value: value[0]))
    assert parts is not None
    changed = parts.with_values(Stream.of([Event("a", ("a", 1)), Event("b", ("b", 2))]), [("c", 3), ("c", 3)])
    assert [(event.key, event.seq) for event in changed] == [("c", 1), ("c", 2)]


@dataclasses.dataclass
class Strange:
    order_id: str
    how: Callable[..., Any] = print


@dataclasses.dataclass
class Stranger:
    order_id: str
    how: types.CodeType


def test_a_field_of_which_nothing_is_known_keeps_its_default() -> None:
    """Without one it is named."""
    assert all(event.value.how is print for stream in drawn(events(Strange, keys="order_id")) for event in stream)
    with pytest.raises(UsageError, match=r"Stranger\.how: nothing is known of the values of code"):
        events(Stranger, keys="order_id")


class Tree(BaseModel):
    id: str
    below: list[Tree] = []
    beside: dict[str, int] = {}


class Either(RootModel[Small | Tree]):
    pass


ENDLESS = {
    "type": "record", "name": "A",
    "fields": [{"name": "id", "type": "string"}, {"name": "next", "type": "A"}],
}  # fmt: skip
NESTED = {
    "type": "record", "name": "A",
    "fields": [{"name": "id", "type": "string"}, {"name": "below", "type": {"type": "array", "items": "A"}}],
}  # fmt: skip


def test_a_class_within_itself_ends_and_a_model_of_another_is_made() -> None:
    """At the fourth level its lists and dicts are empty."""
    for values in (Tree, NESTED):
        assert any(event.key == "id-1" for stream in drawn(events(values, keys="id")) for event in stream)
    found = drawn(events(Either, keys=lambda value: getattr(value.root, "id", None) or value.root.order_id))
    assert {type(event.value.root) for stream in found for event in stream} == {Small, Tree}


@pytest.mark.parametrize(("field", "kind"), [("below", "list"), ("beside", "dict")])
def test_a_list_or_a_dict_is_no_key(field: str, kind: str) -> None:
    """Its text is nothing that a producer would send."""
    with pytest.raises(UsageError, match=f"a {kind} is no key"):
        check(lambda deliver: None, events(Tree, keys=field), Kafka(), schedules=1, seed=1)


@pytest.mark.parametrize(
    ("values", "keys", "says"),
    [
        (Payment, "id", "Payment has no field 'id' to take the key from"),
        (SCHEMA, "order..id", "the name of a field is needed"),
        ({"type": "object", "not": {}}, "id", "the keyword 'not' of a JSON schema is not read"),
        ({"$ref": "other.json"}, "id", "'other.json' in a JSON schema leads nowhere within it"),
        ({"type": "record", "name": "A", "fields": [{"name": "a", "type": "B"}]}, "a", "a type 'B', which is neither"),
        ("Payment", "id", "events(values='Payment'): a Hypothesis strategy is needed"),
        (Payment, 3, "events(keys=3): a Hypothesis strategy is needed"),
        (Small(order_id="a", amount=1), "order_id", "its class is needed, Small"),
        ({"minimum": 1, "not": {}}, "id", "the keyword 'not' of a JSON schema is not read"),
        ({"kind": "created"}, "kind", "this is no schema, as it has no keyword of one"),
        ({"type": "record", "name": "A"}, "a", "the Avro schema lacks 'fields' where it is needed"),
        (ENDLESS, "id", "it is made of itself without end"),
    ],
)
def test_what_gives_no_values_or_no_keys_is_an_error(values: Any, keys: Any, says: str) -> None:
    """When the strategy is made."""
    with pytest.raises(UsageError) as caught:
        events(values, keys=keys)
    assert says in str(caught.value)
