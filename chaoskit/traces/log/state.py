"""What can be true of one unit of a log while a trace is read: who owns it, where it is, what was committed.

A commit is not one value but a range: where the trace lists no commits, the consumer may have committed anywhere
between the last replay's start and what it has run. A replay that is seen pins it.
"""

from __future__ import annotations

import attrs

from chaoskit.traces.log.layout import Layout, Record
from chaoskit.traces.log.rules import LogRules


@attrs.frozen(hash=True, cache_hash=True)
class Cursor:
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
    failures: int = 0
    ran: bool = False
    """The record before `run` was just run by it, without a failure."""


@attrs.frozen(hash=True, cache_hash=True)
class State:
    owner: str | None
    low: int
    high: int
    cursors: tuple[tuple[str, Cursor], ...] = ()
    first: int | None = None
    """Where the first consumer of the trace started."""
    died: str | None = None
    """The last owner, where it was killed and nobody has come in its place yet."""

    def cursor(self, consumer: str) -> Cursor | None:
        return next((cursor for name, cursor in self.cursors if name == consumer), None)

    def put(self, consumer: str, cursor: Cursor | None) -> State:
        others = [(name, other) for name, other in self.cursors if name != consumer]
        if cursor is not None:
            others.append((consumer, cursor))
        return attrs.evolve(self, cursors=tuple(sorted(others, key=lambda pair: pair[0])))


@attrs.define
class View:
    """What is known of a unit for certain: its log, what was shown and what is gone. Grows word by word."""

    rules: LogRules
    layout: Layout
    groups: frozenset[str]
    one_key: bool = False
    """The unit is a key: nothing in it runs side by side."""
    from_end: bool = False
    """The unit came by growth, and its first reader begins at its end, wherever that was."""
    gone: set[int] = attrs.field(factory=set)
    shown: set[Record] = attrs.field(factory=set)
    failed: set[Record] = attrs.field(factory=set)
    unput: set[int] = attrs.field(factory=set)
    """The records that a later word puts."""
    later: set[int] = attrs.field(factory=set)
    """The first ones that were accepted only after a consumer had lost the unit."""

    @property
    def written(self) -> int:
        """The place behind the last record that was accepted by now."""
        return min(self.unput, default=len(self.layout.entries))

    def following(self, place: int) -> int:
        """The first record from here on that is not gone."""
        while place in self.gone:
            place += 1
        return place

    def before(self, place: int) -> int:
        place -= 1
        while place in self.gone:
            place -= 1
        return place

    def named(self, place: int) -> str:
        return self.layout.named(place)

    def free(self, group: str) -> bool:
        """No verb of this group occurs: what belongs to it may have happened unseen."""
        return group not in self.groups


def held_until(rules: LogRules, cursor: Cursor) -> int:
    """The place behind the last record that the consumer can have fetched."""
    if cursor.stop is not None:
        return cursor.stop
    return cursor.got + rules.max_poll_records  # a poll may return less than it may, so the last one began anywhere


def killed(state: State, consumer: str) -> State:
    """The consumer's process is gone: whoever is next starts at the commit."""
    after = state.put(consumer, None)
    return attrs.evolve(after, owner=None, died=consumer) if state.owner == consumer else after


def evicted(view: View, state: State, source: str | None, target: str) -> State:
    """The unit goes to `target`; `source` may run what it holds, if this broker has zombies."""
    after = attrs.evolve(state, owner=target)
    if source is not None:
        after = after.put(source, holding(view, state, state.cursor(source)) if view.rules.zombies else None)
    return after.put(target, Cursor())


def holding(view: View, state: State, cursor: Cursor | None) -> Cursor:
    """The cursor of a consumer that lost the unit; one that has run nothing may have fetched from the commit. It holds
    nothing that was accepted later."""
    if cursor is not None and cursor.run is not None:
        return attrs.evolve(cursor, end=_accepted(view, held_until(view.rules, cursor)))
    end = _accepted(view, state.high + view.rules.max_poll_records)
    return Cursor(None, got=state.high, base=state.low, end=end)


def _accepted(view: View, end: int) -> int:
    """`end`, or the first record before it that was not accepted yet."""
    if view.written < min(end, len(view.layout.entries)):
        view.later.add(view.written)
    return min(end, view.written)


def resumed(rules: LogRules, cursor: Cursor, place: int) -> Cursor:
    """A consumer that lost the unit before it ran anything runs the first record of what it holds."""
    assert cursor.end is not None
    return Cursor(place, place, place, end=min(cursor.end, place + rules.max_poll_records))
