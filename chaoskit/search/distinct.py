"""How many different things were seen, in little memory however many there are."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

import attrs

EXACT = 4096
_BITS = 64
_MASK = (1 << _BITS) - 1


@attrs.define
class Distinct:
    """Counts what is different among any number of hashes: exactly up to `EXACT`, then within about 2 %.

    It keeps the smallest hashes. Of evenly spread ones the largest of these says how close together they are, and so
    how many there must be (the "k minimum values" of Bar-Yossef et al., 2002). Two counts can be put together as if
    one had seen everything.
    """

    _held: set[int] = attrs.field(factory=set)
    _largest: list[int] = attrs.field(factory=list)
    _fresh: list[int] = attrs.field(factory=list)

    def add(self, hash_: int) -> None:
        """Count this hash, which need not be spread well."""
        self._keep(_spread(hash_))

    def take_fresh(self) -> list[int]:
        """What another count has to take in so that it knows all of this one; each only once."""
        fresh = [value for value in self._fresh if value in self._held]
        self._fresh.clear()
        return fresh

    def merge(self, fresh: Iterable[int]) -> None:
        """Take in what another count has given by `take_fresh`."""
        for value in fresh:
            self._keep(value)

    @property
    def estimate(self) -> int:
        if len(self._held) < EXACT:
            return len(self._held)
        return round((EXACT - 1) * (1 << _BITS) / -self._largest[0])

    def _keep(self, value: int) -> None:
        if len(self._held) >= EXACT and value >= -self._largest[0]:
            return
        if value in self._held:
            return
        self._held.add(value)
        self._fresh.append(value)  # may be too large by the time it is taken; `take_fresh` leaves it out then
        heapq.heappush(self._largest, -value)  # heapq has its smallest first
        if len(self._held) > EXACT:
            self._held.remove(-heapq.heappop(self._largest))


def _spread(value: int) -> int:
    """Another number of 64 bits that looks like chance (the last steps of MurmurHash3)."""
    value &= _MASK
    value = ((value ^ (value >> 33)) * 0xFF51AFD7ED558CCD) & _MASK
    value = ((value ^ (value >> 33)) * 0xC4CEB9FE1A85EC53) & _MASK
    return value ^ (value >> 33)
