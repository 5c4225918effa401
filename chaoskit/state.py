"""Final states: copied when the test returns, compared by what they mean, told apart by path."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Set
from typing import Any

import attrs

from chaoskit.errors import StaleState

_ATOMS = frozenset({int, str, bytes, float, bool, type(None), complex})


@attrs.frozen
class Difference:
    """One place where two states differ: a path such as `state['alice'][0]`, and both values there."""

    path: str
    expected: Any
    observed: Any


class Absent:
    """Stands for a value that one of the two states does not have."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT = Absent()


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
    except (TypeError, copy.Error) as error:
        raise StaleState(
            f"the returned state ({kind.__name__}) cannot be copied: {error}. "
            "Return plain data, such as rows, a dict or a list"
        ) from error


def same(expected: Any, observed: Any) -> bool:
    """Equal as states: dicts and sets unordered, NaN equals itself, floats exact."""
    try:
        if bool(expected == observed):
            return True
    except (ValueError, TypeError, ArithmeticError):  # an == that gives no truth value, as of arrays: walk instead
        pass
    return next(differences(expected, observed), None) is None


def differences(expected: Any, observed: Any, path: str = "state") -> Iterator[Difference]:
    """Every place where two states differ, in a fixed order."""
    if isinstance(expected, Mapping) and isinstance(observed, Mapping):
        yield from _mapping_differences(expected, observed, path)
    elif isinstance(expected, Set) and isinstance(observed, Set):
        missing, extra = expected - observed, observed - expected
        nan = {x for x in missing | extra if _is_nan(x)}
        if len([x for x in missing if _is_nan(x)]) == len([x for x in extra if _is_nan(x)]):
            missing, extra = missing - nan, extra - nan
        if missing or extra:
            yield Difference(path, expected, observed)
    elif _both(expected, observed, (list, tuple)) and len(expected) == len(observed):
        for index, (left, right) in enumerate(zip(expected, observed, strict=True)):
            yield from differences(left, right, f"{path}[{index}]")
    elif _is_nan(expected) and _is_nan(observed):
        return
    elif (fields := _fields(expected)) is not None and type(expected) is type(observed):
        for name in fields:
            yield from differences(getattr(expected, name, ABSENT), getattr(observed, name, ABSENT), f"{path}.{name}")
    elif not _equal(expected, observed, path):
        yield Difference(path, expected, observed)


def _mapping_differences(expected: Any, observed: Any, path: str) -> Iterator[Difference]:
    for key, value in expected.items():
        if key not in observed:
            yield Difference(f"{path}[{key!r}]", value, ABSENT)
        else:
            yield from differences(value, observed[key], f"{path}[{key!r}]")
    for key, value in observed.items():
        if key not in expected:
            yield Difference(f"{path}[{key!r}]", ABSENT, value)


def _both(left: object, right: object, kinds: tuple[type, ...]) -> bool:
    return any(isinstance(left, kind) and isinstance(right, kind) for kind in kinds)


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _fields(value: object) -> tuple[str, ...] | None:
    """The names of the fields of an attrs class or dataclass that compares by value."""
    if isinstance(value, type) or type(value).__eq__ is object.__eq__:
        return None
    kind: Any = type(value)
    if attrs.has(kind):
        return tuple(f.name for f in attrs.fields(kind) if f.eq)
    found = getattr(kind, "__dataclass_fields__", None)
    return None if found is None else tuple(name for name, f in found.items() if f.compare)


def _equal(expected: Any, observed: Any, path: str) -> bool:
    try:
        return bool(expected == observed)
    except (ValueError, TypeError, ArithmeticError) as error:  # the last of a signaling NaN
        raise StaleState(
            f"{path} ({type(expected).__name__}) cannot be compared: {error}. Return plain data instead"
        ) from error


def only_rounding(difference: Difference) -> bool:
    """Whether both values are floats that differ in their last digits only."""
    left, right = difference.expected, difference.observed
    return isinstance(left, float) and isinstance(right, float) and math.isclose(left, right, rel_tol=1e-9)
