"""The orders that lanes permit: each keeps its own, and nothing is fixed between them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence


def lanes_in_order(lanes: Sequence[Sequence[int]], times: dict[int, int]) -> list[int]:
    """The order that `times` asks for, with each lane's events put into the lane's own order in its places."""
    # Behind all that was delivered, in the order of production.
    never = len(times) * 1000
    places = sorted((times.get(position, never + position), lane) for lane, log in enumerate(lanes) for position in log)
    following = [iter(log) for log in lanes]
    return [next(following[lane]) for _, lane in places]


def count_orders(lanes: Sequence[Sequence[int]]) -> int:
    count, total = 1, 0
    for lane in lanes:
        total += len(lane)
        count *= math.comb(total, len(lane))
    return count


def orders_of(lanes: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Every interleaving of the lanes."""
    if not any(lanes):
        yield []
        return
    for number, lane in enumerate(lanes):
        if lane:
            rest = [*lanes[:number], lane[1:], *lanes[number + 1 :]]
            for order in orders_of(rest):
                yield [lane[0], *order]
