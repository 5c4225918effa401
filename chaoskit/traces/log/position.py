"""Where the consumers of one unit may be, who owns it and what was committed: the state of a unit read with a cursor.

A commit is not one value but a range: where the trace lists no commits, the consumer may have committed anywhere
between the last replay's start and what it has run. A replay that is seen pins it.
"""

from __future__ import annotations

from operator import itemgetter
from typing import NamedTuple

from chaoskit.traces.log.lane import Lane
from chaoskit.traces.log.rules import LogRules


class Position(NamedTuple):
    """One consumer in one unit. Places are indices into the log."""

    run: int | None = None
    """Next to run; None: it starts at the commit."""
    got: int = 0
    """Next to be handed over; beyond `run` if records were handed over and not run."""
    base: int = 0
    """Where its fetching began."""
    stop: int | None = None
    """The end of the batch that was handed over in brackets."""
    end: int | None = None
    """It lost the unit and holds nothing from here on."""
    ends_with_log: bool = False
    """Nothing more had been accepted when it lost the unit: that is why it ends there."""
    failures: int = 0
    ran: bool = False
    """The record before `run` was just run by it, without a failure."""


class CursorState(NamedTuple):
    """What may be true of one unit."""

    owner: str | None
    low: int
    """The lowest place that the commit may have,"""
    high: int
    """and the highest."""
    positions: tuple[tuple[str, Position], ...] = ()
    first: int | None = None
    """Where the first consumer of the trace started."""
    died: str | None = None
    """The last owner, where it was killed and nobody has come in its place yet."""

    def position(self, consumer: str) -> Position | None:
        return next((position for name, position in self.positions if name == consumer), None)

    def put(self, consumer: str, position: Position | None) -> CursorState:
        positions = [(name, other) for name, other in self.positions if name != consumer]
        if position is not None:
            positions.append((consumer, position))
            # States are compared as values: the order in which consumers came must not make two of one.
            positions.sort(key=itemgetter(0))
        # Not `_replace`, which takes twice as long: nothing is done as often as this and the next.
        return CursorState(self.owner, self.low, self.high, tuple(positions), self.first, self.died)

    def committed(self, low: int, high: int) -> CursorState:
        return CursorState(self.owner, low, high, self.positions, self.first, self.died)

    @property
    def furthest(self) -> int:
        """The furthest place that is run next."""
        return max((position.run for _, position in self.positions if position.run is not None), default=self.high)


def fetched_until(rules: LogRules, position: Position) -> int:
    """The place behind the last record that the consumer can have fetched."""
    if position.stop is not None:
        return position.stop
    return position.got + rules.max_poll_records  # a poll may return less than it may, so the last one began anywhere


def kill(state: CursorState, consumer: str) -> CursorState:
    """The consumer's process is gone: whoever is next starts at the commit."""
    after = state.put(consumer, None)
    # Only the owner leaves the unit without one; a zombie has lost it already.
    return after._replace(owner=None, died=consumer) if state.owner == consumer else after


def evict(lane: Lane, state: CursorState, source: str, target: str) -> CursorState:
    """The unit goes to `target`; `source` may run what it holds, if this broker has zombies."""
    left = _of_a_zombie(lane, state, state.position(source)) if lane.rules.zombies else None
    return state._replace(owner=target).put(source, left).put(target, Position())


def _of_a_zombie(lane: Lane, state: CursorState, position: Position | None) -> Position:
    """The position of a consumer that lost the unit; one that has run nothing may have fetched from the commit. It
    holds nothing that was accepted later."""
    if position is None or position.run is None:
        position = Position(None, got=state.high, base=state.low)
        end = state.high + lane.rules.max_poll_records
    else:
        end = fetched_until(lane.rules, position)
    late = lane.written < min(end, len(lane.layout.entries))
    return position._replace(end=min(end, lane.written), ends_with_log=late)


def resume_as_zombie(rules: LogRules, position: Position, place: int) -> Position:
    """A consumer that lost the unit before it ran anything runs the first record of what it holds."""
    assert position.end is not None
    end = min(position.end, place + rules.max_poll_records)
    return Position(place, place, place, end=end, ends_with_log=position.ends_with_log and end == position.end)
