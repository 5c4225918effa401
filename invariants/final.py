"""The final state is that of in-order delivery."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from chaoskit.values.errors import UsageError
from chaoskit.values.invariant import Invariant, Violation
from chaoskit.values.outcome import Outcome
from chaoskit.values.state import ABSENT, Difference, differences, same


def final_state(*, by_key: bool = False, project: Callable[[Any], Any] | None = None) -> Invariant:
    """The final state equals that of the in-order run of the same stream.

    `project` maps a state to the part that must agree: leave out what may rightly differ, such as
    autoincrement ids, the order of a log or the time of arrival. Objects are compared field by field, entities column
    by column, where their own `==` looks at the key only, too. With `by_key` the state is a mapping and every
    key that differs is a violation of its own. Raises UsageError where `by_key` meets a state that is no mapping.

    This cannot see a handler that is wrong in order too: it agrees with itself.
    """

    def check(reference: Outcome, outcome: Outcome) -> Iterator[Violation]:
        expected, observed = reference.state, outcome.state
        if project is not None:
            expected, observed = project(expected), project(observed)
        if by_key:
            yield from _by_key(expected, observed)
        elif not same(expected, observed):
            found = tuple(differences(expected, observed))
            yield Violation("final_state", f"the final state differs from in-order delivery{_unseen(found)}", found)

    return Invariant("final_state", check, needs_state=True)


def _by_key(expected: Any, observed: Any) -> Iterator[Violation]:
    for state in (expected, observed):
        if not isinstance(state, Mapping):
            raise UsageError(f"final_state(by_key=True) needs a mapping from key to state, got {type(state).__name__}")
    # In the order of the states: keys need not sort, and a set of them would have a hash's order.
    for key in [*expected, *(key for key in observed if key not in expected)]:
        left, right = expected.get(key, ABSENT), observed.get(key, ABSENT)
        if not same(left, right):
            found = tuple(differences(left, right, f"state[{key!r}]"))
            message = f"the final state of {key!r} differs from in-order delivery{_unseen(found)}"
            yield Violation("final_state", message, found)


def _unseen(found: Sequence[Difference]) -> str:
    """The remark where an object's own `==` sees none of it, as that of an entity sees the key only."""
    if not all(difference.beside for difference in found):
        return ""
    kinds = ", ".join(dict.fromkeys(difference.beside for difference in found))
    return f", where the == of {kinds} does not look (what may differ: final_state(project=…) leaves it out)"
