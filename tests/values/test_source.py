"""Values as Python source: what is written gives the value back, in lines that a formatter leaves alone."""

from __future__ import annotations

import enum
import math
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.codec import encode
from chaoskit.generate.project import class_finder
from chaoskit.generate.source import Names, laid_out, quoted
from chaoskit.generate.values import Values
from chaoskit.values.errors import CodecError


class Kind(enum.Enum):
    CREDIT = "credit"
    PAIR = (1, 2)


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


@attrs.frozen
class Money:
    _amount: int
    currency: str = attrs.field(default="EUR", alias="in_currency")


@attrs.frozen
class Stamped:
    name: str
    size: int = attrs.field(init=False, default=0)


@dataclass(frozen=True)
class Order:
    id: str
    lines: list[Any] = field(default_factory=list)
    _note: str = ""


class Point(NamedTuple):
    x: int
    y: int


class Outer:
    @attrs.frozen
    class Inner:
        value: Any


TESTS = Path(__file__).parent.parent
HERE = class_finder(Path(__file__), {__name__: __name__}, [TESTS, TESTS.parent])

EXAMPLES: list[Any] = [
    None, True, -7, 10**30, 0.1, -0.0, 1e300, math.inf, -math.inf, "", "it's",
    'say "so"', "both ' and \"", "\n\\\t\x00",
    "\u202eabc", "ключ", "\ud800", b"", b"it's \xff", [], [[]], {}, {"a": {"b": []}}, {"$tuple": 1},
    {(1, 2): "x", 3: None},
    (), (1,), (1, (2,)), set(), {1, 2}, frozenset(), frozenset({"a"}), {"class": 1, "not a name": 2},
    Decimal("9.90"), Decimal("NaN"), UUID(int=5), date(2024, 2, 29), time(1, 2, 3), timedelta(days=-1, seconds=3),
    timedelta(0), datetime(2024, 1, 2, 3, 4, 5, 678), datetime(2024, 1, 2, tzinfo=UTC),
    datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=5, minutes=30))), Kind.CREDIT, Kind.PAIR,
    Rights.READ | Rights.WRITE,
    Money(3, "USD"), Stamped("a"), Order("o1", [Money(1)], "n"), Point(1, 2), Outer.Inner({"deep": [Point(3, 4)]}),
    ["a long text that goes on and on"] * 5, {"key": [Order("x" * 30, [Money(1), Money(2)])] * 2},
]  # fmt: skip


def written(value: Any, find: Any = HERE) -> tuple[str, str]:
    """The imports of the value, and the value."""
    names = Names()
    source = laid_out(Values(names, find).source(encode(value)), before="value = ")
    return names.imports(), source


def made(value: Any, find: Any = HERE) -> Any:
    space: dict[str, Any] = {}
    exec("\n".join(written(value, find)), space)
    return space["value"]


@pytest.mark.parametrize("value", EXAMPLES, ids=lambda value: ascii(value)[:40])
def test_what_is_written_is_the_value(value: Any) -> None:
    """Of the same type all the way down, as its own encoding says."""
    assert encode(made(value)) == encode(value)


@pytest.mark.parametrize("value", EXAMPLES, ids=lambda value: ascii(value)[:40])
def test_without_the_source_of_its_class_too(value: Any) -> None:
    """An object whose class is not found is decoded, as a replay does it."""
    assert encode(made(value, nowhere)) == encode(value)


def nowhere(module: str, qualname: str) -> None:
    """No source is to be found."""


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.decimals()
)
KEYS = st.text() | st.integers() | st.booleans()
PLAIN = st.recursive(
    LEAVES | st.datetimes() | st.timedeltas() | st.uuids() | st.frozensets(st.integers()),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(PLAIN)
def test_any_plain_value_comes_back(value: Any) -> None:
    """However deep and wide."""
    assert encode(made(value)) == encode(value)


def test_nan_is_written_as_nan() -> None:
    assert math.isnan(made(math.nan))


@pytest.mark.parametrize("value", [text for text in EXAMPLES if isinstance(text, (str, bytes))], ids=ascii)
def test_a_text_stands_in_double_quotes_where_that_costs_no_escapes(value: str | bytes) -> None:
    literal = quoted(value)
    assert eval(literal) == value
    raw = value if isinstance(value, str) else value.decode("latin-1")
    if '"' not in raw:
        assert literal.endswith('"')


def test_the_lines_are_those_of_a_formatter(tmp_path: Path) -> None:
    """ruff changes nothing in any of the examples, imports included."""
    ruff = shutil.which("ruff", path=Path(sys.executable).parent)
    assert ruff is not None
    for number, value in enumerate(EXAMPLES):
        imports, source = written(value)
        text = f"{imports}\n\n{source}\n" if imports else f"{source}\n"
        (tmp_path / f"example_{number}.py").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [ruff, "format", "--isolated", "--no-cache", "--diff", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("encoded", "says"),
    [
        ({"$object": "os;evil:Money", "fields": {}}, "does not name a class"),
        ({"$object": "os:system('x')", "fields": {}}, "does not name a class"),
        ({"$enum": "class:Kind", "value": 1}, "does not name a class"),
        ({"$float": "1); evil("}, "cannot be read from"),
        ({"$timedelta": ["evil()", 0, 0]}, "cannot be read from"),
        ({"$datetime": "yesterday"}, "cannot be read from"),
        ({"$bytes": "***"}, "cannot be read from"),
        ({"$repr": "<object>"}, "only the text of a value was kept"),
    ],
)
def test_what_is_no_value_gets_into_no_source(encoded: Any, says: str) -> None:
    """A name in a file never becomes code."""
    with pytest.raises(CodecError, match=re.escape(says)):
        Values(Names(), HERE).source(encoded)


def test_a_field_that_is_no_name_is_decoded_instead() -> None:
    encoded = {"$object": "shop:Money", "fields": {"amount=evil()": 1}}
    source = laid_out(Values(Names(), nowhere).source(encoded))
    assert source.startswith("decode({")
    assert '"amount=evil()": 1' in source


def test_two_classes_of_one_name_are_told_apart() -> None:
    """The second is reached through its module; so is one with the name of something else in the file."""
    names = Names(["run"])
    assert [names.name("shop", "Event"), names.name("chaoskit", "Event")] == ["Event", "chaoskit.Event"]
    assert names.name("chaoskit", "run") == "chaoskit.run"
    assert names.imports() == "import chaoskit\n\nfrom shop import Event"
