"""Which logs a relay can write: Debezium, that sends a suffix again, and an outbox, that publishes a batch again."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from chaoskit.traces.log.layout import Item
from chaoskit.traces.log.rules import LogRules

Unwritable = tuple[int, str]
"""Index of the write, and why."""


@attrs.frozen
class _Cursor:
    """`following` is read next; no restart goes back below `flushed`; an old task may go on at `zombie`."""

    following: int
    flushed: int
    zombie: int | None = None


def capture(rules: LogRules, items: Sequence[Item], names: dict[int, str]) -> Unwritable | None:
    """Commit order; a restart goes back to the last flush and sends everything since then again, in order."""
    if not items:
        return None
    copies = (item.rank for item in items if item.record[1] or rules.writes == "outbox")
    first = min([items[0].rank, *copies])
    states = {_Cursor(first, first)}
    sent: set[int] = set()
    for at, item in enumerate(items):
        after = {new for state in states for new in _send(rules, state, item.rank, sent)}
        if not after:
            return at, _capture_text(rules, states, item.rank, sent, names)
        sent.add(item.rank)
        states = after
    return None


def _send(rules: LogRules, state: _Cursor, rank: int, sent: set[int]) -> set[_Cursor]:
    found: set[_Cursor] = set()
    if state.following <= rank and not _due(rules, state.following, rank, sent):
        found.add(attrs.evolve(state, following=rank + 1))
    furthest = max(state.following, state.zombie or 0)
    if state.flushed <= rank < furthest:  # whichever of two tasks flushed last
        found.add(_Cursor(rank + 1, rank, furthest if rules.zombies else None))
    if state.zombie is not None and state.zombie <= rank and not _due(rules, state.zombie, rank, sent):
        found.add(attrs.evolve(state, zombie=rank + 1))
    return found


def _due(rules: LogRules, following: int, rank: int, sent: set[int]) -> list[int]:
    """What has to be sent before this one; a row that was never sent may be passed over by a cursor on ids."""
    return [number for number in range(following, rank) if number in sent or not rules.cursor_skips]


def _capture_text(
    rules: LogRules,
    states: set[_Cursor],
    rank: int,
    sent: set[int],
    names: dict[int, str],
) -> str:
    flushed = min(state.flushed for state in states)
    if rank < flushed:
        text = f"a restart resumes at the last flush, which was not before {names.get(flushed, 'that')}"
        return f"{text}; {names[rank]} is older"
    due = min((number for state in states for number in _due(rules, state.following, rank, sent)), default=rank)
    text = f"changes are sent in order and without a gap: {names.get(due, 'a missing one')} comes before {names[rank]}"
    return f"{text} ({rules.order_hint} can lose it)" if rules.order_hint and not rules.cursor_skips else text


@attrs.frozen
class _Relay:
    """`unmarked` is the place in the list of published rows from which on they may still be unmarked."""

    unmarked: int
    again: tuple[int, ...] = ()


def outbox(rules: LogRules, items: Sequence[Item], names: dict[int, str]) -> Unwritable | None:
    """By a flag: in the order of visibility; a crash before the marks publishes a batch again, by id."""
    if rules.relays > 1:
        return None
    if not rules.visibility_order:
        return capture(rules, items, names)
    states = {_Relay(0)}
    published: list[int] = []
    lowest = min((item.rank for item in items), default=0)
    for at, item in enumerate(items):
        unseen = set(range(lowest, item.rank)) - set(published)
        if item.rank not in published and len(unseen) >= rules.max_in_flight:
            text = f"{names.get(min(unseen), 'an earlier row')} comes before {names[item.rank]}"
            return at, f"at most {rules.max_in_flight} transactions are open at once, so {text}"
        after = {new for state in states for new in _publish(rules, state, item.rank, published)}
        if not after:
            return at, _relay_text(states, item.rank, names)
        published.append(item.rank)
        states = after
    return None


def _publish(rules: LogRules, state: _Relay, rank: int, published: list[int]) -> set[_Relay]:
    if rank not in published:
        between = rules.again_by_id and state.again and rank < state.again[0]
        return {state} if not state.again or between or rules.zombies else set()
    found = {attrs.evolve(state, again=state.again[1:])} if state.again[:1] == (rank,) else set()
    end = len(published)
    while end and published[end - 1] < rank and published.count(published[end - 1]) == 1:
        end -= 1  # these became visible since, and were published first after the restart
    for last in {end, len(published)}:
        found |= _again(rules, state, rank, published[:last])
    return found


def _again(rules: LogRules, state: _Relay, rank: int, published: list[int]) -> set[_Relay]:
    found: set[_Relay] = set()
    for start in range(state.unmarked, len(published)):
        batch = list(dict.fromkeys(published[start:]))
        batch.sort(key=None if rules.again_by_id else published.index)
        if batch[0] == rank:
            found.add(_Relay(start, tuple(batch[1:])))
    return found


def _relay_text(states: set[_Relay], rank: int, names: dict[int, str]) -> str:
    due = sorted({state.again[0] for state in states if state.again})
    if due:
        waiting = " or ".join(names.get(number, "another") for number in due)
        text = "a batch that was published and not marked is published again whole, by id"
        return f"{text}: {waiting} comes before {names[rank]}"
    return f"{names[rank]} was published and marked, so it is not published again"
