"""Final states: equal by what they mean, told apart by path."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaoskit.values.errors import StaleState
from chaoskit.values.state import ABSENT, Difference, differences, only_rounding, same, snapshot

NAN = float("nan")


@dataclass
class Account:
    balance: Any
    note: str = field(default="", compare=False)


@attrs.define
class Wallet:
    accounts: Any


class NoEq:
    pass


EQUAL = [
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({1, 2}, {2, 1}),
    (OrderedDict(a=1, b=2), OrderedDict(b=2, a=1)),
    (defaultdict(int, a=1), {"a": 1}),
    (NAN, float("nan")),
    ([NAN, {"x": (NAN,)}], [float("nan"), {"x": (float("nan"),)}]),
    ({NAN}, {float("nan")}),
    (Decimal("NaN"), Decimal("NaN")),
    ({"x": Decimal("sNaN")}, {"x": Decimal("sNaN")}),
    (deque([1, NAN]), deque([1, float("nan")])),
    (Account(NAN), Account(float("nan"))),
    (Wallet({"a": {NAN}}), Wallet({"a": {float("nan")}})),
    (Decimal("1.0"), Decimal("1.00")),
    (frozenset({1}), {1}),
    (None, None),
    ((), ()),
]

DIFFERENT = [
    ({"a": 1}, {"a": 2}, "state['a']"),
    ({"a": 1}, {}, "state['a']"),
    ({}, {"a": None}, "state['a']"),
    ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, "state['a'][1]['b']"),
    ([1, 2], [2, 1], "state"),
    ([1, 2], [1, 2, 3], "state"),
    ((1,), (2,), "state[0]"),
    ({1, 2}, {1}, "state"),
    ({NAN, 1}, {float("nan"), 2}, "state"),
    (0.1 + 0.2, 0.3, "state"),
    (NAN, 0.0, "state"),
    (Account(1), Account(2), "state.balance"),
    (Wallet({"a": 1}), Wallet({"a": 2}), "state.accounts['a']"),
    (Account(1), Wallet(1), "state"),
    (Account(1, "here"), Account(1, "there"), "state.note"),
    ([1, 2], (1, 2), "state"),
    ([1], 5, "state"),
    ({"a": [1]}, {"a": (1,)}, "state['a']"),
    (deque([1, 2]), deque([1, 3]), "state[1]"),
    (Decimal("sNaN"), Decimal(1), "state"),
    (None, 0, "state"),
    ("1", 1, "state"),
]
DIFFERENT[4] = ([1, 2], [2, 1], "state[0]")


@pytest.mark.parametrize(("left", "right"), EQUAL)
def test_these_states_are_the_same(left: Any, right: Any) -> None:
    """Dicts and sets have no order, NaN equals itself, also in what has fields."""
    assert same(left, right)
    assert same(right, left)
    assert list(differences(left, right)) == []


@pytest.mark.parametrize(("left", "right", "path"), DIFFERENT)
def test_these_states_differ_and_the_first_path_says_where(left: Any, right: Any, path: str) -> None:
    """Floats are exact, lists have an order and are no tuples, and an absent key is not one with None."""
    assert not same(left, right)
    assert not same(right, left)
    assert next(differences(left, right)).path == path


def test_an_absent_key_is_shown_as_absent() -> None:
    """Each side says what it does not have."""
    found = list(differences({"old": 1, "both": 0}, {"both": 0, "new": 2}))
    assert found == [Difference("state['old']", 1, ABSENT), Difference("state['new']", ABSENT, 2)]
    assert repr(ABSENT) == "(absent)"


def test_every_difference_is_found() -> None:
    """Not only the first."""
    left = {"a": [1, 2, 3], "b": Account({"x": 1})}
    right = {"a": [9, 2, 8], "b": Account({"x": 2})}
    assert [d.path for d in differences(left, right)] == ["state['a'][0]", "state['a'][2]", "state['b'].balance['x']"]


def test_objects_without_eq_differ_by_identity() -> None:
    """Nothing is known about them, so that two of them are never taken for equal."""
    one = NoEq()
    assert same(one, one)
    assert not same([NoEq()], [NoEq()])
    assert next(differences({"x": [NoEq()]}, {"x": [NoEq()]})).path == "state['x'][0]"


class Vague:
    """Like an array: its == has no truth value."""

    def __eq__(self, other: object) -> Any:
        return self

    def __bool__(self) -> bool:
        raise ValueError("the truth value is ambiguous")

    __hash__ = None  # type: ignore[assignment]


def test_an_eq_without_a_truth_value_is_an_error_with_its_path() -> None:
    """An array in the state is neither equal nor different before it is made plain data."""
    with pytest.raises(StaleState, match=r"state\['x'\] \(Vague\) cannot be compared.*plain data"):
        same({"x": Vague()}, {"x": Vague()})


@given(
    st.recursive(
        st.none() | st.integers() | st.floats() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
@settings(max_examples=100, deadline=None)
def test_a_snapshot_is_the_same_and_no_difference_says_so(state: Any) -> None:
    """`same` and `differences` agree, and a copy equals its state."""
    assert same(state, snapshot(state))
    assert not list(differences(state, snapshot(state)))


def test_a_snapshot_is_out_of_reach_of_later_changes() -> None:
    """All the way down."""
    state: dict[str, Any] = {"rows": [{"x": 1}], "queue": deque([1])}
    copied = snapshot(state)
    state["rows"][0]["x"] = 2
    state["queue"].append(2)
    assert copied == {"rows": [{"x": 1}], "queue": deque([1])}


def test_what_cannot_be_copied_is_an_error() -> None:
    """It says what it got and what to return instead."""
    with pytest.raises(StaleState, match=r"the returned state \(dict\) cannot be copied.*Return plain data"):
        snapshot({"lock": threading.Lock()})


class Stubborn:
    """Its copy constructor raises what no library of Python's does."""

    def __deepcopy__(self, memo: object) -> Stubborn:
        raise LookupError("No installed app with label 'shop'")


def test_whatever_a_copy_raises_is_told_as_a_state_that_cannot_be_copied() -> None:
    """As of a model of Django whose app is not installed."""
    with pytest.raises(StaleState, match=r"\(Stubborn\) cannot be copied: No installed app"):
        snapshot(Stubborn())


def test_a_state_that_lies_in_itself_is_compared() -> None:
    """A list in itself, and an object that points to what holds it."""
    one: list[Any] = [1]
    two: list[Any] = [1]
    one.append(one)
    two.append(two)
    assert same(one, two)
    two[0] = 2
    assert [d.path for d in differences(one, two)] == ["state[0]"]


def test_only_rounding_is_told_from_a_real_difference() -> None:
    """The last digits of a sum of floats, and nothing else."""
    assert only_rounding(Difference("state", 0.1 + 0.2, 0.3))
    assert not only_rounding(Difference("state", 0.1, 0.3))
    assert not only_rounding(Difference("state", 1, 1.0))
    assert not only_rounding(Difference("state", 1.0, ABSENT))
    assert not only_rounding(Difference("state", ABSENT, 1.0))
