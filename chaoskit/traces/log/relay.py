"""Which logs a relay can write: Debezium, that sends a suffix again, and an outbox, that publishes a batch again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import attrs

from chaoskit.traces.log.layout import Item, PassesOver
from chaoskit.traces.log.rules import LogRules, Unwritable, Writes


def capture(passes_over: PassesOver | None = None) -> Writes:
    """Changes in the order of their commits; a restart sends everything since the last flush again (Debezium)."""
    return Writes(
        _capture, reorders=True, sends_again_after_restart=True, any_changes_unit=True, passes_over=passes_over
    )


def relay_by_id(passes_over: PassesOver | None = None) -> Writes:
    """Rows in the order of their ids, from a cursor on; a crash publishes again what it had not marked (Outbox)."""
    refuses = partial(_capture, every_item=True)
    return Writes(refuses, reorders=True, sends_again_after_restart=True, passes_over=passes_over)


def relay_by_visibility(open_transactions: int, *, again_by_id: bool) -> Writes:
    """Rows as they became visible; a batch that is published again is in the order of ids, or as it was published."""
    refuses = partial(_publish_all, open_transactions=open_transactions, by_id=again_by_id)
    return Writes(refuses, reorders=True, sends_again_after_restart=True)


def relays_at_once(passes_over: PassesOver | None = None) -> Writes:
    """Several relays publish the same rows, so that everything is published in any order, and again."""
    return Writes(lambda rules, items, names: None, reorders=True, passes_over=passes_over)


@attrs.frozen
class _Source:
    """`following` is read next; no restart goes back below `flushed`; an old task may go on at `zombie`."""

    following: int
    flushed: int
    zombie: int | None = None


def _capture(
    rules: LogRules, items: Sequence[Item], names: dict[int, str], *, every_item: bool = False
) -> Unwritable | None:
    """`every_item`: the first one that is written need not be the first one that was ever read."""
    if not items:
        return None
    copies = (item.rank for item in items if item.record[1] or every_item)
    # What is sent again was sent before: the first flush was not behind it.
    first = min([items[0].rank, *copies])
    # A set here, as no sentence depends on the order of these states.
    states = {_Source(first, first)}
    sent: set[int] = set()
    for at, item in enumerate(items):
        after = {new for state in states for new in _send(rules, state, item.rank, sent)}
        if not after:
            return at, _capture_text(rules, states, item.rank, sent, names)
        sent.add(item.rank)
        states = after
    return None


def _send(rules: LogRules, state: _Source, rank: int, sent: set[int]) -> set[_Source]:
    found: set[_Source] = set()
    if state.following <= rank and not _due(rules, state.following, rank, sent):
        found.add(attrs.evolve(state, following=rank + 1))
    # What either task has sent may come again.
    furthest = max(state.following, state.zombie or 0)
    if state.flushed <= rank < furthest:  # whichever of two tasks flushed last
        found.add(_Source(rank + 1, rank, furthest if rules.zombies else None))
    if state.zombie is not None and state.zombie <= rank and not _due(rules, state.zombie, rank, sent):
        found.add(attrs.evolve(state, zombie=rank + 1))
    return found


def _due(rules: LogRules, following: int, rank: int, sent: set[int]) -> list[int]:
    """What has to be sent before this one; a row that was never sent may be passed over by a cursor on ids."""
    return [number for number in range(following, rank) if number in sent or rules.writes.passes_over is None]


def _capture_text(
    rules: LogRules,
    states: set[_Source],
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
    return f"{text} ({rules.order_hint} can lose it)" if rules.order_hint and rules.writes.passes_over is None else text


@attrs.frozen
class _Relay:
    """`unmarked` is the place in the list of published rows from which on they may still be unmarked."""

    unmarked: int
    again: tuple[int, ...] = ()


def _publish_all(
    rules: LogRules, items: Sequence[Item], names: dict[int, str], *, open_transactions: int, by_id: bool
) -> Unwritable | None:
    states = {_Relay(0)}
    published: list[int] = []
    lowest = min((item.rank for item in items), default=0)
    for at, item in enumerate(items):
        unseen = set(range(lowest, item.rank)) - set(published)
        if item.rank not in published and len(unseen) >= open_transactions:
            text = f"{names.get(min(unseen), 'an earlier row')} comes before {names[item.rank]}"
            return at, f"at most {open_transactions} transactions are open at once, so {text}"
        after = {new for state in states for new in _publish(rules, state, item.rank, published, by_id)}
        if not after:
            return at, _relay_text(states, item.rank, names)
        published.append(item.rank)
        states = after
    return None


def _publish(rules: LogRules, state: _Relay, rank: int, published: list[int], by_id: bool) -> set[_Relay]:
    # A new row does not wait for a batch that is published again where another relay goes on beside it.
    if rank not in published:
        between = by_id and state.again and rank < state.again[0]
        return {state} if not state.again or between or rules.zombies else set()
    found = {attrs.evolve(state, again=state.again[1:])} if state.again[:1] == (rank,) else set()
    end = len(published)
    while end and published[end - 1] < rank and published.count(published[end - 1]) == 1:
        end -= 1  # these became visible since, and were published first after the restart
    for last in {end, len(published)}:
        found |= _again(state, rank, published[:last], by_id)
    return found


def _again(state: _Relay, rank: int, published: list[int], by_id: bool) -> set[_Relay]:
    found: set[_Relay] = set()
    # The relay may have marked any of them before it crashed.
    for start in range(state.unmarked, len(published)):
        # A row that was published twice is one row of the table.
        batch = list(dict.fromkeys(published[start:]))
        batch.sort(key=None if by_id else published.index)
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
