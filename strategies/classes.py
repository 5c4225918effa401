"""Drawn of the types that a producer has: models of pydantic, dataclasses, attrs classes, structs of msgspec, named
tuples, TypedDicts, and all that these are made of.

Every field is drawn, those with defaults, too: `default_factory=uuid4` would give another value in each run.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import types
import typing
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Union
from uuid import UUID

import attrs
import hypothesis
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument, ResolutionFailed
from hypothesis.strategies import SearchStrategy

from chaoskit.strategies.limits import Limits, limits_of
from chaoskit.strategies.models import fields_of_model, is_model, made
from chaoskit.values.errors import UsageError

Drawn = SearchStrategy[Any]

MOST_ITEMS = 3
"""Items of a list that has no limit of its own: no handler needs more to go wrong."""
MOST_DEEP = 4
"""Levels of a class within itself."""

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(fold=0)
)
"""Of these years, and in UTC, as a producer writes them."""

LETTERS = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))
"""No control characters: no database takes a zero byte, and no bug is found by one here."""


@attrs.frozen
class _Field:
    """One of a class: its type with what limits it. `optional`: the class does without it."""

    name: str
    kind: Any
    metadata: tuple[Any, ...]
    optional: bool


def of_type(kind: Any, name: str = "", metadata: Iterable[Any] = (), depth: int = 0) -> Drawn:
    """Drawn of a type. `name` is that of the field: a text that is an id is a readable one. Raises UsageError for a
    type of which nothing can be made."""
    limits = limits_of(metadata)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return of_type(arguments[0], name, (*kind.__metadata__, *metadata), depth)
    if isinstance(kind, typing.NewType):
        return of_type(kind.__supertype__, name, metadata, depth)
    if hasattr(kind, "__value__"):  # type X = …
        return of_type(kind.__value__, name, metadata, depth)
    if origin in (Union, types.UnionType):
        # Nothing is simplest where it is allowed, as a field that is left out is.
        parts = sorted(arguments, key=lambda each: each is not types.NoneType)
        return st.one_of([of_type(each, name, metadata, depth) for each in parts])
    if origin in (typing.Required, typing.NotRequired):
        return of_type(arguments[0], name, metadata, depth)
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if (items := _container(origin or kind, arguments, limits, depth)) is not None:
        return items
    if (fields := fields_of(kind)) is not None:
        return _instances(kind, fields, depth)
    return _plain(kind, name, limits)


def fields_of(kind: Any) -> list[_Field] | None:
    """The fields of a class that is data; None for any other type."""
    if is_model(kind):
        return [_Field(name, held, tuple(limits), optional) for name, held, limits, optional in fields_of_model(kind)]
    if not isinstance(kind, type):
        return None
    given = _fields_given(kind)
    if given is None:
        return None
    hints = _hints(kind)
    return [_Field(name, hints.get(name, Any), (), optional) for name, optional in given.items()]


def _fields_given(kind: Any) -> dict[str, bool] | None:
    """The names of what it is made of, and whether it does without."""
    if dataclasses.is_dataclass(kind):
        return {each.name: _has_default(each) for each in dataclasses.fields(kind) if each.init}
    if attrs.has(kind):
        return {each.name: each.default is not attrs.NOTHING for each in attrs.fields(kind) if each.init}
    if typing.is_typeddict(kind):
        return {name: name not in kind.__required_keys__ for name in _hints(kind)}
    if hasattr(kind, "__struct_fields__"):
        return dict.fromkeys(kind.__struct_fields__, False)
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return {name: name in kind._field_defaults for name in kind._fields}
    return None


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _hints(kind: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(kind, include_extras=True)
    except NameError as error:
        raise UsageError(f"the types of {kind.__qualname__} cannot be read: {error}") from error


def _instances(kind: Any, fields: list[_Field], depth: int) -> Drawn:
    if depth >= MOST_DEEP:
        return st.nothing()
    optional = {each.name for each in fields if each.optional and typing.is_typeddict(kind)}

    def parts() -> Drawn:
        drawn = dict(_drawn_fields(kind, fields, depth))
        needed = {name: each for name, each in drawn.items() if name not in optional}
        return dicts(needed, {name: drawn[name] for name in drawn if name in optional}, drawn)

    # Later: a class may have itself in it.
    drawn = st.deferred(parts)
    return drawn if typing.is_typeddict(kind) else drawn.map(_builder(kind))


def dicts(needed: dict[str, Drawn], optional: dict[str, Drawn], order: Iterable[str] = ()) -> Drawn:
    """Dicts in this order and then in the order of these, as a producer writes them: Hypothesis draws any."""
    names = [*dict.fromkeys([*order, *needed, *optional])]
    return st.fixed_dictionaries(needed, optional=optional).map(
        lambda drawn: {name: drawn[name] for name in names if name in drawn}
    )


def _drawn_fields(kind: Any, fields: list[_Field], depth: int) -> Iterator[tuple[str, Drawn]]:
    for each in fields:
        try:
            drawn = of_type(each.kind, each.name, each.metadata, depth + 1)
            if drawn.is_empty:
                raise UsageError(f"{kind.__qualname__} is made of itself without end")
        except UsageError as error:
            # Its default will do.
            if each.optional:
                continue
            raise UsageError(f"{kind.__qualname__}.{each.name}: {error}") from error
        yield each.name, drawn


def _builder(kind: Any) -> Callable[[Mapping[str, Any]], Any]:
    """How one is made of its fields. What a validator of its own refuses is none of its values."""
    names = {each.name: each.alias or each.name for each in attrs.fields(kind)} if attrs.has(kind) else {}

    def build(fields: Mapping[str, Any]) -> Any:
        try:
            if is_model(kind):
                return made(kind, fields)
            return kind(**{names.get(name, name): value for name, value in fields.items()})
        except (ValueError, AssertionError):
            hypothesis.reject()

    return build


def _container(origin: Any, arguments: tuple[Any, ...], limits: Limits, depth: int) -> Drawn | None:
    """Of the collections; None for anything else."""
    if origin not in (tuple, *_MAPPINGS, *_LISTS, *_SETS, frozenset):
        return None
    sizes: dict[str, Any] = {"min_size": limits.min_length or 0}
    sizes["max_size"] = sizes["min_size"] + MOST_ITEMS if limits.max_length is None else limits.max_length
    of_mapping = origin in _MAPPINGS
    given = [each for each in arguments or ((str, Any) if of_mapping else (Any,)) if each is not ...]
    parts = [of_type(each, depth=depth) for each in given]
    if any(part.is_empty for part in parts) and not sizes["min_size"]:
        sizes["max_size"] = 0  # a class within itself ends here
    if origin is tuple and len(arguments) == 2 and arguments[1] is ...:
        return st.lists(*parts, **sizes).map(tuple)
    if origin is tuple:
        return st.tuples(*(parts if arguments else ()))
    if of_mapping:
        return st.dictionaries(*parts, **sizes)
    if origin in _LISTS:
        return st.lists(*parts, **sizes)
    return st.sets(*parts, **sizes) if origin in _SETS else st.frozensets(*parts, **sizes)


_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_LISTS = (list, collections.abc.Sequence, collections.abc.MutableSequence, collections.abc.Iterable)
_SETS = (set, collections.abc.Set, collections.abc.MutableSet)


def _plain(kind: Any, name: str, limits: Limits) -> Drawn:
    if kind is Any or kind is object:
        return st.none() | st.booleans() | st.integers(-100, 100) | st.text(LETTERS, max_size=MOST_ITEMS)
    if kind is str:
        return texts(name, limits)
    if kind is bool:
        return st.booleans()
    if kind in _NUMBERS:
        return _NUMBERS[kind](limits)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    if kind in _OTHERS:
        return _OTHERS[kind]
    try:
        if typing.get_origin(kind) is collections.abc.Callable:
            raise ResolutionFailed("no function comes in a message")
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of what Hypothesis only guesses
            drawn = st.from_type(kind)
            drawn.validate()
    except (ResolutionFailed, InvalidArgument, TypeError, Warning) as error:
        raise UsageError(
            f"nothing is known of the values of {getattr(kind, '__qualname__', kind)}: give a strategy, such as "
            "st.builds(…), or register one with st.register_type_strategy"
        ) from error
    return drawn


def texts(name: str, limits: Limits) -> Drawn:
    """Any, within its limits; of an id a few that are easy to read, where it has none."""
    if limits.pattern is not None:
        sized = st.from_regex(limits.pattern, fullmatch=True)
        return sized.filter(lambda text: limits.has_length(len(text)))
    if limits.is_free and (name == "id" or name.endswith(("_id", "Id", "_key"))):
        stem = name.removesuffix("_id").removesuffix("Id").removesuffix("_key")
        return st.sampled_from([f"{stem}-{number}" for number in range(1, 10)])
    least = limits.min_length or 0
    return st.text(LETTERS, min_size=least, max_size=least + 20 if limits.max_length is None else limits.max_length)


def _uuid(number: int) -> UUID:
    return UUID(int=number, version=4)


_NUMBERS: dict[Any, Callable[[Limits], Drawn]] = {int: Limits.integers, float: Limits.floats, Decimal: Limits.decimals}
_OTHERS: dict[Any, Drawn] = {
    types.NoneType: st.none(),
    None: st.none(),
    bytes: st.binary(max_size=20),
    datetime: MOMENTS,
    date: st.dates(date(2020, 1, 1), date(2030, 1, 1)),
    timedelta: st.timedeltas(timedelta(0), timedelta(days=30)),
    # Not `st.uuids()`, of which a stream has none twice, so that no two streams could be put together.
    UUID: st.integers(0, 2**128 - 1).map(_uuid),
}
