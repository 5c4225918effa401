"""What limits the values of a field, in the words that annotated-types, pydantic and msgspec share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import attrs
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

_NAMES = (
    "gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern", "max_digits", "decimal_places"
)  # fmt: skip


@attrs.frozen
class Limits:
    """Bounds of numbers, lengths of texts and collections, and the pattern of a text."""

    gt: Any = None
    ge: Any = None
    lt: Any = None
    le: Any = None
    multiple_of: Any = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: Any = None
    max_digits: int | None = None
    decimal_places: int | None = None

    @property
    def is_free(self) -> bool:
        return self == Limits()

    def has_length(self, length: int) -> bool:
        return (self.min_length or 0) <= length and (self.max_length is None or length <= self.max_length)

    def integers(self) -> SearchStrategy[Any]:
        """Whole numbers of 32 bits, where there are no bounds."""
        lows = [math.floor(self.gt) + 1] if self.gt is not None else []
        highs = [math.ceil(self.lt) - 1] if self.lt is not None else []
        lows += [math.ceil(self.ge)] if self.ge is not None else []
        highs += [math.floor(self.le)] if self.le is not None else []
        least = max(lows, default=min(-(2**31), *highs, 0))
        most = min(highs, default=max(2**31 - 1, least + 2**31))
        step = self.multiple_of or 1
        return st.integers(math.ceil(least / step), math.floor(most / step)).map(lambda number: number * step)

    def floats(self) -> SearchStrategy[Any]:
        """Numbers that JSON can hold."""
        most = None if self._high is None else float(self._high)
        least = min(-1e9, (most or 0.0) - 1e9) if self._low is None else float(self._low)
        most = max(1e9, least + 1e9) if most is None else most
        return st.floats(
            least, most, allow_nan=False, allow_infinity=False,
            exclude_min=self.gt is not None and self._low == self.gt,
            exclude_max=self.lt is not None and self._high == self.lt,
        )  # fmt: skip

    def decimals(self) -> SearchStrategy[Any]:
        """With two places, where nothing else is given: most decimals are money."""
        places = 2 if self.decimal_places is None else self.decimal_places
        digits = 9 if self.max_digits is None else self.max_digits
        step = Decimal(1).scaleb(-places)
        most = Decimal(10 ** max(1, digits)) * step - step
        low = -most if self._low is None else Decimal(self._low)
        high = most if self._high is None else min(most, Decimal(self._high))
        # As whole numbers of the smallest unit: so that they shrink to what is easy to read.
        least, last = math.ceil(low / step), math.floor(high / step)
        least += self.gt is not None and least * step <= self.gt
        last -= self.lt is not None and last * step >= self.lt
        return st.integers(least, last).map(lambda number: number * step)

    @property
    def _low(self) -> Any:
        return max((bound for bound in (self.gt, self.ge) if bound is not None), default=None)

    @property
    def _high(self) -> Any:
        return min((bound for bound in (self.lt, self.le) if bound is not None), default=None)


def limits_of(metadata: Iterable[Any]) -> Limits:
    """All that these say together; of what says something twice the first, which is nearest to the type."""
    found: dict[str, Any] = {}
    for each in metadata:
        for limit in (each, *getattr(each, "metadata", ())):  # pydantic's Field has its limits in there
            for name in _NAMES:
                value = getattr(limit, name, None)
                if value is not None and not callable(value):
                    found.setdefault(name, value)
    return Limits(**found)
