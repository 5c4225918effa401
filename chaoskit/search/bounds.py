"""How likely a bug that needs several faults at once would have been met by the mixtures that were run.

As probabilistic concurrency testing states it (Burckhardt, Kothari, Musuvathi, Nagarakatte: A Randomized Scheduler
with Probabilistic Guarantees of Finding Bugs, ASPLOS 2010): a bug of depth d among n steps is one that d chosen things
make, and each run finds it with a probability that can be bounded from below. Here the things are faults, each of a
given kind at a given message, whatever its parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from chaoskit.search.plans import ANYWHERE, BURSTS, SIZES
from chaoskit.values.verdict import Bound

DEPTHS = (2, 3)
"""One fault alone is mostly tried everywhere; of more than three next to nothing can be promised."""


def bounds_of(mixtures: Mapping[tuple[int, int], int]) -> Iterator[Bound]:
    """What can be promised of so many mixtures, each for a number of events and of kinds that an event can have."""
    if not mixtures:
        return
    events = max(size for size, _ in mixtures)
    for depth in DEPTHS:
        missed = math.prod((1 - found_by_one(depth, *shape)) ** count for shape, count in sorted(mixtures.items()))
        yield Bound(depth, events, 1 - missed)


def found_by_one(depth: int, events: int, kinds: int) -> float:
    """The least probability that one mixture over so many events, each with up to so many kinds, has `depth` given
    faults. A draw that goes to any event hits one of them with the same probability; those that are focused on one
    event, and bursts, are left out, and only make it likelier."""
    if depth > events * kinds:
        return 0.0
    hit = ANYWHERE / (events * kinds)
    all_hit = [_all_hit(depth, hit, size) for size in SIZES]
    # The signs of inclusion and exclusion may leave something just below nothing.
    return max(0.0, (1 - BURSTS) * math.fsum(all_hit) / len(all_hit))


def _all_hit(depth: int, hit: float, draws: int) -> float:
    """By inclusion and exclusion of those that are missed."""
    return math.fsum(
        math.comb(depth, missed) * (-1.0) ** missed * (1 - missed * hit) ** draws for missed in range(depth + 1)
    )
