"""Values as JSON and back: whole, and without running any code."""

from __future__ import annotations

import enum
import json
import math
import re
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, NamedTuple
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chaoskit
from chaoskit import codec
from chaoskit.codec import decode, encode, lenient
from chaoskit.values.errors import CodecError
from chaoskit.values.state import same

RAN: list[str] = []
"""What a class's own code did while a value was decoded."""


class Kind(enum.Enum):
    CREDIT = "credit"
    PAIR = (1, "two")


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 10


class Rights(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class Point(NamedTuple):
    x: Any
    y: Any


Old = namedtuple("Old", ["left", "right"])


@dataclass
class Basket:
    items: list[Any]
    owner: Any = None
    note: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Slotted:
    amount: Any


@attrs.frozen
class Money:
    amount: Any
    currency: str = "EUR"


@attrs.define
class Private:
    _hidden: Any


@dataclass
class Loud:
    amount: int

    def __init__(self, amount: int) -> None:
        RAN.append("__init__")
        self.amount = amount

    def __post_init__(self) -> None:
        RAN.append("__post_init__")

    def __setattr__(self, name: str, value: Any) -> None:
        RAN.append("__setattr__")
        object.__setattr__(self, name, value)

    def __setstate__(self, state: Any) -> None:
        RAN.append("__setstate__")

    def __new__(cls, *args: Any) -> Loud:
        RAN.append("__new__")
        return object.__new__(cls)


class Descriptor:
    def __get__(self, instance: object, owner: type) -> type:
        RAN.append("__get__")
        return Money


class Holder:
    hidden = Descriptor()


class Spot(namedtuple("Spot", ["x", "y"])):
    """A named tuple with a method."""

    __slots__ = ()

    def far(self) -> bool:
        return bool(self.x or self.y)


class Item(msgspec.Struct, frozen=True):
    name: str
    price: Any = None


class Line(pydantic.BaseModel):
    item: Any
    count: int = 1


class Order(pydantic.BaseModel):
    """Its validators change what they are given, and refuse it the second time."""

    model_config = pydantic.ConfigDict(extra="allow", frozen=True)
    id: str = pydantic.Field(alias="orderId")
    lines: list[Line] = []
    made: datetime = pydantic.Field(default_factory=lambda: RAN.append("factory") or datetime(2025, 1, 1))  # type: ignore[func-returns-value]
    _seen: int = pydantic.PrivateAttr(default=0)

    @pydantic.field_validator("id")
    @classmethod
    def _prefixed(cls, id: str) -> str:
        RAN.append("validator")
        if id.startswith("o-"):
            raise ValueError("prefixed already")
        return f"o-{id}"

    def model_post_init(self, context: Any) -> None:
        RAN.append("model_post_init")
        super().model_post_init(context)


class Listed(pydantic.RootModel[list[int]]):
    pass


class Temperature:
    def __init__(self, degrees: float) -> None:
        self.degrees = degrees

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Temperature) and self.degrees == other.degrees

    def __hash__(self) -> int:
        return hash(self.degrees)


HASHABLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(10**30, 10**40),
    st.text(),
    st.binary(),
    st.decimals(allow_nan=False),
    st.datetimes(timezones=st.none() | st.just(UTC)),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.uuids(),
    st.sampled_from([*Kind, *Level, *Rights, Rights.READ | Rights.WRITE, Rights(0)]),
    st.builds(Point, st.integers(), st.text()),
)
ATOMS = HASHABLE | st.floats()
KEYS = HASHABLE | st.sampled_from(["$", "$tuple", "$object", "$dict", ""])


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(KEYS, inner, max_size=4),
        st.dictionaries(st.text(), inner, max_size=4),
        st.sets(HASHABLE, max_size=4),
        st.frozensets(HASHABLE, max_size=4),
        st.builds(Point, inner, inner),
        st.builds(Old, inner, inner),
        st.builds(Basket, st.lists(inner, max_size=3), inner),
        st.builds(Slotted, inner),
        st.builds(Money, inner),
        st.builds(Private, inner),
        st.builds(Spot, inner, inner),
        st.builds(Item, st.text(), inner),
        st.builds(Line, item=inner),
        st.builds(Listed, st.lists(st.integers())),
        st.dictionaries(st.text(), inner, max_size=3).map(lambda held: SimpleNamespace(**held)),
    )


VALUES = st.recursive(ATOMS, _containers, max_leaves=12)


def through_a_file(value: Any) -> Any:
    """What comes back after the value was written as JSON text and read."""
    return decode(json.loads(json.dumps(encode(value), ensure_ascii=False)))


def shape(value: Any) -> Any:
    """The types all the way down, which equality forgets: True == 1, (1,) of a namedtuple == (1,)."""
    kind = type(value)
    if isinstance(value, (list, tuple)):
        return kind, [shape(item) for item in value]
    if isinstance(value, dict):
        return kind, [(shape(key), shape(item)) for key, item in value.items()]
    if isinstance(value, (set, frozenset)):
        return kind, sorted(map(repr, map(shape, value)))
    fields = codec._field_names(kind) or getattr(kind, "__struct_fields__", ())
    if isinstance(value, (pydantic.BaseModel, SimpleNamespace)):
        fields = list(vars(value))
    return kind, [shape(getattr(value, name)) for name in fields]


@given(VALUES)
@settings(max_examples=200, deadline=None)
def test_every_listed_type_comes_back_as_it_was(value: Any) -> None:
    """Equal, with the same types all the way down, NaN and all."""
    again = through_a_file(value)
    assert same(value, again), (value, again)
    assert shape(value) == shape(again)


@given(st.floats())
def test_floats_are_exact(value: float) -> None:
    """Every float comes back as itself, with its sign."""
    again = through_a_file(value)
    assert (math.isnan(value) and math.isnan(again)) or (again == value)
    assert math.copysign(1, value) == math.copysign(1, again) or math.isnan(value)


@pytest.mark.parametrize(
    "value",
    [
        {"$tuple": [1]},
        {"$repr": "x"},
        {"$enum": "os:system", "value": 1},
        {1: "one", "1": "text"},
        {b"\x00": None},
        {(1, 2): {3}},
        [True, 1, 1.0],
        10**400,
        Decimal("NaN"),
        Decimal("1.10"),
        datetime(2025, 1, 1, 12, 30, 0, 1),
        date(1, 1, 1),
        timedelta.min,
        UUID(int=0),
        "\ud800",
        "\u2028\x00",
    ],
    ids=repr,
)
def test_odd_values_come_back_as_they_were(value: Any) -> None:
    """Dicts that look like our own tags, keys of other types, big numbers, lone surrogates."""
    again = decode(json.loads(json.dumps(encode(value))))
    assert repr(again) == repr(value)


@pytest.mark.parametrize(
    "value", [lambda: None, object(), Temperature(1.0), open, iter(()), Kind], ids=lambda value: type(value).__name__
)
def test_a_type_without_an_encoding_is_named_with_its_place(value: Any) -> None:
    """The error says where it is, what it is and how to teach it."""
    with pytest.raises(CodecError, match=r"value\['rows'\]\[1\] is .*has no encoding.*register\("):
        encode({"rows": [1, value]})


def test_a_local_class_has_no_encoding() -> None:
    """It could not be found again, so that it is refused when it is written."""

    @dataclass
    class Local:
        amount: int

    with pytest.raises(CodecError, match="Local, which has no encoding"):
        encode(Local(1))


def test_sets_are_written_in_one_order() -> None:
    """Whatever the order of their hashes in this process is."""
    letters = [*"qwertyuiopasdfghjkl"]
    assert encode(set(letters)) == {"$set": sorted(letters)}
    assert encode(frozenset({3, 1, 2})) == {"$frozenset": [1, 2, 3]}


def test_lenient_shows_what_cannot_be_encoded() -> None:
    """What is only shown keeps its text, beside values that are encoded."""
    shown = lenient({"sum": 1, "wallet": Temperature})
    assert shown == {"sum": 1, "wallet": {"$repr": repr(Temperature)}}
    assert repr(decode(shown)["wallet"]) == repr(Temperature)


# Nothing runs.


@pytest.fixture
def quiet() -> Iterator[list[str]]:
    RAN.clear()
    yield RAN
    RAN.clear()


def test_decoding_runs_no_code_of_the_class(quiet: list[str]) -> None:
    """Neither __new__ nor __init__, __post_init__, __setattr__ or __setstate__."""
    written = encode(Loud(3))
    quiet.clear()
    assert decode(written).amount == 3
    assert quiet == []


def test_a_model_of_pydantic_comes_back_as_it_was_handled(quiet: list[str]) -> None:
    """Neither validators nor default factories nor model_post_init are run: they would say something else of it now."""
    order = Order(orderId="7", lines=[Line(item="a")], colour="red")
    order._seen = 3
    quiet.clear()
    again = through_a_file(order)
    assert quiet == []
    assert (again, again.id, again._seen, again.colour) == (order, "o-7", 3, "red")
    assert again.model_dump() == order.model_dump()
    assert again.model_dump(exclude_unset=True) == order.model_dump(exclude_unset=True)
    assert type(again.lines[0]) is Line
    assert again.model_copy(update={"id": "x"}).id == "x"
    plain = through_a_file(Line(item=1))
    assert (plain.model_fields_set, encode(Line(item=1, count=1))) == ({"item"}, {
        "$object": f"{__name__}:Line", "fields": {"item": 1, "count": 1}
    })  # fmt: skip


def test_a_struct_of_msgspec_comes_back() -> None:
    """Frozen or not, with its type."""
    again = through_a_file([Item("a", Decimal("1.50"))])
    assert again == [Item("a", Decimal("1.50"))]
    assert type(again[0]) is Item


def made_in_a_function() -> Any:
    class Local(pydantic.BaseModel):
        amount: int

    return Local(amount=1)


def test_a_model_that_is_not_found_by_its_name_is_refused_when_it_is_written() -> None:
    """One of a function, and one whose name says another class."""
    renamed = pydantic.create_model("Line", __module__=__name__, amount=(int, ...))
    for value in (made_in_a_function(), renamed(amount=1)):
        with pytest.raises(CodecError, match="has no encoding"):
            encode(value)


def test_decoding_runs_no_descriptor(quiet: list[str]) -> None:
    """A name that leads through a descriptor is no class."""
    with pytest.raises(CodecError):
        decode({"$object": f"{__name__}:Holder.hidden", "fields": {"amount": 1, "currency": "EUR"}})
    assert quiet == []


def test_decoding_imports_nothing() -> None:
    """A class of a module that is not imported is an error that says so, and the module stays away."""
    assert "this" not in sys.modules
    with pytest.raises(CodecError, match="the value needs Zen of this, which the test's module has not imported"):
        decode({"$object": "this:Zen", "fields": {}})
    assert "this" not in sys.modules


@pytest.mark.parametrize(
    "evil",
    [
        {"$object": "os:system", "fields": {}},
        {"$object": "subprocess:Popen", "fields": {"args": "true"}},
        {"$object": "builtins:eval", "items": ["1"]},
        {"$object": "builtins:object", "fields": {}},
        {"$object": f"{__name__}:RAN", "fields": {}},
        {"$object": f"{__name__}:Money", "fields": {"amount": 1, "currency": "EUR", "__class__": 1}},
        {"$object": f"{__name__}:Money", "fields": {"amount": 1}},
        {"$object": f"{__name__}:Money"},
        {"$object": 17},
        {"$object": f"{__name__}.Money"},
        {"$object": f"{__name__}:Line", "fields": {"item": 1}},
        {"$object": f"{__name__}:Line", "fields": {"item": 1, "count": 1, "more": 1}},
        {"$object": f"{__name__}:Line", "fields": {"item": 1, "count": 1}, "private": {"_seen": 1}},
        {"$object": f"{__name__}:Line", "fields": {"item": 1, "count": 1}, "unset": {"price": True}},
        {"$object": f"{__name__}:Line", "fields": {"item": 1, "count": 1}, "__class__": {}},
        {"$object": f"{__name__}:Line", "fields": [1, 1]},
        {"$object": f"{__name__}:Line", "items": [1, 1]},
        {"$object": f"{__name__}:Line"},
        {"$object": f"{__name__}:Item", "fields": {"name": "a"}},
        {"$object": f"{__name__}:Item", "fields": {"$dict": [[1, 2]]}},
        {"$object": "pydantic.main:BaseModel", "fields": {}},
        {"$object": "msgspec:Struct", "fields": {}},
        {"$namespace": [1]},
        {"$namespace": {"$dict": [[1, 2]]}},
        {"$enum": f"{__name__}:Level", "value": True},
        {"$enum": f"{__name__}:Level", "value": 1.0},
        {"$object": f"{__name__}:Point", "items": [1, 2, 3]},
        {"$object": f"{__name__}:Point", "items": [1]},
        {"$object": f"{__name__}:Spot", "items": [1, 2, 3]},
        {"$enum": f"{__name__}:Kind", "value": "debit"},
        {"$enum": f"{__name__}:Money", "value": 1},
        {"$enum": f"{__name__}:Kind"},
        {"$unknown": 1},
        {"$decimal": "many"},
        {"$decimal": {"$tuple": []}},
        {"$bytes": "not base64!"},
        {"$bytes": 3},
        {"$datetime": "yesterday"},
        {"$timedelta": ["1"]},
        {"$uuid": "1"},
        {"$float": "1.0"},
        {"$float": []},
        {"$set": [[1]]},
        {"$set": 1},
        {"$tuple": None},
        {"$dict": [[1]]},
        {"$dict": [[[1], 2]]},
    ],
    ids=json.dumps,
)
def test_what_cannot_be_read_is_a_codec_error(evil: Any) -> None:
    """Wrong tags, texts, fields and names: one kind of error, whatever is in the file."""
    with pytest.raises(CodecError):
        decode([evil])


# register.


class Message:
    """What a message of protobuf has."""

    __slots__ = ("text",)

    def __init__(self, text: str = "") -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def SerializeToString(self) -> bytes:
        return self.text.encode()

    @classmethod
    def FromString(cls, data: bytes) -> Message:
        return cls(data.decode())


class Date(Temperature):
    """Its tag would be taken."""


@pytest.fixture
def scalars() -> Iterator[None]:
    before = list(codec._SCALARS)
    yield
    codec._SCALARS[:] = before


@pytest.mark.usefixtures("scalars")
def test_a_registered_type_comes_back() -> None:
    """Its own encode and decode are used, wherever it stands."""
    codec.register(Temperature, "temperature", lambda t: t.degrees, Temperature)
    assert encode(Temperature(1.5)) == {"$temperature": 1.5}
    assert through_a_file({"now": [Temperature(1.5)]}) == {"now": [Temperature(1.5)]}


@pytest.mark.usefixtures("scalars")
@pytest.mark.parametrize(
    ("value", "line"),
    [
        (Message("a"), 'chaoskit.codec.register(Message, "message", Message.SerializeToString, Message.FromString)'),
        (
            Temperature(1.5),
            'chaoskit.codec.register(Temperature, "temperature", vars, lambda held: Temperature(**held))',
        ),
        (Date(1.5), 'chaoskit.codec.register(Date, "my_date", vars, lambda held: Date(**held))'),
    ],
    ids=["protobuf", "an object", "a tag that is taken"],
)
def test_the_line_that_the_error_shows_works_as_it_stands(value: Any, line: str) -> None:
    """With `import chaoskit` alone, in the module that has the class."""
    with pytest.raises(CodecError, match=f"{re.escape(line)}$"):
        encode({"x": value})
    exec(line, {"chaoskit": chaoskit, type(value).__name__: type(value)})
    assert through_a_file({"x": value}) == {"x": value}


def test_the_codec_is_there_after_import_chaoskit_alone() -> None:
    """And so are the other modules that the documents name."""
    lines = "import chaoskit; chaoskit.codec.register; chaoskit.invariants.no_error; chaoskit.strategies.events"
    subprocess.run([sys.executable, "-I", "-c", lines], check=True, timeout=60)
    assert "codec" in dir(chaoskit)


@pytest.mark.usefixtures("scalars")
def test_registering_again_replaces_and_a_taken_tag_is_refused() -> None:
    """A reloaded conftest.py is fine; two types under one tag are not."""
    codec.register(Temperature, "temperature", lambda t: t.degrees, Temperature)
    codec.register(Temperature, "temperature", lambda t: t.degrees * 2, lambda d: Temperature(d / 2))
    assert through_a_file(Temperature(1.5)) == Temperature(1.5)
    for tag in ("decimal", "tuple", "object", "repr"):
        with pytest.raises(CodecError, match="the tag is taken"):
            codec.register(Temperature, tag, str, str)
