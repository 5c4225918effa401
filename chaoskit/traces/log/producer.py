"""Which logs a producer can write: the first write of a sequence that its broker could not have made.

A broker's rules name one of `exact`, `window`, `slots`, `requests` and `resent`, with its settings. Each is a small
automaton over the ranks of the produced order. `relay.py` has those that stand between a database and a log.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from functools import partial

import attrs

from chaoskit.traces.log.layout import Item
from chaoskit.traces.log.rules import LogRules, Unwritable, Writes


def first_unwritable(rules: LogRules, items: Sequence[Item], names: dict[int, str]) -> Unwritable | None:
    """The first write that this producer cannot make; `names` spells the ranks."""
    sent = [item for item in items if not item.redriven]
    closer, spelled = sent, names
    elsewhere = sorted({item.rank for item in items} - {item.rank for item in sent})
    if elsewhere:
        # The ranks close up over what this producer did not send, or that would look like holes in its sequence.
        closer = [attrs.evolve(item, rank=item.rank - bisect_left(elsewhere, item.rank)) for item in sent]
        spelled = {rank - bisect_left(elsewhere, rank): name for rank, name in names.items() if rank not in elsewhere}
    found = rules.writes.refuses(rules, closer, spelled)
    if found is None:
        return None
    return items.index(sent[found[0]]), found[1]  # among all records again


def exact() -> Writes:
    """Once, in the produced order."""
    return Writes(_exact)


def resent(records_per_batch: int = 1) -> Writes:
    """An application that sends again can land anything later; a batch keeps its own order."""
    return Writes(partial(_in_batch_order, size=records_per_batch), reorders=True)


def window(in_flight: int, records_per_batch: int, newest_first: bool) -> Writes:
    """Batches in flight on one connection, a failed one goes back to the queue (Kafka without idempotence).

    `newest_first`: what returns from a lost connection is sent again newest first (Java), or in the produced order.
    """
    refuses = partial(_window, in_flight=in_flight, size=records_per_batch, newest_first=newest_first)
    return Writes(refuses, reorders=True, overtaken_by=in_flight - 1, records_per_batch=records_per_batch)


def slots(outstanding: int) -> Writes:
    """Sends that are retried one by one, so many outstanding (Event Hubs, stream publishers)."""
    # Sent again, it is routed again: after a growth its key may have another home.
    return Writes(partial(_slots, outstanding=outstanding), reorders=True, copies_change_unit=True)


def requests(size: int) -> Writes:
    """Requests of which any part is accepted and the rest sent again (PutRecords)."""
    return Writes(partial(_requests, size=size), reorders=True, copies_change_unit=True)


def _hinted(text: str, hint: str) -> str:
    return f"{text} ({hint} would allow it)" if hint else text


def _copy_text(rules: LogRules, item: Item, names: dict[int, str]) -> str:
    return _hinted(f"{_name(item.rank, names)} was accepted already and is not written twice", rules.copy_hint)


def _name(rank: int, names: dict[int, str]) -> str:
    return names.get(rank, "an earlier one")


def _exact(rules: LogRules, items: Sequence[Item], names: dict[int, str]) -> Unwritable | None:
    # A trace may begin in the middle of a log.
    following = min((item.rank for item in items), default=0)
    for at, item in enumerate(items):
        if item.nth:
            return at, _copy_text(rules, item, names)
        if item.rank != following:
            text = f"the {rules.unit_word} is written in the produced order: {_name(following, names)} comes before"
            return at, _hinted(f"{text} {_name(item.rank, names)}", rules.order_hint)
        following += 1
    return None


def _in_batch_order(rules: LogRules, items: Sequence[Item], names: dict[int, str], *, size: int) -> Unwritable | None:
    base = min((item.rank for item in items), default=0)
    # By copy as well: what is sent again is a batch of its own.
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


def _batches(items: Sequence[Item], names: dict[int, str], size: int) -> tuple[list[_Write], Unwritable | None]:
    """The batches in the order in which they were written, up to the first record that breaks one."""
    base = min((item.rank for item in items), default=0)
    ranks: dict[int, list[int]] = {}
    for rank in sorted({item.rank for item in items}):
        ranks.setdefault((rank - base) // size, []).append(rank)
    writes: list[_Write] = []
    rest: list[int] = []
    for at, item in enumerate(items):
        batch = (item.rank - base) // size
        if not rest:
            # Only the records that are shown: a trace may begin or end in the middle of a batch.
            rest = list(ranks[batch])
            writes.append(_Write(batch, at))
        if rest[0] != item.rank:
            expected = _name(rest[0], names)
            text = f"a batch is written whole and in its own order: {expected} comes before {_name(item.rank, names)}"
            return writes, (at, text)
        rest.pop(0)
    return writes, None


def _window(
    rules: LogRules, items: Sequence[Item], names: dict[int, str], *, in_flight: int, size: int, newest_first: bool
) -> Unwritable | None:
    writes, broken = _batches(items, names, size)
    # First: how the batches landed is judged up to the record that breaks one.
    found = _too_many_outstanding([write.batch for write in writes], in_flight)
    if found is None:
        return broken
    at = writes[found].at
    here = f"{_name(items[at].rank, names)} cannot land here"
    # The general sentence would speak of batches that are not in flight.
    if in_flight == 1:
        return at, _hinted(f"{here}: with one batch in flight none overtakes another", rules.order_hint)
    lost = "newest first" if newest_first else "in their order"
    retried = f"a failed batch is retried behind those in flight ({in_flight} at most)"
    return at, _hinted(f"{here}: {retried}, and a lost connection sends its batches again {lost}", rules.order_hint)


def _slots(rules: LogRules, items: Sequence[Item], names: dict[int, str], *, outstanding: int) -> Unwritable | None:
    """What got no answer is sent again by the application at any time, so only first copies are bounded."""
    firsts = [at for at, item in enumerate(items) if item.nth == 0]
    found = _too_many_outstanding([items[at].rank for at in firsts], outstanding)
    if found is None:
        return None
    at = firsts[found]
    text = f"at most {outstanding} sends are outstanding at once, so {_name(items[at].rank, names)} cannot land here"
    return at, _hinted(text, rules.order_hint)


def _requests(rules: LogRules, items: Sequence[Item], names: dict[int, str], *, size: int) -> Unwritable | None:
    """Any part of a request is accepted, the rest is sent again before the next one.

    What got no answer is sent again by the application, whenever its own retries come to it.
    """
    unwritten = {item.rank for item in items}
    highest = -1
    for at, item in enumerate(items):
        # The oldest that is still to be written is in the request of now, and so this one is, too.
        lowest = min(unwritten, default=item.rank)
        highest = max(highest, item.rank)
        if item.nth == 0 and highest - lowest >= size:
            text = f"a request has at most {size} records, and what it left over is sent again before the next one"
            return at, f"{text}: {_name(item.rank, names)} cannot land here"
        unwritten.discard(item.rank)
    return None


def displaced_without_failure(
    writes: Writes, items: Sequence[Item], names: dict[int, str], failed: Counter[str]
) -> Unwritable | None:
    """Where the failures are listed, only what failed lands behind what was sent after it; on one connection, each
    failed attempt is overtaken by the other batches in flight, and no more."""
    most, size = writes.overtaken_by, writes.records_per_batch
    base = min((item.rank for item in items), default=0)
    sent: list[int] = []
    for at, item in enumerate(items):
        if item.nth:
            continue
        name = names.get(item.rank, item.record[0])
        # Batches, not records; those of its own batch go with it.
        later = {(rank - base) // size for rank in sent if rank > item.rank} - {(item.rank - base) // size}
        if any(rank > item.rank for rank in sent) and not failed[name]:
            return at, f"{name} did not fail (|fail {name}), so nothing that was sent after it lands before it"
        if most is not None and len(later) > most * failed[name]:
            times = "once" if failed[name] == 1 else f"{failed[name]} times"
            text = f"{name} failed {times}, and a failed attempt is overtaken by the other batches in flight"
            return at, f"{text}: by {most} at most, not by {len(later)}"
        sent.append(item.rank)
    return None


def _too_many_outstanding(order: Sequence[int], most: int) -> int | None:
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
        if len(unwritten | doubtful | {sent}) > most:
            return index
        unwritten.discard(sent)
        doubtful.discard(sent)
        # More copies follow: its answer was lost, and it keeps its place among the outstanding ones.
        if last[sent] > index:
            doubtful.add(sent)
        following = max(following, sent + 1)
    return None
