"""Which logs a relay can write: Debezium, that sends a suffix again, and an outbox, that publishes a batch again."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from chaoskit.traces.log_layout import Item
from chaoskit.traces.log_rules import LogRules

Unwritable = tuple[int, str]
"""Index of the write, and why."""


@attrs.frozen
class _Cursor:
    """`following` is read next; no restart goes back below `flushed`."""

    following: int
    flushed: int


def capture(rules: LogRules, items: Sequence[Item], names: dict[int, str]) -> Unwritable | None:
    """Commit order; a restart goes back to the last flush and sends everything since then again, in order."""
    first = min((item.rank for item in items), default=0) if rules.writes == "outbox" else items[0].rank if items else 0
    state = _Cursor(first, first)
    sent: set[int] = set()
    for at, item in enumerate(items):
        rank = item.rank
        if rank < state.flushed:
            text = f"a restart resumes at the last flush, which was not before {names.get(state.flushed, 'that')}"
            return at, f"{text}; {names.get(rank, 'an earlier one')} is older"
        if rank < state.following:
            state = _Cursor(rank, rank)
        due = [number for number in range(state.following, rank) if number in sent or not rules.cursor_skips]
        if due:
            text = f"changes are sent in commit order and without a gap: {names.get(due[0], 'a missing one')} comes"
            return at, f"{text} before {names[rank]}"
        sent.add(rank)
        state = _Cursor(rank + 1, state.flushed)
    return None


@attrs.frozen
class _Relay:
    """`unmarked` is the place in the list of published rows from which on they may still be unmarked."""

    unmarked: int
    again: tuple[int, ...] = ()


def outbox(rules: LogRules, items: Sequence[Item], names: dict[int, str]) -> Unwritable | None:
    """By a flag: in the order of visibility; a crash before the marks publishes a batch again, by id."""
    if rules.relays > 1:
        return None if rules.visibility_order else _increasing(items, names)
    if not rules.visibility_order:
        return capture(rules, items, names)
    states = {_Relay(0)}
    published: list[int] = []
    for at, item in enumerate(items):
        after = {new for state in states for new in _publish(state, item.rank, published)}
        if not after:
            return at, _relay_text(states, item.rank, published, names)
        published.append(item.rank)
        states = after
    return None


def _publish(state: _Relay, rank: int, published: list[int]) -> set[_Relay]:
    if rank not in published:
        return {state} if not state.again or rank < state.again[0] else set()
    found = {attrs.evolve(state, again=state.again[1:])} if state.again[:1] == (rank,) else set()
    for start in range(state.unmarked, len(published)):
        batch = sorted(set(published[start:]))
        if batch[0] == rank:
            found.add(_Relay(start, tuple(batch[1:])))
    return found


def _relay_text(states: set[_Relay], rank: int, published: list[int], names: dict[int, str]) -> str:
    due = sorted({state.again[0] for state in states if state.again})
    if due:
        waiting = " or ".join(names.get(number, "another") for number in due)
        text = "a batch that was published and not marked is published again whole, by id"
        return f"{text}: {waiting} comes before {names[rank]}"
    return f"{names[rank]} was published and marked, so it is not published again"


def _increasing(items: Sequence[Item], names: dict[int, str]) -> Unwritable | None:
    highest = -1
    for at, item in enumerate(items):
        if not item.nth and item.rank < highest:
            return at, f"a cursor on ids never goes back: {names[item.rank]} became visible below it and is not seen"
        highest = max(highest, item.rank)
    return None
