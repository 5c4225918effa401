"""Which logs a producer can write: the first write of a sequence that its broker could not have made.

Each way of writing is a small automaton over the ranks of the produced order. It gives a set of states after
each write; an empty set is a refusal, with a sentence that says what could have been written instead.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence

import attrs

from chaoskit.traces.log.layout import Item
from chaoskit.traces.log.relay import Unwritable, capture, outbox
from chaoskit.traces.log.rules import LogRules


def first_unwritable(rules: LogRules, items: Sequence[Item], names: dict[int, str]) -> Unwritable | None:
    """The first write that this producer cannot make; `names` spells the ranks."""
    sent = [item for item in items if not item.redriven]
    elsewhere = sorted({item.rank for item in items} - {item.rank for item in sent})
    closer = [attrs.evolve(item, rank=item.rank - bisect_left(elsewhere, item.rank)) for item in sent]
    spelled = {rank - bisect_left(elsewhere, rank): name for rank, name in names.items() if rank not in elsewhere}
    found = _AUTOMATA[rules.writes](rules, closer, spelled)
    if found is None:
        return None
    return items.index(sent[found[0]]), found[1]


def _hinted(text: str, hint: str) -> str:
    return f"{text} ({hint} would allow it)" if hint else text


def _copy_text(rules: LogRules, item: Item, names: dict[int, str]) -> str:
    return _hinted(f"{_name(item.rank, names)} was accepted already and is not written twice", rules.copy_hint)


def _name(rank: int, names: dict[int, str]) -> str:
    return names.get(rank, "an earlier one")


def _exact(rules: LogRules, items: Sequence[Item], names: dict[int, str]) -> Unwritable | None:
    """Once and in order; an application that sends again can land anything later, a batch in its own order."""
    if rules.application_resends:
        return _in_batch_order(rules, items, names)
    following = min((item.rank for item in items), default=0)
    for at, item in enumerate(items):
        if item.nth:
            return at, _copy_text(rules, item, names)
        if item.rank != following:
            text = f"the {rules.unit_word} is written in the produced order: {_name(following, names)} comes before"
            return at, _hinted(f"{text} {_name(item.rank, names)}", rules.order_hint)
        following += 1
    return None


def _in_batch_order(rules: LogRules, items: Sequence[Item], names: dict[int, str]) -> Unwritable | None:
    size = rules.records_per_batch
    base = min((item.rank for item in items), default=0)
    latest: dict[tuple[int, int], int] = {}
    for at, item in enumerate(items):
        batch = ((item.rank - base) // size, item.nth)
        if latest.get(batch, -1) > item.rank:
            return at, _batch_text(latest[batch], item, names)
        latest[batch] = item.rank
    return None


def _batch_text(after: int, item: Item, names: dict[int, str]) -> str:
    return (
        f"a batch is written whole and in its own order: {_name(item.rank, names)} cannot follow {_name(after, names)}"
    )


@attrs.frozen
class _Write:
    """One batch that was written whole."""

    batch: int
    at: int
    """Index of its first record."""


def _batches(rules: LogRules, items: Sequence[Item], names: dict[int, str]) -> tuple[list[_Write], Unwritable | None]:
    """The batches in the order in which they were written, up to the first record that breaks one."""
    base = min((item.rank for item in items), default=0)
    ranks: dict[int, list[int]] = {}
    for rank in sorted({item.rank for item in items}):
        ranks.setdefault((rank - base) // rules.records_per_batch, []).append(rank)
    writes: list[_Write] = []
    rest: list[int] = []
    for at, item in enumerate(items):
        batch = (item.rank - base) // rules.records_per_batch
        if not rest:
            rest = list(ranks[batch])
            writes.append(_Write(batch, at))
        if rest[0] != item.rank:
            expected = _name(rest[0], names)
            text = f"a batch is written whole and in its own order: {expected} comes before {_name(item.rank, names)}"
            return writes, (at, text)
        rest.pop(0)
    return writes, None


def _window(rules: LogRules, items: Sequence[Item], names: dict[int, str]) -> Unwritable | None:
    """Batches on one connection: a failed one is retried behind those in flight, a lost connection returns them all."""
    if rules.application_resends:
        return _in_batch_order(rules, items, names)
    writes, broken = _batches(rules, items, names)
    order = [write.batch for write in writes]
    found = _outstanding(rules, order) if rules.overlapping_failures else disturbed(rules, order)
    if found is None:
        return broken
    at = writes[found].at
    here = f"{_name(items[at].rank, names)} cannot land here"
    if rules.max_in_flight == 1:
        return at, _hinted(f"{here}: with one batch in flight none overtakes another", rules.order_hint)
    lost = "newest first" if rules.newest_first else "in their order"
    retried = f"a failed batch is retried behind those in flight ({rules.max_in_flight} at most)"
    return at, _hinted(f"{here}: {retried}, and a lost connection sends its batches again {lost}", rules.order_hint)


def _slots(rules: LogRules, items: Sequence[Item], names: dict[int, str]) -> Unwritable | None:
    """Sends that are retried one by one, so many outstanding; the application sends again what got no answer."""
    firsts = [at for at, item in enumerate(items) if item.nth == 0]
    if rules.application_resends:
        return None
    found = _outstanding(rules, [items[at].rank for at in firsts])
    if found is None:
        return None
    at = firsts[found]
    text = f"at most {rules.max_in_flight} sends are outstanding at once, so {_name(items[at].rank, names)}"
    return at, _hinted(f"{text} cannot land here", rules.order_hint)


def _request(rules: LogRules, items: Sequence[Item], names: dict[int, str]) -> Unwritable | None:
    """Requests of so many records: any part of one is accepted, the rest is sent again before the next request.

    What got no answer is sent again by the application, whenever its own retries come to it.
    """
    size = rules.max_in_flight
    unwritten = {item.rank for item in items}
    highest = -1
    for at, item in enumerate(items):
        lowest = min(unwritten, default=item.rank)
        highest = max(highest, item.rank)
        if item.nth == 0 and highest - lowest >= size:
            text = f"a request has at most {size} records, and what it left over is sent again before the next one"
            return at, f"{text}: {_name(item.rank, names)} cannot land here"
        unwritten.discard(item.rank)
    return None


def displaced_without_failure(
    rules: LogRules, items: Sequence[Item], names: dict[int, str], failed: Counter[str]
) -> Unwritable | None:
    """Where the failures are listed, only what failed lands behind what was sent after it; on one connection, each
    failed attempt is overtaken by the other batches in flight, and no more."""
    most = rules.max_in_flight - 1 if rules.writes == "window" and not rules.application_resends else None
    base = min((item.rank for item in items), default=0)
    sent: list[int] = []
    for at, item in enumerate(items):
        if item.nth:
            continue
        name = names.get(item.rank, item.record[0])
        batch = (item.rank - base) // rules.records_per_batch
        later = {(rank - base) // rules.records_per_batch for rank in sent if rank > item.rank} - {batch}
        if any(rank > item.rank for rank in sent) and not failed[name]:
            return at, f"{name} did not fail (|fail {name}), so nothing that was sent after it lands before it"
        if most is not None and len(later) > most * failed[name]:
            times = "once" if failed[name] == 1 else f"{failed[name]} times"
            text = f"{name} failed {times}, and a failed attempt is overtaken by the other batches in flight"
            return at, f"{text}: by {most} at most, not by {len(later)}"
        sent.append(item.rank)
    return None


def _outstanding(rules: LogRules, order: Sequence[int]) -> int | None:
    """A write needs a place among the sends that are not answered for good: unwritten ones, and those in doubt.

    A send is in doubt until its last copy, so the copies that follow say which ones are.
    """
    following = min(order, default=0)
    unwritten: set[int] = set()
    doubtful: set[int] = set()
    last = {sent: index for index, sent in enumerate(order)}
    for index, sent in enumerate(order):
        if sent < following and sent not in unwritten and sent not in doubtful:
            return index
        unwritten |= set(range(following, sent))
        if len(unwritten | doubtful | {sent}) > rules.max_in_flight:
            return index
        unwritten.discard(sent)
        doubtful.discard(sent)
        if last[sent] > index:
            doubtful.add(sent)
        following = max(following, sent + 1)
    return None


@attrs.frozen
class _Calm:
    """Everything below `following` was sent; of that, `queue` is sent again before anything new, `late` may be
    overtaken until it is written, and `breaking` is a connection that is being lost with these batches in flight."""

    following: int
    queue: tuple[int, ...] = ()
    late: tuple[int, ...] = ()
    breaking: tuple[int, int] | None = None


def disturbed(rules: LogRules, order: Sequence[int]) -> int | None:
    """One disturbance after another: the index of the first batch that no such history writes there."""
    states = {_Calm(min(order, default=0))}
    for index, batch in enumerate(order):
        states = {after for state in states for after in _write(rules, state, batch)}
        if not states:
            return index
    return None


def _write(rules: LogRules, state: _Calm, batch: int) -> set[_Calm]:
    if state.queue:
        return {attrs.evolve(state, queue=state.queue[1:])} if state.queue[0] == batch else set()
    if state.breaking is not None:
        return _while_breaking(rules, state, state.breaking, batch)
    if state.late:
        return _while_late(rules, state, batch)
    return _from_calm(rules, state.following, batch)


def _returned(rules: LogRules, first: int, behind: int) -> tuple[int, ...]:
    found = tuple(range(first, behind))
    return found[::-1] if rules.newest_first else found


def _from_calm(rules: LogRules, first: int, batch: int) -> set[_Calm]:
    found: set[_Calm] = set()
    if batch == first:
        found |= {_Calm(batch + 1), _Calm(batch + 1, late=(batch,))}
        found |= {_Calm(batch + 1, breaking=(batch, first + count)) for count in range(1, rules.max_in_flight + 1)}
    if first < batch < first + rules.max_in_flight:
        found.add(_Calm(batch + 1, late=_returned(rules, first, batch)))
        found |= _reconnect(rules, first, batch, range(batch + 1, first + rules.max_in_flight + 1))
    return found


def _reconnect(rules: LogRules, first: int, batch: int, behind: range) -> set[_Calm]:
    """The connection was lost with the batches from `first` in flight; this one is the first to be sent again."""
    returned = (_returned(rules, first, end) for end in behind)
    return {_Calm(max(back) + 1, queue=back[1:]) for back in returned if back[0] == batch}


def _while_breaking(rules: LogRules, state: _Calm, breaking: tuple[int, int], batch: int) -> set[_Calm]:
    first, behind = breaking
    found = _reconnect(rules, first, batch, range(behind, behind + 1))
    if batch == state.following < behind:
        found.add(_Calm(batch + 1, breaking=breaking))
    return found


def _while_late(rules: LogRules, state: _Calm, batch: int) -> set[_Calm]:
    if batch == state.late[0]:
        return {attrs.evolve(state, late=state.late[1:]), state}
    overtakes = batch == state.following and rules.max_in_flight > 1
    return {attrs.evolve(state, following=batch + 1)} if overtakes else set()


_AUTOMATA: dict[str, Callable[[LogRules, Sequence[Item], dict[int, str]], Unwritable | None]] = {
    "exact": _exact,
    "window": _window,
    "slots": _slots,
    "request": _request,
    "capture": capture,
    "outbox": outbox,
}
