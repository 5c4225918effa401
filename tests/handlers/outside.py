"""Handlers that ask more of `deliver`: processes that flush, the source's present state, effects that leave.

Each bug has its correct twin beside it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import chaoskit
from chaoskit.execution.deliver import Deliver
from chaoskit.values.event import Message

Handler = Callable[[Message], None]
AsyncHandler = Callable[[Message], Awaitable[None]]

BUFFER = 3
"""Messages that a process holds before it writes them."""

# Writes behind: acknowledged before it is written.


class Ledger:
    """A durable table of balances, and of the ids that are in them: one transaction for each batch."""

    def __init__(self) -> None:
        self.balances: dict[str, int] = {}
        self.ids: set[object] = set()

    @chaoskit.atomic
    def write(self, batch: list[Message]) -> None:
        for message in batch:
            if message.id not in self.ids:
                self.ids.add(message.id)
                self.balances[message.key] = self.balances.get(message.key, 0) + message.value


@contextmanager
def buffering(ledger: Ledger) -> Iterator[Handler]:
    """One process: what it holds is written when there is enough of it, and in the clean stop. A death loses it."""
    held: list[Message] = []

    def handle(message: Message) -> None:
        held.append(message)
        if len(held) == BUFFER:
            ledger.write(held)
            held.clear()

    yield handle
    ledger.write(held)


def writes_behind(deliver: Deliver) -> dict[str, int]:
    ledger = Ledger()
    deliver(spawn=lambda: buffering(ledger))
    return ledger.balances


async def writes_behind_async(deliver: Deliver) -> dict[str, int]:
    ledger = Ledger()

    @asynccontextmanager
    async def process() -> AsyncIterator[AsyncHandler]:
        with buffering(ledger) as handle:

            async def handle_async(message: Message) -> None:
                handle(message)

            yield handle_async

    await deliver(spawn=process)
    return ledger.balances


@contextmanager
def journaling(ledger: Ledger, journal: list[Message]) -> Iterator[Handler]:
    """The twin: what is held stands in a durable journal first, and whoever starts takes over what is left there."""

    @chaoskit.atomic  # one transaction
    def flush() -> None:
        ledger.write(journal)
        journal.clear()

    def handle(message: Message) -> None:
        journal.append(message)
        if len(journal) >= BUFFER:
            flush()

    flush()
    yield handle
    flush()


def writes_ahead(deliver: Deliver) -> dict[str, int]:
    ledger, journal = Ledger(), list[Message]()
    deliver(spawn=lambda: journaling(ledger, journal))
    return ledger.balances


async def writes_ahead_async(deliver: Deliver) -> dict[str, int]:
    ledger, journal = Ledger(), list[Message]()

    @asynccontextmanager
    async def process() -> AsyncIterator[AsyncHandler]:
        with journaling(ledger, journal) as handle:

            async def handle_async(message: Message) -> None:
                handle(message)

            yield handle_async

    await deliver(spawn=process)
    return ledger.balances


# The source's present state.


def trusts_the_message(deliver: Deliver) -> dict[str, Any]:
    """What came last wins, however old it is."""
    profiles: dict[str, Any] = {}

    def handle(message: Message) -> None:
        profiles[message.key] = message.value

    deliver(handle)
    return profiles


def fetches_the_last(deliver: Deliver) -> dict[str, Any]:
    """The twin: a message only says that something has changed, and the source is asked for what it is now."""
    profiles: dict[str, Any] = {}

    def handle(message: Message) -> None:
        profiles[message.key] = [event.value for event in deliver.sent() if event.key == message.key][-1]

    deliver(handle)
    return profiles


def fetches_the_sum(deliver: Deliver) -> dict[str, int]:
    """Likewise, of a balance."""
    balances: dict[str, int] = {}

    def handle(message: Message) -> None:
        balances[message.key] = sum(event.value for event in deliver.sent() if event.key == message.key)

    deliver(handle)
    return balances


# Effects that leave.


def mails_before_it_saves(deliver: Deliver) -> dict[object, int]:
    """The mail is gone when it is seen that the order is there already."""
    orders: dict[object, int] = {}

    def handle(message: Message) -> None:
        deliver.effect("mail", f"thanks for {message.value}", key=message.id)
        if message.id not in orders:
            orders[message.id] = message.value

    deliver(handle)
    return orders


def saves_before_it_mails(deliver: Deliver) -> dict[object, int]:
    """An order whose customer is not known yet is refused after it was saved: when it comes again, it is there already
    and left alone."""
    orders: dict[object, int] = {}
    customers: set[str] = set()

    def handle(message: Message) -> None:
        if message.key.startswith("customer"):
            customers.add(message.key)
        elif message.id not in orders:
            orders[message.id] = message.value
            if f"customer-{message.value}" not in customers:
                raise LookupError(f"customer {message.value}")
            deliver.effect("mail", f"thanks for {message.value}", key=message.id)

    deliver(handle)
    return orders


def checks_before_it_mails(deliver: Deliver) -> dict[object, int]:
    """The twin of both: whatever can go wrong does so before the first effect, and what is known is left alone."""
    orders: dict[object, int] = {}
    customers: set[str] = set()

    def handle(message: Message) -> None:
        if message.key.startswith("customer"):
            customers.add(message.key)
        elif message.id not in orders:
            if f"customer-{message.value}" not in customers:
                raise LookupError(f"customer {message.value}")
            deliver.effect("mail", f"thanks for {message.value}", key=message.id)
            orders[message.id] = message.value

    deliver(handle)
    return orders
