"""The values of one entity so far, as a function of them sees them: it is noted what it looks at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import attrs

MISSING = object()
"""Stands for what is looked for and not there."""

Look = tuple[Any, tuple[Any, ...]]
"""What was asked for, an index or the length, and what was found."""


@attrs.define(eq=False)
class Life(Sequence[Any]):
    """The values from the first to the last. `looks` decide whether the same would have come of other values: where
    each look finds the same, it would."""

    values: tuple[Any, ...]
    looks: dict[Any, Look] = attrs.field(factory=dict)

    def __len__(self) -> int:
        self.looks.setdefault("length", ("length", (len(self.values),)))
        return len(self.values)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        self.looks.setdefault(repr(index), (index, found_at(self.values, index)))
        return self.values[index]

    def would_see(self, looks: Sequence[Look]) -> bool:
        """Whether these find the same here: the very objects, and as many of them."""
        return all(
            len(self.values) == found[0] if index == "length" else are_same(found_at(self.values, index), found)
            for index, found in looks
        )


def found_at(values: tuple[Any, ...], index: int | slice) -> tuple[Any, ...]:
    if isinstance(index, slice):
        return values[index]
    return (values[index],) if -len(values) <= index < len(values) else (MISSING,)


def are_same(one: tuple[Any, ...], two: tuple[Any, ...]) -> bool:
    """By identity: values need not be comparable, and equal ones may have come about in two ways."""
    return list(map(id, one)) == list(map(id, two))
