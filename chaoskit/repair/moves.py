"""The moves that the field knows, as a few lines each between `deliver` and the handler.

What a move remembers is durable: it outlives the processes of a run, as it would in a database.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator

import attrs

from chaoskit.execution.script import Move
from chaoskit.search.oracle import ModelOf
from chaoskit.search.rekeyed import one_key
from chaoskit.values.event import EventId, Message
from chaoskit.values.repair import MoveName


def ids() -> Move:
    """Remember the id of each message that was handled, and skip one that is known."""
    handled: set[EventId] = set()

    def move(message: Message) -> Iterator[Message]:
        if message.id not in handled:
            yield message
            # Behind the yield: what the handler raised at is not handled, and must not be skipped when it comes again.
            handled.add(message.id)

    return move


def version() -> Move:
    """Remember the highest `seq` of each key, and drop a message that is not above it."""
    highest: dict[Hashable, int] = {}

    def move(message: Message) -> Iterator[Message]:
        # `seq` counts from 1.
        if message.seq > highest.get(message.key, 0):
            yield message
            highest[message.key] = message.seq

    return move


def resequence() -> Move:
    """Hold a message back until all before it under its key have been handled."""
    handled: dict[Hashable, int] = {}
    held: dict[tuple[Hashable, int], Message] = {}

    def move(message: Message) -> Iterator[Message]:
        key = message.key
        # What was handled already would be held for ever.
        if message.seq > handled.get(key, 0):
            held.setdefault((key, message.seq), message)
        while (due := held.get((key, handled.get(key, 0) + 1))) is not None:
            yield due
            handled[key] = due.seq
            del held[key, due.seq]

    return move


@attrs.frozen
class Kind:
    """A move and what it takes. `make` is for the consumer's side, `model_of` for the producer's. `whole`: an execution
    is done whole or not at all. `named`: why it is not run, and only named."""

    name: MoveName
    needs: str
    make: Callable[[], Move] | None = None
    model_of: ModelOf | None = None
    whole: bool = False
    named: str = ""


MOVES = (
    Kind(
        "ids",
        "an id from the producer, the same on every copy of a message, and a store for ids that is written in one "
        "transaction with the effect",
        ids,
    ),
    Kind(
        "version",
        "a number that the producer counts up for each key, stored beside what it writes; a message that is dropped is "
        "superseded, so each must say all that there is to say of its key",
        version,
    ),
    Kind(
        "resequence",
        "a number without gaps that the producer counts up for each key, and a durable store for what is held back. A "
        "message that never comes holds back all behind it: watch how long something waits",
        resequence,
    ),
    Kind(
        "one key",
        "all messages under one key, in one partition or group with one consumer at a time: nothing runs in parallel",
        model_of=one_key,
    ),
)
"""Cheapest first."""

INSIDE_MOVES = (
    Kind(
        "transaction",
        "the effect and the mark that it is done in one database, written in one transaction that is committed once, "
        "at the end; nothing in it that a rollback does not take back, and no error of a call that is swallowed",
        whole=True,
    ),
    Kind(
        "unique key",
        "a table of message ids with a primary key, in the database of the effect: the id is inserted first and in the "
        "same transaction, and a message whose id is there is skipped",
        ids,
        whole=True,
    ),
)
"""Of what happens inside the handler. Cheapest first."""

OVERLAP_MOVES = (
    Kind(
        "lock",
        "SELECT … FOR UPDATE of the row as the first statement of a transaction that is committed once, at the end, or "
        "a version that is compared where the row is written; and the look at whether it was done already behind that",
        whole=True,
    ),
    Kind(
        "unique key",
        "the same lock where the handler reads what it writes, and a table of message ids with a primary key: the id "
        "is inserted first and in the same transaction, and a message whose id is there is skipped",
        ids,
        whole=True,
    ),
    Kind(
        "fence",
        "a number that grows with each owner of the message, kept beside the row, and a write that is refused where a "
        "larger one is there",
        named="only the broker can count who owns a message: it was not run",
    ),
)
"""Of two executions at once, which a lock makes follow each other. Cheapest first."""

OUTBOX = Kind(
    "outbox",
    "a table in the database of the effect into which the transaction writes what is to be sent, a relay that sends "
    "it, and a receiver that drops what comes twice by its id",
    named="nothing around the handler can change where an effect leaves: it was not run",
)
"""For what no rollback takes back."""

ESCAPE = Kind(
    "escape",
    "an error of a call that comes out of the handler, or is answered by what gives the message back: one that is "
    "swallowed is its answer, and the message is settled",
    named="nothing around the handler can make it stop where a call has failed: it was not run",
)
"""For a call that failed and an answer as if nothing were."""

RETRY = Kind(
    "retry",
    "a framework that is asked for another attempt: the error named where it looks (autoretry_for), or a retry called",
    named="nothing around the handler can make its framework keep what it has given up: it was not run",
)
"""For a failure that was final."""
