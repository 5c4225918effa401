"""Consumers at work on messages that wait for each other: a queueing simulation, one event after the other.

Time is counted in handler times: each message takes one. Nothing here is drawn: the arrivals are given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from heapq import heappop, heappush

import attrs

ROUNDING = 1e-9
"""Moments that are no further apart are one: a sum of many spacings is not exact."""


@attrs.frozen
class Work:
    """How it went. `starts`: when each message was begun; `peak`: the most that were under way at once."""

    starts: tuple[float, ...]
    peak: int

    @property
    def done(self) -> float:
        """When the last one was finished."""
        return max(self.starts) + 1


def work_off(lanes: Sequence[int], consumers: int, arrivals: Sequence[float] = (), spacing: float = 0) -> Work:
    """Handle messages of these lanes with so many consumers, each of which handles one message at a time.

    A free consumer takes the oldest message of which no earlier one of its lane is unfinished. Without `arrivals`,
    which never decrease, all messages are there from the beginning. `spacing`: the least time from one beginning to
    the next, whoever begins, as a quota makes it.
    """
    return _Floor(lanes, consumers, arrivals or [0] * len(lanes), spacing).run()


class _Floor:
    """Where everything is at one moment. What is `ready` is the oldest of a lane that nobody works at."""

    def __init__(self, lanes: Sequence[int], consumers: int, arrivals: Sequence[float], spacing: float) -> None:
        self.lanes, self.arrivals, self.spacing = lanes, arrivals, spacing
        self.free = consumers
        self.ready: list[int] = []
        self.running: list[tuple[float, int]] = []
        self.waiting: dict[int, deque[int]] = {}
        self.starts: list[float] = [0] * len(lanes)
        self.last: float = 0
        self.arrived = self.begun = self.peak = 0

    def run(self) -> Work:
        now: float = 0
        while self.begun < len(self.lanes):
            self._finish(now)
            self._arrive(now)
            self._begin(now)
            now = self._next(now)
        return Work(tuple(self.starts), self.peak)

    def _finish(self, now: float) -> None:
        while self.running and self.running[0][0] <= now + ROUNDING:
            _, lane = heappop(self.running)
            self.free += 1
            if behind := self.waiting[lane]:
                heappush(self.ready, behind.popleft())
            else:
                del self.waiting[lane]

    def _arrive(self, now: float) -> None:
        while self.arrived < len(self.lanes) and self.arrivals[self.arrived] <= now:
            behind = self.waiting.get(self.lanes[self.arrived])
            if behind is None:
                self.waiting[self.lanes[self.arrived]] = deque()
                heappush(self.ready, self.arrived)
            else:
                behind.append(self.arrived)
            self.arrived += 1

    def _begin(self, now: float) -> None:
        while self.free and self.ready and now >= self._allowed():
            message = heappop(self.ready)
            self.starts[message] = self.last = now
            self.free -= 1
            self.begun += 1
            heappush(self.running, (now + 1, self.lanes[message]))
        self.peak = max(self.peak, len(self.running))

    def _allowed(self) -> float:
        """When the quota lets the next one begin."""
        return self.last + self.spacing if self.begun else 0

    def _next(self, now: float) -> float:
        """The next moment at which something can change."""
        moments = [self.running[0][0]] if self.running else []
        if self.arrived < len(self.lanes):
            moments.append(self.arrivals[self.arrived])
        if self.free and self.ready:
            moments.append(self._allowed())
        return min(moments)
