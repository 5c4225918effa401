"""States that hold objects whose `==` looks at little of them: what it does not look at is compared all the same, and
what rightly differs from run to run is not."""

from __future__ import annotations

import copy
import threading
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

import attrs
import msgspec
import numpy
import one_django  # noqa: F401 - models need the settings
import pandas
import peewee
import pydantic
import pytest
from django.db import connection, models
from hypothesis import strategies as st

import chaoskit
from chaoskit import Duplicate, Event, Kafka, Verdict
from chaoskit.strategies import events
from chaoskit.values.errors import StaleState
from chaoskit.values.state import differences, same, snapshot

DATABASE = peewee.SqliteDatabase(":memory:")


class Owner(models.Model):
    class Meta:
        app_label = "values"


class DjangoAccount(models.Model):
    name = models.CharField(max_length=20, primary_key=True)
    balance = models.IntegerField(default=0)
    closed = models.DateField(null=True)
    owner = models.ForeignKey(Owner, null=True, on_delete=models.CASCADE)

    class Meta:
        app_label = "values"


class PeeweeAccount(peewee.Model):  # type: ignore[misc]
    name = peewee.CharField(primary_key=True)
    balance = peewee.IntegerField(default=0)

    class Meta:
        database = DATABASE


class MongoAccount:
    """What mongoengine's documents have; the library itself would bring a driver along."""

    _db_field_map = {"name": "_id", "balance": "balance"}  # noqa: RUF012 - as it is there

    def __init__(self, name: str, balance: int) -> None:
        self._data, self._changed_fields = {"name": name, "balance": balance}, [name, str(balance)]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MongoAccount) and self._data["name"] == other._data["name"]

    __hash__ = None  # type: ignore[assignment]

    @property
    def balance(self) -> int:
        return int(self._data["balance"])

    @balance.setter
    def balance(self, balance: int) -> None:
        self._data["balance"] = balance


class TortoiseMeta:
    fields_db_projection = {"name": "name", "balance": "balance"}  # noqa: RUF012 - as it is there


class TortoiseAccount:
    """What Tortoise's models have; the library itself cannot be used without a driver."""

    _meta = TortoiseMeta()

    def __init__(self, name: str, balance: int) -> None:
        self._partial, self._saved_in_db = object(), bool(balance)
        self.name, self.balance = name, balance

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TortoiseAccount) and self.name == other.name

    __hash__ = None  # type: ignore[assignment]


class Entity:
    """Equal to another of the same name, as entities are."""

    def __init__(self, name: str, balance: int) -> None:
        self.name, self.balance = name, balance

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entity) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"<{self.name}>"


class Slotted(Entity):
    __slots__ = ("_held",)

    def __init__(self, name: str, balance: int) -> None:
        super().__init__(name, 0)
        self._held = balance


class Careless:
    """Its `==` raises for what is no account."""

    def __init__(self, name: str, balance: int) -> None:
        self.name, self._balance = name, balance

    def __eq__(self, other: Any) -> bool:
        return bool(self.name == other.name)

    __hash__ = None  # type: ignore[assignment]


@dataclass
class Data:
    name: str
    balance: int = field(compare=False)


@dataclass
class Late:
    name: str

    def __post_init__(self) -> None:
        self.balance = 0

    @classmethod
    def of(cls, name: str, balance: int) -> Late:
        made = cls(name)
        made.balance = balance
        return made


@attrs.define
class Attrs:
    name: str
    balance: int = attrs.field(eq=False)


class Model(pydantic.BaseModel):
    name: str
    account: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and self.name == other.name


class Holder(pydantic.BaseModel):
    account: Any


class Struct(msgspec.Struct):
    account: Any


class Pair(NamedTuple):
    name: str
    account: Any


Make = Callable[[str, int], Any]

ENTITIES: dict[str, tuple[Make, str]] = {
    "django": (lambda name, balance: DjangoAccount(name=name, balance=balance), "balance"),
    "peewee": (lambda name, balance: PeeweeAccount(name=name, balance=balance), "balance"),
    "mongoengine": (MongoAccount, "balance"),
    "tortoise": (TortoiseAccount, "balance"),
    "a class": (Entity, "balance"),
    "a class with slots": (Slotted, "_held"),
    "a class with a private field": (Careless, "_balance"),
    "a dataclass": (Data, "balance"),
    "a dataclass with more than its fields": (Late.of, "balance"),
    "attrs": (Attrs, "balance"),
    "pydantic": (lambda name, balance: Model(name=name, account=balance), "account"),
}
"""How to make one of this name and balance, and where it keeps the balance."""

IN: dict[str, tuple[Callable[[Any], Any], str]] = {
    "alone": (lambda entity: entity, "state"),
    "a list": (lambda entity: [1, entity], "state[1]"),
    "a dict": (lambda entity: {"alice": (entity,)}, "state['alice'][0]"),
    "a deque": (lambda entity: deque([entity]), "state[0]"),
    "a namedtuple": (lambda entity: Pair("x", entity), "state[1]"),
    "a namespace": (lambda entity: SimpleNamespace(account=entity), "state.account"),
    "pydantic": (lambda entity: Holder(account=entity), "state.account"),
    "msgspec": (lambda entity: Struct(entity), "state.account"),
    "an array": (lambda entity: numpy.array([entity, None], dtype=object), "state[0]"),
}
"""Where an entity may stand in a state, and the path there."""


@pytest.mark.parametrize("kind", ENTITIES)
def test_what_an_entity_holds_beside_its_key_is_compared(kind: str) -> None:
    """Its own `==` says that they are equal."""
    make, name = ENTITIES[kind]
    one, two = make("alice", 5), make("alice", 10)
    assert one == two
    assert not same(one, two)
    (found,) = differences(one, two)
    assert (found.path, found.expected, found.observed) == (f"state.{name}", 5, 10)
    assert same(make("alice", 5), make("alice", 5))
    assert same(one, copy.deepcopy(one))
    assert not same(one, make("bob", 5))
    assert not same(one, None)


@pytest.mark.parametrize("kind", ["django", "a class", "a dataclass"])
@pytest.mark.parametrize("place", IN)
def test_an_entity_is_compared_wherever_it_stands(kind: str, place: str) -> None:
    """`==` of what holds it asks its own."""
    (make, name), (put, path) = ENTITIES[kind], IN[place]
    (found,) = differences(put(make("alice", 5)), put(make("alice", 10)))
    assert (found.path, found.expected, found.observed) == (f"{path}.{name}", 5, 10)
    assert same(put(make("alice", 5)), put(make("alice", 5)))


def test_an_entity_in_a_set_or_as_a_key_is_compared() -> None:
    """It is found by its key, and then looked at."""
    one, two = Entity("alice", 5), Entity("alice", 10)
    for left, right in (({one}, {two}), ({one: 1}, {two: 1}), (frozenset({one}), {two})):
        (found,) = differences(left, right)
        assert (found.path, found.beside) == ("state{<alice>}.balance", "Entity")
        assert same(left, snapshot(left))


def test_the_columns_of_a_row_are_all_that_it_means() -> None:
    """Neither the key that it does not have yet, nor a deferred column, nor an object that was loaded beside it."""
    assert Owner() != Owner()
    assert same(Owner(), Owner())
    loaded, plain = DjangoAccount(name="a", owner=Owner(id=7)), DjangoAccount(name="a", owner_id=7)
    assert same(loaded, plain)
    assert [d.path for d in differences(plain, DjangoAccount(name="a", owner_id=8))] == ["state.owner_id"]
    deferred = DjangoAccount.from_db("default", ["name"], ["a"])
    assert "balance" in deferred.get_deferred_fields()
    assert [d.path for d in differences(deferred, plain)] == ["state.balance", "state.closed", "state.owner_id"]


def test_a_date_of_a_row_is_no_clock_that_may_differ() -> None:
    """It is a column like any other; only what an object holds beside its `==` may be one."""
    one, two = (DjangoAccount(name="a", closed=date(2025, 1, day)) for day in (1, 2))
    assert [d.path for d in differences(one, two)] == ["state.closed"]


def test_what_is_not_there_yet_is_a_difference_where_it_is_no_cache() -> None:
    """A public field is None on one side only; a private one may be filled when it is first used."""
    assert [d.path for d in differences(Entity("a", 1), Entity("a", None))] == ["state.balance"]  # type: ignore[arg-type]
    assert same(Careless("a", 1), Careless("a", None))  # type: ignore[arg-type]


def test_whether_a_class_looks_there_itself_is_told() -> None:
    """So that the report can say why two equal objects are not the same."""
    assert [d.beside for d in differences(Entity("a", 1), Entity("a", 2))] == ["Entity"]
    assert [d.beside for d in differences([Data("a", 1)], [Data("a", 2)])] == ["Data"]
    assert [d.beside for d in differences(Holder(account=1), Holder(account=2))] == [""]
    nested = Entity("a", {"x": [1]}), Entity("a", {"x": [2]})  # type: ignore[arg-type]
    assert [(d.path, d.beside) for d in differences(*nested)] == [("state.balance['x'][0]", "Entity")]


@pytest.mark.parametrize(("left", "right"), [(mock.ANY, 5), (5, mock.ANY), (mock.ANY, mock.ANY)])
def test_what_equals_everything_is_refused(left: Any, right: Any) -> None:
    """Nothing is shown by it."""
    with pytest.raises(StaleState, match=r"state\['x'\] is .*, which equals everything: return the value itself"):
        same({"x": left}, copy.deepcopy({"x": right}))


# What is rightly equal.


class Currency:
    """Compares by what its name means."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Currency) and self.name.lower() == other.name.lower()

    __hash__ = None  # type: ignore[assignment]


class Lazy:
    """Works out its total when it is asked for."""

    def __init__(self, items: list[int]) -> None:
        self.items = items
        self._total: int | None = None
        self.cache: dict[str, int] = {}

    @cached_property
    def largest(self) -> int:
        return max(self.items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lazy) and self.items == other.items

    __hash__ = None  # type: ignore[assignment]

    def used(self) -> Lazy:
        self._total = sum(self.items)
        self.cache["total"] = self._total
        assert self.largest
        return self


@dataclass
class Stamped:
    name: str
    made: datetime = field(compare=False)
    token: uuid.UUID = field(compare=False, default_factory=uuid.uuid4)
    lookups: dict[str, int] = field(compare=False, repr=False, default_factory=dict)
    hits: int = field(compare=False, init=False, default=0)
    _note: str = field(compare=False, default="")


@attrs.define
class Lowered:
    name: str = attrs.field(eq=str.lower)


@dataclass
class Numbers:
    values: Any


class Kind(Enum):
    CREDIT = 1


NOW = datetime(2025, 1, 1, tzinfo=UTC)
HASHED = Path("a/b")
hash(HASHED)


def stamped(hours: int, *, hits: int = 0) -> Stamped:
    made = Stamped("a", NOW + timedelta(hours=hours), lookups={"x": hours}, _note=str(hours))
    made.hits = hits
    return made


EQUAL: dict[str, tuple[Any, Any]] = {
    "a == that means more than it says": (Currency("EUR"), Currency("eur")),
    "attrs with an eq of its own": (Lowered("A"), Lowered("a")),
    "caches": (Lazy([1, 2]), Lazy([1, 2]).used()),
    "a clock, a random id, what is neither shown nor given": (stamped(1), stamped(2, hits=3)),
    "decimals": ([Decimal("1.0")], [Decimal("1.00")]),
    "moments": (NOW, NOW.astimezone(None)),
    "paths": ({"x": HASHED}, {"x": Path("a/b")}),
    "uuids": (uuid.UUID(int=1), uuid.UUID(int=1)),
    "enums": ([Kind.CREDIT], [copy.deepcopy(Kind.CREDIT)]),
    "arrays": (numpy.array([1.0, numpy.nan]), numpy.array([1.0, numpy.nan])),
    "arrays in a dataclass": (Numbers(numpy.array([1, 2])), Numbers(numpy.array([1, 2]))),
    "an array of nothing": ({"x": numpy.array([])}, {"x": numpy.array([])}),
    "numbers of numpy": ({"x": numpy.float32("nan")}, {"x": numpy.float32("nan")}),
    "tables": (pandas.DataFrame({"x": [1, None]}), pandas.DataFrame({"x": [1, None]})),
    "columns of tables": ({"x": pandas.Series([1, 2])}, {"x": pandas.Series([1, 2])}),
    "moments of pandas": (pandas.Timestamp(0), pandas.Timestamp(0)),
    "pydantic": (Holder(account=1), Holder.model_construct(account=1)),
    "pydantic with NaN": (Holder(account=float("nan")), Holder(account=float("nan"))),
    "msgspec with NaN": (Struct([float("nan")]), Struct([float("nan")])),
    "a namespace with NaN": (SimpleNamespace(x=float("nan")), SimpleNamespace(x=float("nan"))),
    "a namedtuple": (Pair("x", 1), Pair("x", 1)),
}


@pytest.mark.parametrize("case", EQUAL)
def test_what_a_class_rightly_calls_equal_is_the_same(case: str) -> None:
    """No false alarm: what `==` has looked at is its own matter, and what it leaves out may be a cache or a clock."""
    left, right = EQUAL[case]
    assert list(differences(left, right)) == []
    assert same(left, right)
    assert same(right, left)
    assert same([left], snapshot([left]))


DIFFERENT: dict[str, tuple[Any, Any, str]] = {
    "an array": (numpy.array([[1, 2]]), numpy.array([[1, 3]]), "state[0][1]"),
    "an array of another type": (numpy.array([1]), numpy.array([1.0]), "state"),
    "an array of another shape": (numpy.array([[1]]), numpy.array([1]), "state"),
    "an array in a dataclass": (Numbers(numpy.array([1, 2])), Numbers(numpy.array([1, 3])), "state.values[1]"),
    "a table": ({"x": pandas.DataFrame({"x": [1]})}, {"x": pandas.DataFrame({"x": [2]})}, "state['x']"),
    "a table with other columns": (pandas.DataFrame({"x": [1]}), pandas.DataFrame({"y": [1]}), "state"),
    "the index of a column": (pandas.Series([1], index=["a"]), pandas.Series([1], index=["b"]), "state"),
    "pydantic": (Holder(account=[1]), Holder(account=[2]), "state.account[0]"),
    "msgspec": (Struct([1]), Struct([2]), "state.account[0]"),
    "the calls of a mock": ([mock.call(1)], [mock.call(2)], "state[0][1][0]"),
    "a == that looks": (Currency("EUR"), Currency("USD"), "state.name"),
    "a == that looks, beside a cache": (Lazy([1]).used(), Lazy([2]), "state.items[0]"),
    "moments in a dataclass": (Numbers(NOW), Numbers(NOW + timedelta(1)), "state.values"),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_what_differs_is_found_where_it_differs(case: str) -> None:
    """Also where a `==` has no truth value."""
    left, right, path = DIFFERENT[case]
    assert [d.path for d in differences(left, right)] == [path]
    assert not same(left, right)
    assert not same(right, left)


class Private(pydantic.BaseModel):
    _balance: int = pydantic.PrivateAttr(default=0)


def test_what_pydantic_keeps_private_is_compared() -> None:
    """Its own `==` does so, too."""
    one, two = Private(), Private()
    two._balance = 1
    assert not same(one, two)
    assert same(two, snapshot(two))


class Itself:
    """Says that it never changes, and so is its own copy."""

    def __init__(self, name: str, balance: int) -> None:
        self.name, self.balance = name, balance

    def __copy__(self) -> Itself:
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Itself) and self.name == other.name

    __hash__ = None  # type: ignore[assignment]


def test_nothing_is_changed_by_looking() -> None:
    """Whether `==` looks at a field is tried on a copy, never on the state itself."""
    for make in (Itself, Entity, Slotted, Data, Late.of, Attrs):
        one, two = make("a", 1), make("a", 2)
        list(differences(one, two))
        assert [repr(getattr(x, "balance", None)) for x in (one, two)] in (["1", "2"], ["0", "0"])


def test_objects_that_point_to_each_other_are_compared() -> None:
    """An order whose lines know their order."""
    one, two = Entity("order", 1), Entity("order", 1)
    one.lines, two.lines = [SimpleNamespace(order=one, n=1)], [SimpleNamespace(order=two, n=2)]  # type: ignore[attr-defined]
    assert [d.path for d in differences(one, two)] == ["state.lines[0].n"]


# In a test.

PAYMENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]))


def test_a_table_of_django_that_counts_twice_is_found() -> None:
    """Rows as Django gives them, out of a real database: its `==` looks at the primary key only."""
    with connection.schema_editor() as editor:
        editor.create_model(Owner)
        editor.create_model(DjangoAccount)

    def over(*, deduplicates: bool) -> Verdict:
        def test(deliver: Any) -> Any:
            DjangoAccount.objects.all().delete()
            seen: set[Any] = set()

            def handle(message: Any) -> None:
                if deduplicates and message.id in seen:
                    return
                seen.add(message.id)
                account, _ = DjangoAccount.objects.get_or_create(name=message.key)
                account.balance += message.value
                account.save()

            deliver(handle)
            return list(DjangoAccount.objects.order_by("name"))

        return chaoskit.check(test, PAYMENTS, Kafka(), faults={Duplicate}, schedules=20, seed=1)

    found = over(deduplicates=False)
    assert found.status == "violated"
    assert (len(found.scenario.events), len(found.scenario.faults)) == (1, 1)
    (difference,) = found.violations[0].differences
    assert (difference.path, difference.expected, difference.observed) == ("state[0].balance", 1, 2)
    assert over(deduplicates=True).status == "held"


def wallet(make: Make, name: str, *, deduplicates: bool) -> Callable[[Any], Any]:
    def test(deliver: Any) -> Any:
        accounts: dict[str, Any] = {}
        seen: set[Any] = set()

        def handle(message: Any) -> None:
            if not deduplicates or message.id not in seen:
                seen.add(message.id)
                account = accounts.setdefault(message.key, make(message.key, 0))
                setattr(account, name, getattr(account, name) + message.value)

        deliver(handle)
        return accounts

    return test


@pytest.mark.parametrize("kind", ENTITIES)
def test_a_wallet_of_entities_that_counts_twice_is_found(kind: str) -> None:
    """The smallest failure is one event and its duplicate; a wallet that remembers ids is never flagged."""
    make, name = ENTITIES[kind]
    settings = {"faults": {Duplicate}, "schedules": 20, "seed": 1}
    found = chaoskit.check(wallet(make, name, deduplicates=False), PAYMENTS, Kafka(), **settings)
    assert found.status == "violated"
    assert (len(found.scenario.events), len(found.scenario.faults)) == (1, 1)
    assert chaoskit.check(wallet(make, name, deduplicates=True), PAYMENTS, Kafka(), **settings).status == "held"


def test_the_report_says_that_the_class_itself_does_not_look_there() -> None:
    """And how to leave out what may differ."""
    found = chaoskit.check(
        wallet(Data, "balance", deduplicates=False), PAYMENTS, faults={Duplicate}, schedules=20, seed=1
    )
    text = "where the == of Data does not look (what may differ: final_state(project=…) leaves it out)"
    assert text in found.report()
    assert "state['alice'].balance" in found.report()


def test_an_entity_that_outlives_its_run_is_stale() -> None:
    """One that was made outside of the test, and is equal to itself whatever it holds."""
    account = Data("alice", 0)

    def test(deliver: Any) -> Any:
        def handle(message: Any) -> None:
            account.balance += message.value

        deliver(handle)
        return account

    stream = [Event("alice", 1), Event("alice", 2)]
    with pytest.raises(StaleState, match=r"differ at state.balance: first 0, then .* \(the == of Data does not look"):
        chaoskit.check(test, stream, faults={Duplicate}, schedules=20, seed=1)


def test_a_test_of_objects_that_stamp_themselves_is_held() -> None:
    """A clock and a random id that `==` leaves out are no state, and no lock is."""

    def test(deliver: Any) -> Any:
        found: dict[str, Stamped] = {}
        lock, seen = threading.Lock(), set()

        def handle(message: Any) -> None:
            with lock:
                if message.id not in seen:
                    seen.add(message.id)
                    found[message.key] = Stamped(f"{message.key}{len(seen)}", datetime.now(UTC))

        deliver(handle)
        return found

    assert chaoskit.check(test, PAYMENTS, Kafka(), faults={Duplicate}, schedules=20, seed=1).status == "held"
