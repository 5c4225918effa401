"""Final states: copied when the test returns, compared by what they mean, with the path of each difference."""

from __future__ import annotations

import copy
import marshal
import math
from collections import UserList, deque
from collections.abc import Iterator, Mapping, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import UUID

import attrs

from chaoskit.values.errors import StaleState
from chaoskit.values.fields import ABSENT as ABSENT
from chaoskit.values.fields import (
    compares_by_fields,
    equals_everything,
    has_own_eq,
    held_by,
    is_aside,
    is_entity,
    looks_at,
    slots_of,
)

_ATOMS = frozenset({int, str, bytes, float, bool, type(None), complex})
_PLAIN = _ATOMS | {Decimal, datetime, date, time, timedelta, UUID}
"""Types whose `==` says all there is to say, but for NaN."""

_SEQUENCES = (list, tuple, deque, UserList)

_Pairs = frozenset[tuple[int, int]]
"""The pairs of objects that are being compared: one that is met again below itself adds nothing."""


@attrs.frozen
class Difference:
    """One place where two states differ: a path such as `state['alice'][0]`, and both values there. `beside`: the class
    whose `==` does not look there, where there is one."""

    path: str
    expected: Any
    observed: Any
    beside: str = ""


def snapshot(state: Any) -> Any:
    """A copy that later changes of `state` do not reach.

    Raises StaleState where a part cannot be copied (a connection, a lock, a generator).
    """
    kind = type(state)
    if kind in _ATOMS:
        return state
    if kind is dict and all(type(value) in _ATOMS for value in state.values()):
        return dict(state)
    try:
        return copy.deepcopy(state)
    except Exception as error:
        raise StaleState(
            f"the returned state ({kind.__name__}) cannot be copied: {error}. "
            "Return plain data, such as rows, a dict or a list"
        ) from error


def same(expected: Any, observed: Any) -> bool:
    """Equal as states: dicts and sets unordered, NaN equals itself, floats exact, objects field by field."""
    if _is_plain(expected) and _is_plain(observed):
        try:
            if (expected == observed) is True:  # that of arrays gives one for each item
                return True
        except (RecursionError, ArithmeticError, ValueError):  # a list in itself, a signaling NaN, an array: walk
            pass
    return next(differences(expected, observed), None) is None


def _is_plain(state: Any) -> bool:
    """Whether `==` can be believed: there is nothing but plain data."""
    try:
        marshal.dumps(state, 2)  # takes just the types of Python's literals, and looks at all of them in C
    except ValueError:
        return type(state) in _PLAIN or _is_plain_all_the_way(state)
    return True


def _is_plain_all_the_way(state: Any) -> bool:
    waiting, seen = [state], set()
    while waiting:
        each = waiting.pop()
        kind = type(each)
        if kind is dict:
            parts = [*each, *each.values()]
        elif kind in (list, tuple, set, frozenset):
            parts = each
        else:
            return False
        if id(each) not in seen:
            seen.add(id(each))
            waiting += [part for part in parts if type(part) not in _PLAIN]
    return True


def _are_plain(items: Any) -> bool:
    return _PLAIN.issuperset(map(type, items))


def differences(expected: Any, observed: Any, path: str = "state") -> Iterator[Difference]:
    """Every place where two states differ, in a fixed order. Raises StaleState for what cannot be compared."""
    yield from _walk(expected, observed, path, frozenset())


def parted(expected: Any, observed: Any, most: int | None = None) -> tuple[Difference, ...]:
    """The places where two states differ, of many the first ones; none where parts of them cannot be compared, of which
    nothing is said."""
    try:
        return tuple(islice(differences(expected, observed), most))
    except StaleState:
        return ()


def _walk(expected: Any, observed: Any, path: str, above: _Pairs) -> Iterator[Difference]:
    # A state may contain itself: what is compared further up is not compared again below.
    if expected is observed or (id(expected), id(observed)) in above:
        return
    if type(expected) in _PLAIN and type(observed) in _PLAIN:
        if not _equal(expected, observed) and not (_is_nan(expected) and _is_nan(observed)):
            yield Difference(path, expected, observed)
        return
    above |= {(id(expected), id(observed))}
    if isinstance(expected, Mapping) and isinstance(observed, Mapping):
        yield from _mapping_differences(expected, observed, path, above)
    elif isinstance(expected, Set) and isinstance(observed, Set):
        yield from _set_differences(expected, observed, path, above)
    elif _both(expected, observed, _SEQUENCES) and len(expected) == len(observed):
        for index, (left, right) in enumerate(zip(expected, observed, strict=True)):
            yield from _walk(left, right, f"{path}[{index}]", above)
    # A NaN of Decimal or numpy is no plain value, and equals nothing, itself included.
    elif _is_nan(expected) and _is_nan(observed):
        return
    elif _is_array(expected) and type(expected) is type(observed):
        yield from _array_differences(expected, observed, path, above)
    else:
        yield from _object_differences(expected, observed, path, above)


def _mapping_differences(expected: Any, observed: Any, path: str, above: _Pairs) -> Iterator[Difference]:
    for key, value in expected.items():
        if key not in observed:
            yield Difference(f"{path}[{key!r}]", value, ABSENT)
        else:
            yield from _walk(value, observed[key], f"{path}[{key!r}]", above)
    for key, value in observed.items():
        if key not in expected:
            yield Difference(f"{path}[{key!r}]", ABSENT, value)
    yield from _members(expected, observed, path, above)


def _set_differences(expected: Any, observed: Any, path: str, above: _Pairs) -> Iterator[Difference]:
    missing, extra = expected - observed, observed - expected
    nan = {x for x in missing | extra if _is_nan(x)}
    if len([x for x in missing if _is_nan(x)]) == len([x for x in extra if _is_nan(x)]):
        missing, extra = missing - nan, extra - nan
    if missing or extra:
        yield Difference(path, expected, observed)
    yield from _members(expected, observed, path, above)


def _members(expected: Any, observed: Any, path: str, above: _Pairs) -> Iterator[Difference]:
    """Members of sets and keys of mappings are found by `==`, which may look at little of them."""
    if _are_plain(expected):
        return
    partners = {member: member for member in observed}
    for member in expected:
        if member in partners:
            yield from _walk(member, partners[member], f"{path}{{{member!r}}}", above)


def _is_array(value: Any) -> bool:
    kind = type(value)
    return all(hasattr(kind, name) for name in ("tolist", "shape", "dtype")) and not hasattr(kind, "equals")


def _array_differences(expected: Any, observed: Any, path: str, above: _Pairs) -> Iterator[Difference]:
    """Arrays of numpy and their like, whose `==` is one for each item."""
    if expected.dtype != observed.dtype or expected.shape != observed.shape:
        yield Difference(path, expected, observed)
    else:
        yield from _walk(expected.tolist(), observed.tolist(), path, above)


def _object_differences(expected: Any, observed: Any, path: str, above: _Pairs) -> Iterator[Difference]:
    """Field by field where there are fields. What `==` has looked at and found equal is equal, whatever it holds."""
    equal, alike = _equal(expected, observed), type(expected) is type(observed)
    if equal and alike and _holds_the_same(expected, observed):
        return
    if equal and (equals_everything(expected) or equals_everything(observed)):
        raise StaleState(f"{path} is {expected!r}, which equals everything: return the value itself")
    if equal is None and alike and hasattr(type(expected), "equals"):  # tables of pandas, polars and pyarrow
        if not expected.equals(observed):
            yield Difference(path, expected, observed)
        return
    left, right = held_by(expected), held_by(observed)
    by_fields = left is not None and right is not None and (alike or equal is True)
    found = list(_all_fields(expected, (left or {}, right or {}), path, above, equal)) if by_fields else []
    yield from found
    if equal or found or (by_fields and alike and _means_fields(expected)):
        return
    if equal is None and alike:
        raise StaleState(
            f"{path} ({type(expected).__name__}) cannot be compared: its == is neither true nor false. "
            "Return plain data instead"
        )
    yield Difference(path, expected, observed)


def _holds_the_same(expected: Any, observed: Any) -> bool:
    """The short way for two objects that hold the same plain data. It says no where it is not sure."""
    kind: type = type(expected)
    held = getattr(expected, "__dict__", None)
    return bool(held) and not slots_of(kind) and _is_plain(held) and bool(held == observed.__dict__)


def _means_fields(value: Any) -> bool:
    return is_entity(value) or (has_own_eq(value) and compares_by_fields(type(value)))


def _all_fields(
    whole: Any, held: tuple[Mapping[str, Any], Mapping[str, Any]], path: str, above: _Pairs, equal: bool | None
) -> Iterator[Difference]:
    """`held` is what `whole` holds and what the other one does; `equal`: what `==` says of the two."""
    kind, columns = type(whole).__name__, is_entity(whole)
    for name in dict.fromkeys([*held[0], *held[1]]):
        left, right = held[0].get(name, ABSENT), held[1].get(name, ABSENT)
        found = list(_walk(left, right, f"{path}.{name}", above))
        if not found:
            continue
        unseen = equal if columns else not looks_at(whole, name)
        if unseen and (columns or not is_aside(whole, name, left, right)):
            yield from (attrs.evolve(each, beside=each.beside or kind) for each in found)
        elif not unseen:  # of what it has seen and calls equal, only that counts of which it could not know
            yield from (each for each in found if each.beside or not equal)


def _both(left: object, right: object, kinds: tuple[type, ...]) -> bool:
    return any(isinstance(left, kind) and isinstance(right, kind) for kind in kinds)


def _is_nan(value: Any) -> bool:
    if isinstance(value, Decimal):
        return value.is_nan()
    return isinstance(value, (float, complex)) and value != value


def _equal(expected: Any, observed: Any) -> bool | None:
    """What `==` says; None where it raises, or gives what is neither true nor false."""
    try:
        return bool(expected == observed)
    except Exception:  # noqa: BLE001 - a == of the user's may raise anything
        return None


def only_rounding(difference: Difference) -> bool:
    """Whether both values are floats that differ in their last digits only."""
    left, right = difference.expected, difference.observed
    return isinstance(left, float) and isinstance(right, float) and math.isclose(left, right, rel_tol=1e-9)
