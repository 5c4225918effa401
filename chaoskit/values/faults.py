"""What goes wrong: a closed union of frozen values, each tied to one event by its id.

Parameters are small integers and 0 is the mildest, so that smaller is simpler. A count that reaches past what
exists is clamped; a fault that finds nothing to act on is void.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import attrs

from chaoskit.values.errors import UsageError
from chaoskit.values.event import EventId

__all__ = [  # what `chaoskit` re-exports
    "BatchSwap",
    "Crash",
    "DeadLetter",
    "Duplicate",
    "Fail",
    "Fault",
    "Gather",
    "Lose",
    "Overlap",
    "Overtake",
    "Redeliver",
    "Rehash",
    "Resend",
    "Rewind",
    "Zombie",
]


def _count(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if type(value) is not int or value < 0:
        raise UsageError(f"{type(instance).__name__}({attribute.name}={value!r}): a whole number, 0 or more, is needed")


def _event_id(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise UsageError(f"{type(instance).__name__}(at={value!r}): `at` is the id of an event, a str or an int")


@attrs.frozen(order=True)
class Duplicate:
    """The client hands the same record in again in place: same offset, process alive. One fault is one copy."""

    at: EventId = attrs.field(validator=_event_id)


@attrs.frozen(order=True)
class Redeliver:
    """The message comes back after `after` newer deliveries, with all that its broker brings back with it."""

    at: EventId = attrs.field(validator=_event_id)
    after: int = attrs.field(default=0, validator=_count)


@attrs.frozen(order=True)
class Rehash:
    """From event `at` on the topic has `to` partitions, while the old partition of its key still drains.

    The last `backlog`+1 records that the old partition got before `at` are read only after `at` and `by` more
    deliveries of other partitions. Producers with old metadata send the next `lag` events of the key to the
    old partition.
    """

    at: EventId = attrs.field(validator=_event_id)
    to: int = attrs.field(validator=_count)
    backlog: int = attrs.field(default=0, validator=_count)
    by: int = attrs.field(default=0, validator=_count)
    lag: int = attrs.field(default=0, validator=_count)


@attrs.frozen(order=True)
class DeadLetter:
    """Attempts are used up before the handler had any effect; the message leaves, its successors go on, and
    `after`+1 deliveries later it is put back as a new message with the same event id."""

    at: EventId = attrs.field(validator=_event_id)
    after: int = attrs.field(default=0, validator=_count)


@attrs.frozen(order=True)
class BatchSwap:
    """A producer's batch fails and its retry lands behind `over`+1 later batches. With `lost`=1 the connection
    breaks and everything in flight is sent again. It permutes and never duplicates."""

    at: EventId = attrs.field(validator=_event_id)
    over: int = attrs.field(default=0, validator=_count)
    lost: int = attrs.field(default=0, validator=attrs.validators.and_(_count, attrs.validators.le(1)))


@attrs.frozen(order=True)
class Overtake:
    """What the broker keeps in order with `at` stalls while `by`+1 other deliveries go first.

    On a log that is its partition; on a queue with groups its group; else the message alone, which a slow consumer
    holds while competing ones finish later messages.
    """

    at: EventId = attrs.field(validator=_event_id)
    by: int = attrs.field(default=0, validator=_count)


@attrs.frozen(order=True)
class Resend:
    """The producer sends it again `after` events later: the same event id, another message to the broker.

    A copy that would fall into the broker's deduplication window is sent when the window has passed.
    """

    at: EventId = attrs.field(validator=_event_id)
    after: int = attrs.field(default=0, validator=_count)


@attrs.frozen(order=True)
class Zombie:
    """The owner of `at` is taken for dead while it works: another one starts from what was settled.

    The old owner has fetched `at` and the next `holds` messages and runs them nevertheless: the first after
    `after`+1 deliveries of others, then one after each.
    """

    at: EventId = attrs.field(validator=_event_id)
    holds: int = attrs.field(default=0, validator=_count)
    after: int = attrs.field(default=0, validator=_count)


@attrs.frozen(order=True, repr=False)
class Fail:
    """An attempt to handle `at` fails before it has any effect: the handler is not called.

    With a `point` it is called, and the call of this number that it makes fails, the first being 1, of those that can
    fail: a database, a service, what `chaoskit.atomic` marks, `deliver.point`. What the handler then raises is a failed
    attempt; what it swallows is its answer, and the message is settled. Void where it makes fewer such calls.

    What follows is the broker's rule for a failed attempt. Where the message is given back while others go on, it is
    shown again after `after` further deliveries, at most as many as the broker and its client allow. Several at one
    event are several failed attempts; after the last one that the broker allows it is a dead letter, or dropped.
    """

    at: EventId = attrs.field(validator=_event_id)
    after: int = attrs.field(default=0, validator=_count)
    point: int = attrs.field(default=0, validator=_count)

    def __repr__(self) -> str:
        inside = f", point={self.point}" if self.point else ""
        return f"Fail(at={self.at!r}, after={self.after}{inside})"


@attrs.frozen(order=True)
class Rewind:
    """When `at` is done, the position is set back to `back` messages before it, though they were settled.

    All from there on is handed out again, in order: an operator has reset the offsets or the cursor, or they were lost
    and reading starts at the earliest message.
    """

    at: EventId = attrs.field(validator=_event_id)
    back: int = attrs.field(default=0, validator=_count)


@attrs.frozen(order=True)
class Lose:
    """The message is never delivered; only where the settings really lose messages."""

    at: EventId = attrs.field(validator=_event_id)


@attrs.frozen(order=True)
class Crash:
    """The process that handles `at` dies inside the handler, after `point` of its effects.

    An effect is a call, or a statement that stores into something that is not a local name, in the user's own code; a
    `point` beyond the last one is "all done, and not acknowledged". The message comes back by the broker's rule: at
    once where the broker sees that the connection is gone, else when its lease runs out, after `after` newer
    deliveries. On a log whose commits may be ahead of the handler it never comes again with an `after` of 1. On the
    last delivery that its broker allows it goes to the dead letters, or is gone, with what was done by then. Void where
    the handler raises before it comes so far.
    """

    at: EventId = attrs.field(validator=_event_id)
    point: int = attrs.field(default=0, validator=_count)
    after: int = attrs.field(default=0, validator=_count)


@attrs.frozen(order=True)
class Gather:
    """`at` and the `more`+1 next messages come in one call of a handler that takes batches: one poll, receive, pull or
    invocation gave them. Without it a message is a batch of its own.

    Where a batch ends is the broker's choice: at its own setting, and before anything that is no delivery to the same
    consumer. What brings back a message of it finds the whole call unsettled, by the broker's rule.
    """

    at: EventId = attrs.field(validator=_event_id)
    more: int = attrs.field(default=0, validator=_count)


@attrs.frozen(order=True)
class Overlap:
    """Two executions at once: that of `at` stops after `point` of its effects while `by`+1 further deliveries run, and
    then it goes on.

    With `others`=0 its lease or its ownership was lost, and `at` itself comes first to the new owner; with `others`=1
    nothing was lost, and competing consumers go on with the next messages. Effects are those of `Crash`. One that has
    fewer runs whole before the others; void where the handler raises before it comes so far, and where the broker does
    not do it at this message.
    """

    at: EventId = attrs.field(validator=_event_id)
    point: int = attrs.field(default=0, validator=_count)
    by: int = attrs.field(default=0, validator=_count)
    others: int = attrs.field(default=0, validator=attrs.validators.and_(_count, attrs.validators.le(1)))


Fault: TypeAlias = (
    Duplicate
    | Redeliver
    | DeadLetter
    | Rehash
    | BatchSwap
    | Overtake
    | Resend
    | Zombie
    | Fail
    | Rewind
    | Lose
    | Crash
    | Gather
    | Overlap
)
FaultKind: TypeAlias = (
    type[Duplicate]
    | type[Redeliver]
    | type[DeadLetter]
    | type[Rehash]
    | type[BatchSwap]
    | type[Overtake]
    | type[Resend]
    | type[Zombie]
    | type[Fail]
    | type[Rewind]
    | type[Lose]
    | type[Crash]
    | type[Gather]
    | type[Overlap]
)

KINDS: tuple[FaultKind, ...] = (
    Duplicate, Redeliver, DeadLetter, Rehash, BatchSwap, Overtake, Resend, Zombie, Fail, Rewind, Lose
)  # fmt: skip
"""From the mildest on. Of kinds that fail alike, with as many deliveries, copies and restarts, the first is shown; but
`Overtake`, in which nothing fails, and `Fail`, the most common failure, before all others."""
INSIDE: tuple[FaultKind, ...] = (Crash, Overlap)
"""Those that reach inside the handler. They are tried where `deliver(spawn=…)` says what a process has for itself."""
CUTS: tuple[FaultKind, ...] = (Gather,)
"""Those that are no failure: where a batch ends. They are tried where `deliver(…, batch=…)` takes batches."""
ALL_KINDS: tuple[FaultKind, ...] = (*KINDS, *INSIDE)
KIND_BY_NAME: dict[str, FaultKind] = {kind.__name__: kind for kind in (*ALL_KINDS, *CUTS)}


def reaches_in(fault: Fault) -> bool:
    """Whether it reaches inside the handler."""
    return type(fault) in INSIDE or (type(fault) is Fail and fault.point > 0)
