"""What a state function gives that is wrong in a known way: in order, too, as it would be."""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Any

from chaoskit.values.planted import StateBug

Acts = Callable[[], None]
View = Callable[[Any], Any]


def frozen(acts: Acts) -> View:
    """The first state that was ever seen, for all runs."""
    first: list[Any] = []

    def view(state: Any) -> Any:
        acts()
        first.append(state)
        del first[1:]
        return first[0]

    return view


def constant(acts: Acts) -> View:
    """Nothing of the state."""

    def view(state: Any) -> int:
        acts()
        return 0

    return view


def only_its_length(acts: Acts) -> View:
    """How much there is, where that is known; else the state."""

    def view(state: Any) -> Any:
        if not isinstance(state, Sized):
            return state
        acts()
        return len(state)

    return view


VIEWS: dict[StateBug, Callable[[Acts], View]] = {
    "frozen": frozen,
    "constant": constant,
    "only its length": only_its_length,
}
