"""Bugs of the field, as something between `deliver` and the user's own handler.

Each shows only in a run under faults: one that changed the in-order run, too, would change what is compared with, and
the two would agree. So that a right handler, which knows a copy by its id and an old message by its `seq`, does wrong
all the same, what comes is given another identity: the handler then does what the buggy one would.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator
from typing import Any
from uuid import UUID

import attrs

from chaoskit.execution.script import Move, Script
from chaoskit.values.event import EventId, Message
from chaoskit.values.faults import ALL_KINDS, Crash, DeadLetter, Fail, FaultKind, Redeliver, Zombie
from chaoskit.values.planted import HandlerBug

Acts = Callable[[], None]
"""Called when the bug has changed what the handler is given."""

Bug = Callable[[Script, Acts, bool], Move]
"""Made anew for each run under faults. The last argument: some streams of the test have several events of one key."""

FAR = 1_000_003
"""Added to numbers that the broker counts, once for each copy that is to look new."""

FAILING = (Fail, DeadLetter)
"""In which an attempt fails."""
INTERRUPTED = (Fail, DeadLetter, Redeliver, Zombie, Crash)
"""In which an attempt fails, or its process ends."""


def forgets_ids(script: Script, acts: Acts, shared: bool) -> Move:
    """What comes again is given as a new event of its key."""
    given, taken = Renumbered(), set[EventId]()

    def move(message: Message) -> Iterator[Message]:
        if message.id in taken:
            acts()
            yield given.anew(message)
            given.took(message)
        else:
            yield given.as_it_is(message)
            taken.add(message.id)

    return move


def ignores_versions(script: Script, acts: Acts, shared: bool) -> Move:
    """The events of a key are numbered as they come, so that the handler takes this for their order."""
    seqs, last = dict[EventId, int](), Counter[Hashable]()

    def move(message: Message) -> Iterator[Message]:
        if message.id not in seqs:
            last[message.key] += 1
            seqs[message.id] = last[message.key]
        if seqs[message.id] != message.seq:
            acts()
        yield attrs.evolve(message, seq=seqs[message.id])

    return move


def drops_an_effect(script: Script, acts: Acts, shared: bool) -> Move:
    """An event with which something goes wrong is never handled."""
    return _skipping(_hit(script, ALL_KINDS, shared), acts)


def acknowledges_first(script: Script, acts: Acts, shared: bool) -> Move:
    """An event whose attempt fails, or whose process ends, is never handled: for the broker it is done."""
    return _skipping(_hit(script, INTERRUPTED, shared), acts)


def applies_after_failing(script: Script, acts: Acts, shared: bool) -> Move:
    """An attempt that failed has had its effect, so that what comes again is added to it."""
    # Nothing is dropped here, so that no event of a key has to be spared.
    failing, given, done = _hit(script, FAILING, shared=False), Renumbered(), set[EventId]()

    def move(message: Message) -> Iterator[Message]:
        applied = message.id in failing and message.id not in done
        # Copied before the handler has it, which may change the value.
        again = attrs.evolve(message, value=copy.deepcopy(message.value)) if applied else message
        yield given.as_it_is(message)
        if applied:
            acts()
            yield given.anew(again)
            given.took(again)
            done.add(message.id)

    return move


def marks_first(script: Script, acts: Acts, shared: bool) -> Move:
    """An event at which a process has died is never handled again: its mark was written before its effect."""
    hit, begun = _hit(script, (Crash,), shared=False), set[EventId]()

    def move(message: Message) -> Iterator[Message]:
        if message.id in begun:
            acts()
            return
        if message.id in hit:
            begun.add(message.id)
        yield message

    return move


def effect_outside_the_transaction(script: Script, acts: Acts, shared: bool) -> Move:
    """What comes again after a death is given as a new event: the mark was rolled back, and the effect was not."""
    hit, given, begun = _hit(script, (Crash,), shared=False), Renumbered(), set[EventId]()

    def move(message: Message) -> Iterator[Message]:
        if message.id in begun:
            acts()
            yield given.anew(message)
            given.took(message)
            return
        if message.id in hit:
            begun.add(message.id)
        yield given.as_it_is(message)

    return move


BUGS: dict[HandlerBug, Bug] = {
    "forgets ids": forgets_ids,
    "ignores versions": ignores_versions,
    "drops an effect": drops_an_effect,
    "applies after failing": applies_after_failing,
    "acknowledges first": acknowledges_first,
    "marks first": marks_first,
    "effect outside the transaction": effect_outside_the_transaction,
}


def _hit(script: Script, kinds: Collection[FaultKind], shared: bool) -> set[EventId]:
    """The events at which a fault of these kinds is anchored. `shared`: of each key one other event is left, as without
    all of them even a state shows something that shows only which keys there are."""
    events = script.mailbox.model.stream.events
    hit = {fault.at for fault in script.faults or () if type(fault) in kinds}
    if not shared:
        return hit
    left: dict[Hashable, EventId] = {event.key: event.id for event in reversed(events)}
    # One that is spared anyway, if the key has any; else its first event is.
    left |= {event.key: event.id for event in events if event.id not in hit}
    return hit - set(left.values())


def _skipping(ids: Collection[EventId], acts: Acts) -> Move:
    def move(message: Message) -> Iterator[Message]:
        if message.id in ids:
            acts()
        else:
            yield message

    return move


@attrs.define
class Renumbered:
    """The numbers of a stream in which its producer has sent some events once more: what is new takes the next `seq`
    of its key, and those behind it move up, without a gap."""

    highest: Counter[Hashable] = attrs.field(factory=Counter)
    added: Counter[Hashable] = attrs.field(factory=Counter)
    seqs: dict[tuple[Hashable, int], int] = attrs.field(factory=dict)
    waiting: dict[EventId, tuple[int, int]] = attrs.field(factory=dict)
    """What an attempt that failed was given, so that the next one is given the same."""
    copies: int = 0

    def as_it_is(self, message: Message) -> Message:
        key = message.key
        # A number is given out once: what was seen keeps it, however many are added later.
        while self.highest[key] < message.seq:
            self.highest[key] += 1
            self.seqs[key, self.highest[key]] = self.highest[key] + self.added[key]
        return attrs.evolve(message, seq=self.seqs[key, message.seq])

    def anew(self, message: Message) -> Message:
        """Nothing in it says that it came before."""
        if message.id not in self.waiting:
            self.copies += 1
            self.added[message.key] += 1
            self.waiting[message.id] = self.copies, self.highest[message.key] + self.added[message.key]
        number, seq = self.waiting[message.id]
        return attrs.evolve(
            message,
            id=_other(message.id, number),
            seq=seq,
            offset=_other(message.offset, number),
            sequence=_other(message.sequence, number),
            message_id=_other(message.message_id, number),
            deduplication_id=_other(message.deduplication_id, number),
            attempt=None if message.attempt is None else 1,
            redelivered=None if message.redelivered is None else False,
        )

    def took(self, message: Message) -> None:
        del self.waiting[message.id]


def _other(identity: Any, number: int) -> Any:
    """One of the same form that nothing else has; None stays None."""
    if isinstance(identity, int):
        return identity + number * FAR
    if identity is None:
        return None
    if identity.isdecimal():
        return str(int(identity) + number * FAR)
    try:
        return str(UUID(int=UUID(identity).int ^ number))
    except ValueError:
        return f"{identity}~{number}"
